/** Versions of the configuration that stored leads refer to, compiled again from the ledger. */
import type { Kysely } from 'kysely'
import { configurationInSteps } from '../../buyers/configuration.ts'
import type { Snapshot } from '../../rules/version.ts'
import { versionText } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { inTurns } from './stepwise.ts'

/** So many are kept compiled; the oldest look-up goes first. */
const KEPT = 8

export class Versions {
  readonly #db: Kysely<LedgerTables>
  readonly #kept = new Map<number, Snapshot>()

  constructor(db: Kysely<LedgerTables>) {
    this.#db = db
  }

  /** Null where the ledger has no such version, or it no longer compiles. */
  async get(number: number): Promise<Snapshot | null> {
    const kept = this.#kept.get(number)
    if (kept) return kept
    const text = await versionText(this.#db, number)
    const compiled = text === null ? null : await inTurns(configurationInSteps(JSON.parse(text), number))
    if (!compiled?.ok) return null
    if (this.#kept.size >= KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    this.#kept.set(number, compiled.snapshot)
    return compiled.snapshot
  }
}
