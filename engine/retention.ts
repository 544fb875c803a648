/** How long the ledger keeps its leads, and pings' bytes: older days are dropped whole, of leads once everything in them has ended. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import type { Env } from './env.ts'
import type { LedgerTables } from './store/tables.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Rows that one pass forgets; the next one goes on. */
const FORGOTTEN_AT_ONCE = 50_000

/** Drops what is older than `days`; answers the days that it dropped, such as `2026-03-02`. Rejects while the ledger is away. */
export async function dropOldDays(db: Kysely<LedgerTables>, now: number, days: number): Promise<string[]> {
  const before = new Date(now - days * DAY_MS).toISOString().slice(0, 10)
  const dropped: string[] = []
  for (;;) {
    const { rows } = await sql<{ day: string | null }>`select drop_oldest_day(${before}::date)::text as day`.execute(db)
    const day = rows[0]!.day
    if (day === null) break
    dropped.push(day)
  }
  await sql`select forget_old(${before}::date, ${FORGOTTEN_AT_ONCE})`.execute(db)
  return dropped
}

/** Drops what was said in pings about leads that came more than `days` ago. Rejects while the ledger is away. */
export async function dropOldPings(db: Kysely<LedgerTables>, now: number, days: number): Promise<string[]> {
  const before = new Date(now - days * DAY_MS).toISOString().slice(0, 10)
  const dropped: string[] = []
  for (;;) {
    const { rows } = await sql<{ day: string | null }>`select drop_oldest_pings(${before}::date)::text as day`.execute(
      db,
    )
    const day = rows[0]!.day
    if (day === null) return dropped
    dropped.push(day)
  }
}

/** Looks once an hour for as long as the engine runs. */
export class Retention {
  readonly #db: Kysely<LedgerTables>
  readonly #clock: Clock
  readonly #days: number
  readonly #pingDays: number
  readonly #log: (message: string) => void
  #timer: Timer | null = null
  #stopped = false

  constructor(
    db: Kysely<LedgerTables>,
    clock: Clock,
    { retentionDays, pingDays }: Pick<Env, 'retentionDays' | 'pingDays'>,
    log: (message: string) => void,
  ) {
    this.#db = db
    this.#clock = clock
    this.#days = retentionDays
    this.#pingDays = pingDays
    this.#log = log
  }

  /** Looks now, then again and again. Never rejects: what fails is tried again an hour later. */
  async start(): Promise<void> {
    try {
      await dropOldPings(this.#db, this.#clock.wall(), this.#pingDays)
      const dropped = await dropOldDays(this.#db, this.#clock.wall(), this.#days)
      if (dropped.length > 0) this.#log(`dropped ${dropped.join(', ')}: older than ${this.#days} days`)
    } catch (error) {
      this.#log(`could not drop the ledger's old days: ${(error as Error).message}`)
    }
    if (!this.#stopped) this.#timer = this.#clock.after(ms(HOUR_MS), () => void this.start())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}
