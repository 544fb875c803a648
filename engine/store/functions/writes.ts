/** The ledger's hot path: one call writes a whole batch of rows in one transaction, and says which rows it did not take. */

/**
 * write_batch(engine, low, high, bindings, received, results, finals, intents, invalid) returns json text or null.
 *
 * `low` and `high` are the least and the greatest lead id of the batch, so that only their partitions are touched. Each
 * of the others is a JSON array of rows or null. They are written in this order: results before intents, because a
 * seat's rejection frees the copy that the next seat's INTENT takes; received first, so that a lead's first INTENT may
 * travel with it. Statements see what the statements before them wrote.
 *
 * Answers null where every row was taken, else
 * {"bound": [[given lead, bound lead, body hash]], "stale": [given lead],
 *  "refused": [[position, 'FENCED' | 'STALE' | 'CONFLICT']]}.
 *
 * The whole batch holds a shared lock on its engine and on the hot store's epoch: whoever fences the engine or begins a
 * rebuild takes the same lock for itself, so every row is wholly before or wholly after. Written again after an unknown
 * commit, every row finds itself and is taken.
 *
 * Plans are pinned to index look-ups: partitions are young and their statistics say nothing. Rows that exist are looked up
 * by the list of their ids, since between the oldest and the youngest lead of a batch lie all that came meanwhile.
 */
const WRITE_BATCH = `
  create function write_batch(
    p_engine integer, p_low uuid, p_high uuid, p_bindings json, p_received json, p_results json, p_finals json,
    p_intents json, p_invalid json
  ) returns text language plpgsql
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
  as $$
  declare
    v_bound json;
    v_bound_leads uuid[] := '{}';
    v_stale json;
    v_refused json;
  begin
    perform pg_advisory_xact_lock_shared(72, p_engine);
    perform pg_advisory_xact_lock_shared(73, 0);
    if p_bindings is not null then
      select bound, leads into v_bound, v_bound_leads from bind_keys(p_bindings);
    end if;
    if p_received is not null then
      v_stale := write_received(p_engine, p_received, v_bound_leads);
    end if;
    if p_results is not null then
      perform write_results(p_engine, p_low, p_high, p_results, 'engine ' || p_engine);
    end if;
    if p_finals is not null then
      perform write_finals(p_engine, p_low, p_high, p_finals);
    end if;
    if p_intents is not null then
      v_refused := write_intents(p_engine, p_low, p_high, p_intents);
    end if;
    if p_invalid is not null then
      perform write_invalid(p_invalid);
    end if;
    if v_bound is null and v_stale is null and v_refused is null then
      return null;
    end if;
    return json_build_object('bound', v_bound, 'stale', v_stale, 'refused', v_refused)::text;
  end $$;
`

/** A key that another lead has keeps it: the new lead is not written at all. A stale lead binds none. */
const BIND_KEYS = `
  create function bind_keys(p_rows json, out bound json, out leads uuid[]) language plpgsql as $$
  begin
    insert into idempotency (key, body_hash, lead_id)
    select g.key, g."bodyHash", g."leadId"
    from json_to_recordset(p_rows) as g(key text, "bodyHash" text, "leadId" uuid, "claimEpoch" bigint)
    where not is_stale(g."leadId", g."claimEpoch")
    order by g.key
    on conflict (key) do nothing;

    select json_agg(json_build_array(g."leadId", i.lead_id, i.body_hash)), coalesce(array_agg(g."leadId"), '{}')
    into bound, leads
    from json_to_recordset(p_rows) as g(key text, "leadId" uuid)
    join idempotency i on i.key = g.key and i.lead_id <> g."leadId";
  end $$;
`

/**
 * A lead whose fingerprints were claimed under an epoch that is over is not written: a rebuild of the hot store locks
 * the fingerprints of undecided leads by what the ledger has, and it did not have this one. The answer names such leads.
 */
