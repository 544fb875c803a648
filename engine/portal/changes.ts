/** How often a buyer may change how it buys: each change is kept, and every process takes it up. */
import { type Kysely, sql } from 'kysely'
import type { Page } from '../admin/operation.ts'
import type { Actor } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import type { LedgerTables } from '../store/tables.ts'

const MOST_AN_HOUR = 120
/** Of what the audit says that the buyer did; the rest are changes of caps, which have a version. */
const SWITCHED = ['pause', 'resume', 'block', 'unblock']
const WAIT_SECONDS = 600

/** Why it has to wait; null: it need not. */
export async function mayChangeNow(db: Kysely<LedgerTables>, { label, role }: Actor): Promise<Page | null> {
  const { n } = await db
    .selectFrom('audit')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('actor', '=', label)
    .where('role', '=', role)
    .where((eb) => eb.or([eb('version', 'is not', null), eb('action', 'in', SWITCHED)]))
    .where('at', '>', sql<Date>`now() - interval '1 hour'`)
    .executeTakeFirstOrThrow()
  return n < MOST_AN_HOUR ? null : problem.tooManyRequests(WAIT_SECONDS)
}
