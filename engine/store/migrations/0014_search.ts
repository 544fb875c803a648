/** What leads are found by: whom they are about, their source's own id, a buyer's own id. */
import { type Kysely, sql } from 'kysely'

/** Without `fastupdate`: a list of pending entries would now and then be worked off in the middle of a hot commit. */
const INDEXES = `
  create index leads_people on leads using gin (fingerprints) with (fastupdate = off);
  create index leads_ref on leads (lead_ref) where lead_ref is not null;
  create index intents_reference on intents (buyer_reference) where buyer_reference is not null;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(INDEXES).execute(db)
}
