/** Keeps what was said to buyers about leads, drops what of it is old, and erases a lead's person. */

export const EXCHANGES = `
  -- Rows lie one behind the other in \`p_bytes\`. Written again after an unknown commit, a row finds itself. A source's ping brings
  -- its own key.
  create function keep_exchanges(
    p_pings boolean[], p_leads uuid[], p_pieces integer[], p_froms integer[], p_lengths integer[], p_bytes bytea,
    p_wrapped text[], p_versions integer[]
  ) returns void language plpgsql as $$
  begin
    insert into lead_keys (lead_id, wrapped, key_version)
    select lead_id, decode(wrapped, 'base64'), version
    from unnest(p_leads, p_wrapped, p_versions) as g(lead_id, wrapped, version)
    where wrapped is not null on conflict do nothing;
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
    select min(day) into v_day from days_of('ping_exchanges') as day;
    if v_day is null or v_day >= p_before then
      return null;
    end if;
    set local lock_timeout = '2s';
    execute format('drop table %I', 'ping_exchanges_' || to_char(v_day, 'YYYYMMDD'));
    return v_day;
  end $$;

  -- Destroys the keys that a lead, its pings and its offer's pings are sealed under, and what else names or finds its person. Money,
  -- trace, references and sightings stay: they say what happened, and to no one whom.
  create function erase_lead(p_lead uuid) returns text language plpgsql as $$
  begin
    perform 1 from leads where id = p_lead for update;
    if not found then
      return 'UNKNOWN';
    end if;
    if exists (select 1 from leads where id = p_lead and status is null and wake_at is null) then
      return 'OPEN';
    end if;
    delete from lead_keys where lead_id = p_lead
      or lead_id in (select (offer_of_lead(p_lead)->>'id')::uuid);
    update leads set fingerprints = '{}', redirect_url = null where id = p_lead;
    update intents set redirect_url = null where lead_id = p_lead and redirect_url is not null;
    update returns set note = null, verdict_note = null where lead_id = p_lead;
    return 'ERASED';
  end $$;
`
