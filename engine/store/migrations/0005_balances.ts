/** Prepaid balances: what was paid in, and what operators should hear of. */
import { type Kysely, sql } from 'kysely'

const TABLES = `
  -- What was paid into a buyer's balance in all. What it bought is in sold_sums, by the bid that was held.
  create table balances (
    buyer text not null,
    currency text not null,
    -- Number of the latest entry.
    seq bigint not null default 0,
    total bigint not null default 0,
    -- Under its threshold, and told.
    low boolean not null default false,
    primary key (buyer, currency)
  );

  create table balance_entries (
    buyer text not null,
    currency text not null,
    seq bigint not null,
    -- A price cut gives back what was held beyond the price.
    cause text not null check (cause in ('deposit', 'withdrawal', 'return', 'adjustment', 'price_cut')),
    amount bigint not null,
    total bigint not null,
    -- Whoever enters something twice by mistake gives the same reference.
    reference text,
    lead_id uuid,
    note text,
    by text not null,
    at timestamptz not null default now(),
    primary key (buyer, currency, seq)
  );
  create unique index balance_entries_reference on balance_entries (buyer, currency, reference) where reference is not null;

  -- What happened that somebody may want to be told.
  create table events (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    kind text not null,
    -- Whom it is about: \`buyer acme\`.
    subject text not null,
    data json not null
  );
  create index events_at on events (at);
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db)
}
