/** What is kept of days that were dropped. */
import { type Kysely, sql } from 'kysely'

const TABLES = `
  -- From which day on the ledger has its leads; null while none was dropped.
  create table retention (
    singleton boolean primary key default true check (singleton),
    kept_from date
  );
  insert into retention default values;

  -- What the accounts of the dropped days came to.
  create table carried (
    account text not null,
    currency text not null,
    amount bigint not null,
    primary key (account, currency)
  );

  create index idempotency_lead on idempotency (lead_id);
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(TABLES).execute(db)
}
