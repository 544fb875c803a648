/** Where a buyer's host may lie: literals in every spelling, resolved names, and the address that a socket ended up at. */
import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startMockBuyers } from '../bench/mock-buyer.ts'
import { ConnectFailure, createGuard, type Guard, type GuardOptions, type LookupAll } from '../buyers/guard.ts'
import { createBuyersWire } from '../buyers/wire.ts'
import { compileVersion } from '../rules/version.ts'
import { contractAt, HandClock, LOOPBACK, pingOf, postOf } from './buyers-kit.ts'
import { configWith } from './delivery-kit.ts'

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

/** Each form by name, as a host that the socket layer is given. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['loopback', '127.0.0.1'],
  ['loopback with a trailing dot', '127.0.0.1.'],
  ['loopback, the last', '127.255.255.254'],
  ['two parts', '127.1'],
  ['three parts', '127.0.1'],
  ['decimal', '2130706433'],
  ['hexadecimal', '0x7f000001'],
  ['hexadecimal in two parts', '0x7f.1'],
  ['hexadecimal in four parts', '0x7f.0x0.0x0.0x1'],
  ['octal', '017700000001'],
  ['octal in four parts', '0177.0.0.1'],
  ['padded octal', '0000177.0.0.01'],
  ['the unspecified address', '0.0.0.0'],
  ['the unspecified address, short', '0'],
  ['this network', '0.1.2.3'],
  ['private 10/8', '10.0.0.1'],
  ['private 10/8, the last', '10.255.255.255'],
  ['private 172.16/12', '172.16.0.1'],
  ['private 172.16/12, the last', '172.31.255.255'],
  ['private 192.168/16', '192.168.1.1'],
  ['private 192.168/16, decimal', '3232235777'],
  ['link-local', '169.254.1.1'],
  ['metadata of AWS, Google and Azure', '169.254.169.254'],
  ['the same, hexadecimal', '0xa9fea9fe'],
  ['the same, octal', '0251.0376.0251.0376'],
  ['metadata of Alibaba', '100.100.100.200'],
  ['metadata of Oracle', '192.0.0.192'],
  ['wire server of Azure', '168.63.129.16'],
  ['CGNAT', '100.64.0.1'],
  ['CGNAT, the last', '100.127.255.255'],
  ['6to4 relay', '192.88.99.1'],
  ['AS112', '192.31.196.1'],
  ['documentation 1', '192.0.2.1'],
  ['documentation 2', '198.51.100.1'],
  ['documentation 3', '203.0.113.9'],
  ['benchmarks', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['IPv6 loopback', '::1'],
  ['IPv6 loopback in brackets', '[::1]'],
  ['IPv6 loopback in full', '0:0:0:0:0:0:0:1'],
  ['IPv6 unspecified', '::'],
  ['mapped loopback', '::ffff:127.0.0.1'],
  ['mapped loopback, hexadecimal', '[::ffff:7f00:1]'],
  ['mapped private', '::ffff:10.0.0.1'],
  ['mapped public', '::ffff:8.8.8.8'],
  ['translated (RFC 6145)', '::ffff:0:127.0.0.1'],
  ['compatible', '::127.0.0.1'],
  ['compatible, hexadecimal', '::7f00:1'],
  ['IPv6 link-local', 'fe80::1'],
  ['IPv6 link-local with a zone', 'fe80::1%eth0'],
  ['ISATAP', 'fe80::5efe:7f00:1'],
  ['site-local', 'fec0::1'],
  ['ULA', 'fc00::1'],
  ['metadata of AWS by IPv6', 'fd00:ec2::254'],
  ['metadata of Google by IPv6', 'fd20:ce::254'],
  ['NAT64 of loopback', '64:ff9b::7f00:1'],
  ['NAT64 of a public address', '64:ff9b::808:808'],
  ['NAT64, local prefix', '64:ff9b:1::7f00:1'],
  ['6to4 of loopback', '2002:7f00:1::'],
  ['6to4 of a public address', '2002:808:808::1'],
  ['Teredo', '2001:0:7f00:1::'],
  ['ORCHID', '2001:20::1'],
  ['IPv6 documentation', '2001:db8::1'],
  ['IPv6 documentation, the new', '3fff::1'],
  ['IPv6 benchmarks', '2001:2::1'],
  ['IPv6 multicast', 'ff02::1'],
  ['discard', '100::1'],
  ['segment routing', '5f00::1'],
  ['not given out', '4000::1'],
]

/** As somebody may write them into a configuration: the parser of URLs turns each into an address. */
const SPELLINGS: readonly (readonly [string, string])[] = [
  ['plain', 'http://127.0.0.1:PORT/'],
  ['trailing dot', 'http://127.0.0.1.:PORT/'],
  ['decimal', 'http://2130706433:PORT/'],
  ['mixed bases', 'http://0x7f.0.0.01:PORT/'],
  ['full-width digits', 'http://１２７．０．０．１:PORT/'],
  ['circled digits', 'http://①②⑦.⓪.⓪.①:PORT/'],
  ['full-width hexadecimal', 'http://０ｘ７ｆ.1:PORT/'],
  ['ideographic full stops', 'http://127。0。0。1:PORT/'],
  ['percent-encoded digits', 'http://%31%32%37.0.0.1:PORT/'],
  ['a name as user', 'http://buyer.example@127.0.0.1:PORT/'],
  ['a name and port as user and password', 'http://buyer.example:80@127.0.0.1:PORT/'],
  ['a backslash before the name', 'http://127.0.0.1:PORT\\@buyer.example/'],
  ['a fragment before the name', 'http://127.0.0.1:PORT#@buyer.example/'],
  ['a tab within', 'http://127.0.\t0.1:PORT/'],
  ['no slashes', 'http:127.0.0.1:PORT/'],
  ['too many slashes', 'http:////127.0.0.1:PORT/'],
  ['mapped', 'http://[::ffff:127.0.0.1]:PORT/'],
  ['localhost', 'http://localhost:PORT/'],
  ['localhost in capitals with a dot', 'http://LOCALHOST.:PORT/'],
  ['localhost in circled letters', 'http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:PORT/'],
  ['a name under localhost', 'http://buyer.localhost:PORT/'],
  ['metadata', 'http://169.254.169.254/latest/meta-data/'],
]

