/** Lets so many of something run at a time, and so many more wait for their turn. */

export class Gate {
  readonly #most: number
  readonly #mostWaiting: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(most: number, mostWaiting: number) {
    this.#most = most
    this.#mostWaiting = mostWaiting
  }

  /** Null: as many wait as may. In the order in which they came. */
  async run<T>(work: () => Promise<T>): Promise<T | null> {
    if (this.#running >= this.#most) {
      if (this.#waiting.length >= this.#mostWaiting) return null
      await new Promise<void>((turn) => void this.#waiting.push(turn))
    } else this.#running++
    try {
      return await work()
    } finally {
      // The turn is handed on, so that nobody who comes now is before who waits.
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
