/** Leads that wait for a closed contract to open. */
import { type Kysely, sql } from 'kysely'

/** A lead asleep has no owner: nobody takes it over before it is woken. `queue_until` stays, and says that it may be auctioned again. */
const COLUMNS = `
  alter table leads add column wake_at timestamptz, add column queue_until timestamptz;
  create index leads_asleep on leads (wake_at) where wake_at is not null;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(COLUMNS).execute(db)
}
