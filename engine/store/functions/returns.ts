/** A return is asked for once a copy, counted under the contract's lock, and reversed in the ledger once it is approved. */

/**
 * Locks are taken in this order, which those of a batch keep too: contract, lead's money, intents, return, balance, lead.
 */
export const RETURNS = `
  -- The copies of a lead that are sold or may be, which nobody changes before the transaction ends, and what its source
  -- has had: {copies: [{contract, copy, state, bid, payout, returned}], clawed_back, owed}. Null: there is no such lead.
  create function lock_money(p_lead uuid) returns json language plpgsql
  set enable_seqscan = off as $$
  begin
    perform pg_advisory_xact_lock(79, hashtext(p_lead::text));
    perform 1 from intents where lead_id = p_lead and state in ('open', 'in_doubt') order by copy for update;
    return (
      select json_build_object('owed', l.owed, 'clawed_back', l.clawed_back, 'copies', coalesce((
        select json_agg(json_build_object('contract', i.contract, 'copy', i.copy, 'state', i.state, 'bid', i.bid,
          'payout', i.payout, 'returned', r.id is not null) order by i.copy)
        from intents i left join returns r on r.lead_id = i.lead_id and r.contract = i.contract and r.state = 'approved'
        where i.lead_id = p_lead and i.state in ('accepted', 'in_doubt', 'open')), '[]'))
      from leads l where l.id = p_lead);
  end $$;

  -- Answers {code, sold, taken}: ASKED, or NOT_FOUND, THERE, TOO_OLD, OVER_SHARE. A share counts copies by the month in
  -- which they were held; null: it does not matter. What waits for a decision takes its part, what was refused none.
  create function ask_return(
    p_id uuid, p_lead uuid, p_contract text, p_reason_code text, p_note text, p_by text, p_max_age_ms bigint,
    p_share integer, p_from timestamptz, p_to timestamptz, p_clawback_from text
  ) returns json language plpgsql
  set enable_seqscan = off as $$
  declare
    s sales%rowtype;
    v_sold bigint := 0;
    v_taken bigint := 0;
  begin
    perform pg_advisory_xact_lock(78, hashtext(p_contract));
    select * into s from sales where lead_id = p_lead and contract = p_contract;
    if not found or not exists (select 1 from leads where id = p_lead and status = 'sold') then
      return json_build_object('code', 'NOT_FOUND');
    end if;
    if exists (select 1 from returns where lead_id = p_lead and contract = p_contract) then
      return json_build_object('code', 'THERE');
    end if;
    if s.sold_at < clock_timestamp() - p_max_age_ms * interval '1 ms' then
      return json_build_object('code', 'TOO_OLD');
    end if;
    if p_share is not null then
      select coalesce(sum(n), 0) into v_sold from sold_sums
      where quarter >= p_from and quarter < p_to and contract = p_contract;
      select count(*) into v_taken from returns
      where contract = p_contract and held_at >= p_from and held_at < p_to and state <> 'refused';
      if v_taken >= ceil(v_sold * p_share / 1000000.0) then
        return json_build_object('code', 'OVER_SHARE', 'sold', v_sold, 'taken', v_taken);
      end if;
    end if;
    insert into returns (id, lead_id, contract, copy, buyer, campaign, source, currency, price, held_at, sold_at,
      reason_code, note, clawback_from, beyond_terms, asked_by)
    values (p_id, p_lead, p_contract, s.copy, s.buyer, s.campaign, s.source, s.currency, s.price, s.held_at, s.sold_at,
      p_reason_code, p_note, p_clawback_from, p_share is null, p_by);
    return json_build_object('code', 'ASKED', 'sold', v_sold, 'taken', v_taken);
  end $$;

  -- Decides what waits for it; answers whether it did. Approved, the buyer's money goes back: in the entries, in its
  -- balance and, as far as the source gives it, out of the lead's payout. What was used of caps stays used.
  create function decide_return(p_id uuid, p_approve boolean, p_clawback bigint, p_note text, p_by text)
  returns boolean language plpgsql
  set enable_seqscan = off as $$
  declare
    r returns%rowtype;
  begin
    update returns set state = case when p_approve then 'approved' else 'refused' end, decided_by = p_by,
      decided_at = clock_timestamp(), verdict_note = p_note, clawback = case when p_approve then p_clawback else 0 end
    where id = p_id and state = 'asked' returning * into r;
    if not found then
      return false;
    end if;
    if p_approve then
      perform enter_balance(r.buyer, r.currency, 'return', r.price, 'return:' || r.lead_id || ':' || r.contract,
        r.lead_id, null, p_by);
      update leads set payout = payout - p_clawback, returned = returned + 1, clawed_back = clawed_back + p_clawback
      where id = r.lead_id and p_clawback between 0 and payout;
      if not found then
        raise exception 'a return may take back no more than the source has had';
      end if;
      insert into entries (lead_id, copy, cause, account, amount, currency)
      select r.lead_id, r.copy, 'return', e.account, e.amount, r.currency
      from (values ('buyer:' || r.buyer, r.price), ('source:' || r.source, -p_clawback), ('margin', p_clawback - r.price))
        as e(account, amount);
      perform queue_postback(r.lead_id, 'returned');
      perform count_again(r.lead_id);
    end if;
    return true;
  end $$;

  -- Has reports count the quarter of an hour once more in which the lead came.
  create function count_again(p_lead uuid) returns void language sql as $$
    insert into late_quarters as q (quarter)
    values (date_bin('15 minutes', to_timestamp(('x' || left(replace(p_lead::text, '-', ''), 12))::bit(48)::bigint / 1000.0),
      timestamptz 'epoch'))
    on conflict (quarter) do update set n = q.n + 1
  $$;
`
