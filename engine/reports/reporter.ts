/** Keeps the sums that reports are read from in step with the ledger, beside the hot path and at a small share of the time. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../../buyers/wire.ts'
import { ms } from '../../rules/units.ts'
import { Versions } from '../configuration/versions.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { boundsOf, countQuarter, QUARTER_MS, type QuarterSums } from './quarter.ts'

type Db = Kysely<LedgerTables>

export interface ReporterSettings {
  readonly db: Db
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: (message: string) => void
}

const EVERY_MS = 15_000
/** A pass that took long is followed by a pause so many times as long: reports may take one part in fifty of the time. */
const SPARING = 50
/** Leads of so long ago are looked at in every pass; older ones where some of theirs were undecided. */
const RECENT_MS = 3_600_000
const QUARTERS_AT_ONCE = 96
const ROWS_AT_ONCE = 500

export class Reporter {
  readonly #settings: ReporterSettings
  readonly #versions: Versions
  #timer: Timer | null = null
  #passing: Promise<void> = Promise.resolve()
  #stopped = false
  #failed = false

  constructor(settings: ReporterSettings) {
    this.#settings = settings
    this.#versions = new Versions(settings.db)
  }

  start(): void {
    this.#next(EVERY_MS)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#passing
  }

  /** Builds every quarter that is not as its leads are now; answers how many. One process at a time does so. */
  pass(): Promise<number> {
    return this.#settings.db.connection().execute(async (own) => {
      const { rows } = await sql<{ mine: boolean }>`select pg_try_advisory_lock(77, 0) as mine`.execute(own)
      if (!rows[0]!.mine) return 0
      try {
        return await this.#renewAll()
      } finally {
        await sql`select pg_advisory_unlock(77, 0)`.execute(own)
      }
    })
  }

  async #renewAll(): Promise<number> {
    const { db, clock } = this.#settings
    let built = 0
    for (const quarter of await quartersToLookAt(db, clock.wall())) {
      if (!this.#stopped && (await this.#renew(quarter))) built++
    }
    return built
  }

  async #renew(quarter: Date): Promise<boolean> {
    const { db, sealer } = this.#settings
    const mark = await markOf(db, quarter)
    const known = await db
      .selectFrom('report_quarters')
      .select('mark')
      .where('quarter', '=', quarter)
      .executeTakeFirst()
    if (known?.mark === mark || (known === undefined && mark === EMPTY)) return false
    // The mark is older than what is counted: what changes meanwhile is counted again.
    const sums = await countQuarter(db, sealer, this.#versions, quarter, () => !this.#stopped)
    if (sums === null) return false
    await db.transaction().execute((tx) => put(tx, quarter, mark, sums))
    return true
  }

  #next(delay: number): void {
    if (this.#stopped) return
    this.#timer = this.#settings.clock.after(ms(delay), () => {
      this.#passing = this.#passSafely()
    })
  }

  async #passSafely(): Promise<void> {
    const { clock, log } = this.#settings
    const began = clock.mono()
    try {
      await this.pass()
      this.#failed = false
    } catch (error) {
      if (!this.#failed) log(`reports wait for the ledger: ${(error as Error).message}`)
      this.#failed = true
    }
    this.#next(Math.max(EVERY_MS, SPARING * (clock.mono() - began)))
  }
}

/** Oldest first: where reports lag behind, they catch up. */
async function quartersToLookAt(db: Db, now: number): Promise<Date[]> {
  const { rows } = await sql<{ last: Date | null; first: Date | null }>`
    select (select max(quarter) from report_quarters) as last, (select min(received_at) from leads) as first`.execute(
    db,
  )
  const { last, first } = rows[0]!
  if (first === null) return []
  const begin = Math.min(now - RECENT_MS, last?.getTime() ?? first.getTime())
  const from = Math.floor(Math.max(begin, first.getTime() - RECENT_MS) / QUARTER_MS) * QUARTER_MS
  const recent = Array.from({ length: Math.ceil((now - from) / QUARTER_MS) }, (_, n) => new Date(from + n * QUARTER_MS))
  const open = await db
    .selectFrom('report_quarters')
    .select('quarter')
    .where('undecided', '>', 0)
    .where('quarter', '<', new Date(from))
    .orderBy('built_at')
    .limit(QUARTERS_AT_ONCE)
    .execute()
  return [...open.map(({ quarter }) => quarter), ...recent.slice(0, QUARTERS_AT_ONCE)]
}

/** What changes whenever something in the quarter does. */
async function markOf(db: Db, quarter: Date): Promise<string> {
  const [from, to] = await boundsOf(db, quarter)
  const { rows } = await sql<{ mark: string }>`
    select (select count(*) || ' ' || count(status) || ' ' || coalesce(max(decided_at)::text, '') from leads
        where id >= ${from} and id < ${to})
      || ' ' || (select count(*) from intents where state in ('open', 'in_doubt') and lead_id >= ${from} and lead_id < ${to})
      || ' ' || (select count(*) from entries where lead_id >= ${from} and lead_id < ${to})
      || ' ' || (select count(*) from invalid_attempts where id >= ${from} and id < ${to}) as mark`.execute(db)
  return rows[0]!.mark
}

const EMPTY = '0 0  0 0 0'

async function put(tx: Db, quarter: Date, mark: string, { leads, seats, undecided }: QuarterSums): Promise<void> {
  await tx.deleteFrom('report_leads').where('quarter', '=', quarter).execute()
  await tx.deleteFrom('report_seats').where('quarter', '=', quarter).execute()
  for (const part of chunks(leads))
    await tx
      .insertInto('report_leads')
      .values(part.map((row) => ({ quarter, ...row })))
      .execute()
  for (const part of chunks(seats))
    await tx
      .insertInto('report_seats')
      .values(part.map((row) => ({ quarter, ...row })))
      .execute()
  const values = { quarter, mark, undecided, built_at: sql<Date>`now()` }
  await tx
    .insertInto('report_quarters')
    .values(values)
    .onConflict((on) => on.column('quarter').doUpdateSet(values))
    .execute()
}

function chunks<T>(rows: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(rows.length / ROWS_AT_ONCE) }, (_, n) =>
    rows.slice(n * ROWS_AT_ONCE, (n + 1) * ROWS_AT_ONCE),
  )
}
