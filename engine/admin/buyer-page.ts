/** How one engine finds its buyers' servers, as the admin plane shows it. */
import type { LineHealth } from '../../buyers/health.ts'
import type { BuyerPage } from './port.ts'

/** More would make a page that nobody reads. */
const SHOWN = 1_000
const ORDER = { open: 0, half_open: 1, closed: 2 } as const

/** Those that are left alone come first. */
export function buyerPages(engine: number, lines: readonly LineHealth[]): readonly BuyerPage[] {
  const shown = lines.toSorted((a, b) => ORDER[a.state] - ORDER[b.state]).slice(0, SHOWN)
  return shown.map(({ buyer, kind, origin, state, trips, inFlight, refused, latency }) => ({
    ...{ engine, buyer, kind, origin, state, trips, in_flight: inFlight, refused },
    p50_ms: latency && rounded(latency.p50),
    p95_ms: latency && rounded(latency.p95),
  }))
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 10) / 10
