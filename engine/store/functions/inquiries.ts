/** Which doubts are due to be asked about: each by one engine, ever more rarely, for as long as the doubt lasts. */

/** Nobody asks before the post can have ended: its last moment to leave, its whole time, and a grace. */
export const INQUIRIES = `
  create function due_inquiries(p_contracts text[], p_grace_ms bigint, p_first_ms bigint, p_most integer)
  returns table (lead uuid, sold_to text) language plpgsql
  set enable_seqscan = off as $$
  begin
    insert into inquiries (lead_id, contract, due_at)
    select i.lead_id, i.contract, i.post_by + (i.post_ms + p_grace_ms) * interval '1 ms' from intents i
    where i.state = 'in_doubt' and i.contract = any(p_contracts)
      and not exists (select 1 from inquiries q where q.lead_id = i.lead_id and q.contract = i.contract)
    order by i.lead_id limit p_most
    on conflict do nothing;

    return query
    update inquiries u
    set tries = u.tries + 1, due_at = now() + least(p_first_ms * 4 ^ least(u.tries, 10), 7200000) * interval '1 ms'
    from (
      select q.lead_id, q.contract from inquiries q
      join intents i on i.lead_id = q.lead_id and i.contract = q.contract and i.state = 'in_doubt'
      where q.due_at <= now() and q.contract = any(p_contracts)
      order by q.due_at limit p_most for update of q skip locked
    ) as due
    where u.lead_id = due.lead_id and u.contract = due.contract
    returning u.lead_id, u.contract;
  end $$;
`
