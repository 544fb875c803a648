/** When each key was used last, to the minute: noted in memory, written down now and then. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../../buyers/wire.ts'
import { ms } from '../../rules/units.ts'
import type { LedgerTables } from '../store/tables.ts'

const EVERY_MS = 10_000
/** A key that was written down within the last minute is not written again. */
const COARSE_MS = 60_000
/** Only keys in force are noted, so there are never more; a leak would be a bug, and stops here. */
const MOST = 100_000

export class KeyUses {
  readonly #db: Kysely<LedgerTables>
  readonly #clock: Clock
  readonly #fresh = new Set<string>()
  readonly #writtenAt = new Map<string, number>()
  #timer: Timer | null = null

  constructor(db: Kysely<LedgerTables>, clock: Clock) {
    this.#db = db
    this.#clock = clock
    this.#next()
  }

  used(sha256: string): void {
    if (this.#fresh.size < MOST) this.#fresh.add(sha256)
  }

  async stop(): Promise<void> {
    this.#timer?.cancel()
    await this.#write().catch(() => {})
  }

  #next(): void {
    this.#timer = this.#clock.after(ms(EVERY_MS), () => {
      void this.#write()
        .catch(() => {})
        .then(() => this.#next())
    })
  }

  async #write(): Promise<void> {
    const now = this.#clock.mono()
    const due = [...this.#fresh]
      .filter((key) => now - (this.#writtenAt.get(key) ?? Number.NEGATIVE_INFINITY) >= COARSE_MS)
      .sort()
    this.#fresh.clear()
    if (due.length === 0) return
    const rows = due.map((sha256) => ({ sha256, used_at: sql<Date>`now()` }))
    await this.#db
      .insertInto('key_uses')
      .values(rows)
      .onConflict((on) => on.column('sha256').doUpdateSet({ used_at: sql`now()` }))
      .execute()
    for (const key of due) this.#writtenAt.set(key, now)
  }
}
