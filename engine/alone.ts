/** A hot store inside one process counts only that process's sales: on a ledger that another engine works on, it must not start. */
import { type Kysely, sql } from 'kysely'
import type { Clock } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import { CannotStart, type Note } from './foundation.ts'
import type { LedgerTables } from './store/tables.ts'

/** An engine whose heart is silent for so long is dead. */
const DEAD_AFTER_MS = 6_000
const LOOK_MS = 250

/** Resolves when no other engine lives on the ledger; one that was killed a moment ago is waited for. Throws `CannotStart` where one is alive. */
export async function assertAlone(db: Kysely<LedgerTables>, clock: Clock, note: Note): Promise<void> {
  const until = clock.mono() + DEAD_AFTER_MS + 1_000
  for (let told = false; ; told = true) {
    const other = await livingEngine(db)
    if (!other) return
    if (clock.mono() > until) throw new CannotStart(refusal(other))
    if (!told) note(`waiting to see whether engine ${other.id} (process ${other.pid} on ${other.host}) is alive`)
    await new Promise<void>((looked) => clock.after(ms(LOOK_MS), looked))
  }
}

interface Living {
  readonly id: number
  readonly host: string
  readonly pid: number
}

function livingEngine(db: Kysely<LedgerTables>): Promise<Living | undefined> {
  return db
    .selectFrom('engines')
    .select(['id', 'host', 'pid'])
    .where('fenced_at', 'is', null)
    .where('beat_at', '>', sql<Date>`clock_timestamp() - ${DEAD_AFTER_MS} * interval '1 ms'`)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
}

const refusal = ({ id, pid, host }: Living): string =>
  `Engine ${id} (process ${pid} on ${host}) works on this ledger already, and without REDIS_URL each process would count ` +
  'caps for itself and sell beyond them. Set REDIS_URL for all of them, or stop the other one.'
