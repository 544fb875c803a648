/** The ledger on Postgres: group commits, so that a durable row costs a share of one round trip. */
import type { Kysely } from 'kysely'
import type pg from 'pg'
import type { Clock, Timer } from '../buyers/wire.ts'
import type { KeptSighting } from '../rules/claims.ts'
import { ms } from '../rules/units.ts'
import {
  batchValues,
  finalRows,
  type InvalidRow,
  intentRows,
  invalidRows,
  type Rows,
  receivedRows,
} from './store/batch.ts'
import type {
  FinalRow,
  IntentAnswer,
  IntentRow,
  LeadRecord,
  Ledger,
  ReceivedAnswer,
  ReceivedRow,
  ResultRow,
} from './store/port.ts'
import { openPool, type PostgresSettings, queriesOver } from './store/postgres.ts'
import { boundKey, keptSightings, leadRecord } from './store/queries.ts'
import type { LedgerTables } from './store/tables.ts'

export interface LedgerSettings extends PostgresSettings {
  /** This process's row in `engines`. */
  readonly engine: number
  readonly clock: Clock
  /** Most calls that wait; a lead beyond it is refused, the rows of leads under way at four times as many. Default 10,000. */
  readonly most?: number
  /** Most calls of one flush; default 500. */
  readonly batch?: number
  /** How long a row is tried again while Postgres is away; default 60,000. */
  readonly retryForMs?: number
  /** Told of every flush that was written: how many calls it carried, and how long it took. */
  readonly flushed?: (calls: number, duration: number) => void
}

/** Postgres is out of reach, or so slow that rows would have to wait too long. Whether the row was written is unknown. */
export class LedgerAway extends Error {
  constructor(why: unknown) {
    super(`the ledger is out of reach: ${why instanceof Error ? why.message : String(why)}`, { cause: why })
    this.name = 'LedgerAway'
  }
}

/** Too many rows wait already: nothing was written. */
export class LedgerFull extends Error {
  constructor(waiting: number) {
    super(`${waiting} rows wait for the ledger already`)
    this.name = 'LedgerFull'
  }
}

/** Postgres refused this row for what it says. Nothing of it was written, and trying again will not help. */
export class LedgerRefused extends Error {
  constructor(why: Error) {
    super(`the ledger refused a row: ${why.message}`, { cause: why })
    this.name = 'LedgerRefused'
  }
}

interface Waiting {
  readonly rows: Rows
  readonly since: number
  readonly written: (answer: unknown) => void
  readonly failed: (error: Error) => void
}

interface BatchAnswer {
  readonly bound: readonly (readonly [given: string, leadId: string, bodyHash: string])[] | null
  readonly stale: readonly string[] | null
  readonly refused: readonly (readonly [position: number, why: IntentAnswer | null])[] | null
}

const WRITE = 'select write_batch($1, $2, $3, $4, $5, $6, $7, $8, $9)'
const PROBE_MS = 250
const SLOW_MS = 3_000
const LONGEST_PAUSE_MS = 1_000

/**
 * One flush is under way at a time, and whatever is queued meanwhile goes with the next: a lead's rows reach Postgres in
 * the order in which they were given. A flush whose end is unknown is written again, and finds itself.
 */
export class PostgresLedger implements Ledger {
  readonly #settings: LedgerSettings
  readonly #clock: Clock
  readonly #most: number
  readonly #pool: pg.Pool
  readonly #db: Kysely<LedgerTables>
  #queue: Waiting[] = []
  #client: pg.PoolClient | null = null
  #flushing = false
  #flushingSince = 0
  #away: unknown = null
  #probe: Timer | null = null
  #closed = false
  #closing: Promise<void> | null = null
  #lastFlushMs = 0
  #idle: (() => void)[] = []

  private constructor(settings: LedgerSettings) {
    this.#settings = settings
    this.#clock = settings.clock
    this.#most = settings.most ?? 10_000
    this.#pool = openPool(settings)
    this.#db = queriesOver(this.#pool)
  }

