/** Feels whether this process stood still: what it then read late may have come in time. */
import { type Ms, ms } from '../rules/units.ts'
import type { Clock, Timer } from './wire.ts'

const BEAT_MS = 100
/** A beat that comes so late: a process that was stopped, or a machine that had no turn for it. */
const STALL_MS = 250

/** Beats while something is under way. */
export class Pulse {
  readonly #clock: Clock
  readonly #isWanted: () => boolean
  #stoodStillAt = Number.NEGATIVE_INFINITY
  #timer: Timer | null = null

  constructor(clock: Clock, isWanted: () => boolean) {
    this.#clock = clock
    this.#isWanted = isWanted
  }

  start(): void {
    if (this.#timer === null) this.#beat(this.#clock.mono())
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
  }

  /** Where it did, whoever was asked since then is not to blame for silence. */
  stoodStillSince(moment: Ms): boolean {
    return this.#stoodStillAt >= moment
  }

  #beat(now: Ms): void {
    this.#timer = this.#clock.after(ms(BEAT_MS), () => {
      const at = this.#clock.mono()
      if (at - now > BEAT_MS + STALL_MS) this.#stoodStillAt = at
      if (this.#isWanted()) this.#beat(at)
      else this.#timer = null
    })
  }
}
