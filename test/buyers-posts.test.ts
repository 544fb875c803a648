/** Posts over real sockets: every row of the table of outcomes, and the proof that a post leaves at most once and in time. */
import { createHmac } from 'node:crypto'
import type net from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { headerOf, type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { acceptBody, reply } from '../bench/mock-temper.ts'
import { LATE_MS } from '../buyers/poster.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { ms } from '../rules/units.ts'
import {
  contractAt,
  factsOf,
  HandClock,
  headed,
  httpReply,
  LEAD_ID,
  LOOPBACK,
  postOf,
  rawServer,
} from './buyers-kit.ts'

const ACCEPT = acceptBody('B-77', '18.50', null)
let clock: HandClock
let wire: OpenBuyersWire
let mock: MockBuyers
let script: Script

beforeEach(async () => {
  clock = new HandClock()
  script = () => reply(0, ACCEPT)
  mock = await startMockBuyers({ script: (request) => script(request), keep: true })
  wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK })
})
afterEach(async () => {
  await wire.close()
  await mock.close()
  expect(clock.waiting).toBe(0)
})

const accepted = { kind: 'accepted', price: 18_500_000, buyerReference: 'B-77', redirectUrl: null }
const rejected = (reason: string) => ({ kind: 'rejected', reason })
const unknown = (reason: string) => ({ kind: 'unknown', reason })
const notSent = (reason: string) => ({ kind: 'notSent', reason })

async function reconnect(more: Parameters<typeof createBuyersWire>[0] | object): Promise<void> {
  await wire.close()
  wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK, ...more })
}

describe('the table of outcomes', () => {
  it('accepted: a parsed acceptance', async () => {
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(accepted)
  })

  const rows: readonly (readonly [Fault, object])[] = [
    ['garbage', rejected('http_200')],
    ['wrong_type', rejected('http_200')],
    ['204', rejected('http_204')],
    ['redirect', rejected('http_302')],
    ['400', rejected('http_400')],
    ['401', rejected('http_401')],
    ['404', rejected('http_404')],
    ['422', rejected('http_422')],
    ['429', rejected('http_429')],
    ['408', unknown('http_408')],
    ['409', unknown('http_409')],
    ['425', unknown('http_425')],
    ['500', unknown('http_500')],
    ['503', unknown('http_503')],
    ['reset', unknown('reset')],
    ['reset_at_accept', unknown('reset')],
    ['half_body', unknown('truncated')],
    ['huge', unknown('truncated')],
    ['not_http', unknown('truncated')],
  ]
  it.each(rows)('%s: %j', async (fault, expected) => {
    script = () => faulty(fault, reply(0, ACCEPT))
    const posted = postOf(wire, contractAt(mock.url))
    expect(await posted.end).toEqual(expected)
    expect(mock.counts.post).toBe(1)
    expect(posted.ends).toHaveLength(1)
  })

  it('rejected: in the buyer’s words; a 5xx where the contract declares it', async () => {
    script = () => reply(0, '{"accept":false,"reason":"duplicate"}')
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(rejected('duplicate'))
    script = () => reply(0, '{"accept":false,"reason":"out_of_area"}')
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(rejected('rejected:out_of_area'))
    script = () => faulty('503', reply(0, ACCEPT))
    expect(await postOf(wire, contractAt(mock.url, { serverError: 'rejected' })).end).toEqual(rejected('http_503'))
  })

  it('a status that rejects is believed although its body never comes whole', async () => {
    script = () => ({ ...reply(0, 'not found, and much more', 404), how: 'half' })
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(rejected('http_404'))
    let headArrived: () => void = () => {}
    const arrived = new Promise<void>((done) => {
      headArrived = done
    })
    const slow = await rawServer((socket) => {
      socket.write('HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n\r\n', () => headArrived())
    })
    const dripping = postOf(wire, contractAt(slow.url))
    await arrived
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    clock.advance(5_001)
    expect(await dripping.end).toEqual(rejected('http_404'))
    await slow.close()
  })

  it('not sent: no port, no TLS, no address, a forbidden address, a full queue, a closed wire', async () => {
    expect(await postOf(wire, contractAt('http://127.0.0.1:1')).end).toEqual(notSent('connect'))
    const plain = await rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    expect(await postOf(wire, contractAt(plain.url.replace('http:', 'https:'))).end).toEqual(notSent('tls'))
    await plain.close()
    await reconnect({
      lookup: (_host: string, _options: object, found: (error: Error) => void) => found(new Error('none')),
    })
    expect(await postOf(wire, contractAt('http://buyer.example')).end).toEqual(notSent('dns'))
    await reconnect({ allowedCidrs: [] })
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(notSent('guard'))
    await reconnect({ posts: { connections: 1, queue: 0 } })
    const first = postOf(wire, contractAt(mock.url))
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(notSent('queue_full'))
    expect(await first.end).toEqual(accepted)
    await wire.close()
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(notSent('connect_closed'))
    expect(mock.counts.post).toBe(1)
  })
})

