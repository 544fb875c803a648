/** The rate limit of each source: a small local allowance, filled from the hot store ahead of need, so that no lead waits for it. */
import type { Clock } from '../buyers/wire.ts'
import type { Ms } from '../rules/units.ts'
import type { HotStore } from './store/port.ts'

/** Of a configured source; the rate counts leads a second, the burst leads at once. */
export interface LimitedSource {
  readonly id: string
  readonly ratePerSecond: number
  readonly burst: number
}

export interface Limiter {
  /** 0: this lead may come in, and is counted. Otherwise the seconds after which the source may try again. */
  take(source: LimitedSource): number
  /** Forgets every source that is not configured any more. */
  keep(sources: ReadonlySet<string> | ReadonlyMap<string, unknown>): void
}

export interface LimiterOptions {
  readonly clock: Clock
  readonly store: Pick<HotStore, 'rate'>
  /** This process's part of every limit while the store is slow or away: 1 / number of engines. */
  readonly share: () => number
}

/** An answer that takes longer is not waited for: the local share counts until it comes. */
const SLOW_MS = 250
/** How long a store that failed is left alone. */
const AWAY_MS = 1_000
/** A source over its limit must not cost a question per lead. */
const DRY_MS = 10
/** A tenth of a second's leads are fetched ahead. */
const AHEAD_SECONDS = 0.1

interface Allowance {
  /** Leads that may still come in. Below zero: lent ahead of the store's word, and asked of it next. */
  left: number
  /** When the store was asked and did not answer yet; null: nothing is under way. */
  askedAt: Ms | null
  /** The store has no more to give until then, so nothing is lent. */
  dryUntil: number
  /** The store failed: the local share counts until then. */
  awayUntil: number
  /** Up to when the local share was counted. */
  countedAt: Ms
}

/**
 * Lending is bounded by this process's share of the burst and is paid back before anything else comes in, so all engines
 * together exceed a burst by at most one burst, once. With the store away each engine grants its share of the rate.
 */
export function createLimiter(options: LimiterOptions): Limiter {
  const allowances = new Map<string, Allowance>()
  return {
    take(source) {
      const now = options.clock.mono()
      const allowance = allowances.get(source.id) ?? newAllowance(now)
      allowances.set(source.id, allowance)
      const lendable = Math.max(1, Math.floor(source.burst * options.share()))
      if (onItsOwn(allowance, now)) accrue(allowance, source, options.share(), now)
      const least = now < allowance.dryUntil || onItsOwn(allowance, now) ? 1 : 1 - lendable
      const granted = allowance.left >= least
      if (granted) allowance.left -= 1
      refill(options, source, allowance, now)
      return granted ? 0 : Math.max(1, Math.ceil((1 - allowance.left) / source.ratePerSecond))
    },
    keep(sources) {
      for (const id of allowances.keys()) if (!sources.has(id)) allowances.delete(id)
    },
  }
}

const newAllowance = (now: Ms): Allowance => ({ left: 0, askedAt: null, dryUntil: 0, awayUntil: 0, countedAt: now })

/** The store failed a moment ago, or is slow to answer now. */
const onItsOwn = ({ awayUntil, askedAt }: Allowance, now: Ms): boolean =>
  now < awayUntil || (askedAt !== null && now - askedAt > SLOW_MS)

function accrue(allowance: Allowance, source: LimitedSource, share: number, now: Ms): void {
  const most = Math.max(1, source.burst * share)
  const gained = ((now - allowance.countedAt) / 1000) * source.ratePerSecond * share
  if (allowance.left < most) allowance.left = Math.min(most, allowance.left + gained)
  allowance.countedAt = now
}

/** Asks the store for what was lent and a little ahead, one question at a time. */
function refill(options: LimiterOptions, source: LimitedSource, allowance: Allowance, now: Ms): void {
  const ahead = Math.min(
    Math.ceil(source.ratePerSecond * AHEAD_SECONDS),
    Math.ceil((source.burst * options.share()) / 2),
  )
  const quiet = allowance.askedAt !== null || now < allowance.dryUntil || now < allowance.awayUntil
  if (quiet || allowance.left > ahead / 2) return
  const { id, ratePerSecond, burst } = source
  const want = Math.ceil(ahead - allowance.left)
  allowance.askedAt = now
  allowance.countedAt = now
  options.store.rate(id, want, ratePerSecond, burst, options.clock.wall()).then(
    (got) => {
      allowance.askedAt = null
      allowance.left += got
      if (got < want) allowance.dryUntil = options.clock.mono() + Math.max(DRY_MS, 1000 / ratePerSecond)
    },
    () => {
      allowance.askedAt = null
      allowance.awayUntil = options.clock.mono() + AWAY_MS
    },
  )
}
