/** Postbacks: what sources are to hear of their leads, until they have heard it. */
import { type Kysely, sql } from 'kysely'

const POSTBACKS = `
  -- Which sources want to hear of which campaigns, as the version in force has it.
  create table postback_routes (
    campaign text not null,
    source text not null,
    primary key (campaign, source)
  );

  create table postbacks (
    id uuid primary key default gen_random_uuid(),
    lead_id uuid not null,
    event text not null check (event in ('sold', 'resolved', 'returned', 'adjusted')),
    campaign text not null,
    source text not null,
    status text not null,
    payout bigint not null,
    currency text not null,
    happened_at timestamptz not null default now(),
    -- From when it counts how long it has been tried: a replay starts anew.
    queued_at timestamptz not null default now(),
    due_at timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    -- Told, or no longer wanted; or given up.
    sent_at timestamptz,
    dead_at timestamptz
  );
  create index postbacks_due on postbacks (due_at) where sent_at is null and dead_at is null;
  create index postbacks_dead on postbacks (dead_at) where dead_at is not null;
  create index postbacks_lead on postbacks (lead_id);
  create index postbacks_sent on postbacks (sent_at) where sent_at is not null;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(POSTBACKS).execute(db)
}
