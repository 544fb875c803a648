/** Pings over real sockets: every fault of a buyer ends in one answer, once, and leaves no socket behind. */
import type net from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { jsonOf, type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { bidBody, reply } from '../bench/mock-temper.ts'
import type { PingAnswer } from '../buyers/adapter.ts'
import { PING_MAX_MS, PING_WAIT_MS } from '../buyers/pinger.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import {
  contractAt,
  HandClock,
  headed,
  httpReply,
  LOOPBACK,
  NEVER_LATE,
  pingOf,
  rawServer,
  wireLead,
} from './buyers-kit.ts'
import { contractWith } from './delivery-kit.ts'

const BID = bidBody('18.50', 'B-77')
let clock: HandClock
let wire: OpenBuyersWire
let mock: MockBuyers
let script: Script

beforeEach(async () => {
  clock = new HandClock()
  script = () => reply(0, BID)
  mock = await startMockBuyers({ script: (request) => script(request), keep: true })
  wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK })
})
afterEach(async () => {
  await wire.close()
  await mock.close()
  expect(clock.waiting).toBe(0)
})

/** Answers in the order in which they were called back. */
function gather(count: number, send: (answered: (answer: PingAnswer) => void) => void): Promise<PingAnswer[]> {
  const answers: PingAnswer[] = []
  return new Promise((all) => {
    for (let i = 0; i < count; i++)
      send((answer) => {
        answers.push(answer)
        if (answers.length === count) all(answers)
      })
  })
}

const bid = { kind: 'bid', price: 18_500_000, buyerReference: 'B-77' }
const noBid = (reason: string) => ({ kind: 'noBid', reason })

