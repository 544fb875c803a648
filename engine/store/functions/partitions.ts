/** The daily partitions: where a UUIDv7 lies in time, the tables of a day, and how a day is dropped. */

export const PARTITIONS = `
  create function uuid_at(p_at timestamptz) returns uuid language sql immutable parallel safe as $$
    select (substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-0000-0000-000000000000')::uuid
    from (select lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0') as hex) as h
  $$;

  create function partitioned_tables() returns text[] language sql immutable parallel safe as $$
    select array['leads', 'lead_keys', 'intents', 'sales', 'entries', 'invalid_attempts', 'offers', 'dispositions',
      'post_exchanges', 'ping_exchanges']
  $$;

  -- The days that a table has partitions of.
  create function days_of(p_table regclass) returns setof date language sql stable as $$
    select to_date(right(c.relname, 8), 'YYYYMMDD')
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = p_table
  $$;

  -- Makes the daily partitions of every partitioned table from one day to another (UTC, both included), and on every day
  -- that has leads: a table may be newer than they are. Pings' days are dropped before their leads'. Says how many.
  create function make_partitions(p_first date, p_last date) returns integer language plpgsql as $$
  declare
    v_table text;
    v_day date;
    v_name text;
    v_made integer := 0;
  begin
    perform pg_advisory_xact_lock(71, 0);
    foreach v_table in array partitioned_tables() loop
      for v_day in
        select generate_series(p_first, p_last, interval '1 day')::date
        union select day from days_of('leads') as day where v_table <> 'ping_exchanges'
      loop
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

  -- Drops the oldest day where it lies before \`p_before\` and everything in it has ended; answers it, or null. What the
  -- accounts came to is carried forward first. Sums, rollups and sightings lie outside of the days and stay.
  create function drop_oldest_day(p_before date) returns date language plpgsql as $$
  declare
    v_table text;
    v_day date;
    v_name text;
    v_ended boolean;
  begin
    perform pg_advisory_xact_lock(71, 0);
    select min(day) into v_day from days_of('leads') as day;
    if v_day is null or v_day >= p_before then
      return null;
    end if;
    execute format('select not exists (select 1 from %I where status is null or status in (''pending'', ''review''))
      and not exists (select 1 from %I where state in (''open'', ''in_doubt''))',
      'leads_' || to_char(v_day, 'YYYYMMDD'), 'intents_' || to_char(v_day, 'YYYYMMDD')) into v_ended;
    if not v_ended then
      return null;
    end if;
    execute format('insert into carried as c (account, currency, amount)
      select account, currency, sum(amount) from %I group by 1, 2
      on conflict (account, currency) do update set amount = c.amount + excluded.amount',
      'entries_' || to_char(v_day, 'YYYYMMDD'));
    -- Leads that come in meanwhile wait for the parents' locks: rather another time than for long.
    set local lock_timeout = '2s';
    foreach v_table in array partitioned_tables() loop
      v_name := v_table || '_' || to_char(v_day, 'YYYYMMDD');
      execute format('drop table if exists %I', v_name);
    end loop;
    delete from returns where lead_id < uuid_at((v_day + 1)::timestamp at time zone 'UTC');
    update retention set kept_from = v_day + 1;
    return v_day;
  end $$;

  -- Forgets keys whose leads are gone and sightings that matter to nobody any more, so many at the most; says how many.
  create function forget_old(p_before date, p_most integer) returns integer language plpgsql as $$
  declare
    v_keys integer;
    v_seen integer;
  begin
    delete from idempotency where key in (
      select key from idempotency where lead_id < uuid_at(p_before::timestamp at time zone 'UTC') limit p_most);
    get diagnostics v_keys = row_count;
    delete from sightings where lead_id in (
      select lead_id from sightings where until < now() - interval '2 days' limit p_most);
    get diagnostics v_seen = row_count;
    return v_keys + v_seen;
  end $$;
`
