/** Inquiries: which posts in doubt their buyers are asked about again, how often already, and when next. */
import { type Kysely, sql } from 'kysely'

const INQUIRIES = `
  create table inquiries (
    lead_id uuid not null,
    contract text not null,
    tries integer not null default 0,
    due_at timestamptz not null,
    primary key (lead_id, contract)
  );
  create index inquiries_due on inquiries (due_at);
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(INQUIRIES).execute(db)
}
