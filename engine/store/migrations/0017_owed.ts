/** What the source of a lead earns although nobody buys it. */
import { type Kysely, sql } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table leads add column owed bigint not null default 0`.execute(db)
}
