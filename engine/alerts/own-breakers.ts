/** Tells the ledger which buyers' servers this process leaves alone, for breakers are each process's own. */
import type { Kysely } from 'kysely'
import type { LineHealth } from '../../buyers/health.ts'
import type { LedgerTables } from '../store/tables.ts'

type Line = Pick<LineHealth, 'buyer' | 'kind' | 'origin'>

export class OwnBreakers {
  readonly #db: Kysely<LedgerTables>
  readonly #engine: number
  readonly #health: () => readonly LineHealth[]
  /** As the ledger has them. */
  #told = new Map<string, Line>()
  #trips = new Map<string, number>()

  constructor(db: Kysely<LedgerTables>, engine: number, health: () => readonly LineHealth[]) {
    this.#db = db
    this.#engine = engine
    this.#health = health
  }

  /** One that opened and closed again between two looks is told for one look. */
  async tell(): Promise<void> {
    const shut = new Map<string, Line>()
    const trips = new Map<string, number>()
    for (const line of this.#health()) {
      const key = keyOf(line)
      if (line.trips > 0) trips.set(key, line.trips)
      if (line.state !== 'closed' || line.trips > (this.#trips.get(key) ?? 0)) shut.set(key, line)
    }
    const rows = [...shut]
      .filter(([key]) => !this.#told.has(key))
      .map(([, line]) => ({ engine: this.#engine, ...nameOf(line) }))
    if (rows.length > 0)
      await this.#db
        .insertInto('breakers')
        .values(rows)
        .onConflict((on) => on.doNothing())
        .execute()
    for (const [key, line] of this.#told) if (!shut.has(key)) await this.#remove(line)
    this.#told = shut
    this.#trips = trips
  }

  async forget(): Promise<void> {
    for (const line of this.#told.values()) await this.#remove(line)
    this.#told = new Map()
  }

  async #remove(line: Line): Promise<void> {
    const { buyer, kind, origin } = line
    await this.#db
      .deleteFrom('breakers')
      .where('engine', '=', this.#engine)
      .where('buyer', '=', buyer)
      .where('kind', '=', kind)
      .where('origin', '=', origin)
      .execute()
  }
}

const keyOf = ({ buyer, kind, origin }: Line): string => `${kind} ${buyer} ${origin}`
const nameOf = ({ buyer, kind, origin }: Line): Line => ({ buyer, kind, origin })