describe('the time of a post', () => {
  it.each(['never', 'drip'] as const)('%s: in doubt after post_ms, and the body is covered by it', async (fault) => {
    script = () => faulty(fault, reply(0, ACCEPT))
    const posted = postOf(wire, contractAt(mock.url))
    await vi.waitFor(() => expect(mock.counts.post).toBe(1))
    clock.advance(4_999)
    await new Promise(setImmediate)
    expect(posted.ends).toEqual([])
    clock.advance(1)
    expect(await posted.end).toEqual(unknown('timeout'))
    clock.advance(LATE_MS + 1_000)
    await vi.waitFor(() => expect(mock.openSockets()).toBe(0))
    expect(posted.ends).toHaveLength(1)
    expect(posted.lates).toEqual([])
  })

  it.each([
    [httpReply(ACCEPT), accepted],
    [httpReply('{"accept":false,"reason":"no"}'), rejected('rejected:no')],
    [httpReply('', 'HTTP/1.1 503 Down'), unknown('http_503')],
  ])('a late reply is drained and handed over: %#', async (text, expected) => {
    const held: net.Socket[] = []
    const slow = await rawServer((socket) => held.push(socket))
    const posted = postOf(wire, contractAt(slow.url))
    await vi.waitFor(() => expect(held).toHaveLength(1))
    clock.advance(5_000)
    expect(await posted.end).toEqual(unknown('timeout'))
    held[0]!.write(text)
    expect(await posted.late).toEqual(expected)
    expect(posted.ends).toHaveLength(1)
    await slow.close()
  })

  it('post_by: a post does not leave after it, and may leave at it', async () => {
    const now = clock.mono()
    expect(await postOf(wire, contractAt(mock.url), now - 1).end).toEqual(notSent('post_by'))
    expect(wire.stats().posts.origins).toBe(0)
    expect(await postOf(wire, contractAt(mock.url), now).end).toEqual(accepted)
    expect(mock.counts.post).toBe(1)
  })

  it('post_by: nor where the connection took too long', async () => {
    let resolved: () => void = () => {}
    const lookup = (_host: string, _options: object, found: (error: null, addresses: object[]) => void) => {
      resolved = () => found(null, [{ address: '127.0.0.1', family: 4 }])
    }
    await reconnect({ lookup })
    const contract = contractAt(mock.url.replace('127.0.0.1', 'buyer.example'))
    const posted = postOf(wire, contract, clock.mono() + 500)
    clock.advance(501)
    resolved()
    expect(await posted.end).toEqual(notSent('post_by'))
    expect(mock.counts.post).toBe(0)
    const next = postOf(wire, contract, clock.mono() + 500)
    expect(await next.end).toEqual(accepted)
    expect(mock.counts.post).toBe(1)
  })

  it('post_by: nor where it waited for a connection behind a slow post', async () => {
    await reconnect({ posts: { connections: 1 } })
    const held: net.Socket[] = []
    const slow = await rawServer((socket) => held.push(socket))
    const contract = contractAt(slow.url, { postMs: ms(60_000) })
    const first = postOf(wire, contract)
    const second = postOf(wire, contract, clock.mono() + 500)
    await vi.waitFor(() => expect(held).toHaveLength(1))
    clock.advance(501)
    held[0]!.write(httpReply(ACCEPT))
    expect(await first.end).toEqual(accepted)
    expect(await second.end).toEqual(notSent('post_by'))
    expect(held).toHaveLength(1)
    await slow.close()
  })

  it('a post that ended in the queue never leaves afterwards', async () => {
    await reconnect({ posts: { connections: 1 } })
    const held: net.Socket[] = []
    const slow = await rawServer((socket) => held.push(socket))
    const first = postOf(wire, contractAt(slow.url, { postMs: ms(60_000) }))
    const second = postOf(wire, contractAt(slow.url, { id: 'bolt', postMs: ms(1_000) }))
    await vi.waitFor(() => expect(held).toHaveLength(1))
    clock.advance(1_000)
    expect(await second.end).toEqual(notSent('connect'))
    held[0]!.write(httpReply(ACCEPT))
    expect(await first.end).toEqual(accepted)
    await vi.waitFor(() => expect(wire.stats().posts.inFlight).toBe(0))
    expect(held).toHaveLength(1)
    expect(second.ends).toHaveLength(1)
    await slow.close()
  })
})