describe('a literal host', () => {
  it.each(FORBIDDEN)('%s (%s) is refused before anything is sent', async (_, host) => {
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

describe('an address in a configuration', () => {
  const faultsOf = (url: string, allowed: readonly string[] = []) => {
    const compiled = compileVersion(configAt(url, allowed), 1)
    return compiled.ok ? [] : compiled.faults.map(({ path, message }) => `${path} ${message}`)
  }
  const atPort = (url: string) => url.replace('PORT', String(port))

  it.each(SPELLINGS)('%s is a fault', (_, url) => {
    const faults = faultsOf(atPort(url))
    expect(faults.join('\n')).toMatch(/^contracts\.acme\.delivery\.post_url leads to .*, where buyers may not be/m)
  })

  it.each(SPELLINGS)('%s is refused by the wire, whatever a configuration let pass', async (_, url) => {
    const before = connections
    const wire = createBuyersWire({ clock: new HandClock(), allowedCidrs: [] })
    const contract = contractAt('', { delivery: { pingUrl: atPort(url), postUrl: atPort(url) } })
    expect(await pingOf(wire, contract)).toMatchObject({ reason: expect.stringMatching(/^ping_error:(?:guard|dns)$/) })
    expect(await postOf(wire, contract).end).toMatchObject({
      kind: 'notSent',
      reason: expect.stringMatching(/^guard|dns$/),
    })
    await wire.close()
    expect(connections).toBe(before)
  })

  it('is no fault where its range is listed, or where it is public', () => {
    expect(faultsOf('http://127.0.0.1/', LOOPBACK)).toEqual([])
    expect(faultsOf('http://localhost/', LOOPBACK)).toEqual([])
    expect(faultsOf('https://8.8.8.8/')).toEqual([])
    expect(faultsOf('https://buyer.example/')).toEqual([])
  })
})

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('%i into the house is not followed', async (status) => {
    const before = connections
    const headers = { location: `http://127.0.0.1:${port}/` }
    const sly = await startMockBuyers({ script: () => ({ how: 'reply', afterMs: 0, status, headers, body: '' }) })
    const wire = createBuyersWire({ clock: new HandClock(), allowedCidrs: LOOPBACK })
    expect(await pingOf(wire, contractAt(sly.url))).toEqual({ kind: 'noBid', reason: `http_${status}` })
    expect(await postOf(wire, contractAt(sly.url)).end).toEqual({ kind: 'rejected', reason: `http_${status}` })
    await wire.close()
    await sly.close()
    expect(connections).toBe(before)
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

const configAt = (url: string, allowed: readonly string[]) => ({
  ...configWith({ ping_url: undefined, post_url: url }, { price: '10.00' }),
  network: { allowed_cidrs: allowed },
})
