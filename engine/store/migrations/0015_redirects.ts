/** How often consumers were sent on from a lead, and when first. */
import { type Kysely, sql } from 'kysely'

const COLUMNS = `
  alter table leads add column redirects integer not null default 0;
  alter table leads add column redirected_at timestamptz;
`

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(COLUMNS).execute(db)
}
