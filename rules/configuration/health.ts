/** When a server counts as unwell, as far as a configuration says it, and the defaults for the rest. */
import { ms } from '../units.ts'
import type { BuyerHealth } from '../version.ts'
import { type BuyerFile, DEFAULTS } from './schema.ts'

/** A longest wait below the first one would end every wait before it began: the first one stands. */
export function healthOf(health: BuyerFile['health']): BuyerHealth {
  const set = { ...DEFAULTS.health, ...health }
  return {
    failures: set.failures,
    retryMs: ms(set.retry_ms),
    retryMaxMs: ms(Math.max(set.retry_ms, set.retry_max_ms)),
    pings: set.pings,
    posts: set.posts,
  }
}
