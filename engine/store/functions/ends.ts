/** Who owns what, and how a lead ends when its own engine does not end it: fencing, taking over, concluding, resolving. */

/** The lock of an engine is shared by every batch it writes: fencing waits for those under way and forbids the next. */
const FENCING = `
  create function fence_silent(p_engine integer, p_age_ms bigint) returns setof integer language plpgsql as $$
  declare
    v_other integer;
  begin
    for v_other in
      select id from engines
      where id <> p_engine and fenced_at is null and beat_at < clock_timestamp() - p_age_ms * interval '1 ms'
      order by id
    loop
      perform pg_advisory_xact_lock(72, v_other);
      update engines set fenced_at = clock_timestamp(), fenced_by = p_engine
      where id = v_other and fenced_at is null
        and beat_at < clock_timestamp() - p_age_ms * interval '1 ms';
      if found then
        return next v_other;
      end if;
    end loop;
  end $$;

  create function fence_self(p_engine integer) returns void language plpgsql as $$
  begin
    perform pg_advisory_xact_lock(72, p_engine);
    update engines set fenced_at = clock_timestamp(), fenced_by = p_engine where id = p_engine and fenced_at is null;
  end $$;

  -- Undecided leads of fenced engines become the caller's under a new term; says how many. A fenced caller gets none.
  create function take_over(p_engine integer, p_most integer) returns integer language plpgsql
  set enable_seqscan = off as $$
  declare
    v_taken integer;
  begin
    perform pg_advisory_xact_lock_shared(72, p_engine);
    update leads l set owner = p_engine, term = l.term + 1
    from (
      select u.id from leads u join engines e on e.id = u.owner
      where u.status is null and e.fenced_at is not null
      order by u.id limit p_most for update of u skip locked
    ) as lost
    where l.id = lost.id and exists (select 1 from engines where id = p_engine and fenced_at is null);
    get diagnostics v_taken = row_count;
    return v_taken;
  end $$;

  -- A lead of the caller's own that it no longer works on: what it wrote under the old term comes too late from now on.
  create function take_back(p_engine integer, p_lead uuid) returns boolean language plpgsql
  set enable_seqscan = off as $$
  begin
    perform pg_advisory_xact_lock_shared(72, p_engine);
    update leads set term = term + 1
    where id = p_lead and owner = p_engine and status is null
      and exists (select 1 from engines where id = p_engine and fenced_at is null);
    return found;
  end $$;
`

/**
 * A lead's end follows from its intents: sold where one was accepted, pending where one is in doubt, unsold where all
 * ended otherwise, expired where there was none. An undecided lead ends only by its owner, under the term that it gives
 * and with no intent open; one that is pending, or sold with a copy still in doubt, by whoever resolves the doubt. What
 * its source is owed in any case, and its sales do not earn, is entered once nothing is in doubt any more.
 */
