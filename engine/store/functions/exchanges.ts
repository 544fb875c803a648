/** Keeps what was said to buyers about leads, and drops what of it is old. */

export const EXCHANGES = `
  -- Rows lie one behind the other in \`p_bytes\`. Written again after an unknown commit, a row finds itself.
  create function keep_exchanges(
    p_pings boolean[], p_leads uuid[], p_pieces integer[], p_froms integer[], p_lengths integer[], p_bytes bytea
  ) returns void language plpgsql as $$
  begin
    insert into post_exchanges (lead_id, piece, sealed)
    select lead_id, piece, substr(p_bytes, at, length)
    from unnest(p_pings, p_leads, p_pieces, p_froms, p_lengths) as g(is_ping, lead_id, piece, at, length)
    where not is_ping on conflict do nothing;
    insert into ping_exchanges (lead_id, piece, sealed)
    select lead_id, piece, substr(p_bytes, at, length)
    from unnest(p_pings, p_leads, p_pieces, p_froms, p_lengths) as g(is_ping, lead_id, piece, at, length)
    where is_ping on conflict do nothing;
  end $$;

  -- Drops the oldest day of pings where it lies before \`p_before\`; answers it, or null.
  create function drop_oldest_pings(p_before date) returns date language plpgsql as $$
  declare
    v_day date;
  begin
    perform pg_advisory_xact_lock(71, 0);
    select min(to_date(right(c.relname, 8), 'YYYYMMDD')) into v_day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'ping_exchanges'::regclass;
    if v_day is null or v_day >= p_before then
      return null;
    end if;
    set local lock_timeout = '2s';
    execute format('drop table %I', 'ping_exchanges_' || to_char(v_day, 'YYYYMMDD'));
    return v_day;
  end $$;
`