const WRITE_RECEIVED = `
  create function is_stale(p_lead uuid, p_epoch bigint) returns boolean language sql as $$
    select p_epoch is not null and p_epoch <> (select epoch from hot_store)
      and not exists (select 1 from leads where id = p_lead)
  $$;

  create function write_received(p_engine integer, p_rows json, p_except uuid[]) returns json language plpgsql as $$
  declare
    v_stale json;
  begin
    with given as materialized (
      select * from json_to_recordset(p_rows) as g(
        "leadId" uuid, campaign text, source text, version bigint, mode text, test boolean, "receivedAt" bigint,
        "leadRef" text, idempotency json, fingerprints text[], "claimEpoch" bigint, remembers smallint,
        "keepMs" bigint, currency text, owed bigint, sealed text, "wrappedKey" text, "keyVersion" integer)
      where not (g."leadId" = any(p_except))
    ), stale as materialized (
      select "leadId" from given where is_stale("leadId", "claimEpoch")
    ), fresh as (
      select * from given where "leadId" not in (select "leadId" from stale)
    ), stored as (
      insert into leads (id, campaign, source, version, mode, test, received_at, lead_ref, keyed, fingerprints,
        keep_ms, remembers, currency, owed, sealed, owner)
      select "leadId", campaign, source, version, mode, test, to_timestamp("receivedAt" / 1000.0), "leadRef",
        idempotency is not null, fingerprints, "keepMs", remembers, currency, owed, decode(sealed, 'base64'), p_engine
      from fresh
      on conflict (id) do nothing
    ), locked as (
      insert into lead_keys (lead_id, wrapped, key_version)
      select "leadId", decode("wrappedKey", 'base64'), "keyVersion" from fresh
      on conflict (lead_id) do nothing
    )
    select json_agg("leadId") into v_stale from stale;
    return v_stale;
  end $$;
`

/**
 * A result is never refused: it ends an intent that is open or in doubt, whoever owns the lead by now. Money, sums and
 * the audit come from the rows that the update changed, so a result that is written twice counts once. One that finds
 * the intent ended the other way opens a dispute.
 */