const CONCLUDE = `
  -- Sleeping leads whose time has come become the caller's under a new term. A fenced caller gets none.
  create function wake_leads(p_engine integer, p_most integer) returns integer language plpgsql
  set enable_seqscan = off as $$
  declare
    v_woken integer;
  begin
    perform pg_advisory_xact_lock_shared(72, p_engine);
    update leads l set owner = p_engine, term = l.term + 1, wake_at = null
    from (
      select id from leads where wake_at <= now() and status is null
      order by wake_at limit p_most for update skip locked
    ) as due
    where l.id = due.id and exists (select 1 from engines where id = p_engine and fenced_at is null);
    get diagnostics v_woken = row_count;
    return v_woken;
  end $$;

  create function conclude_lead(p_engine integer, p_lead uuid, p_term integer) returns text language plpgsql
  set enable_seqscan = off as $$
  declare
    l leads%rowtype;
    c record;
    v_status text;
    v_earned bigint;
    v_payout bigint;
  begin
    select * into l from leads where id = p_lead for update;
    if l.status is null and (p_term is null or l.owner <> p_engine or l.term <> p_term) then
      return null;
    end if;
    if l.status is not null and l.status not in ('pending', 'sold') then
      return l.status;
    end if;
    select count(*) as intents, count(*) filter (where state = 'open') as open,
      count(*) filter (where state = 'in_doubt') as in_doubt, count(*) filter (where state = 'accepted') as copies,
      coalesce(sum(payout) filter (where state = 'accepted'), 0) as payout,
      (array_agg(redirect_url order by price desc)
        filter (where state = 'accepted' and redirect_url is not null))[1] as redirect_url
    into c from intents where lead_id = p_lead;
    if c.open > 0 then
      return l.status;
    end if;
    v_status := case when c.copies > 0 then 'sold' when c.in_doubt > 0 then 'pending'
      when c.intents > 0 or l.queue_until is not null then 'unsold' else 'expired' end;
    v_earned := case when c.in_doubt > 0 then c.payout else greatest(c.payout, l.owed) end;
    v_payout := v_earned - l.clawed_back;
    if l.status = v_status and l.copies = c.copies and l.payout = v_payout then
      return v_status;
    end if;
    update leads set status = v_status, copies = c.copies, payout = v_payout, decided_at = now(),
      redirect_url = coalesce(redirect_url, c.redirect_url),
      reasons = case when v_status = 'unsold' then array['no_buyer'] else '{}' end
    where id = p_lead;
    if not l.test then
      insert into entries (lead_id, copy, cause, account, amount, currency)
      select p_lead, 0, 'accepted', a.account, a.amount, l.currency
      from (values ('source:' || l.source, v_earned - c.payout), ('margin', c.payout - v_earned)) as a(account, amount)
      where v_earned > c.payout;
      perform remember_lead(p_lead);
      perform add_rollups(p_engine, conclusion_rollups(p_lead, l.campaign, l.source, l.status, v_status));
    end if;
    if v_status <> 'pending' then
      perform queue_postback(p_lead, case when l.status is null and v_status = 'sold' then 'sold'
        when l.status = 'sold' and l.payout <> v_payout then 'adjusted' else 'resolved' end);
    end if;
    return v_status;
  end $$;

  -- What is kept of a lead for later ones of the person, by its intents. Whom it was shown to beside them is known where
  -- its engine wrote that down; where it did not, everybody may have been asked.
  create function remember_lead(p_lead uuid) returns void language plpgsql as $$
  declare
    l leads%rowtype;
    v_sold text[] := array(
      select distinct buyer from intents where lead_id = p_lead and state in ('accepted', 'in_doubt') order by 1);
    v_refused text[] := array(select distinct buyer from intents where lead_id = p_lead and state = 'rejected');
    v_level smallint;
  begin
    select * into l from leads where id = p_lead;
    v_level := case when cardinality(v_sold) > 0 then 3 else 2 end;
    if cardinality(l.fingerprints) = 0 or v_level < l.remembers then
      delete from sightings where lead_id = p_lead;
      return;
    end if;
    insert into sightings as s (lead_id, campaign, fingerprints, level, sold, asked, at, until)
    values (p_lead, l.campaign, l.fingerprints, v_level, v_sold,
      case when l.remembers < 3 then array['*'] else '{}' end, now(), now() + l.keep_ms * interval '1 ms')
    on conflict (lead_id) do update set level = excluded.level, sold = excluded.sold,
      asked = case when l.remembers < 3 then array(select unnest(s.asked || v_refused) except select unnest(v_sold))
        else '{}' end;
  end $$;

  -- The lead under its new status; the seats too, where nobody counted them before.
  create function conclusion_rollups(p_lead uuid, p_campaign text, p_source text, p_before text, p_after text)
  returns json language sql as $$
    select json_agg(json_build_array(p_campaign, x.source, x.contract, x.kind, x.reason, x.n))
    from (
      select p_source as source, '' as contract, 'lead' as kind, p_after as reason, 1 as n
      where p_after is distinct from p_before
      union all
      select p_source, '', 'lead', p_before, -1 where p_before <> p_after
      union all
      select '', contract, outcome_kind(state), reason_name, 1 from intents
      where p_before is null and lead_id = p_lead
    ) as x
  $$;
`

/**
 * The first verdict on a doubt stands; one that contradicts it is kept as a dispute and changes nothing. `p_payout`: what
 * the copy adds to the payout where it is sold, seeing how the others ended; null: what was thought when it was posted.
 */
const RESOLVE = `
  create function resolve_doubt(
    p_engine integer, p_lead uuid, p_copy integer, p_contract text, p_state text, p_reason text, p_reason_name text,
    p_price bigint, p_buyer_reference text, p_redirect_url text, p_by text, p_payout bigint default null
  ) returns json language plpgsql
  set enable_seqscan = off as $$
  declare
    i intents%rowtype;
    l leads%rowtype;
  begin
    select * into i from intents
    where lead_id = p_lead and (copy = p_copy or p_copy is null) and (contract = p_contract or p_contract is null)
    order by state in ('open', 'in_doubt') desc, state = 'accepted' desc, created_at desc
    limit 1 for update;
    if not found then
      return json_build_object('code', 'UNKNOWN');
    end if;
    if i.state = 'open' then
      return json_build_object('code', 'OPEN');
    end if;
    perform write_results(p_engine, p_lead, p_lead, json_build_array(json_build_object(
      'leadId', p_lead, 'term', i.term, 'contract', i.contract, 'attempt', i.attempt, 'state', p_state,
      'reason', p_reason, 'reasonName', p_reason_name, 'price', least(coalesce(nullif(p_price, 0), i.price), i.price),
      'payout', case when p_state = 'accepted' then coalesce(p_payout, i.payout) else 0 end,
      'buyerReference', coalesce(p_buyer_reference, i.buyer_reference), 'redirectUrl', p_redirect_url,
      'priceCut', coalesce(p_price > 0 and p_price < i.price, false))), p_by);
    select * into l from leads where id = p_lead;
    return json_build_object('code', case when i.state = 'in_doubt' then 'RESOLVED' else 'SETTLED' end,
      'state', case when i.state = 'in_doubt' then p_state else i.state end,
      'contract', i.contract, 'term', i.term, 'attempt', i.attempt, 'places', i.places, 'status', l.status,
      'fingerprints', case when l.test then '{}'::text[] else l.fingerprints end);
  end $$;
`

export const ENDS = [FENCING, CONCLUDE, RESOLVE]
