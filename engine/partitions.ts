/** The ledger's daily partitions: made a week ahead, so that no lead ever finds its day missing. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import type { LedgerTables } from './store/tables.ts'

const AHEAD_DAYS = 7
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const RETRY_MS = 30_000

/** Makes what is missing from yesterday to eight days ahead: looked after once an hour, seven are there at any time. */
export async function makePartitions(db: Kysely<LedgerTables>, now: number): Promise<void> {
  const day = (offset: number) => new Date(now + offset * DAY_MS).toISOString().slice(0, 10)
  await sql`select make_partitions(${day(-1)}::date, ${day(AHEAD_DAYS + 1)}::date)`.execute(db)
}

/** Looks after the partitions for as long as the engine runs. */
export class Partitions {
  readonly #db: Kysely<LedgerTables>
  readonly #clock: Clock
  readonly #log: (message: string) => void
  /** Everything before this moment has its partition. */
  #coveredUntil = 0
  #timer: Timer | null = null
  #stopped = false

  constructor(db: Kysely<LedgerTables>, clock: Clock, log: (message: string) => void) {
    this.#db = db
    this.#clock = clock
    this.#log = log
  }

  /** Makes them now, then once an hour. Rejects where the first time fails. */
  async start(): Promise<void> {
    await this.#make()
    this.#again(HOUR_MS)
  }

  /** True while there is a partition for every lead of the coming week. */
  ready(): boolean {
    return this.#coveredUntil >= this.#clock.wall() + AHEAD_DAYS * DAY_MS
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  async #make(): Promise<void> {
    const now = this.#clock.wall()
    await makePartitions(this.#db, now)
    this.#coveredUntil = Math.floor(now / DAY_MS) * DAY_MS + (AHEAD_DAYS + 2) * DAY_MS
  }

  #again(delay: number): void {
    if (this.#stopped) return
    this.#timer = this.#clock.after(ms(delay), () => {
      this.#make().then(
        () => this.#again(HOUR_MS),
        (error: Error) => {
          this.#log(`could not make the ledger's next partitions: ${error.message}`)
          this.#again(RETRY_MS)
        },
      )
    })
  }
}
