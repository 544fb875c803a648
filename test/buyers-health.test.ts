/** A buyer's health: what trips its breaker and what never does, how it is probed, and that its neighbours do not notice. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { acceptBody, bidBody, noBidBody, reply } from '../bench/mock-temper.ts'
import type { PingAnswer } from '../buyers/adapter.ts'
import { Breaker, JUDGED } from '../buyers/health.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import type { BuyerHealth, Contract } from '../rules/version.ts'
import { BUYER, contractAt, HandClock, LOOPBACK, NEVER_LATE, pingOf, postOf, wireLead } from './buyers-kit.ts'

const LIMITS: BuyerHealth = { failures: 3, retryMs: ms(1_000), retryMaxMs: ms(3_000), pings: 4, posts: 2 }

describe('the breaker', () => {
  const breaker = (limits: Partial<BuyerHealth> = {}) => {
    const shut: number[] = []
    return { one: new Breaker({ ...LIMITS, ...limits }, (by) => shut.push(by)), shut }
  }

  it('opens where so many of the latest ten failed, whatever came between', () => {
    const { one, shut } = breaker()
    for (const failed of [true, false, false, true, false]) {
      const ticket = one.take(0)
      if (failed) one.sick(ticket, 0)
      else one.well(ticket)
    }
    expect(one.state(0)).toBe('closed')
    one.sick(one.take(0), 0)
    expect([one.state(0), one.take(0), one.refuses(0), one.trips, shut]).toEqual(['open', 0, true, 1, [1]])
  })

  it('forgets failures that lie further back', () => {
    const { one } = breaker()
    for (let round = 0; round < 20; round++) {
      one.sick(one.take(0), 0)
      for (let i = 0; i < JUDGED / 2; i++) one.well(one.take(0))
    }
    expect(one.state(0)).toBe('closed')
  })

  it('lets one probe at a time through; its end closes it, or doubles the wait up to the longest', () => {
    const { one, shut } = breaker()
    for (let i = 0; i < 3; i++) one.sick(one.take(0), 0)
    const waits: number[] = []
    let now = 0
    for (let probe = 0; probe < 4; probe++) {
      let wait = 0
      while (one.refuses(now + wait)) wait += 100
      waits.push(wait)
      now += wait
      expect(one.state(now)).toBe('half_open')
      const ticket = one.take(now)
      expect([one.take(now), one.refuses(now)]).toEqual([0, true])
      one.sick(ticket, now)
    }
    expect(waits).toEqual([1_000, 2_000, 3_000, 3_000])
    now += 3_000
    one.well(one.take(now))
    expect([one.state(now), one.trips, shut]).toEqual(['closed', 1, [1, -1]])
    for (let i = 0; i < 2; i++) one.sick(one.take(now), now)
    expect(one.state(now)).toBe('closed')
  })

  it('takes another probe where the first never left', () => {
    const { one } = breaker()
    for (let i = 0; i < 3; i++) one.sick(one.take(0), 0)
    one.unheard(one.take(1_000))
    expect(one.refuses(1_000)).toBe(false)
    one.well(one.take(1_000))
    expect(one.state(1_000)).toBe('closed')
  })

  it('is told nothing by what was sent before it opened', () => {
    const { one } = breaker()
    const old = one.take(0)
    for (let i = 0; i < 3; i++) one.sick(one.take(0), 0)
    one.well(old)
    expect(one.state(0)).toBe('open')
    const probe = one.take(1_000)
    one.sick(old, 1_000)
    expect(one.state(1_000)).toBe('half_open')
    one.well(probe)
    one.sick(old, 1_000)
    expect(one.state(1_000)).toBe('closed')
  })

  it('whatever happens: at most one probe is out, and it is never stuck', () => {
    const acts = fc.array(fc.tuple(fc.constantFrom('well', 'sick', 'unheard', 'hold'), fc.nat(2_000)), {
      maxLength: 200,
    })
    fc.assert(
      fc.property(acts, (said) => {
        const { one, shut } = breaker()
        const out: number[] = []
        let now = 0
        for (const [act, passes] of said) {
          now += passes
          const wasClosed = one.state(now) === 'closed'
          const ticket = one.take(now)
          if (!wasClosed && ticket > 0) expect(one.refuses(now)).toBe(true)
          if (ticket > 0) out.push(ticket)
          if (act === 'hold' || out.length === 0) continue
          const ended = out.splice(Math.floor(passes % out.length), 1)[0]!
          if (act === 'sick') one.sick(ended, now)
          else one[act](ended)
        }
        for (const ticket of out) one.well(ticket)
        expect(one.refuses(now + LIMITS.retryMaxMs)).toBe(false)
        expect(shut.reduce((sum, by) => sum + by, 0)).toBe(one.state(now) === 'closed' ? 0 : 1)
      }),
    )
  })
})

let clock: HandClock
let wire: OpenBuyersWire
let mock: MockBuyers
let script: Script
const BID = bidBody('18.50', 'B-77')
const ACCEPT = acceptBody('B-77', null, null)

beforeEach(async () => {
  clock = new HandClock()
  script = ({ kind }) => reply(0, kind === 'ping' ? BID : ACCEPT)
  mock = await startMockBuyers({ script: (request) => script(request), keep: true })
  wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK })
})
afterEach(async () => {
  await wire.close()
  await mock.close()
})

function contract(id = 'acme', more: Parameters<typeof contractAt>[1] = {}): Contract {
  return contractAt(mock.url, { id, buyer: { ...BUYER, id, health: LIMITS }, ...more })
}

const stateOf = (kind: 'ping' | 'post', buyer = 'acme') =>
  wire.health().find((line) => line.buyer === buyer && line.kind === kind)?.state

const noBid = (reason: string) => ({ kind: 'noBid', reason })

describe('what trips it', () => {
  it.each<Fault>(['half_body', 'reset', 'not_http', 'huge', '500', '503', '408'])('%s', async (fault) => {
    script = ({ kind }) => (kind === 'ping' ? faulty(fault, reply(0, BID)) : reply(0, ACCEPT))
    for (let i = 0; i < LIMITS.failures; i++) await pingOf(wire, contract())
    expect([stateOf('ping'), wire.refuses('acme')]).toEqual(['open', true])
    expect(await pingOf(wire, contract())).toEqual(noBid('breaker'))
    expect(mock.counts.ping).toBe(LIMITS.failures)
    expect(await postOf(wire, contract()).end).toMatchObject({ kind: 'accepted' })
  })

  it('a refused connection', async () => {
    const nowhere = { ...contract(), delivery: contractAt('http://127.0.0.1:1').delivery }
    for (let i = 0; i < LIMITS.failures; i++) expect(await pingOf(wire, nowhere)).toEqual(noBid('ping_error:connect'))
    expect(await pingOf(wire, nowhere)).toEqual(noBid('breaker'))
  })

  it('silence beyond the deadline, within a second of it, and a reply beyond it', async () => {
    script = () => ({ ...reply(0, BID), how: 'never' })
    for (let i = 0; i < LIMITS.failures; i++) wire.ping(contract(), wireLead(), ms(clock.mono() + 300), () => {})
    clock.advance(1_001)
    expect(stateOf('ping')).toBe('open')
    expect(wire.health()[0]).toMatchObject({ buyer: 'acme', kind: 'ping', trips: 1, inFlight: 3, latency: null })
  })

  it('posts in doubt, for posts alone: the buyer is skipped all the same', async () => {
    script = ({ kind }) => (kind === 'ping' ? reply(0, BID) : { ...reply(0, ''), how: 'never' })
    const acme = contract('acme', { buyer: { ...BUYER, health: { ...LIMITS, posts: 10 } } })
    for (let i = 0; i < LIMITS.failures; i++) {
      const posted = postOf(wire, acme)
      await vi.waitFor(() => expect(mock.counts.post).toBe(i + 1))
      clock.advance(5_000)
      expect(await posted.end).toEqual({ kind: 'unknown', reason: 'timeout' })
    }
    expect([stateOf('post'), wire.refuses('acme')]).toEqual(['open', true])
    expect(await postOf(wire, contract()).end).toEqual({ kind: 'notSent', reason: 'breaker' })
    expect(mock.counts.post).toBe(LIMITS.failures)
  })
})

describe('what never does', () => {
  const business: readonly (readonly [string, Script])[] = [
    ['no bid', () => reply(0, noBidBody('not_interested'))],
    ['a rejection', () => reply(0, '{"accept":false,"reason":"bad zip"}')],
    ['a bad key', () => reply(0, '{}', 401)],
    ['a missing page', () => reply(0, '', 404)],
    ['too many requests', () => reply(0, '', 429)],
    ['an unreadable reply', () => reply(0, '<html>hello</html>')],
    ['204', () => reply(0, '', 204)],
  ]
  it.each(business)('%s', async (_, said) => {
    script = said
    for (let i = 0; i < 2 * JUDGED; i++) {
      await pingOf(wire, contract())
      await postOf(wire, contract()).end
    }
    expect([stateOf('ping'), stateOf('post'), mock.counts.ping]).toEqual(['closed', 'closed', 2 * JUDGED])
  })

  it('a 5xx that the contract declares a rejection', async () => {
    script = () => faulty('503', reply(0, ''))
    for (let i = 0; i < 2 * JUDGED; i++) await postOf(wire, contract('acme', { serverError: 'rejected' })).end
    expect(stateOf('post')).toBe('closed')
  })

  it('a silence in which this process itself stood still', async () => {
    script = () => ({ ...reply(0, BID), how: 'never' })
    for (let i = 0; i < LIMITS.failures; i++) wire.ping(contract(), wireLead(), ms(clock.mono() + 300), () => {})
    const posts = Array.from({ length: 2 }, () => postOf(wire, contract()))
    await vi.waitFor(() => expect(mock.counts).toMatchObject({ ping: LIMITS.failures, post: 2 }))
    clock.stall(6_000)
    expect(await Promise.all(posts.map(({ end }) => end))).toEqual(
      Array(2).fill({ kind: 'unknown', reason: 'timeout' }),
    )
    expect(wire.health().map(({ state, trips }) => [state, trips])).toEqual(Array(2).fill(['closed', 0]))
  })

  it('our own guard', async () => {
    await wire.close()
    wire = createBuyersWire({ clock, allowedCidrs: [] })
    for (let i = 0; i < JUDGED; i++) expect(await pingOf(wire, contract())).toEqual(noBid('ping_error:guard'))
  })
})

describe('getting well', () => {
  it('one request probes it, and its success lets all the others go on', async () => {
    script = () => faulty('reset', reply(0, BID))
    for (let i = 0; i < LIMITS.failures; i++) await pingOf(wire, contract())
    clock.advance(LIMITS.retryMs)
    expect(wire.refuses('acme')).toBe(false)
    script = () => reply(0, BID)
    const probe = pingOf(wire, contract())
    expect(wire.refuses('acme')).toBe(true)
    expect(await pingOf(wire, contract())).toEqual(noBid('breaker'))
    expect(await probe).toMatchObject({ kind: 'bid' })
    expect([stateOf('ping'), wire.refuses('acme')]).toEqual(['closed', false])
    expect(await pingOf(wire, contract())).toMatchObject({ kind: 'bid' })
  })

  it('a new version keeps what is known of its buyers and forgets the others', async () => {
    await pingOf(wire, contract('acme'))
    await pingOf(wire, contract('bolt'))
    const campaigns = new Map([['solar', { contracts: [contract('acme')] }]]) as never
    wire.follow({ allowedCidrs: LOOPBACK, buyers: new Map([['acme', contract().buyer]]), campaigns })
    expect(wire.health().map(({ buyer }) => buyer)).toEqual(['acme'])
  })
})

describe('the bulkhead', () => {
  it('bounds what one buyer has under way, at an address that it shares', async () => {
    script = ({ buyer, kind }) =>
      buyer === 'acme' ? { ...reply(0, ''), how: 'never' } : reply(0, kind === 'ping' ? BID : ACCEPT)
    const answers: PingAnswer[] = []
    const posts = Array.from({ length: 5 }, () => postOf(wire, contract('acme')))
    for (let i = 0; i < 10; i++) wire.ping(contract('acme'), wireLead(), NEVER_LATE, (said) => answers.push(said))
    await vi.waitFor(() => expect(mock.counts).toMatchObject({ ping: LIMITS.pings, post: LIMITS.posts }))
    expect(answers).toEqual(Array(6).fill(noBid('queue_full')))
    expect(await Promise.all(posts.slice(2).map((one) => one.end))).toEqual(
      Array(3).fill({ kind: 'notSent', reason: 'queue_full' }),
    )
    expect(await pingOf(wire, contract('bolt'))).toMatchObject({ kind: 'bid' })
    expect(await postOf(wire, contract('bolt')).end).toMatchObject({ kind: 'accepted' })
    clock.advance(5_000)
    await Promise.all(posts.map((one) => one.end))
  })

  it('counts everything out again, whatever became of it', async () => {
    const faults: Fault[] = ['half_body', 'reset', 'not_http', 'garbage', 'huge', 'redirect', '404', '204']
    const easy = { ...LIMITS, failures: JUDGED, pings: 100, posts: 100 }
    const acme = contract('acme', { buyer: { ...BUYER, id: 'acme', health: easy } })
    let turn = 0
    script = () => faulty(faults[turn++ % faults.length]!, reply(0, BID))
    await Promise.all(Array.from({ length: 40 }, () => [pingOf(wire, acme), postOf(wire, acme).end]).flat())
    await vi.waitFor(() => expect(wire.health().map(({ inFlight }) => inFlight)).toEqual([0, 0]))
    const [first] = wire.health()
    expect(first!.latency!.p50).toBeLessThanOrEqual(first!.latency!.p95)
  })
})
