/** Measures one rival for one round: CPU per lead, capacity, and the latency that it adds beyond its buyers. */
import { build } from 'hdr-histogram-js'
import pg from 'pg'
import { SOURCE_KEY } from './config.ts'
import type { Deck } from './deck.ts'
import { closedLoop, type Latency, type LoadResult, openLoop, summary } from './load.ts'
import type { Rival, ScriptedBuyers } from './processes.ts'

/** More than anything here answers. */
const MOST_PER_SECOND = 4_000

/** A lead with slow buyers takes a third of a second: so many under way saturate whatever is measured here. */
export const SLOW_IN_FLIGHT = 768

export interface Measured {
  /** Microseconds of the rival's own CPU per lead, closed loop with 64 in flight. */
  readonly cpuUs: number
  /** Leads a second, closed loop, by leads in flight. */
  readonly perSecond: Readonly<Record<64 | 128, number>>
  /** Open loop at half of what it sells to slow buyers: what a lead waited beyond its slowest ping and its post, in milliseconds. */
  readonly added: Latency
  /** Leads a second that the open loop sent. */
  readonly openPerSecond: number
  /** What a commit of one row took Postgres meanwhile, in milliseconds. */
  readonly commit: Latency
  /** Share of answers that said sold: below 1 the figures compare unequal work. */
  readonly soldShare: number
}

export interface Setting {
  readonly buyers: ScriptedBuyers
  /** Each phase takes so long. */
  readonly seconds: number
  /** Database in which commits are timed. */
  readonly probeUrl: string
  /** Leads that this rival has not had yet. */
  readonly deck: Deck
  /** So many leads with slow buyers under way tell what the open loop may send. */
  readonly slowInFlight: number
}

/** So many leads compile the hot code: V8 counts calls, not seconds, so a slower rival would be measured half compiled. */
export const WARM_LEADS = 8_000

/** Compiles the hot code and fills the connection pools, by as many leads for each rival; nothing is measured. */
export async function warmUp(rival: Rival, deck: Deck, leads: number): Promise<void> {
  const send = (campaign: string, inFlight: number, total: number) =>
    closedLoop({ url: rival.url(campaign), key: SOURCE_KEY, leads: deck, inFlight, total })
  await send('fast', 128, leads)
  await send('slow', Math.min(SLOW_IN_FLIGHT, leads), Math.ceil(leads / 4))
}

export async function measure(rival: Rival, setting: Setting): Promise<Measured> {
  const { seconds, deck, slowInFlight } = setting
  const closed = (campaign: string, inFlight: number) => {
    deck.fill(MOST_PER_SECOND * seconds)
    return closedLoop({ url: rival.url(campaign), key: SOURCE_KEY, leads: deck, inFlight, seconds })
  }
  const cpuBefore = await rival.cpuUs()
  const at64 = await closed('fast', 64)
  const cpuUs = ((await rival.cpuUs()) - cpuBefore) / at64.decided
  const at128 = await closed('fast', 128)
  const openPerSecond = (await closed('slow', slowInFlight)).perSecond / 2
  const open = await openPhase(rival, setting, openPerSecond)
  return {
    cpuUs,
    perSecond: { 64: at64.perSecond, 128: at128.perSecond },
    openPerSecond,
    ...open,
    soldShare: Math.min(...[at64, at128].map(soldShareOf), open.soldShare),
  }
}

async function openPhase(rival: Rival, { buyers, probeUrl, deck, seconds }: Setting, perSecond: number) {
  deck.fill(perSecond * seconds * 1.5)
  await buyers.waits()
  const latencies: (readonly [string, number])[] = []
  const probe = await probeCommits(probeUrl)
  const result = await openLoop({
    url: rival.url('slow'),
    key: SOURCE_KEY,
    leads: deck,
    perSecond,
    seconds,
    onDecision: (body, latencyUs) => latencies.push([(JSON.parse(body) as { lead_id: string }).lead_id, latencyUs]),
  })
  const commit = await probe.stop()
  const waits = await buyers.waits()
  const added = build({ numberOfSignificantValueDigits: 3 })
  for (const [leadId, latencyUs] of latencies) {
    const waitMs = waits.get(leadId)
    if (waitMs !== undefined) added.recordValue(Math.max(0, Math.round(latencyUs - waitMs * 1000)))
  }
  return { added: summary(added), commit, soldShare: soldShareOf(result) }
}

export function soldShareOf(result: LoadResult): number {
  return (result.answers['200 sold'] ?? 0) / Math.max(1, result.sent)
}

const PROBE_EVERY_MS = 100

/** Commits one small row ten times a second until stopped: what durability costs on this disk under this load. */
async function probeCommits(url: string): Promise<{ stop(): Promise<Latency> }> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  await client.query('create table if not exists probe (at timestamptz not null)')
  const histogram = build({ numberOfSignificantValueDigits: 3 })
  let going = true
  const loop = (async () => {
    while (going) {
      const since = performance.now()
      await client.query('insert into probe values (now())')
      histogram.recordValue(Math.round((performance.now() - since) * 1000))
      await new Promise((resolve) => setTimeout(resolve, PROBE_EVERY_MS))
    }
  })()
  return {
    async stop() {
      going = false
      await loop
      await client.end()
      return summary(histogram)
    },
  }
}
