/** What is to be told to the outside, again and again until it is heard: any process empties the box, and none does so twice. */
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { Delivered } from '../buyers/courier.ts'
import type { Clock, Timer } from '../buyers/wire.ts'
import { retryPauseMs } from '../rules/retry.ts'
import { ms } from '../rules/units.ts'
import type { LedgerTables } from './store/tables.ts'

/** A row of an outbox's table, whatever else it has. */
export interface Due {
  readonly id: string
  /** This one counted. */
  readonly attempts: number
}

/** `failed`: it is sent again; `dead`: it is given up. */
export type OutboxEnd = 'heard' | 'unwanted' | 'failed' | 'dead'

/**
 * The table has `id`, `queued_at` (from when it counts how long it has been tried), `due_at`, `attempts`, `failure`,
 * `sent_at` and `dead_at`.
 */
export interface OutboxSettings<T extends Due> {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly log: (message: string) => void
  readonly table: string
  /** Gives the rows of `mine`, which were just claimed, with what is needed to tell them. */
  readonly read: RawBuilder<T>
  /** `unwanted`: nobody is to hear it any more. */
  readonly send: (due: T) => Promise<Delivered | 'unwanted'>
  /** Told of each attempt. */
  readonly ended?: (table: string, end: OutboxEnd) => void
  /** Pause between two looks into an empty box; default 1,000. */
  readonly everyMs?: number
}

/** Sent at once by one process; whoever dies meanwhile leaves them to the others. */
const AT_ONCE = 20
/** Longer than one may take to be carried. */
const CLAIMED_FOR = sql`interval '60 seconds'`
const GIVEN_UP_AFTER = sql`interval '24 hours'`
const HOUR_MS = 3_600_000

export class Outbox<T extends Due> {
  readonly #settings: OutboxSettings<T>
  readonly #table: RawBuilder<unknown>
  #timer: Timer | null = null
  #passing: Promise<void> = Promise.resolve()
  #stopped = false
  #failed = false
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(settings: OutboxSettings<T>) {
    this.#settings = settings
    this.#table = sql.table(settings.table)
  }

  start(): void {
    const { clock, everyMs = 1_000 } = this.#settings
    if (this.#stopped) return
    this.#timer = clock.after(ms(everyMs), () => {
      this.#passing = this.#passSafely().then(() => this.start())
    })
  }

  /** Waits for what is being sent. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#passing
  }

  /** Sends all that is due. Rejects where the ledger is away. */
  async pass(): Promise<void> {
    for (let sent = AT_ONCE; sent === AT_ONCE && !this.#stopped; ) {
      const due = await this.#claim()
      await Promise.all(due.map((one) => this.#send(one)))
      sent = due.length
    }
    await this.#sweep()
  }

  async #passSafely(): Promise<void> {
    try {
      await this.pass()
      this.#failed = false
    } catch (error) {
      const { log, table } = this.#settings
      if (!this.#failed) log(`${table} wait for the ledger: ${(error as Error).message}`)
      this.#failed = true
    }
  }

  async #claim(): Promise<readonly T[]> {
    const { db, read } = this.#settings
    const { rows } = await sql<T>`
      with mine as (
        update ${this.#table} set due_at = now() + ${CLAIMED_FOR}, attempts = attempts + 1
        where id in (
          select id from ${this.#table} where sent_at is null and dead_at is null and due_at <= now()
          order by due_at limit ${AT_ONCE} for update skip locked)
        returning *
      ) ${read}`.execute(db)
    return rows
  }

  async #send(due: T): Promise<void> {
    const { send, ended, table } = this.#settings
    const said = await send(due)
    // Noted whether anybody is told or not.
    const end = await this.#note(due, said)
    ended?.(table, end)
  }

  async #note({ id, attempts }: T, said: Delivered | 'unwanted'): Promise<OutboxEnd> {
    const { db } = this.#settings
    if (said === 'unwanted' || ('status' in said && said.status >= 200 && said.status < 300)) {
      const failure = said === 'unwanted' ? said : null
      await sql`update ${this.#table} set sent_at = now(), failure = ${failure} where id = ${id}`.execute(db)
      return said === 'unwanted' ? said : 'heard'
    }
    const failure = 'status' in said ? `http_${said.status}` : said.failure
    const { rows } = await sql<{ dead: boolean }>`update ${this.#table} set failure = ${failure},
      due_at = now() + ${retryPauseMs(attempts)} * interval '1 ms',
      dead_at = case when queued_at < now() - ${GIVEN_UP_AFTER} then now() end
      where id = ${id} returning dead_at is not null as dead`.execute(db)
    return rows[0]?.dead ? 'dead' : 'failed'
  }

  /** What was heard a week ago, or given up a quarter ago, is forgotten. */
  async #sweep(): Promise<void> {
    const { clock, db } = this.#settings
    if (clock.mono() - this.#sweptAt < HOUR_MS) return
    this.#sweptAt = clock.mono()
    await sql`delete from ${this.#table} where id in (
      select id from ${this.#table} where sent_at < now() - interval '7 days'
      union all select id from ${this.#table} where dead_at < now() - interval '90 days' limit 10000)`.execute(db)
  }
}
