/** What the hot path needs to know roughly, asked of the ledger now and then: doubts by contract, and how many engines live. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import type { Hints } from './hints.ts'
import { doubtsByContract } from './store/queries.ts'
import type { LedgerTables } from './store/tables.ts'

const EVERY_MS = 2_000
/** A heart that was silent for longer counts as gone. */
const ALIVE = sql<Date>`now() - interval '10 seconds'`

export class Lookout {
  readonly #db: Kysely<LedgerTables>
  readonly #clock: Clock
  readonly #hints: Hints
  #engines = 1
  #timer: Timer | null = null
  #stopped = false

  constructor(db: Kysely<LedgerTables>, clock: Clock, hints: Hints) {
    this.#db = db
    this.#clock = clock
    this.#hints = hints
  }

  /** This engine's part of what all share. */
  get share(): number {
    return 1 / this.#engines
  }

  /** Looks once, then again and again. What cannot be seen now stays as it was seen last. */
  async start(): Promise<void> {
    await this.#look().catch(() => {})
    if (this.#stopped) return
    this.#timer = this.#clock.after(ms(EVERY_MS), () => void this.start())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #look(): Promise<void> {
    this.#hints.sawDoubts(await doubtsByContract(this.#db))
    const { n } = await this.#db
      .selectFrom('engines')
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .where('fenced_at', 'is', null)
      .where('beat_at', '>', ALIVE)
      .executeTakeFirstOrThrow()
    this.#engines = Math.max(1, n)
  }
}
