/** What reports are read from: sums of each quarter of an hour, by what a lead is and by whom it was offered to. */
import { type Kysely, sql } from 'kysely'

/** A quarter is built as a whole from the leads that came in it, so its rows are the ledger's recount by themselves. */
const REPORTS = `
  create table report_quarters (
    quarter timestamptz primary key,
    -- What the quarter's leads looked like when it was built: it is built again where they look otherwise.
    mark text not null,
    undecided integer not null,
    built_at timestamptz not null default now()
  );
  create index report_quarters_open on report_quarters (quarter) where undecided > 0;

  create table report_leads (
    quarter timestamptz not null,
    campaign text not null,
    source text not null,
    vertical text not null,
    state text not null,
    sub1 text not null,
    currency text not null,
    invalid integer not null,
    valid integer not null,
    duplicates integer not null,
    sold integer not null,
    unsold integer not null,
    pending integer not null,
    expired integer not null,
    copies integer not null,
    revenue bigint not null,
    payout bigint not null,
    primary key (quarter, campaign, source, vertical, state, sub1, currency)
  );

  create table report_seats (
    quarter timestamptz not null,
    campaign text not null,
    source text not null,
    tier text not null,
    buyer text not null,
    contract text not null,
    currency text not null,
    pinged integer not null,
    bids integer not null,
    bid_sum bigint not null,
    wins integer not null,
    posts integer not null,
    rejects integer not null,
    sold integer not null,
    in_doubt integer not null,
    returns integer not null,
    revenue bigint not null,
    payout bigint not null,
    primary key (quarter, campaign, source, tier, buyer, contract, currency)
  );
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(REPORTS).execute(db)
}
