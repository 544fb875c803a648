/** How often a contract may be pinged: limits of windows, and the pure model of what each window still has. */
import { type CapWindowSpan, windowOf } from './calendar.ts'
import { type WallMs, wallMs } from './units.ts'

/** One limit. It counts pings, of a buyer or of a contract. Each version makes its own objects. */
export interface Throttle {
  /** `buyer:acme`, `contract:acme-solar`. */
  readonly owner: string
  readonly window: 'second' | 'minute' | 'day'
  readonly limit: number
  /** Whose day it is. */
  readonly zone: string
}

const LENGTHS = { second: 1_000, minute: 60_000 } as const

export function throttleSpan({ window, zone }: Throttle, at: WallMs): CapWindowSpan {
  if (window === 'day') return windowOf({ window, zone }, at)
  const length = LENGTHS[window]
  const startsAt = Math.floor(at / length) * length
  return { name: String(startsAt / length), startsAt: wallMs(startsAt), endsAt: wallMs(startsAt + length) }
}

/** What was lent, and what is left for others to ask for. */
export interface Lent {
  readonly got: number
  readonly left: number
}

/** A counter outlives its window by this much: an engine's clock may be behind. */
export const KEPT_AFTER_MS = 60_000
const SWEEP_FROM = 1_024

/** What each window has lent; windows that are over are swept. */
export class Allowances {
  readonly #used = new Map<string, { used: number; readonly until: number }>()
  #sweepAt = SWEEP_FROM

  get size(): number {
    return this.#used.size
  }

  allow(key: string, want: number, limit: number, keepMs: number, now: WallMs): Lent {
    if (this.#used.size >= this.#sweepAt) this.#sweep(now)
    const known = this.#used.get(key) ?? { used: 0, until: now + keepMs }
    const got = Math.max(0, Math.min(want, limit - known.used))
    known.used += got
    this.#used.set(key, known)
    return { got, left: Math.max(0, limit - known.used) }
  }

  lent(key: string): number {
    return this.#used.get(key)?.used ?? 0
  }

  #sweep(now: WallMs): void {
    for (const [key, { until }] of this.#used) if (until <= now) this.#used.delete(key)
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#used.size)
  }
}