  /** Connects. Rejects where Postgres is out of reach; the tables must be up to date. */
  static async open(settings: LedgerSettings): Promise<PostgresLedger> {
    const ledger = new PostgresLedger(settings)
    try {
      await ledger.#connect()
    } catch (error) {
      await ledger.#pool.end()
      throw new LedgerAway(error)
    }
    return ledger
  }

  /** False while Postgres is away or far behind: new leads get 503. */
  writable(): boolean {
    if (this.#closed || this.#away !== null || this.#queue.length >= this.#most) return false
    return !this.#flushing || this.#clock.mono() - this.#flushingSince < SLOW_MS
  }

  stats(): { readonly waiting: number; readonly lastFlushMs: number; readonly away: boolean } {
    return { waiting: this.#queue.length, lastFlushMs: this.#lastFlushMs, away: this.#away !== null }
  }

  received(row: ReceivedRow): Promise<ReceivedAnswer> {
    return this.#write(receivedRows(row), this.#most)
  }

  intent(row: IntentRow, results: readonly ResultRow[]): Promise<IntentAnswer> {
    return this.#write(intentRows(row, results), this.#most * 4)
  }

  result(row: FinalRow): Promise<void> {
    return this.#write(finalRows(row), this.#most * 4)
  }

  invalid(row: InvalidRow): Promise<void> {
    return this.#write(invalidRows(row), this.#most)
  }

  lead(leadId: string): Promise<LeadRecord | null> {
    return this.#read(() => leadRecord(this.#db, leadId))
  }

  bound(idempotencyKey: string): Promise<{ readonly leadId: string; readonly bodyHash: string } | null> {
    return this.#read(() => boundKey(this.#db, idempotencyKey))
  }

  sighting(leadId: string): Promise<KeptSighting | null> {
    return this.#read(async () => (await keptSightings(this.#db, [leadId])).get(leadId) ?? null)
  }

  /** Takes no more rows, writes what waits, and disconnects. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#closed = true
    if (this.#flushing || this.#queue.length > 0) await new Promise<void>((done) => this.#idle.push(done))
    this.#probe?.cancel()
    this.#client?.release()
    this.#client = null
    await this.#pool.end()
  }

  async #read<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw new LedgerAway(error)
    }
  }

  #write<T>(rows: Rows, most: number): Promise<T> {
    if (this.#closed) return Promise.reject(new LedgerAway('it is closed'))
    if (this.#queue.length >= most) return Promise.reject(new LedgerFull(this.#queue.length))
    return new Promise<T>((written, failed) => {
      this.#queue.push({ rows, since: this.#clock.mono(), written: written as (answer: unknown) => void, failed })
      if (this.#flushing) return
      this.#flushing = true
      this.#flushingSince = this.#clock.mono()
      // Whatever this turn of the event loop still brings goes along.
      setImmediate(() => void this.#flushAll())
    })
  }

  async #flushAll(): Promise<void> {
    while (this.#queue.length > 0) {
      const size = this.#settings.batch ?? 500
      const batch = this.#queue.length <= size ? this.#queue : this.#queue.slice(0, size)
      this.#queue = batch === this.#queue ? [] : this.#queue.slice(size)
      await this.#flush(batch)
    }
    this.#flushing = false
    for (const wake of this.#idle.splice(0)) wake()
  }

  /** Writes a batch. One that fails for its data is halved until the row that is at fault stands alone. */
  async #flush(batch: Waiting[]): Promise<void> {
    let left = batch
    for (let pause = 50; left.length > 0; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      this.#flushingSince = this.#clock.mono()
      try {
        return settle(left, await this.#send(left))
      } catch (error) {
        if (isAboutData(error)) return this.#halve(left, error as Error)
        if (classOf(error) === ROLLED_BACK) continue
        this.#lost(error)
        left = this.#giveUpOld(left, error)
        if (left.length > 0) await new Promise<void>((done) => this.#clock.after(ms(pause), done))
      }
    }
  }

  async #halve(batch: Waiting[], error: Error): Promise<void> {
    if (batch.length === 1) {
      this.#settings.log?.(`the ledger refused a row of lead ${batch[0]!.rows.leadId}: ${error.message}`)
      return batch[0]!.failed(new LedgerRefused(error))
    }
    const middle = batch.length >> 1
    await this.#flush(batch.slice(0, middle))
    await this.#flush(batch.slice(middle))
  }

  async #send(batch: Waiting[]): Promise<BatchAnswer | null> {
    const began = this.#clock.mono()
    const client = this.#client ?? (await this.#connect())
    const values = batchValues(
      this.#settings.engine,
      batch.map(({ rows }) => rows),
    )
    const { rows } = await client.query<[string | null]>({ name: 'write', text: WRITE, values, rowMode: 'array' })
    this.#lastFlushMs = this.#clock.mono() - began
    this.#settings.flushed?.(batch.length, this.#lastFlushMs)
    this.#back()
    const answer = rows[0]![0]
    return answer === null ? null : JSON.parse(answer)
  }

  async #connect(): Promise<pg.PoolClient> {
    const client = await this.#pool.connect()
    if (this.#client !== null) {
      client.release()
      return this.#client
    }
    client.once('end', () => {
      if (this.#client === client && !this.#closed) this.#lost(new Error('the connection was closed'))
    })
    this.#client = client
    return client
  }

  /** A client that failed once is never used again: what it would answer next is unknown. */
  #lost(error: unknown): void {
    const client = this.#client
    this.#client = null
    client?.release(error instanceof Error ? error : true)
    if (this.#away === null) {
      this.#settings.log?.(`lost Postgres: ${error instanceof Error ? error.message : String(error)}`)
    }
    this.#away = error
    this.#lookAgain()
  }

