/** Keeps the hot store warm: where it turns cold, it is rebuilt from the ledger, and whoever needs it waits for that. */
import type { Clock } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'

/** A lead waits this long for a rebuild before it goes on without what is capped. */
const WAIT_MS = 3_000
/** New leads are let in for so long while the store is cold: they wait, and most rebuilds take less. */
const GRACE_MS = 1_500
const RETRY_MS = 200

export interface WarmthOptions {
  readonly clock: Clock
  /** Makes the store warm under the ledger's epoch, by rebuilding it or by finding that somebody did. Rejects while a store is away. */
  readonly rebuild: () => Promise<void>
  /** Told once each time the store is warm again. */
  readonly warmed: () => void
  readonly log: (message: string) => void
}

export class Warmth {
  readonly #options: WarmthOptions
  #rebuilding: Promise<void> | null = null
  #warm = false
  #coldSince = Number.NEGATIVE_INFINITY
  #closed = false

  constructor(options: WarmthOptions) {
    this.#options = options
  }

  /** False while the store is cold for longer than a lead should wait. */
  get admits(): boolean {
    return this.#warm || this.#options.clock.mono() - this.#coldSince < GRACE_MS
  }

  /** The store said COLD, may have lost its memory, or must count what it did not count so far. */
  turnedCold(): void {
    if (this.#warm) this.#coldSince = this.#options.clock.mono()
    this.#warm = false
    this.#rebuilding ??= this.#rebuild().finally(() => {
      this.#rebuilding = null
    })
  }

  /** Resolves true when the store is warm, false where that takes longer than a lead can wait. */
  wait(): Promise<boolean> {
    if (this.#warm) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(ms(WAIT_MS), () => resolve(false))
      void this.#rebuilding?.then(() => {
        timer.cancel()
        resolve(this.#warm)
      })
    })
  }

  close(): void {
    this.#closed = true
  }

  async #rebuild(): Promise<void> {
    const { clock, rebuild, warmed, log } = this.#options
    for (let told = false; !this.#closed; ) {
      try {
        await rebuild()
        this.#warm = true
        return warmed()
      } catch (error) {
        if (!told) log(`the hot store is cold and cannot be rebuilt yet: ${(error as Error).message}`)
        told = true
        await new Promise<void>((resolve) => clock.after(ms(RETRY_MS), resolve))
      }
    }
  }
}