const WRITE_RESULTS = `
  create function write_results(p_engine integer, p_low uuid, p_high uuid, p_rows json, p_by text) returns void
  language plpgsql as $$
  declare
    v_given integer;
    v_done integer;
    v_late json;
    v_unbalanced integer;
    v_cuts json;
  begin
    with given as materialized (
      select * from json_to_recordset(p_rows) as g(
        "leadId" uuid, term integer, contract text, attempt integer, state text, reason text, "reasonName" text,
        price bigint, payout bigint, "buyerReference" text, "redirectUrl" text, "priceCut" boolean)
    ), done as (
      update intents i set
        state = g.state, reason = g.reason, reason_name = g."reasonName", price = g.price, payout = g.payout,
        buyer_reference = g."buyerReference", redirect_url = g."redirectUrl", price_cut = g."priceCut",
        doubt = case when g.state = 'in_doubt' then g."reasonName" else i.doubt end,
        doubted_at = case when g.state = 'in_doubt' then now() else i.doubted_at end,
        ended_at = case when g.state = 'in_doubt' then null else now() end
      from given g
      where i.lead_id = g."leadId" and i.contract = g.contract and i.term = g.term and i.attempt = g.attempt
        and i.lead_id between p_low and p_high and i.lead_id = any(array(select "leadId" from given))
        and (i.state = 'open' or (i.state = 'in_doubt' and g.state <> 'in_doubt'))
      returning i.*
    ), bought as (
      select d.*, l.campaign, l.source, l.currency
      from done d join leads l on l.id = d.lead_id
        and l.id between p_low and p_high and l.id = any(array(select lead_id from done))
      where d.state = 'accepted' and not l.test
    ), sold as (
      insert into sales (lead_id, copy, contract, buyer, campaign, source, price, payout, currency, price_cut,
        buyer_reference, held_at)
      select lead_id, copy, contract, buyer, campaign, source, price, payout, currency, price_cut, buyer_reference,
        held_at
      from bought
    ), entered as (
      insert into entries (lead_id, copy, cause, account, amount, currency)
      select b.lead_id, b.copy, 'sale', e.account, e.amount, b.currency
      from bought b cross join lateral (values
        ('buyer:' || b.buyer, -b.price), ('source:' || b.source, b.payout), ('margin', b.price - b.payout)
      ) as e(account, amount)
      returning currency, amount
    ), summed as (
      insert into sold_sums as s (quarter, engine, campaign, source, buyer, contract, currency, n, bid, price, payout)
      select date_bin('15 minutes', held_at, timestamptz 'epoch') as quarter, p_engine, campaign, source, buyer,
        contract, currency, count(*), sum(bid), sum(price), sum(payout)
      from bought group by 1, 3, 4, 5, 6, 7 order by 1, 3, 4, 5, 6, 7
      on conflict (quarter, engine, campaign, source, buyer, contract, currency) do update
      set n = s.n + excluded.n, bid = s.bid + excluded.bid, price = s.price + excluded.price, payout = s.payout + excluded.payout
    )
    select (select count(*) from given), (select count(*) from done),
      (select json_agg(d) from done d where d.doubted_at is not null and d.state <> 'in_doubt'),
      (select count(*) from (select 1 from entered group by currency having sum(amount) <> 0) as u),
      (select json_agg(json_build_object('lead_id', lead_id, 'copy', copy, 'buyer', buyer, 'currency', currency,
        'amount', bid - price)) from bought where price < bid)
    into v_given, v_done, v_late, v_unbalanced, v_cuts;

    if v_unbalanced > 0 then
      raise exception 'the entries of a sale do not add up to zero';
    end if;
    if v_cuts is not null then
      perform give_back_cuts(v_cuts);
    end if;
    if v_late is not null then
      perform settle_late(p_engine, v_late, p_by);
    end if;
    if v_done < v_given then
      perform note_disputes(p_low, p_high, p_rows, p_by);
    end if;
  end $$;

  -- Results that ended a doubt: the audit, the outcome that changed, and the lead that waited for it.
  create function settle_late(p_engine integer, p_done json, p_by text) returns void language plpgsql as $$
  begin
    insert into resolutions (lead_id, contract, term, attempt, copy, verdict, reason, applied, by)
    select d.lead_id, d.contract, d.term, d.attempt, d.copy, d.state, d.reason, true, p_by
    from json_populate_recordset(null::intents, p_done) as d;

    perform add_rollups(p_engine, (
      select json_agg(json_build_array(l.campaign, '', d.contract, o.kind, o.reason, o.n))
      from json_populate_recordset(null::intents, p_done) as d
      join leads l on l.id = d.lead_id
      cross join lateral (values
        ('in_doubt', d.doubt, -1), (outcome_kind(d.state), d.reason_name, 1)
      ) as o(kind, reason, n)
      where not l.test and l.status is not null));

    perform conclude_lead(p_engine, x.lead_id, null)
    from (select distinct lead_id from json_populate_recordset(null::intents, p_done) order by 1) as x;
  end $$;

  create function note_disputes(p_low uuid, p_high uuid, p_rows json, p_by text) returns void language plpgsql as $$
  begin
    insert into resolutions (lead_id, contract, term, attempt, copy, verdict, reason, applied, by)
    select i.lead_id, i.contract, i.term, i.attempt, i.copy, g.state, g.reason, false, p_by
    from json_to_recordset(p_rows) as g(
      "leadId" uuid, term integer, contract text, attempt integer, state text, reason text)
    join intents i on i.lead_id = g."leadId" and i.contract = g.contract and i.term = g.term
      and i.attempt = g.attempt and i.lead_id between p_low and p_high
    where i.state <> g.state and g.state <> 'in_doubt' and 'accepted' in (i.state, g.state)
      and not exists (
        select 1 from resolutions r
        where r.lead_id = i.lead_id and r.contract = i.contract and r.term = i.term and r.attempt = i.attempt
          and r.verdict = g.state);
  end $$;

  create function outcome_kind(p_state text) returns text language sql immutable parallel safe as $$
    select case p_state when 'accepted' then 'sold' when 'not_sent' then 'not_asked' else p_state end
  $$;

  -- Adds [campaign, source, contract, kind, reason, n] to this hour's rows of the engine, in an order that all share.
  create function add_rollups(p_engine integer, p_rows json) returns void language plpgsql as $$
  begin
    insert into rollups as r (hour, engine, campaign, source, contract, kind, reason, n)
    select date_trunc('hour', now(), 'UTC'), p_engine, x->>0, x->>1, x->>2, x->>3, x->>4, sum((x->>5)::bigint)
    from json_array_elements(p_rows) as x
    group by 3, 4, 5, 6, 7 order by 3, 4, 5, 6, 7
    on conflict (hour, engine, campaign, source, contract, kind, reason) do update set n = r.n + excluded.n;
  end $$;
`

