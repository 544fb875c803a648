/** Keeps the sums that reports are read from in step with the ledger, beside the hot path and at a small share of the time. */
import { type Kysely, sql } from 'kysely'
import type { Clock, Timer } from '../../buyers/wire.ts'
import { ms } from '../../rules/units.ts'
import { Versions } from '../configuration/versions.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { boundsOf, countQuarter, QUARTER_MS, type QuarterSums, type VersionsBook } from './quarter.ts'
import { lateQuarters } from './report.ts'
import type { Row } from './sums.ts'

type Db = Kysely<LedgerTables>

export interface ReporterSettings {
  readonly db: Db
  readonly sealer: Sealer
  readonly clock: Clock
  readonly log: (message: string) => void
  /** Default: the ledger's. */
  readonly versions?: VersionsBook
}

const EVERY_MS = 15_000
/** A pass that took long is followed by a pause so many times as long: reports may take one part in fifty of the time. */
const SPARING = 50
/** Leads of so long ago are looked at in every pass; older ones where some of theirs were undecided. */
const RECENT_MS = 3_600_000
const QUARTERS_AT_ONCE = 96
const ROWS_AT_ONCE = 500
const ALWAYS = { from: new Date(0), to: new Date('9999-01-01') }

export class Reporter {
  readonly #settings: ReporterSettings
  readonly #versions: VersionsBook
  #timer: Timer | null = null
  #passing: Promise<void> = Promise.resolve()
  #stopped = false
  #failed = false
  #recounting = false

  constructor(settings: ReporterSettings) {
    this.#settings = settings
    this.#versions = settings.versions ?? new Versions(settings.db)
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
    const first = await firstQuarter(db)
    if (first === null) return 0
    let built = 0
    for (const quarter of await quartersToLookAt(db, first, clock.wall())) {
      if (!this.#stopped && (await this.#renew(quarter))) built++
    }
    for (const { quarter, n } of await lateOnes(db, first)) {
      if (!this.#stopped && (await this.#renew(quarter, n))) built++
    }
    await this.#tellProgress()
    return built
  }

  /** After an upgrade that sums something more, everything is counted again. */
  async #tellProgress(): Promise<void> {
    const { db, log } = this.#settings
    const left = await lateQuarters(db, ALWAYS)
    if (left > 0) log(`reports are counted again: ${left} quarters of an hour are left`)
    else if (this.#recounting) log('reports are counted again: done')
    this.#recounting = left > 0
  }

  /** `late`: how often it was told that something in it came late. */
  async #renew(quarter: Date, late?: number): Promise<boolean> {
    const { db, sealer } = this.#settings
    const mark = await markOf(db, quarter)
    const known = await db
      .selectFrom('report_quarters')
      .select('mark')
      .where('quarter', '=', quarter)
      .executeTakeFirst()
    const isThere = known?.mark === mark || (known === undefined && mark === EMPTY)
    if (isThere && late === undefined) return false
    // The mark is older than what is counted: what changes meanwhile is counted again.
    const sums = await countQuarter(db, sealer, this.#versions, quarter, () => !this.#stopped)
    if (sums === null) return false
    await db.transaction().execute(async (tx) => {
      await put(tx, quarter, mark, sums)
      // What came late meanwhile has it counted once more.
      if (late !== undefined)
        await tx.deleteFrom('late_quarters').where('quarter', '=', quarter).where('n', '=', late).execute()
    })
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
async function quartersToLookAt(db: Db, first: number, now: number): Promise<Date[]> {
  const { last } = await db
    .selectFrom('report_quarters')
    .select((eb) => eb.fn.max('quarter').as('last'))
    .executeTakeFirstOrThrow()
  const from = Math.max(quarterAt(Math.min(now - RECENT_MS, last?.getTime() ?? first)), first)
  const recent = Array.from({ length: Math.ceil((now - from) / QUARTER_MS) }, (_, n) => new Date(from + n * QUARTER_MS))
  const open = await db
    .selectFrom('report_quarters')
    .select('quarter')
    .where('undecided', '>', 0)
    .where('quarter', '<', new Date(from))
    .where('quarter', '>=', new Date(first))
    .orderBy('built_at')
    .limit(QUARTERS_AT_ONCE)
    .execute()
  return [...open.map(({ quarter }) => quarter), ...recent.slice(0, QUARTERS_AT_ONCE)]
}

/** What people look at first: the newest. Those whose leads were dropped meanwhile stay as they are. */
async function lateOnes(db: Db, first: number): Promise<{ quarter: Date; n: number }[]> {
  await db.deleteFrom('late_quarters').where('quarter', '<', new Date(first)).execute()
  return db.selectFrom('late_quarters').selectAll().orderBy('quarter', 'desc').limit(QUARTERS_AT_ONCE).execute()
}

const quarterAt = (moment: number): number => Math.floor(moment / QUARTER_MS) * QUARTER_MS

/** From which quarter on the ledger may have something: sums of days that were dropped stay as they are. Null: it has nothing. */
async function firstQuarter(db: Db): Promise<number | null> {
  const least = (table: string) => sql`(select id from ${sql.table(table)} order by id limit 1)`
  const { rows } = await sql<{ id: string | null; day: string | null }>`
    select least(${least('leads')}, ${least('offers')}, ${least('invalid_attempts')}) as id,
      (select kept_from::text from retention) as day`.execute(db)
  const { id, day } = rows[0]!
  if (id === null) return null
  // An id begins with its moment.
  const came = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)
  return quarterAt(Math.max(came, Date.parse(day ?? '1970-01-01')))
}

/** What changes whenever something in the quarter does. */
async function markOf(db: Db, quarter: Date): Promise<string> {
  const [from, to] = await boundsOf(db, quarter)
  const between = (column: string) => sql`${sql.ref(column)} >= ${from} and ${sql.ref(column)} < ${to}`
  const { rows } = await sql<{ mark: string }>`
    select (select count(*) || ' ' || count(status) || ' ' || coalesce(max(decided_at)::text, '') from leads
        where ${between('id')})
      || ' ' || (select count(*) from intents where state in ('open', 'in_doubt') and ${between('lead_id')})
      || ' ' || (select count(*) from entries where ${between('lead_id')})
      || ' ' || (select count(*) from offers where ${between('id')})
      || ' ' || (select count(*) from invalid_attempts where ${between('id')}) as mark`.execute(db)
  return rows[0]!.mark
}

const EMPTY = '0 0  0 0 0 0'

async function put(tx: Db, quarter: Date, mark: string, { rows, undecided }: QuarterSums): Promise<void> {
  for (const [table, of] of rows) {
    await sql`delete from ${sql.table(table)} where quarter = ${quarter}`.execute(tx)
    for (const part of chunks(of)) {
      const text = JSON.stringify(part.map((row) => ({ quarter, ...row })))
      await sql`insert into ${sql.table(table)} select * from json_populate_recordset(null::${sql.table(table)}, ${text}::json)`.execute(
        tx,
      )
    }
  }
  const values = { quarter, mark, undecided, built_at: sql<Date>`now()` }
  await tx
    .insertInto('report_quarters')
    .values(values)
    .onConflict((on) => on.column('quarter').doUpdateSet(values))
    .execute()
}

function chunks(rows: readonly Row[]): (readonly Row[])[] {
  return Array.from({ length: Math.ceil(rows.length / ROWS_AT_ONCE) }, (_, n) =>
    rows.slice(n * ROWS_AT_ONCE, (n + 1) * ROWS_AT_ONCE),
  )
}
