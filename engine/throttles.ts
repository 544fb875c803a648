/** How often each contract may be pinged: a local allowance of each window, filled from the hot store ahead of need, so that no ping waits for it. */
import type { Clock } from '../buyers/wire.ts'
import { KEPT_AFTER_MS, type Throttle, throttleSpan } from '../rules/throttle.ts'
import type { Contract } from '../rules/version.ts'
import type { HotStore } from './store/port.ts'

export interface ThrottlesOptions {
  readonly clock: Clock
  readonly store: Pick<HotStore, 'allow'>
  /** This process's part of every limit that it may lend ahead of the store's word: 1 / number of engines. */
  readonly share: () => number
}

type Throttled = Pick<Contract, 'buyer' | 'throttles'>

/** One window of one throttle, as this process has it. */
interface Allowance {
  readonly name: string
  readonly endsAt: number
  /** Pings that may still leave. Below zero: lent ahead of the store's word, and asked of it next. */
  left: number
  /** What left here in this window: never more than the limit. */
  granted: number
  /** How much of the limit the store still had when it was last heard. */
  remaining: number
  asking: boolean
  /** The store failed: it is left alone until then. */
  awayUntil: number
}

/** A tenth of this process's share is fetched ahead. */
const AHEAD = 0.1
/** How long a store that failed is left alone. */
const AWAY_MS = 1_000

/**
 * Lending is bounded by this process's share of the limit and by what the store is known to have left, and what was lent
 * beyond it is taken off the next window. One process alone keeps every limit exactly; several may together exceed one by
 * at most what they lend before they hear of each other, which a round trip to the store ends.
 */
export class Throttles {
  readonly #options: ThrottlesOptions
  readonly #allowances = new WeakMap<Throttle, Allowance>()

  constructor(options: ThrottlesOptions) {
    this.#options = options
  }

  /** The window in which the contract may not be pinged any more, or null. Nothing is counted. */
  fullWindow(contract: Throttled): Throttle['window'] | null {
    for (const throttles of [contract.buyer.throttles, contract.throttles]) {
      for (const throttle of throttles) if (!this.#hasRoom(throttle)) return throttle.window
    }
    return null
  }

  /** Counts a ping that is about to leave; answers the window that forbids it, or null. */
  take(contract: Throttled): Throttle['window'] | null {
    const full = this.fullWindow(contract)
    if (full !== null) return full
    for (const throttles of [contract.buyer.throttles, contract.throttles]) {
      for (const throttle of throttles) {
        const allowance = this.#allowanceOf(throttle)
        allowance.left -= 1
        allowance.granted += 1
        this.#refill(throttle, allowance)
      }
    }
    return null
  }

  #hasRoom(throttle: Throttle): boolean {
    const allowance = this.#allowanceOf(throttle)
    const { left, granted, remaining } = allowance
    if (granted >= throttle.limit) return false
    if (left > -Math.min(remaining, this.#lendable(throttle))) return true
    this.#refill(throttle, allowance)
    return false
  }

  #lendable({ limit }: Throttle): number {
    return Math.max(1, Math.floor(limit * this.#options.share()))
  }

  #allowanceOf(throttle: Throttle): Allowance {
    const now = this.#options.clock.wall()
    const known = this.#allowances.get(throttle)
    if (known !== undefined && now < known.endsAt) return known
    const { name, endsAt } = throttleSpan(throttle, now)
    // What the store did not have was too much; what it was not asked for may well have been there.
    const debt = known?.remaining === 0 ? Math.min(0, known.left) : 0
    const awayUntil = known?.awayUntil ?? 0
    const fresh = { name, endsAt, left: debt, granted: -debt, remaining: throttle.limit, asking: false, awayUntil }
    this.#allowances.set(throttle, fresh)
    return fresh
  }

  /** Asks the store for what was lent and a little ahead, one question at a time. */
  #refill(throttle: Throttle, allowance: Allowance): void {
    const { clock, store } = this.#options
    const ahead = Math.floor(this.#lendable(throttle) * AHEAD)
    const quiet = allowance.asking || allowance.remaining === 0 || clock.mono() < allowance.awayUntil
    if (quiet || allowance.left > ahead / 2) return
    const want = Math.ceil(ahead - allowance.left)
    if (want <= 0) return
    allowance.asking = true
    const now = clock.wall()
    const { owner, window, limit } = throttle
    store.allow(`${owner}:${window}:${allowance.name}`, want, limit, allowance.endsAt - now + KEPT_AFTER_MS, now).then(
      ({ got, left }) => {
        allowance.asking = false
        allowance.left += got
        allowance.remaining = left
        if (allowance.left < 0) this.#refill(throttle, allowance)
      },
      () => {
        // With the store away each process lends its own share.
        allowance.asking = false
        allowance.awayUntil = clock.mono() + AWAY_MS
      },
    )
  }
}
