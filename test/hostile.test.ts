/** Hostile buyers over real sockets: whatever one does to a ping or a post, the lead ends as it must, everything comes back, and nobody else notices. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { acceptBody, bidBody, reply } from '../bench/mock-temper.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { conduct } from '../engine/conduct.ts'
import { type LiveLead, LiveLeads } from '../engine/live.ts'
import { createMetrics } from '../engine/metrics.ts'
import { openingOf } from '../rules/eligibility.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { HandClock, LOOPBACK, wireLead } from './buyers-kit.ts'
import { NO_CHECKS } from './world/checks.ts'
import { endsOf } from './world/machine.ts'
import { PaperStores } from './world/stage.ts'

const PING_MS = 3_000
const POST_MS = 5_000
/** Beyond what a late ping and a late post are drained for. */
const DRAINED_MS = 40_000

/** How a request is let down: by its reply, or before it leaves. */
type Trick = Fault | 'refused' | 'handshake_hangs'

/** What the seat comes to where the trick is played on its ping, and where on its post. */
const ROWS: readonly (readonly [Trick, string, string])[] = [
  ['never', 'lost ping_timeout', 'in_doubt timeout'],
  ['drip', 'lost ping_timeout', 'in_doubt timeout'],
  ['drip_head', 'lost ping_timeout', 'in_doubt timeout'],
  ['half_body', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['reset', 'lost ping_error:reset', 'in_doubt reset'],
  ['reset_at_accept', 'lost ping_error:reset', 'in_doubt reset'],
  ['reset_after_head', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['not_http', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['garbage', 'lost ping_error:unreadable', 'rejected http_200'],
  ['empty', 'lost ping_error:unreadable', 'rejected http_200'],
  ['huge', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['endless', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['tower', 'lost ping_error:unreadable', 'rejected http_200'],
  ['header_flood', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['hints_flood', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['two_lengths', 'lost ping_error:truncated', 'in_doubt truncated'],
  ['duplicate_headers', 'sold won', 'sold won'],
  ['redirect', 'lost http_302', 'rejected http_302'],
  ['wrong_type', 'lost ping_error:unreadable', 'rejected http_200'],
  ['price_text', 'lost ping_error:price', 'sold won'],
  ['accept_500', 'lost http_500', 'in_doubt http_500'],
  ['500', 'lost http_500', 'in_doubt http_500'],
  ['408', 'lost http_408', 'in_doubt http_408'],
  ['404', 'lost http_404', 'rejected http_404'],
  ['429', 'lost http_429', 'rejected http_429'],
  ['204', 'lost no_bid', 'rejected http_204'],
  ['refused', 'lost ping_error:connect', 'not_asked connect'],
  ['handshake_hangs', 'lost ping_error:connect', 'not_asked connect'],
]
/** These say nothing until our own clock has the last word. */
const SILENT: ReadonlySet<Trick> = new Set(['never', 'drip', 'drip_head'])

let clock: HandClock
let wire: OpenBuyersWire
let mock: MockBuyers
let script: Script
const stores = new PaperStores()
const live = new LiveLeads(100)

beforeAll(async () => {
  clock = new HandClock()
  mock = await startMockBuyers({ script: (request) => script(request), keep: true })
  stores.hot.setEpoch(1)
  await stores.hot.restore({ epoch: 1, committed: [], tokens: [], scopes: [], locks: [], sightings: [], tags: [] })
})
afterAll(() => mock.close())
// Each trick meets a buyer whose health is not yet in question.
beforeEach(() => {
  wire = openWire()
})
afterEach(async () => {
  await wire.close()
  await vi.waitFor(() => expect(mock.openSockets()).toBe(0))
})

const openWire = () => createBuyersWire({ clock, allowedCidrs: LOOPBACK, connectMs: 300 })

const ORIGINS: Readonly<Partial<Record<Trick, () => string>>> = {
  refused: () => 'http://127.0.0.1:1',
  // A plain server to which TLS speaks: it waits for the end of a request that never comes.
  handshake_hangs: () => mock.url.replace('http:', 'https:'),
}

/** A campaign of the hostile buyer and an honest one, and one of the honest one alone. Only the first bids more. */
function snapshotFor(trick: Trick, kind: 'ping' | 'post'): Snapshot {
  const troubled = ORIGINS[trick]?.() ?? mock.url
  const contract = (buyer: string, campaign: string, pingAt = mock.url, postAt = mock.url) => ({
    ...{ buyer, campaign, status: 'active', price_from: 'reply', post_ms: POST_MS },
    delivery: { ping_url: `${pingAt}/${buyer}/ping`, post_url: `${postAt}/${buyer}/post`, ping_fields: ['state'] },
  })
  const campaign = {
    ...{ vertical: 'solar', zone: 'America/Chicago', payout: { share: 0.7 }, total_ms: 20_000 },
    plan: [{ tier: 'main', strategy: 'auction', ping_ms: PING_MS }],
  }
  const compiled = compileVersion(
    {
      sources: { web: { pseudonym: 'S-1', status: 'active', campaigns: ['troubled', 'calm'], keys: [] } },
      campaigns: { troubled: campaign, calm: campaign },
      buyers: Object.fromEntries(['honest', 'hostile'].map((id) => [id, { zone: 'America/Chicago' }])),
      contracts: {
        calm: contract('honest', 'calm'),
        honest: contract('honest', 'troubled'),
        hostile: contract('hostile', 'troubled', ...(kind === 'ping' ? [troubled] : [mock.url, troubled])),
      },
      network: { allowed_cidrs: LOOPBACK },
    },
    1,
  )
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  return compiled.snapshot
}

async function open(snapshot: Snapshot, name: 'troubled' | 'calm'): Promise<LiveLead> {
  const leadId = uuidv7()
  const [campaign, source] = [snapshot.campaigns.get(name)!, snapshot.sources.get('web')!]
  const carried = { ...wireLead(), id: leadId }
  const { lead } = carried
  const row = {
    ...{ leadId, campaign: name, source: 'web', version: 1, mode: 'sync', test: false, receivedAt: clock.wall() },
    ...{ leadRef: null, idempotency: null, fingerprints: [], boundForMs: 0, currency: 'USD' },
    ...{ sealed: '', wrappedKey: '', keyVersion: 1 },
  } as const
  await stores.ledger.received(row as never)
  const ports = {
    ...{ clock, wire, live, hot: stores.hot, ledger: stores.ledger, metrics: createMetrics() },
    ...{
      warm: async () => false,
      hotLater: () => {},
      lateReply: () => {},
      givenUp: () => {},
      sawFull: () => {},
      throttled: () => null,
    },
    ...{
      checks: NO_CHECKS,
      denied: () => null,
      mayAct: () => true,
      conceal: (_: string, text: string) => text,
      dice: () => 7,
    },
  }
  const facts = {
    ...{ leadId, term: 1, snapshot, campaign, source, test: false, mode: 'sync' as const, fingerprints: [] },
    ...{ receivedAt: clock.wall(), wire: carried },
  }
  const hints = { exhausted: () => null, doubts: () => false, unwell: wire.refuses }
  return conduct(ports, facts, openingOf(campaign, lead, source, clock.wall(), hints))
}

function endOf(lead: LiveLead, contract: string): string {
  const { kind, reason } = endsOf(lead.state).get(contract)!
  return `${kind} ${reason}`
}

const decided = (lead: LiveLead) => vi.waitFor(() => expect(lead.over).toBe(true), { timeout: 10_000, interval: 2 })
const seen = (buyer: string, kind: 'ping' | 'post') =>
  mock.requests.filter((one) => one.buyer === buyer && one.kind === kind).length

/** Plays the trick on one lead while another one asks the honest buyer alone. */
async function play(trick: Trick, kind: 'ping' | 'post'): Promise<{ lead: LiveLead; beside: LiveLead }> {
  script = (request) => {
    const plain =
      request.kind === 'ping'
        ? reply(0, bidBody(request.buyer === 'hostile' ? '20.00' : '10.00', 'B-1'))
        : { ...reply(0, acceptBody('B-1', null, null)), verdict: 'accepted' as const }
    if (request.buyer !== 'hostile' || request.kind !== kind || trick in ORIGINS) return plain
    return faulty(trick as Fault, plain)
  }
  const heard = seen('hostile', kind)
  const snapshot = snapshotFor(trick, kind)
  const lead = await open(snapshot, 'troubled')
  const beside = await open(snapshot, 'calm')
  await decided(beside)
  if (SILENT.has(trick)) {
    await vi.waitFor(() => expect(seen('hostile', kind)).toBe(heard + 1), { interval: 2 })
    if (kind === 'ping') await vi.waitFor(() => expect(lead.rows.length).toBeGreaterThan(1), { interval: 2 })
    clock.advance(kind === 'ping' ? PING_MS : POST_MS)
  }
  await decided(lead)
  return { lead, beside }
}

/** Late replies are given up, and what is left open are the connections that serve the next lead. */
async function allBack(): Promise<void> {
  clock.advance(DRAINED_MS)
  await vi.waitFor(
    () => {
      const { pings, posts } = wire.stats()
      expect([pings.inFlight, posts.inFlight]).toEqual([0, 0])
      expect(wire.health().map(({ inFlight }) => inFlight)).toEqual(wire.health().map(() => 0))
      expect(mock.openSockets()).toBeLessThanOrEqual(KEPT_SOCKETS)
    },
    { timeout: 10_000, interval: 5 },
  )
}
/** Two pings to each of two buyers at once, and a post to each. */
const KEPT_SOCKETS = 6

describe.each(ROWS)('%s', (trick, onPing, onPost) => {
  it(`of a ping: ${onPing}`, async () => {
    const before = mock.bytesWritten()
    const { lead, beside } = await play(trick, 'ping')
    expect(endOf(beside, 'calm')).toBe('sold won')
    expect(endOf(lead, 'hostile')).toBe(onPing)
    expect(endOf(lead, 'honest')).toBe(onPing.startsWith('sold') ? 'lost lower_bid' : 'sold won')
    expect(mock.bytesWritten() - before).toBeLessThan(MOST_TAKEN_BYTES)
    await allBack()
  })

  it(`of a post: ${onPost}`, async () => {
    const before = [mock.bytesWritten(), seen('honest', 'post')] as const
    const { lead, beside } = await play(trick, 'post')
    expect(endOf(beside, 'calm')).toBe('sold won')
    expect(endOf(lead, 'hostile')).toBe(onPost)
    const falls = /^(?:rejected|not_asked)/.test(onPost)
    expect(endOf(lead, 'honest')).toBe(falls ? 'sold won' : 'lost lower_bid')
    expect(lead.state.decided).toBe(onPost.startsWith('in_doubt') ? 'pending' : 'sold')
    // In doubt, the copy is offered to nobody else.
    expect(seen('honest', 'post') - before[1]).toBe(falls ? 2 : 1)
    expect(mock.bytesWritten() - before[0]).toBeLessThan(MOST_TAKEN_BYTES)
    await allBack()
  })
})
/** What the loopback's own buffers swallow before the sender notices that nobody reads. */
const MOST_TAKEN_BYTES = 16 * 1024 * 1024

describe('memory', () => {
  it('is what it was, after thirty floods', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const used = (): number => {
      collect()
      const { heapUsed, arrayBuffers } = process.memoryUsage()
      return heapUsed + arrayBuffers
    }
    const floods: Fault[] = ['huge', 'endless', 'header_flood', 'hints_flood', 'tower']
    const round = async () => {
      for (const flood of floods) {
        clock.advance(DRAINED_MS)
        await play(flood, 'ping')
        await allBack()
        await wire.close()
        wire = openWire()
      }
    }
    await round()
    const before = used()
    for (let i = 0; i < 6; i++) await round()
    expect(used() - before).toBeLessThan(8 * 1024 * 1024)
  })
})