describe('a ping', () => {
  it('is answered in the charset that the reply names, in pieces that cut its letters', async () => {
    const xml = Buffer.from('\ufeff<r><status>größer</status><price>12,50</price></r>', 'utf16le')
    const server = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: ${xml.length}\r\n\r\n`)
      socket.write(xml.subarray(0, 33), () => socket.write(xml.subarray(33)))
    })
    const reply = { format: 'xml', accept: { path: 'r.status', equals: 'Größer' }, price: 'r.price' }
    const { delivery } = contractWith({ ping_url: `${server.url}/`, ping: { body: {}, reply } })
    expect(await pingOf(wire, contractAt(server.url, { delivery }))).toMatchObject({
      kind: 'bid',
      price: 12_500_000,
    })
    await server.close()
  })

  it('goes by GET, without a body, where its map is a query', async () => {
    let heard = ''
    const server = await rawServer((socket, data) => {
      heard += data.toString()
      socket.write(httpReply(BID))
    })
    const { delivery } = contractWith({
      ping_url: `${server.url}/p?v=1`,
      ping: { format: 'query', body: { zip: '{zip}' } },
    })
    expect(await pingOf(wire, contractAt(server.url, { delivery }))).toMatchObject({ kind: 'bid' })
    expect(heard).toMatch(/^GET \/p\?v=1&zip=78701 HTTP\/1\.1\r\n/)
    expect(heard).not.toMatch(/content-(?:length|type)/i)
    await server.close()
  })

  it('brings a bid, and reached the buyer as the contract says', async () => {
    const contract = contractAt(mock.url, { delivery: { ping: headed({ authorization: 'Bearer k' }) } })
    expect(await pingOf(wire, contract)).toEqual(bid)
    const [request] = mock.requests
    expect(request!.head).toMatch(/^POST \/acme\/ping HTTP\/1\.1\r\n/)
    expect(request!.head).toContain('authorization: Bearer k')
    expect(request!.head).toContain('content-type: application/json')
    expect(jsonOf(request!)).toMatchObject({ contract: 'acme', fields: { state: 'TX', zip: '78701' } })
    expect(request!.body.toString()).not.toContain('zoe@example.com')
  })

  it('is never answered before the call returns', async () => {
    let returned = false
    const answer = new Promise((done) => {
      wire.ping(contractAt('http://127.0.0.1:1'), wireLead(), NEVER_LATE, (said) => done([returned, said]))
      returned = true
    })
    expect(await answer).toEqual([true, noBid('ping_error:connect')])
  })

  it('asks many at once and reuses the connections', async () => {
    const contract = contractAt(mock.url)
    for (let round = 0; round < 3; round++) {
      expect(await gather(40, (answered) => wire.ping(contract, wireLead(), NEVER_LATE, answered))).toEqual(
        Array(40).fill(bid),
      )
    }
    expect(mock.openSockets()).toBeLessThan(60)
    expect(mock.counts.ping).toBe(120)
    expect(wire.stats().pings).toEqual({ inFlight: 0, origins: 1, refused: 0 })
  })
})

describe('a buyer at fault', () => {
  const faults: readonly (readonly [Fault, string])[] = [
    ['half_body', 'ping_error:truncated'],
    ['reset', 'ping_error:reset'],
    ['not_http', 'ping_error:truncated'],
    ['garbage', 'ping_error:unreadable'],
    ['huge', 'ping_error:truncated'],
    ['redirect', 'http_302'],
    ['wrong_type', 'ping_error:unreadable'],
    ['500', 'http_500'],
    ['503', 'http_503'],
    ['404', 'http_404'],
    ['408', 'http_408'],
    ['204', 'no_bid'],
  ]
  it.each(faults)('%s is no bid: %s; the next ping works', async (fault, why) => {
    script = () => faulty(fault, reply(0, BID))
    const contract = contractAt(mock.url)
    expect(await pingOf(wire, contract)).toEqual(noBid(why))
    script = () => reply(0, BID)
    expect(await pingOf(wire, contract)).toEqual(bid)
    expect(mock.counts.ping).toBe(2)
  })

  it.each(['never', 'drip'] as const)('%s is cut off at the safety maximum', async (fault) => {
    script = () => faulty(fault, reply(0, BID))
    const asked = vi.fn()
    const answer = pingOf(wire, contractAt(mock.url)).then((said) => {
      asked()
      return said
    })
    await vi.waitFor(() => expect(mock.counts.ping).toBe(1))
    clock.advance(PING_MAX_MS - 1_000)
    await new Promise(setImmediate)
    expect(asked).not.toHaveBeenCalled()
    clock.advance(2_000)
    expect(await answer).toEqual(noBid('ping_timeout'))
    await vi.waitFor(() => expect(mock.openSockets()).toBe(0))
    expect(wire.stats().pings.inFlight).toBe(0)
  })

  it('that has no port open, no address or no TLS is an error of the connection', async () => {
    expect(await pingOf(wire, contractAt('http://127.0.0.1:1'))).toEqual(noBid('ping_error:connect'))
    const plain = await rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(await pingOf(wire, contractAt(plain.url.replace('http:', 'https:')))).toEqual(noBid('ping_error:tls'))
    await plain.close()
    const deaf = createBuyersWire({ clock, allowedCidrs: LOOPBACK, connectMs: 200, lookup: () => {} })
    expect(await pingOf(deaf, contractAt('http://buyer.example'))).toEqual(noBid('ping_error:connect'))
    await deaf.close()
  })

  it('is answered exactly once, whatever it does and however often', async () => {
    const kinds: Fault[] = [
      'half_body',
      'reset',
      'not_http',
      'garbage',
      'huge',
      'redirect',
      'never',
      'drip',
      '500',
      '204',
    ]
    let turn = 0
    script = () => faulty(kinds[turn++ % kinds.length]!, reply(0, BID))
    const called: number[] = []
    const contract = contractAt(mock.url)
    for (let i = 0; i < 100; i++) wire.ping(contract, wireLead(), NEVER_LATE, () => (called[i] = (called[i] ?? 0) + 1))
    await vi.waitFor(() => expect(called.filter(Boolean)).toHaveLength(80))
    clock.advance(PING_MAX_MS + 1_000)
    await vi.waitFor(() => expect(called.filter(Boolean)).toHaveLength(100))
    await wire.close()
    expect(called).toEqual(Array(100).fill(1))
    await vi.waitFor(() => expect(mock.openSockets()).toBe(0))
  })
})

describe('the bounds', () => {
  it('turn a ping away once the queue of its origin is full', async () => {
    await wire.close()
    wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK, pings: { connections: 2, queue: 3 } })
    const held: net.Socket[] = []
    const slow = await rawServer((socket) => held.push(socket))
    const contract = contractAt(slow.url)
    const answers: PingAnswer[] = []
    for (let i = 0; i < 8; i++) wire.ping(contract, wireLead(), NEVER_LATE, (answer) => answers.push(answer))
    await vi.waitFor(() => expect(answers).toHaveLength(3))
    expect(answers).toEqual(Array(3).fill(noBid('queue_full')))
    expect(wire.stats().pings).toEqual({ inFlight: 5, origins: 1, refused: 3 })
    await vi.waitFor(() => {
      while (held.length > 0) held.shift()!.write(httpReply(BID))
      expect(answers).toHaveLength(8)
    })
    expect(answers.slice(3)).toEqual(Array(5).fill(bid))
    await slow.close()
  })

  it('do not send what waited too long for a connection', async () => {
    await wire.close()
    wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK, pings: { connections: 1 } })
    const held: net.Socket[] = []
    const slow = await rawServer((socket) => held.push(socket))
    const contract = contractAt(slow.url)
    const answers = gather(2, (answered) => wire.ping(contract, wireLead(), NEVER_LATE, answered))
    await vi.waitFor(() => expect(held).toHaveLength(1))
    clock.advance(PING_WAIT_MS + 1)
    held[0]!.write(httpReply(BID))
    expect(await answers).toEqual([bid, noBid('queue_full')])
    expect(held).toHaveLength(1)
    await slow.close()
  })

  it('hold for origins too: an idle one makes room, a busy one does not', async () => {
    await wire.close()
    wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK, pings: { origins: 1 } })
    const other = await startMockBuyers({ script: () => reply(0, BID) })
    expect(await pingOf(wire, contractAt(mock.url))).toEqual(bid)
    expect(await pingOf(wire, contractAt(other.url))).toEqual(bid)
    expect(wire.stats().pings.origins).toBe(1)
    script = () => faulty('never', reply(0, BID))
    const waiting = pingOf(wire, contractAt(mock.url))
    expect(await pingOf(wire, contractAt(other.url))).toEqual(noBid('queue_full'))
    await wire.close()
    expect(await waiting).toEqual(noBid('ping_error:closed'))
    await other.close()
  })
})

describe('closing', () => {
  it('answers what is under way, refuses what comes later, and leaves no socket', async () => {
    script = () => faulty('never', reply(0, BID))
    const contract = contractAt(mock.url)
    const answers = gather(5, (answered) => wire.ping(contract, wireLead(), NEVER_LATE, answered))
    await vi.waitFor(() => expect(mock.counts.ping).toBe(5))
    await wire.close()
    expect(await answers).toEqual(Array(5).fill(noBid('ping_error:closed')))
    expect(await pingOf(wire, contract)).toEqual(noBid('ping_error:closed'))
    await vi.waitFor(() => expect(mock.openSockets()).toBe(0))
  })
})
