/** Which contracts are closed or paused now: asked of all at once, and worked out anew only when one of them may change. */
import { type Schedule, scheduleAt } from '../schedule.ts'
import type { WallMs } from '../units.ts'
import type { Contract } from '../version.ts'
import { add, type Bits, wordsFor } from './bits.ts'

/** One schedule with the rows that keep it, and how it stands as far as that is known. */
interface Kept {
  readonly schedule: Schedule
  readonly rows: number[]
  open: boolean
  until: number
}

interface Paused {
  readonly row: number
  readonly until: WallMs
}

/** Schedules of one version are as many objects as are different, so that contracts which share one cost one look. */
export class HoursIndex {
  /** Rows that are closed, and rows that are paused, as of the last `look`. */
  readonly closed: Bits
  readonly paused: Bits
  /** Rows that let leads wait for their opening. */
  readonly queueing: Bits
  readonly #kept: readonly Kept[]
  readonly #pauses: readonly Paused[]
  #from = Number.POSITIVE_INFINITY
  #until = Number.NEGATIVE_INFINITY

  constructor(contracts: readonly Contract[]) {
    this.closed = new Int32Array(wordsFor(contracts.length))
    this.paused = new Int32Array(wordsFor(contracts.length))
    this.queueing = new Int32Array(wordsFor(contracts.length))
    contracts.forEach(({ queueForMs }, row) => {
      if (queueForMs > 0) add(this.queueing, row)
    })
    const kept = new Map<Schedule, Kept>()
    contracts.forEach(({ schedules }, row) => {
      for (const schedule of schedules) {
        const one = kept.get(schedule) ?? { schedule, rows: [], open: true, until: Number.NEGATIVE_INFINITY }
        kept.set(schedule, one)
        one.rows.push(row)
      }
    })
    this.#kept = [...kept.values()]
    this.#pauses = contracts.flatMap(({ pausedUntil }, row) => (pausedUntil > 0 ? [{ row, until: pausedUntil }] : []))
  }

  /** Brings the rows up to a moment; costs nothing until the next one at which anything may change. */
  look(at: WallMs): void {
    if (at >= this.#from && at < this.#until) return
    if (at < this.#from) for (const one of this.#kept) one.until = Number.NEGATIVE_INFINITY
    this.#from = at
    this.#until = Number.POSITIVE_INFINITY
    this.closed.fill(0)
    this.paused.fill(0)
    for (const one of this.#kept) {
      if (at >= one.until) Object.assign(one, scheduleAt(one.schedule, at))
      this.#until = Math.min(this.#until, one.until)
      if (!one.open) for (const row of one.rows) add(this.closed, row)
    }
    for (const { row, until } of this.#pauses) {
      if (at >= until) continue
      this.#until = Math.min(this.#until, until)
      add(this.paused, row)
    }
  }
}
