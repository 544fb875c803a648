/** What buyers and sources need of the ledger: what buyers say became of leads, and indexes by whose account and whose lead it is. */
import { type Kysely, sql } from 'kysely'

const PORTAL = `
  -- The latest that a buyer has said of each stage of a lead that it bought.
  create table dispositions (
    lead_id uuid not null,
    copy integer not null,
    contract text not null,
    buyer text not null,
    status text not null,
    -- What the lead was worth to the buyer, in the lead's currency; null: it did not say.
    value bigint,
    at timestamptz not null,
    heard_at timestamptz not null default now(),
    primary key (lead_id, copy, status)
  ) partition by range (lead_id);

  create index entries_account on entries (account, entered_at, lead_id, copy) where account <> 'margin';
  create index leads_source on leads (source, id);
  create index audit_actor on audit (actor, at);

  -- A buyer lifts what it has set itself, and nothing else.
  alter table switches add column set_role text;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(PORTAL).execute(db)
}