  #back(): void {
    if (this.#away !== null) this.#settings.log?.('Postgres takes rows again')
    this.#away = null
  }

  #giveUpOld(batch: Waiting[], error: unknown): Waiting[] {
    const oldest = this.#clock.mono() - (this.#settings.retryForMs ?? 60_000)
    for (const one of batch) if (one.since < oldest) one.failed(new LedgerAway(error))
    return batch.filter((one) => one.since >= oldest)
  }

  /** While Postgres is away and nothing is queued, nobody would notice that it is back. */
  #lookAgain(): void {
    if (this.#probe !== null || this.#closed) return
    this.#probe = this.#clock.after(ms(PROBE_MS), () => {
      this.#probe = null
      if (this.#away === null || this.#closed) return
      if (this.#flushing) return this.#lookAgain()
      this.#connect().then(
        () => this.#back(),
        () => this.#lookAgain(),
      )
    })
  }
}

function settle(batch: Waiting[], answer: BatchAnswer | null): void {
  const bound = new Map(answer?.bound?.map(([given, leadId, bodyHash]) => [given, { leadId, bodyHash }]))
  const stale = new Set(answer?.stale)
  const refused = new Map(answer?.refused)
  let position = 0
  for (const { rows, written } of batch) {
    if (rows.intent !== undefined) written(refused.get(position++) ?? 'INTENDED')
    else if (rows.received === undefined) written(undefined)
    else {
      const other = bound.get(rows.leadId)
      if (other) written({ code: 'BOUND', ...other })
      else written({ code: stale.has(rows.leadId) ? 'STALE' : 'STORED' })
    }
  }
}

/** Classes of SQLSTATE that speak of the rows or of the statement. Everything else is about the server or the way to it. */
const DATA_CLASSES = new Set(['21', '22', '23', '42', '54', 'P0', 'XX'])
/** A deadlock or the like: nothing was written, and the next try finds the way free. */
const ROLLED_BACK = '40'

const isAboutData = (error: unknown): boolean => DATA_CLASSES.has(classOf(error))

function classOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && code.length === 5 ? code.slice(0, 2) : ''
}