/** A lead's end counts only where the writer still owns it under that term. */
const WRITE_FINALS = `
  create function write_finals(p_engine integer, p_low uuid, p_high uuid, p_rows json) returns void
  language plpgsql as $$
  begin
    with given as materialized (
      select * from json_to_recordset(p_rows) as g(
        "leadId" uuid, term integer, status text, payout bigint, copies integer, reasons text[], "redirectUrl" text,
        trace json, sighting json, outcomes json, awaited boolean, costs json, "wakeAt" bigint, "queueUntil" bigint)
    ), asleep as (
      -- Without an owner nobody takes it over before it is woken.
      update leads l set owner = 0, trace = g.trace::text, wake_at = to_timestamp(g."wakeAt" / 1000.0),
        queue_until = to_timestamp(g."queueUntil" / 1000.0)
      from given g
      where g.status = 'queued' and l.id = g."leadId" and l.id between p_low and p_high
        and l.id = any(array(select "leadId" from given)) and l.owner = p_engine and l.term = g.term and l.status is null
      returning l.id, l.currency, l.test, g.costs
    ), ended as (
      update leads l set
        status = g.status, payout = g.payout, copies = g.copies, reasons = g.reasons, redirect_url = g."redirectUrl",
        trace = g.trace::text, decided_at = now(),
        -- A lead that a check of the campaign refused was not taken after all.
        owed = case when g.status = 'unsold' then g.payout else l.owed end
      from given g
      where l.id = g."leadId" and l.id between p_low and p_high and l.id = any(array(select "leadId" from given))
        and l.owner = p_engine and l.term = g.term and l.status is null and g.status <> 'queued'
      returning l.id, l.campaign, l.source, l.test, l.fingerprints, l.payout, l.currency, g.status, g.outcomes, g.sighting,
        g.awaited, g.costs
    ), charged as (
      -- Whoever slept is checked again when it is woken, and pays again.
      insert into entries as n (lead_id, copy, cause, account, amount, currency)
      select c.id, 0, 'check', a.account, a.amount, c.currency
      from (
        select id, currency, test, costs from ended union all select id, currency, test, costs from asleep
      ) as c cross join lateral (
        select 'check:' || key as account, value::bigint as amount from json_each_text(c.costs)
        union all
        select 'margin', -sum(value::bigint) from json_each_text(c.costs)
      ) as a
      where c.costs is not null and not c.test
      on conflict (lead_id, copy, cause, account) do update set amount = n.amount + excluded.amount
    ), seen as (
      insert into sightings (lead_id, campaign, fingerprints, level, sold, asked, at, until)
      select e.id, e.campaign, e.fingerprints, s.level, s.sold, s.asked, to_timestamp(s.at / 1000.0),
        to_timestamp(s.at / 1000.0) + s."keepMs" * interval '1 ms'
      from ended e cross join lateral json_to_record(e.sighting) as s(
        level smallint, sold text[], asked text[], at bigint, "keepMs" bigint)
      where e.sighting is not null and not e.test and cardinality(e.fingerprints) > 0
      on conflict (lead_id) do nothing
    ), earned as (
      insert into entries (lead_id, copy, cause, account, amount, currency)
      select e.id, 0, 'accepted', a.account, a.amount, e.currency
      from ended e cross join lateral (values ('source:' || e.source, e.payout), ('margin', -e.payout)) as a(account, amount)
      where e.status = 'unsold' and e.payout > 0 and not e.test
    ), told as (
      insert into postbacks (lead_id, event, campaign, source, status, payout, currency)
      select e.id, case e.status when 'sold' then 'sold' else 'resolved' end, e.campaign, e.source, e.status, e.payout,
        e.currency
      from ended e join postback_routes r on r.campaign = e.campaign and r.source = e.source
      where not e.test and (e.status = 'sold' or (e.awaited and e.status <> 'pending'))
    )
    insert into rollups as r (hour, engine, campaign, source, contract, kind, reason, n)
    select date_trunc('hour', now(), 'UTC'), p_engine, campaign, source, contract, kind, reason, sum(n)
    from (
      select e.campaign, e.source, '' as contract, 'lead' as kind, e.status as reason, 1 as n from ended e
      where not e.test
      union all
      select e.campaign, '', split_part(o.key, '|', 1), split_part(o.key, '|', 2), split_part(o.key, '|', 3),
        o.value::integer
      from ended e cross join lateral json_each_text(e.outcomes) as o where not e.test
    ) as d
    group by 3, 4, 5, 6, 7 order by 3, 4, 5, 6, 7
    on conflict (hour, engine, campaign, source, contract, kind, reason) do update set n = r.n + excluded.n;
  end $$;
`

