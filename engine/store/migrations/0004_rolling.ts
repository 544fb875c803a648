/** What a rolling window is counted from again. */
import { type Kysely, sql } from 'kysely'

/** Sales come in the order of their holds, so a few kilobytes per day find those of the last minutes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index sales_held on sales using brin (held_at)`.execute(db)
}
