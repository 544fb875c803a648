/** Where a buyer's host may lie: literals in every spelling, resolved names, and the address that a socket ended up at. */
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConnectFailure, createGuard, type Guard, type GuardOptions, type LookupAll } from '../buyers/guard.ts'
import { createBuyersWire } from '../buyers/wire.ts'
import { contractAt, HandClock, LOOPBACK, pingOf, postOf } from './buyers-kit.ts'

let server: net.Server
let port = 0
let connections = 0

beforeAll(async () => {
  server = net.createServer((socket) => {
    connections++
    socket.on('error', () => socket.destroy())
    socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}'))
  })
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  port = (server.address() as net.AddressInfo).port
})
afterAll(() => new Promise((down) => server.close(down)))

function guardOf(more: Partial<GuardOptions> = {}) {
  return createGuard({ allowedCidrs: [], connectMs: 1_000, ...more })
}

/** What connecting to a host comes to: the socket's peer, or why not. */
function reach(host: string, more: Partial<GuardOptions> = {}): Promise<string> {
  const target = { hostname: host, host: `${host}:${port}`, protocol: 'http:', port: String(port) }
  return new Promise((resolve) => {
    guardOf(more).connect(target, (error, socket) => {
      if (error instanceof ConnectFailure) resolve(error.reason)
      else if (socket) resolve(String(socket.remoteAddress))
      else resolve(`unclassified: ${error}`)
      socket?.destroy()
    })
  })
}

const resolvesTo =
  (...addresses: string[]): LookupAll =>
  (_host, _options, found) =>
    found(
      null,
      addresses.map((address) => ({ address, family: net.isIPv6(address) ? 6 : 4 })),
    )

const FORBIDDEN = [
  '127.0.0.1',
  '127.0.0.1.',
  '127.1',
  '127.255.255.254',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0x7f.0x0.0x0.0x1',
  '0177.0.0.1',
  '017700000001',
  '0.0.0.0',
  '0',
  '10.0.0.1',
  '10.255.255.255',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '3232235777',
  '169.254.169.254',
  '0xa9fea9fe',
  '100.64.0.1',
  '100.100.100.200',
  '100.127.255.255',
  '192.0.0.192',
  '192.0.2.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.9',
  '168.63.129.16',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::1',
  '[::1]',
  '::',
  '::ffff:127.0.0.1',
  '[::ffff:7f00:1]',
  '::ffff:10.0.0.1',
  '::ffff:8.8.8.8',
  '::127.0.0.1',
  '::7f00:1',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'fc00::1',
  'fd00:ec2::254',
  '64:ff9b::7f00:1',
  '64:ff9b::808:808',
  '64:ff9b:1::7f00:1',
  '2002:7f00:1::',
  '2002:808:808::1',
  '2001::1',
  '2001:db8::1',
  'ff02::1',
  '100::1',
  '4000::1',
]

describe('a literal host', () => {
  it.each(FORBIDDEN)('%s is refused before anything is sent', async (host) => {
    const before = connections
    expect(guardOf().allows(host)).toBe(false)
    expect(await reach(host)).toBe('guard')
    expect(connections).toBe(before)
  })

  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.255.255',
    '2606:4700:4700::1111',
    '[2606:4700::1]',
  ])('%s may be a buyer’s', (host) => expect(guardOf().allows(host)).toBe(true))

  it('is allowed by an explicit range, in any spelling of it', async () => {
    for (const host of ['127.0.0.1', '2130706433', '127.1', '::ffff:127.0.0.1']) {
      expect(guardOf({ allowedCidrs: LOOPBACK }).allows(host)).toBe(true)
    }
    expect(await reach('127.0.0.1', { allowedCidrs: LOOPBACK })).toBe('127.0.0.1')
    expect(guardOf({ allowedCidrs: ['127.0.0.2/32'] }).allows('127.0.0.1')).toBe(false)
    expect(guardOf({ allowedCidrs: ['fd00::/8'] }).allows('fd12::1')).toBe(true)
    expect(guardOf({ allowedCidrs: ['::/0'] }).allows('127.0.0.1')).toBe(false)
  })

  it('follows a changed allow-list', () => {
    const guard = guardOf()
    guard.allow(['10.9.0.0/16'])
    expect([guard.allows('10.9.1.1'), guard.allows('10.8.1.1')]).toEqual([true, false])
    guard.allow([])
    expect(guard.allows('10.9.1.1')).toBe(false)
    expect(() => guard.allow(['10.9.0.0'])).toThrow('"10.9.0.0" is not a CIDR range')
  })
})

