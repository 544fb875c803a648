/** Writes down what buyers say became of the leads that they bought. */

/**
 * Of each stage of a lead the latest word counts: said again it changes nothing, said anew with a later or the same
 * moment it is corrected, and what is older than what is known is left. In an order that all share.
 */
export const DISPOSITIONS = `
  create function dispose_leads(p_buyer text, p_rows json) returns json language plpgsql
  set enable_seqscan = off as $$
  declare
    g record;
    s record;
    d record;
    v_result text;
    v_results jsonb := '{}';
  begin
    for g in
      select (x.value->>'lead_id')::uuid as lead_id, x.value->>'status' as status,
        (x.value->>'value')::bigint as value, (x.value->>'at')::timestamptz as at, x.ordinality as n
      from json_array_elements(p_rows) with ordinality as x
      order by 1, 2, 5
    loop
      select copy, contract into s from sales where lead_id = g.lead_id and buyer = p_buyer;
      if not found then
        v_result := 'not_found';
      else
        insert into dispositions (lead_id, copy, contract, buyer, status, value, at)
        values (g.lead_id, s.copy, s.contract, p_buyer, g.status, g.value, coalesce(g.at, now()))
        on conflict do nothing;
        if found then
          v_result := 'recorded';
        else
          select value, at into d from dispositions
          where lead_id = g.lead_id and copy = s.copy and status = g.status for update;
          v_result := case when coalesce(g.at, d.at) < d.at then 'older'
            when coalesce(g.at, d.at) = d.at and g.value is not distinct from d.value then 'same' else 'corrected' end;
          if v_result = 'corrected' then
            update dispositions set value = g.value, at = coalesce(g.at, d.at), heard_at = clock_timestamp()
            where lead_id = g.lead_id and copy = s.copy and status = g.status;
          end if;
        end if;
      end if;
      if v_result in ('recorded', 'corrected') then
        perform count_again(g.lead_id);
      end if;
      v_results := v_results || jsonb_build_object(g.n::text, v_result);
    end loop;
    return (select json_agg(v_results->>n::text order by n) from generate_series(1, json_array_length(p_rows)) as n);
  end $$;
`