describe('a post leaves at most once', () => {
  it('on a kept connection that the buyer resets while it reads', async () => {
    let posts = 0
    const server = await rawServer((socket) => {
      posts++
      if (posts === 1) socket.write(httpReply(ACCEPT))
      else socket.resetAndDestroy()
    })
    const contract = contractAt(server.url)
    expect(await postOf(wire, contract).end).toEqual(accepted)
    await new Promise(setImmediate)
    expect(await postOf(wire, contract).end).toEqual(unknown('reset'))
    expect(posts).toBe(2)
    await server.close()
  })

  it('and takes a new connection where the buyer closed the kept one before', async () => {
    const ended: Promise<void>[] = []
    let posts = 0
    const server = await rawServer((socket) => {
      posts++
      ended.push(new Promise((closed) => socket.once('close', () => closed())))
      socket.end(httpReply(ACCEPT))
    })
    for (let i = 0; i < 5; i++) {
      expect(await postOf(wire, contractAt(server.url)).end).toEqual(accepted)
      await ended[i]
    }
    expect(posts).toBe(5)
    await server.close()
  })

  it('whatever the race between its bytes and the buyer’s close', async () => {
    let posts = 0
    const server = await rawServer((socket) => {
      posts++
      socket.write(httpReply(ACCEPT))
      setImmediate(() => (posts % 2 === 0 ? socket.resetAndDestroy() : socket.end()))
    })
    const contract = contractAt(server.url)
    const kinds: string[] = []
    for (let i = 0; i < 200; i++) kinds.push((await postOf(wire, contract).end).kind)
    const left = kinds.filter((kind) => kind !== 'notSent').length
    expect(posts).toBeLessThanOrEqual(left)
    expect(kinds.filter((kind) => kind === 'accepted').length).toBeLessThanOrEqual(posts)
    await server.close()
  })

  it('ends exactly once under every fault at once, and the sockets go', async () => {
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
      '404',
    ]
    let turn = 0
    script = () => faulty(kinds[turn++ % kinds.length]!, reply(0, ACCEPT))
    const posts = Array.from({ length: 100 }, () => postOf(wire, contractAt(mock.url)))
    await vi.waitFor(() => expect(posts.filter((one) => one.ends.length > 0)).toHaveLength(80))
    clock.advance(5_000)
    await Promise.all(posts.map((one) => one.end))
    clock.advance(LATE_MS + 1_000)
    await vi.waitFor(() => expect(wire.stats().posts.inFlight).toBe(0))
    await wire.close()
    expect(posts.every((one) => one.ends.length === 1 && one.lates.length === 0)).toBe(true)
    expect(mock.counts.post).toBe(100)
    await vi.waitFor(() => expect(mock.openSockets()).toBe(0))
  })
})

describe('closing', () => {
  it('waits for a post under way, and cuts one that only lingers for a late reply', async () => {
    const held: net.Socket[] = []
    const slow = await rawServer((socket) => held.push(socket))
    const lingering = postOf(wire, contractAt(slow.url, { postMs: ms(100) }))
    await vi.waitFor(() => expect(held).toHaveLength(1))
    clock.advance(100)
    expect(await lingering.end).toEqual(unknown('timeout'))
    const live = postOf(wire, contractAt(slow.url))
    await vi.waitFor(() => expect(held).toHaveLength(2))
    const closed = wire.close()
    held[1]!.write(httpReply(ACCEPT))
    await closed
    expect(await live.end).toEqual(accepted)
    expect(lingering.lates).toEqual([])
    await slow.close()
  })
})

describe('the headers of a post', () => {
  const secrets = [Buffer.alloc(32, 7), Buffer.alloc(24, 9)]

  it('carry the idempotency key, the trace, and a signature by every secret', async () => {
    const named = secrets.map((secret) => `whsec_${secret.toString('base64')}`)
    const contract = contractAt(mock.url, { delivery: { secrets: named, post: headed({ 'x-account': '42' }) } })
    expect(await postOf(wire, contract).end).toEqual(accepted)
    const request = mock.requests[0]!
    const key = `${LEAD_ID}:acme`
    expect(headerOf(request, 'idempotency-key')).toBe(key)
    expect(headerOf(request, 'webhook-id')).toBe(key)
    expect(headerOf(request, 'x-account')).toBe('42')
    expect(headerOf(request, 'traceparent')).toBe(factsOf(contract).traceparent)
    const timestamp = headerOf(request, 'webhook-timestamp')
    expect(timestamp).toBe('1772467200')
    const signed = secrets.map((secret) => {
      const mac = createHmac('sha256', secret)
      mac.update(`${key}.${timestamp}.`)
      mac.update(request.body)
      return `v1,${mac.digest('base64')}`
    })
    expect(headerOf(request, 'webhook-signature')).toBe(signed.join(' '))
  })

  it('carry no signature where the contract has no secret', async () => {
    expect(await postOf(wire, contractAt(mock.url)).end).toEqual(accepted)
    expect(mock.requests[0]!.head).not.toContain('webhook-signature')
  })
})
