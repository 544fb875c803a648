/** When each source sent its latest lead, and how many it usually sends in an hour. */
import { type Kysely, sql } from 'kysely'
import type { LedgerTables } from '../store/tables.ts'

export interface SourceTimes {
  look(now: number, minutes: number): Promise<SeenSources>
}

export interface SeenSources {
  /** Wall time of the latest lead; absent: none within the minutes that were asked for. */
  readonly latest: ReadonlyMap<string, number>
  /** Leads that a source sends in an hour, named by its beginning: the mean of that hour of that weekday. */
  readonly usual: (source: string, hour: number) => number
}

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const WEEK_MS = 7 * 24 * HOUR_MS
/** So many weeks before tell what is usual. */
const WEEKS = 4
/** A row may become visible so much later than its id says it came. */
const LATE_MS = 30_000
/** Hours whose usual counts are kept in memory. */
const MOST_HOURS = 100

/** Only what came since the last look is read. */
export class LedgerSourceTimes implements SourceTimes {
  readonly #db: Kysely<LedgerTables>
  readonly #latest = new Map<string, number>()
  readonly #usual = new Map<number, ReadonlyMap<string, number>>()
  #from = Number.POSITIVE_INFINITY
  #seenTo = 0

  constructor(db: Kysely<LedgerTables>) {
    this.#db = db
  }

  async look(now: number, minutes: number): Promise<SeenSources> {
    const begin = now - minutes * MINUTE_MS
    const isKnown = this.#from <= begin && this.#seenTo > begin
    const from = isKnown ? this.#seenTo - LATE_MS : begin
    const { rows } = await sql<{ source: string; at: Date }>`
      select source, max(received_at) as at from leads
      where id >= uuid_at(${new Date(from)}) and not test group by source`.execute(this.#db)
    for (const { source, at } of rows)
      this.#latest.set(source, Math.max(at.getTime(), this.#latest.get(source) ?? Number.NEGATIVE_INFINITY))
    this.#from = isKnown ? this.#from : begin
    this.#seenTo = now
    for (let hour = Math.floor(begin / HOUR_MS) * HOUR_MS; hour < now; hour += HOUR_MS) await this.#learn(hour)
    return { latest: this.#latest, usual: (source, hour) => this.#usual.get(hour)?.get(source) ?? 0 }
  }

  async #learn(hour: number): Promise<void> {
    if (this.#usual.has(hour)) return
    const hours = Array.from({ length: WEEKS }, (_, back) => new Date(hour - (back + 1) * WEEK_MS))
    const rows = await this.#db
      .selectFrom('rollups')
      .select(['source', (eb) => eb.fn.sum<number>('n').as('n')])
      .where('hour', 'in', hours)
      .where('kind', '=', 'lead')
      .groupBy('source')
      .execute()
    if (this.#usual.size >= MOST_HOURS) this.#usual.delete(this.#usual.keys().next().value!)
    this.#usual.set(hour, new Map(rows.map(({ source, n }) => [source, n / WEEKS])))
  }
}
