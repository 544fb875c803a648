/** Sightings in place of sold fingerprints: who has had a person, and how far each earlier lead came. */
import { type Kysely, sql } from 'kysely'

/**
 * One row for each decided lead that somebody's duplicates depend on: no row where no rule counts it. Fingerprints were
 * the campaign's and long; they are the vertical's now and short. The latest version says which vertical that is.
 */
const SIGHTINGS = `
  create table sightings (
    lead_id uuid primary key,
    campaign text not null,
    -- \`<vertical>:<12 characters of the HMAC>\`.
    fingerprints text[] not null,
    -- 1 received, 2 shown to a buyer, 3 sold or in doubt.
    level smallint not null check (level between 1 and 3),
    -- Buyers who bought it or may have, and those who were shown it where that counts: '*' where nobody knows.
    sold text[] not null,
    asked text[] not null,
    at timestamptz not null,
    until timestamptz not null
  );
  create index sightings_until on sightings (until);
  alter table leads rename column bound_for_ms to keep_ms;
  -- The least level of a sighting of this lead that is kept.
  alter table leads add column remembers smallint not null default 3;
`

const CARRIED = `
  create function pg_temp.short_prints(p_prints text[]) returns text[] language sql as $$
    select coalesce(array_agg(coalesce(
      (select v.canonical::json -> 'campaigns' -> split_part(p, ':', 1) ->> 'vertical'
        from versions v order by number desc limit 1),
      split_part(p, ':', 1)) || ':' || left(split_part(p, ':', 3), 12)), '{}')
    from unnest(p_prints) as p
  $$;

  insert into sightings (lead_id, campaign, fingerprints, level, sold, asked, at, until)
  select f.lead_id, l.campaign, pg_temp.short_prints(array_agg(f.fingerprint)), 3,
    array(select distinct i.buyer from intents i where i.lead_id = f.lead_id and i.state in ('accepted', 'in_doubt')),
    '{}', coalesce(l.decided_at, l.received_at), max(f.until)
  from fingerprints f join leads l on l.id = f.lead_id
  where f.until > now()
  group by f.lead_id, l.campaign, l.decided_at, l.received_at;

  update leads set fingerprints = pg_temp.short_prints(fingerprints) where status is null or status = 'pending';
  drop table fingerprints;
  drop function pg_temp.short_prints(text[]);
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(SIGHTINGS).execute(db)
  await sql.raw(CARRIED).execute(db)
}
