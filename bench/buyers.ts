/** The bench's ten scripted buyers, on ports of their own in one process, which knows how long they themselves made each lead wait. */
import { cpuUs, reportReady } from './contender.ts'
import { seeded } from './load.ts'
import { startMockBuyers } from './mock-buyer.ts'
import { acceptBody, bidBody, type MockAction, type MockRequest, reply } from './mock-temper.ts'

const BUYERS = 10
/** Lognormal around what a carrier takes, for latency; as good as nothing, for CPU and capacity. */
const SLOW = { medianMs: 80, sigma: 0.5, maxMs: 1500 }
const FAST_MAX_MS = 2
/** Each ping begins with `{"ping_id":"<lead id>` and each post with `{"lead_id":"<lead id>`. */
const ID_STARTS = '{"ping_id":"'.length
const ID_LENGTH = 36

const dice = seeded(20_260_302)
/** Slowest ping and post of each lead, in milliseconds as they really took here. */
const waits = new Map<string, { ping: number; post: number }>()
let accepted = 0

/** Delays are whole milliseconds: a timer keeps no finer ones. */
function delayMs(slow: boolean): number {
  if (!slow) return Math.floor(dice() * (FAST_MAX_MS + 1))
  const normal = Math.sqrt(-2 * Math.log(1 - dice())) * Math.cos(2 * Math.PI * dice())
  return Math.min(Math.round(SLOW.medianMs * Math.exp(SLOW.sigma * normal)), SLOW.maxMs)
}

/** Whether the buyer whom only one of two campaigns asks answers at all. */
let tenth: 'well' | 'hanging' = 'well'

function answer(request: MockRequest): MockAction {
  if (request.buyer === 'tenth' && tenth === 'hanging') return { how: 'never', afterMs: 0 }
  const slow = request.buyer === 'slow' || request.buyer === 'tenth'
  const afterMs = delayMs(slow)
  if (slow) {
    const leadId = request.body.toString('latin1', ID_STARTS, ID_STARTS + ID_LENGTH)
    // Set before the reply's own timer of the same length, so that it fires right before it.
    setTimeout(note, afterMs, leadId, request.kind === 'ping' ? 'ping' : 'post', performance.now())
  }
  if (request.kind === 'post') return reply(afterMs, acceptBody(`B-${++accepted}`, null, null))
  return reply(afterMs, bidBody((5 + Math.floor(dice() * 2000) / 100).toFixed(2), 'B-1'))
}

function note(leadId: string, kind: 'ping' | 'post', since: number): void {
  const tookMs = performance.now() - since
  const wait = waits.get(leadId) ?? { ping: 0, post: 0 }
  wait[kind] = kind === 'ping' ? Math.max(wait.ping, tookMs) : wait.post + tookMs
  waits.set(leadId, wait)
}

/** Hands over every lead's wait since the last call: id and milliseconds, the slowest ping and all its posts. */
function takeWaits(): readonly (readonly [string, number])[] {
  const taken = [...waits].map(([leadId, { ping, post }]) => [leadId, ping + post] as const)
  waits.clear()
  return taken
}

const servers = await Promise.all(Array.from({ length: BUYERS }, () => startMockBuyers({ script: answer })))
const addressesOf = (profile: 'fast' | 'slow' | 'tenth') =>
  servers.map(({ url }) => ({ origin: url, pingPath: `/${profile}/ping`, postPath: `/${profile}/post` }))
reportReady(servers[0]!.url, {
  cpu: cpuUs,
  campaigns: () => ({ fast: addressesOf('fast'), slow: addressesOf('slow') }),
  neighbours: () => ({
    beside: addressesOf('slow').slice(0, -1),
    asking: [...addressesOf('slow').slice(0, -1), addressesOf('tenth').at(-1)!],
  }),
  well: () => {
    tenth = 'well'
  },
  hanging: () => {
    tenth = 'hanging'
  },
  waits: takeWaits,
})
