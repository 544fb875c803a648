/** Returns: what buyers want to give back of what they bought, who decided it, and what it came to. */
import { type Kysely, sql } from 'kysely'

const RETURNS = `
  create table returns (
    id uuid primary key,
    lead_id uuid not null,
    contract text not null,
    copy integer not null,
    buyer text not null,
    campaign text not null,
    source text not null,
    currency text not null,
    -- What the buyer paid for the copy.
    price bigint not null,
    held_at timestamptz not null,
    sold_at timestamptz not null,
    reason_code text not null,
    -- Sealed for the lead: people write into it what they like.
    note text,
    state text not null default 'asked' check (state in ('asked', 'approved', 'refused')),
    -- Who gives the source's part back, as the terms of the sale have it.
    clawback_from text not null check (clawback_from in ('source', 'us')),
    -- An operator asked for it although the terms do not allow it.
    beyond_terms boolean not null,
    asked_by text not null,
    asked_at timestamptz not null default now(),
    decided_by text,
    decided_at timestamptz,
    -- Why it was decided so; sealed.
    verdict_note text,
    -- What was taken back from the source.
    clawback bigint not null default 0
  );
  -- A copy is returned once.
  create unique index returns_sale on returns (lead_id, contract);
  create index returns_cycle on returns (contract, held_at) where state <> 'refused';
  create index returns_buyer on returns (buyer, id);
  create index returns_open on returns (id) where state = 'asked';

  -- How many of a lead's copies were returned, and what was taken back from its source; both are in \`payout\` already.
  alter table leads add column returned integer not null default 0;
  alter table leads add column clawed_back bigint not null default 0;

  -- Quarters of an hour whose leads changed long after they came: reports count them again.
  create table late_quarters (
    quarter timestamptz primary key,
    n bigint not null default 1
  );
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(RETURNS).execute(db)
}
