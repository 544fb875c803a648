/** What one lead's auction tells the metrics. */
import type { PingAnswer } from '../buyers/adapter.ts'
import type { PostEnd } from '../buyers/wire.ts'
import type { Outcome } from '../rules/auction.ts'
import { reasonName } from '../rules/reason.ts'
import type { Ms } from '../rules/units.ts'
import type { LiveLead } from './live.ts'
import type { Metrics } from './metrics.ts'

export type TallyMetrics = Pick<Metrics, 'observe' | 'lead' | 'seat' | 'ping' | 'post' | 'capFull'>

const POST_STATES = { accepted: 'accepted', rejected: 'rejected', unknown: 'in_doubt', notSent: 'not_sent' } as const

export function tallyPing(metrics: TallyMetrics, buyer: string, said: PingAnswer, late: boolean, took: number): void {
  metrics.observe('ping', took)
  const failed = said.kind === 'noBid' && said.reason.startsWith('ping_error')
  metrics.ping(buyer, late ? 'late' : failed ? 'error' : said.kind === 'bid' ? 'bid' : 'no_bid')
}

export function tallyPost(metrics: TallyMetrics, lead: LiveLead, buyer: string, end: PostEnd, took: number): void {
  metrics.observe('post', took)
  metrics.post(buyer, POST_STATES[end.kind])
  lead.waitedMs += took
}

/** The tier's pings are over: what comes next is the engine's own time. */
export function tallyWindow(metrics: TallyMetrics, lead: LiveLead, now: Ms): void {
  if (lead.pingedAt === null) return
  metrics.observe('ping_window', now - lead.pingedAt)
  lead.waitedMs += now - lead.pingedAt
  lead.pingedAt = null
}

/** `added` is what of the lead's time nobody waited for a buyer. */
export function tallyDecided(
  metrics: TallyMetrics,
  lead: LiveLead,
  status: string,
  ends: ReadonlyMap<string, Outcome>,
  now: Ms,
): void {
  const took = now - lead.openedAt
  metrics.observe('lead', took)
  metrics.observe('added', Math.max(0, took - lead.waitedMs))
  metrics.lead(status)
  for (const outcome of ends.values()) metrics.seat(outcome.kind, reasonName(outcome.reason))
}