describe('a name', () => {
  it.each([
    [['127.0.0.1']],
    [['8.8.8.8', '127.0.0.1']],
    [['2606:4700::1', 'fd00:ec2::254']],
    [['::ffff:169.254.169.254']],
    [['64:ff9b::a9fe:a9fe']],
    [['169.254.169.254']],
    [['100.64.1.1']],
    [['fe80::1']],
  ])('that resolves to %j is refused', async (addresses) => {
    const before = connections
    expect(await reach('buyer.example', { lookup: resolvesTo(...addresses) })).toBe('guard')
    expect(connections).toBe(before)
  })

  it('that resolves into an allowed range connects', async () => {
    const lookup = resolvesTo('127.0.0.1')
    expect(await reach('buyer.example', { lookup, allowedCidrs: LOOPBACK })).toBe('127.0.0.1')
  })

  it('is checked on every connection: the answer may have changed since', async () => {
    const answers = ['127.0.0.1', '127.0.0.2']
    const lookup: LookupAll = (host, options, found) => resolvesTo(answers.shift()!)(host, options, found)
    const more = { lookup, allowedCidrs: ['127.0.0.1/32'] }
    const guard = guardOf(more)
    const target = { hostname: 'buyer.example', host: 'buyer.example', protocol: 'http:', port: String(port) }
    const connect = () =>
      new Promise<string>((resolve) => {
        guard.connect(target, (error, socket) => {
          resolve(error instanceof ConnectFailure ? error.reason : 'connected')
          socket?.destroy()
        })
      })
    expect(await connect()).toBe('connected')
    expect(await connect()).toBe('guard')
  })

  it('is checked once more where the socket ended up, before a byte is sent', async () => {
    const guard: Guard = guardOf({
      allowedCidrs: LOOPBACK,
      lookup: (host, options, found) => {
        resolvesTo('127.0.0.1')(host, options, found)
        guard.allow([])
      },
    })
    const target = { hostname: 'buyer.example', host: 'buyer.example', protocol: 'http:', port: String(port) }
    const failure = await new Promise((resolve) => guard.connect(target, (...ended) => resolve(ended[0])))
    expect(failure).toMatchObject({ reason: 'guard', message: expect.stringContaining('127.0.0.1') })
  })

  it('without an address fails as dns', async () => {
    const missing: LookupAll = (_host, _options, found) =>
      found(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), [])
    expect(await reach('buyer.invalid', { lookup: missing })).toBe('dns')
    expect(await reach('buyer.invalid', { lookup: (_host, _options, found) => found(null, []) })).toBe('dns')
  })
})

describe('a forbidden buyer', () => {
  it('gets neither a ping nor a post', async () => {
    const before = connections
    const wire = createBuyersWire({ clock: new HandClock(), allowedCidrs: [], lookup: resolvesTo('127.0.0.1') })
    for (const url of [`http://127.0.0.1:${port}`, `http://2130706433:${port}`, `http://buyer.example:${port}`]) {
      const contract = contractAt(url)
      expect(await pingOf(wire, contract)).toEqual({ kind: 'noBid', reason: 'ping_error:guard' })
      expect(await postOf(wire, contract).end).toEqual({ kind: 'notSent', reason: 'guard' })
    }
    await wire.close()
    expect(connections).toBe(before)
  })
})