/** An INTENT is stored only while its writer is not fenced and owns the lead under that term, and only under the epoch in force. */
const WRITE_INTENTS = `
  create function write_intents(p_engine integer, p_low uuid, p_high uuid, p_rows json) returns json
  language plpgsql as $$
  declare
    v_alive boolean := exists (select 1 from engines where id = p_engine and fenced_at is null);
    v_epoch bigint := (select epoch from hot_store);
    v_refused json;
  begin
    with given as materialized (
      select * from rows from (json_to_recordset(p_rows) as (
        "leadId" uuid, term integer, contract text, buyer text, copy integer, attempt integer, price bigint,
        payout bigint, "heldAt" bigint, "postBy" bigint, "postMs" integer, "inDoubt" text, groups json, epoch bigint
      )) with ordinality as g("leadId", term, contract, buyer, copy, attempt, price, payout, "heldAt", "postBy",
        "postMs", "inDoubt", groups, epoch, n)
    ), stored as (
      insert into intents (lead_id, contract, term, attempt, buyer, copy, state, bid, price, payout, held_at, post_by,
        post_ms, in_doubt, places, epoch, engine)
      select g."leadId", g.contract, g.term, g.attempt, g.buyer, g.copy, 'open', g.price, g.price, g.payout,
        to_timestamp(g."heldAt" / 1000.0), to_timestamp(g."postBy" / 1000.0), g."postMs", g."inDoubt", g.groups,
        g.epoch, p_engine
      from given g join leads l on l.id = g."leadId"
        and l.id between p_low and p_high and l.id = any(array(select "leadId" from given))
      where v_alive and l.owner = p_engine and l.term = g.term and l.status is null
        and (g.epoch = v_epoch or g.groups::text = '[]')
      order by g."leadId", g.copy
      -- Whoever concludes the lead holds its row: an INTENT is wholly before that, and counted, or after it, and refused.
      for key share of l
      on conflict do nothing
      returning lead_id, contract, attempt
    )
    select json_agg(json_build_array(g.n - 1, why_refused(p_engine, v_alive, v_epoch, g."leadId", g.contract, g.term,
      g.attempt, g.epoch, g.groups::text = '[]')))
    into v_refused
    from given g left join stored s on s.lead_id = g."leadId" and s.contract = g.contract and s.attempt = g.attempt
    where s.lead_id is null;
    return v_refused;
  end $$;

  -- Null: the very same INTENT was stored before, by a commit whose answer was lost.
  create function why_refused(
    p_engine integer, p_alive boolean, p_epoch bigint, p_lead uuid, p_contract text, p_term integer,
    p_attempt integer, p_given_epoch bigint, p_uncapped boolean
  ) returns text language plpgsql as $$
  begin
    if not p_alive or not exists (
      select 1 from leads where id = p_lead and owner = p_engine and term = p_term and status is null
    ) then
      return 'FENCED';
    end if;
    if exists (
      select 1 from intents where lead_id = p_lead and contract = p_contract and term = p_term
        and attempt = p_attempt and state = 'open' and engine = p_engine
    ) then
      return null;
    end if;
    return case when p_given_epoch = p_epoch or p_uncapped then 'CONFLICT' else 'STALE' end;
  end $$;
`

const WRITE_INVALID = `
  create function write_invalid(p_rows json) returns void language plpgsql as $$
  begin
    with given as materialized (
      select * from json_to_recordset(p_rows) as g(
        id uuid, campaign text, source text, at bigint, issues text, sealed text, "wrappedKey" text,
        "keyVersion" integer)
    ), stored as (
      insert into invalid_attempts (id, campaign, source, received_at, issues, sealed)
      select id, campaign, source, to_timestamp(at / 1000.0), issues, decode(sealed, 'base64') from given
      on conflict (id) do nothing
    )
    insert into lead_keys (lead_id, wrapped, key_version)
    select id, decode("wrappedKey", 'base64'), "keyVersion" from given
    on conflict (lead_id) do nothing;
  end $$;
`

/** In the order in which they call each other. */
export const WRITES = [
  BIND_KEYS,
  WRITE_RECEIVED,
  WRITE_RESULTS,
  WRITE_FINALS,
  WRITE_INTENTS,
  WRITE_INVALID,
  WRITE_BATCH,
]
