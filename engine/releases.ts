/** Releases that are given again when the hot store was rebuilt: the rebuild may have read the ledger before the end of their post was durable, and holds their places again. */
import type { Clock } from '../buyers/wire.ts'

/** An end is durable well within this time, or its lead is given up: a rebuild that comes later knows of it. */
const KEPT_MS = 120_000
/** Beyond so many the oldest are dropped: their places return with the next rebuild. */
const MOST = 50_000

export class Releases {
  readonly #clock: Clock
  /** Two generations, so that nothing has to be searched for what is old. */
  #young: (() => Promise<unknown>)[] = []
  #old: (() => Promise<unknown>)[] = []
  #turnedAt = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Keeps a release that was given. `again` must be safe to repeat, and reject where the store did not take it. */
  note(again: () => Promise<unknown>): void {
    this.#turn()
    this.#young.push(again)
  }

  /** To be called whenever the store bears a new epoch. `give` gets each release of the last minutes. */
  repeat(give: (again: () => Promise<unknown>) => void): void {
    this.#turn()
    for (const again of this.#old) give(again)
    for (const again of this.#young) give(again)
  }

  #turn(): void {
    const now = this.#clock.mono()
    const age = now - this.#turnedAt
    if (age < KEPT_MS && this.#young.length < MOST / 2) return
    this.#old = age < 2 * KEPT_MS ? this.#young : []
    this.#young = []
    this.#turnedAt = now
  }
}
