/** Reports by anything in any combination: more sums, seats by what their leads are, latencies and reasons. */
import { type Kysely, sql } from 'kysely'

/**
 * A quarter's rows are put as a whole by one process at a time, so nothing but the quarter is indexed. A sum of 0 is
 * stored as null, which takes a bit. Sums of days whose leads were dropped stay as they are.
 */
const SEAT_SUMS = `
  pinged integer, bids integer, bid_sum bigint, ping_timeouts integer, ping_errors integer, late_bids integer,
  wins integer, posts integer, not_sent integer, rejects integer, copies integer, in_doubt integer, doubts integer,
  price_cuts integer, price_cut bigint, returns integer, returned bigint, revenue bigint, payout bigint`

const added = (columns: string): string =>
  columns
    .split(',')
    .map((column) => `add column if not exists ${column.trim()}`)
    .join(', ')

const REPORTS = `
  alter table report_leads drop constraint report_leads_pkey, ${added(SEAT_SUMS)},
    ${['sub2', 'sub3', 'sub4', 'sub5'].map((sub) => `add column ${sub} text not null default ''`).join(', ')},
    add column offers integer, add column offered integer,
    ${['invalid', 'valid', 'duplicates', 'sold', 'unsold', 'pending', 'expired', 'copies', 'revenue', 'payout']
      .map((sum) => `alter column ${sum} drop not null`)
      .join(', ')};
  create index report_leads_quarter on report_leads (quarter);

  alter table report_seats drop constraint report_seats_pkey;
  alter table report_seats rename column sold to copies;
  alter table report_seats ${added(SEAT_SUMS)},
    add column vertical text not null default '',
    ${['pinged', 'bids', 'bid_sum', 'wins', 'posts', 'rejects', 'copies', 'in_doubt', 'returns', 'revenue', 'payout']
      .map((sum) => `alter column ${sum} drop not null`)
      .join(', ')};
  create index report_seats_quarter on report_seats (quarter);

  create table report_joined (
    quarter timestamptz not null,
    campaign text not null,
    source text not null,
    vertical text not null,
    state text not null,
    sub1 text not null,
    sub2 text not null,
    sub3 text not null,
    sub4 text not null,
    sub5 text not null,
    tier text not null,
    buyer text not null,
    contract text not null,
    currency text not null,
    ${SEAT_SUMS}
  );
  create index report_joined_quarter on report_joined (quarter);

  -- How many answers took how long: a column for each of the 120 buckets of rules/latency, so that they add up quickly.
  create table report_latencies (
    quarter timestamptz not null,
    campaign text not null,
    vertical text not null,
    tier text not null,
    buyer text not null,
    contract text not null,
    kind text not null check (kind in ('ping', 'post')),
    ${Array.from({ length: 120 }, (_, bucket) => `b${bucket} integer`).join(', ')}
  );
  create index report_latencies_quarter on report_latencies (quarter);

  create table report_reasons (
    quarter timestamptz not null,
    campaign text not null,
    buyer text not null,
    contract text not null,
    kind text not null check (kind in ('rejected', 'lost', 'not_asked')),
    reason text not null,
    n integer not null
  );
  create index report_reasons_quarter on report_reasons (quarter);
`

/** Every quarter whose leads are there is counted again, beside the hot path. */
const RECOUNT = `
  insert into late_quarters as q (quarter)
  select quarter from report_quarters
  where quarter >= coalesce((select kept_from from retention)::timestamp at time zone 'UTC', '-infinity')
  on conflict (quarter) do update set n = q.n + 1
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(REPORTS).execute(db)
  await sql.raw(RECOUNT).execute(db)
}

/**
 * Adds sums to the tables that have them (`seats`: of seats and of leads; `leads`: of leads alone), such as
 * `cost bigint`, for a later migration. What is there is counted again.
 */
export async function addSums(db: Kysely<unknown>, of: 'leads' | 'seats', columns: string): Promise<void> {
  const tables = of === 'leads' ? ['report_leads'] : ['report_leads', 'report_seats', 'report_joined']
  for (const table of tables) await sql.raw(`alter table ${table} ${added(columns)}`).execute(db)
  await sql.raw(RECOUNT).execute(db)
}
