/** The daily partitions: where a UUIDv7 lies in time, and the tables of a day. */

export const PARTITIONS = `
  create function uuid_at(p_at timestamptz) returns uuid language sql immutable parallel safe as $$
    select (substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-0000-0000-000000000000')::uuid
    from (select lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') as hex) as h
  $$;

  -- Makes the daily partitions of every partitioned table from one day to another (UTC, both included); says how many.
  create function make_partitions(p_first date, p_last date) returns integer language plpgsql as $$
  declare
    v_table text;
    v_day date;
    v_name text;
    v_made integer := 0;
  begin
    perform pg_advisory_xact_lock(71, 0);
    foreach v_table in array array['leads', 'lead_keys', 'intents', 'sales', 'entries', 'invalid_attempts'] loop
      for v_day in select generate_series(p_first, p_last, interval '1 day')::date loop
        v_name := v_table || '_' || to_char(v_day, 'YYYYMMDD');
        if to_regclass(v_name) is null then
          execute format('create table %I partition of %I for values from (%L) to (%L)', v_name, v_table,
            uuid_at(v_day::timestamp at time zone 'UTC'), uuid_at((v_day + 1)::timestamp at time zone 'UTC'));
          v_made := v_made + 1;
        end if;
      end loop;
    end loop;
    return v_made;
  end $$;
`
