/** Commits and releases that the hot store did not answer: they are tried again until it does. */
import type { Clock, Timer } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'

const PAUSE_MS = 500
/** Beyond so many the oldest are dropped: their places return with the next rebuild. */
const MOST = 100_000

export class Later {
  readonly #clock: Clock
  #waiting: (() => Promise<unknown>)[] = []
  #timer: Timer | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.length
  }

  /** `act` must be safe to repeat; it is called until it no longer rejects. */
  add(act: () => Promise<unknown>): void {
    if (this.#waiting.length >= MOST) this.#waiting.shift()
    this.#waiting.push(act)
    this.#timer ??= this.#clock.after(ms(PAUSE_MS), () => void this.#tryAll())
  }

  close(): void {
    this.#timer?.cancel()
  }

  async #tryAll(): Promise<void> {
    const acts = this.#waiting
    this.#waiting = []
    const answers = await Promise.allSettled(acts.map((act) => act()))
    this.#timer = null
    answers.forEach((answer, i) => {
      if (answer.status === 'rejected') this.add(acts[i]!)
    })
  }
}
