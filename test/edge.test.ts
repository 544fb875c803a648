/** The data plane's HTTP over real sockets: limits, hang-ups, late answers, random bytes. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { readBody } from '../engine/bodies.ts'
import { MAX_BODY_BYTES } from '../engine/bounds.ts'
import { systemClock } from '../engine/clock.ts'
import { createEdge, type Edge, type EdgeHandler, type EdgeOptions, type EdgeRequest } from '../engine/edge.ts'
import { fuzzRuns, fuzzSeed } from './fuzz.ts'

const edges: Edge[] = []
afterEach(() => {
  for (const edge of edges.splice(0)) {
    edge.stopListening()
    edge.close()
  }
})

const OK = { status: 200, body: '{"status":"unsold"}' }

async function start(handler: EdgeHandler, more: Partial<EdgeOptions> = {}) {
  const seen = { statuses: [] as number[], faults: [] as unknown[] }
  const edge = await createEdge({
    host: '127.0.0.1',
    port: 0,
    shared: false,
    clock: systemClock(),
    handler,
    ready: () => true,
    overloaded: () => false,
    answered: (status) => seen.statuses.push(status),
    fault: (error) => seen.faults.push(error),
    ...more,
  })
  edges.push(edge)
  return { edge, ...seen, url: `http://127.0.0.1:${edge.port}` }
}

/** A plain socket that remembers what it heard and lets a test wait for it. */
class Wire {
  readonly socket: Socket
  heard = ''
  closed = false
  #wake: () => void = () => {}

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (data) => {
      this.heard += data
      this.#wake()
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  write(text: string | Uint8Array): this {
    this.socket.write(text)
    return this
  }

  async until(enough: (wire: Wire) => boolean): Promise<this> {
    while (!enough(this)) await new Promise<void>((resolve) => (this.#wake = resolve))
    return this
  }

  async says(text: string): Promise<this> {
    return this.until(({ heard, closed }) => {
      if (closed && !heard.includes(text)) throw new Error(`closed after "${heard}"`)
      return heard.includes(text)
    })
  }
}

const post = (path: string, body: string, more = '') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${more}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const LEADS = '/v1/campaigns/solar/leads'
const PINGS = '/v1/campaigns/solar/pings'
const headersOf = (length: number) => `POST ${LEADS} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`

describe('the library', () => {
  it('runs under Node 22 with the binary that was tried', () => {
    expect(process.version).toMatch(/^v22\./)
    if (process.platform !== 'linux' || process.arch !== 'x64') return
    const file = new URL('../node_modules/uWebSockets.js/dist/bin/uws_linux_x64_127.node', import.meta.url)
    expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(
      '8cabc918bbf9a07323e54f89a33882491080b2eb35df0607f473ccdb1f3c31af',
    )
  })
})

describe('requests', () => {
  it('hands over what a callback is signed with, and of nothing else', async () => {
    const got: unknown[] = []
    const { url } = await start(({ route, params, headers }) => {
      got.push([route, params, headers.webhook])
      return { status: 200, body: '{}' }
    })
    const headers = { 'webhook-id': 'a:b', 'webhook-timestamp': '7', 'webhook-signature': 'v1,x' }
    for (const path of ['/v1/callbacks/a:b', '/v1/campaigns/solar/leads'])
      await (await fetch(url + path, { method: 'POST', headers, body: '{}' })).text()
    await (await fetch(`${url}/v1/callbacks/a:b`, { method: 'POST', body: '{}' })).text()
    expect(got).toEqual([
      ['callback', ['a:b'], ['a:b', '7', 'v1,x']],
      ['postLead', ['solar'], null],
      ['callback', ['a:b'], ['', '', '']],
    ])
  })

  it('hands over what came, decoded and owned', async () => {
    let got: EdgeRequest | null = null
    const { url } = await start((request) => {
      got = request
      return { status: 200, headers: { 'x-test': 'yes' }, body: '{"a":"é"}' }
    })
    const reply = await fetch(`${url}/v1/campaigns/s%C3%B6lar/leads?mode=async&x=%26`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json; charset=utf-8',
        authorization: 'Bearer k',
        'x-api-key': 'k2',
        'idempotency-key': 'once',
      },
      body: '{"zip":"78701"}',
    })
    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('application/json')
    expect(reply.headers.get('x-test')).toBe('yes')
    expect(reply.headers.get('uwebsockets')).toBeNull()
    expect(await reply.text()).toBe('{"a":"é"}')
    expect(got).toMatchObject({
      route: 'postLead',
      params: ['sölar'],
      contentType: 'application/json; charset=utf-8',
      headers: { authorization: 'Bearer k', apiKey: 'k2', idempotencyKey: 'once' },
      remoteAddress: '127.0.0.1',
    })
    const request = got! as EdgeRequest
    expect(request.query.get('mode')).toBe('async')
    expect(request.query.get('x')).toBe('&')
    expect(request.query.get('y')).toBeNull()
    expect(request.body.toString()).toBe('{"zip":"78701"}')
    expect(request.receivedAt).toBeGreaterThanOrEqual(request.beganAt)
  })

  it('puts a body together from its pieces, plain and chunked', async () => {
    const bodies: string[] = []
    const { edge } = await start(({ body }) => {
      bodies.push(body.toString())
      return OK
    })
    const wire = new Wire(edge.port)
    await once(wire.socket, 'connect')
    wire.socket.setNoDelay(true)
    const whole = 'x'.repeat(40_000)
    wire.write(headersOf(whole.length))
    for (let at = 0; at < whole.length; at += 4_000) {
      wire.write(whole.slice(at, at + 4_000))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await wire.says('unsold')
    wire.heard = ''
    wire.write(`POST ${LEADS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`)
    await new Promise((resolve) => setImmediate(resolve))
    await wire.write('2\r\nde\r\n0\r\n\r\n').says('unsold')
    expect(bodies).toEqual([whole, 'abcde'])
    expect(edge.pending()).toBe(0)
  })

  it('answers what it has, and says what an address takes', async () => {
    const { url } = await start(({ params }) => ({ status: 200, body: JSON.stringify(params) }))
    const ask = async (method: string, path: string) => {
      const reply = await fetch(url + path, { method })
      const type = reply.headers.get('content-type')
      return { status: reply.status, allow: reply.headers.get('allow'), type, body: await reply.text() }
    }
    expect(await ask('GET', '/v1/leads/abc')).toMatchObject({ status: 200, body: '["abc"]' })
    expect(await ask('HEAD', '/v1/leads/abc')).toMatchObject({ status: 200, body: '' })
    expect(await ask('OPTIONS', PINGS)).toMatchObject({ status: 204, allow: 'POST, OPTIONS' })
    expect(await ask('GET', PINGS)).toMatchObject({ status: 405, allow: 'POST, OPTIONS' })
    expect(await ask('DELETE', '/v1/leads/abc')).toMatchObject({ status: 405, allow: 'GET, HEAD, OPTIONS' })
    expect(await ask('HEAD', LEADS)).toMatchObject({ status: 405, body: '' })
    for (const path of ['/', '/v1/campaigns/solar', '/v1/campaigns/solar/leads/', '/v1/campaigns//leads', '/%zz'])
      expect(await ask('POST', path), path).toMatchObject({ status: 404, type: 'application/problem+json' })
    expect(await ask('GET', '/v1/leads/%zz')).toMatchObject({ status: 200, body: '["%zz"]' })
  })

  it('answers HEAD as GET without the body, again and again on one connection', async () => {
    const { edge } = await start(() => OK)
    const wire = new Wire(edge.port)
    for (const path of ['/v1/leads/a', '/healthz', '/nowhere']) {
      wire.heard = ''
      await wire.write(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).says('\r\n\r\n')
      expect(wire.heard).toMatch(/content-length: [1-9]\d*\r\n/)
      expect(wire.heard).toMatch(/\r\n\r\n$/)
    }
    await wire.write(post(LEADS, '{}')).says('unsold')
  })

  it('tells whether it is alive and whether it is ready', async () => {
    let ready = true
    const { url } = await start(() => OK, { ready: () => ready })
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    ready = false
    const reply = await fetch(`${url}/readyz`)
    expect(reply.status).toBe(503)
    expect(reply.headers.get('retry-after')).toBe('5')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('goes on after a handler that fails, at once or later', async () => {
    let turn = 0
    const { url, faults } = await start(() => {
      if (turn++ === 0) throw new Error('at once')
      return Promise.reject(new Error('later'))
    })
    for (const fault of ['at once', 'later']) {
      const reply = await fetch(`${url}/v1/leads/a`)
      expect(reply.status).toBe(500)
      expect(await reply.json()).toMatchObject({ title: 'internal fault' })
      expect(String(faults.at(-1))).toContain(fault)
    }
  })
})

describe('refusals before the body is read', () => {
  it.each([
    ['not ready', { ready: () => false }, 503],
    ['overloaded', { overloaded: () => true }, 503],
  ])('%s: 503 with Retry-After, although the body never comes', async (title, more, status) => {
    const { edge } = await start(() => OK, more)
    const wire = await new Wire(edge.port).write(headersOf(10)).says('"title"')
    expect(wire.heard).toContain(`HTTP/1.1 ${status}`)
    expect(wire.heard).toContain(`"title":"${title}"`)
    expect(wire.heard).toMatch(/retry-after: \d/)
    expect(edge.pending()).toBe(0)
  })

  it('413 for a length over the limit, and the connection serves the next request', async () => {
    const { edge } = await start(() => OK)
    const wire = new Wire(edge.port).write(headersOf(MAX_BODY_BYTES + 1))
    await wire.says('body too large')
    wire.write('x'.repeat(MAX_BODY_BYTES + 1)).write(post(LEADS, '{}'))
    await wire.says('unsold')
  })

  it('takes a body of exactly the limit', async () => {
    let size = 0
    const { edge } = await start(({ body }) => {
      size = body.length
      return OK
    })
    await new Wire(edge.port).write(post(LEADS, 'x'.repeat(MAX_BODY_BYTES))).says('unsold')
    expect(size).toBe(MAX_BODY_BYTES)
  })

  it('413 for a chunked body as soon as it is over the limit', async () => {
    const { edge } = await start(() => OK)
    const piece = `4000\r\n${'x'.repeat(0x4000)}\r\n`
    const wire = new Wire(edge.port).write(`POST ${LEADS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`)
    await wire.write(piece.repeat(5)).says('body too large')
    expect(wire.heard).toContain('connection: close')
    await edge.drained()
    wire.write(`${piece.repeat(3)}0\r\n\r\n${post(LEADS, '{}')}`)
    await wire.says('unsold')
  })

  it('does not stop for five million brackets', async () => {
    const { edge } = await start((request) => {
      const read = readBody(request.contentType, request.body)
      return read.ok ? OK : read.refusal
    })
    const wire = new Wire(edge.port).write(post(LEADS, '['.repeat(5_000_000)))
    await wire.says('body too large')
    const startedAt = performance.now()
    await new Wire(edge.port).write(post(LEADS, '['.repeat(MAX_BODY_BYTES))).says('not valid JSON')
    expect(performance.now() - startedAt).toBeLessThan(500)
  })

  it('431 for more headers than the library reads', async () => {
    const { edge } = await start(() => OK)
    const wire = new Wire(edge.port).write(`GET /healthz HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(200)}\r\n`)
    await wire.until(({ closed }) => closed)
    expect(wire.heard).toContain('HTTP/1.1 431')
    await new Wire(edge.port).write(post(LEADS, '{}')).says('unsold')
  })
})

describe('clients that go', () => {
  it('forgets a body that breaks off', async () => {
    let calls = 0
    const { edge, statuses } = await start(() => {
      calls++
      return OK
    })
    const wire = new Wire(edge.port).write(`${headersOf(20_000)}{"a"`)
    await new Wire(edge.port).write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n').says('alive')
    expect(edge.pending()).toBe(1)
    wire.socket.resetAndDestroy()
    await edge.drained()
    expect(calls).toBe(0)
    expect(statuses).toEqual([200, 499])
  })

  it('carries a lead to its end when its client hangs up, and drops only the answer', async () => {
    let finish: (reply: typeof OK) => void = () => {}
    let began: () => void = () => {}
    const beginning = new Promise<void>((resolve) => (began = resolve))
    const { edge, statuses, faults } = await start(() => {
      began()
      return new Promise((resolve) => (finish = resolve))
    })
    const wire = new Wire(edge.port).write(post(LEADS, '{}'))
    await beginning
    wire.socket.resetAndDestroy()
    await until(() => statuses.includes(499))
    expect(edge.pending()).toBe(1)
    finish(OK)
    await edge.drained()
    expect(faults).toEqual([])
    await new Wire(edge.port).write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n').says('alive')
  })

  it('answers pipelined requests in turn, and ends a connection that does not wait for a pending one', async () => {
    const finish: (() => void)[] = []
    const { edge } = await start(({ body }) =>
      body.length > 2 ? new Promise((resolve) => finish.push(() => resolve(OK))) : OK,
    )
    const wire = new Wire(edge.port).write(post(LEADS, '{}').repeat(3))
    await wire.until(({ heard }) => heard.split('unsold').length === 4)
    const eager = new Wire(edge.port).write(post(LEADS, '{"a":1}').repeat(2))
    await eager.until(({ closed }) => closed)
    expect(finish).toHaveLength(1)
    finish[0]!()
    await edge.drained()
    await new Wire(edge.port).write(post(LEADS, '{}')).says('unsold')
  })

  it('closes connections beyond its bound', async () => {
    const { edge } = await start(() => OK, { maxConnections: 2 })
    const first = await new Wire(edge.port).write(post(LEADS, '{}')).says('unsold')
    await new Wire(edge.port).write(post(LEADS, '{}')).says('unsold')
    await new Wire(edge.port).write(post(LEADS, '{}')).until(({ closed }) => closed)
    expect(edge.connections()).toBe(2)
    first.socket.destroy()
    await until(() => edge.connections() === 1)
    await new Wire(edge.port).write(post(LEADS, '{}')).says('unsold')
  })
})

/** For what has no event: looks again on every turn of the loop. */
async function until(true_: () => boolean): Promise<void> {
  while (!true_()) await new Promise((resolve) => setImmediate(resolve))
}

/** Past the library's ten-second timer and its four-second ticks. `LATE_ANSWER_MS=35000` (or 90000) waits longer. */
const LATE_ANSWER_MS = Number(process.env['LATE_ANSWER_MS'] ?? 16_000)

describe('time', () => {
  /** `drips`: what comes every second after the first bytes. */
  const HELD_CONNECTIONS = {
    'a body that drips': { text: `${headersOf(1000)}{`, drips: 'x' },
    'a refused body that drips': { text: headersOf(MAX_BODY_BYTES + 1), drips: 'x' },
    'a head that never ends': { text: `POST ${LEADS} HTTP/1.1\r\nHost: x\r\n`, drips: '' },
    'a request without Host': { text: 'GET /healthz HTTP/1.1\r\n\r\n', drips: '' },
    silence: { text: '', drips: '' },
  }

  it('delivers a late answer, and ends connections that hold a place', {
    timeout: LATE_ANSWER_MS + 20_000,
  }, async () => {
    const { edge } = await start(() => new Promise((resolve) => setTimeout(() => resolve(OK), LATE_ANSWER_MS)))
    const late = [post(LEADS, '{}'), 'GET /v1/leads/a HTTP/1.1\r\nHost: x\r\n\r\n'].map((text) =>
      new Wire(edge.port).write(text).says('unsold'),
    )
    const held = Object.values(HELD_CONNECTIONS).map(async ({ text, drips }) => {
      const wire = new Wire(edge.port).write(text)
      const drip = setInterval(() => wire.write(drips), 1_000)
      await wire.until(({ closed }) => closed)
      clearInterval(drip)
      return performance.now()
    })
    const startedAt = performance.now()
    for (const end of await Promise.all(held)) expect(end - startedAt).toBeLessThan(15_000)
    for (const wire of await Promise.all(late)) expect(wire.heard).toContain('200 OK')
    await edge.drained()
  })
})

/** A free port that is then asked for by its number: the library shares no port that it chose itself. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

describe('ports', () => {
  it('refuses a port in use with words for the operator, and shares one on purpose', async () => {
    const { edge } = await start(() => OK)
    await expect(start(() => OK, { port: edge.port })).rejects.toThrow(
      `127.0.0.1:${edge.port} cannot be listened on: another program has this port. Stop it, or choose another port.`,
    )
    await expect(start(() => OK, { port: 18_080, host: '192.0.2.1' })).rejects.toThrow('does not have this address')
    const port = await freePort()
    await start(() => OK, { shared: true, port })
    await start(() => OK, { shared: true, port })
    await expect(start(() => OK, { port })).rejects.toThrow('another program has this port')
  })

  it('takes the same port again right after a connection was cut', async () => {
    const port = await freePort()
    const { edge } = await start(() => OK, { port })
    await new Wire(port).write(post(LEADS, '{}')).says('unsold')
    edge.stopListening()
    edge.close()
    await start(() => OK, { port })
    await new Wire(port).write(post(LEADS, '{}')).says('unsold')
  })

  it('stops: no new connection, answers still come, and open connections end with their next answer', async () => {
    let finish: (reply: typeof OK) => void = () => {}
    const { edge } = await start(() => new Promise((resolve) => (finish = resolve)))
    const wire = new Wire(edge.port).write(post(LEADS, '{}'))
    await until(() => edge.pending() === 1)
    edge.stopListening()
    edge.stopListening()
    await new Wire(edge.port).until(({ closed }) => closed)
    finish(OK)
    await wire.says('unsold')
    await wire.until(({ closed }) => closed)
    expect(wire.heard).toContain('Connection: close')
    await edge.drained()
  })
})

describe('whatever comes', () => {
  const METHODS = ['POST', 'GET', 'HEAD', 'OPTIONS', 'PUT', 'CONNECT', 'get', 'P\u0000ST']
  const sound = fc.constantFrom(
    post(LEADS, '{"zip":"78701","phone":"5125550100"}'),
    post('/v1/campaigns/%zz/leads?mode=async&%zz', 'a=1&b=%E9').replace('json', 'x-www-form-urlencoded'),
    post(LEADS, '<?xml version="1.0"?><l><a>1</a></l>').replace('json', 'xml'),
    post(LEADS, '{"later":1}'),
    `POST ${LEADS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n`,
    'GET /v1/leads/0197 HTTP/1.1\r\nHost: x\r\n\r\n',
    `${headersOf(70_000)}{}`,
    `${post(LEADS, '{}').replace('Host: x', 'Host: x\r\nExpect: 100-continue')}`,
  )
  const mutated = fc
    .record({
      text: sound,
      method: fc.constantFrom(...METHODS, ''),
      cuts: fc.array(fc.tuple(fc.nat(250), fc.nat(6), fc.string({ maxLength: 6, unit: 'binary' })), { maxLength: 3 }),
      times: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ text, method, cuts, times }) => {
      let made = method ? text.replace(/^\w+/, method) : text
      for (const [at, drop, put] of cuts) made = made.slice(0, at) + put + made.slice(at + drop)
      return Buffer.from(made.repeat(times), 'latin1')
    })
  const anything = fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 4, arbitrary: mutated },
  )

  const runs = fuzzRuns(20_000)
  const BATCH = 20_000

  it(`answers ${runs.toLocaleString('en')} random and broken requests without a 5xx`, {
    timeout: runs * 5,
  }, async () => {
    const { edge, statuses, faults, url } = await start((request) => {
      const read = readBody(request.contentType, request.body)
      if (!read.ok) return read.refusal
      return 'later' in read.fields ? new Promise((resolve) => setImmediate(resolve, OK)) : OK
    })
    const seed = fuzzSeed()
    const own: string[] = []
    for (let done = 0; done < runs; done += BATCH) {
      const strings = fc.sample(anything, { numRuns: Math.min(BATCH, runs - done), seed: seed + done })
      const workers = Array.from({ length: 64 }, async () => {
        for (let next = strings.pop(); next; next = strings.pop()) own.push(...(await brokenLines(edge.port, next)))
      })
      await Promise.all(workers)
    }
    await edge.drained()
    expect(faults, `seed ${seed}`).toEqual([])
    expect(Math.max(...new Set(statuses)), `seed ${seed}`).toBeLessThan(500)
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(500)
    // What is no HTTP/1.1 at all is refused by the library's parser, before any request exists.
    expect(own, `seed ${seed}`).toEqual([])
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  /** Sends the bytes, half-closes, and answers with those of the status lines that came back which blame the server. */
  async function brokenLines(port: number, bytes: Buffer): Promise<string[]> {
    const wire = new Wire(port)
    wire.socket.end(bytes)
    await wire.until(({ closed }) => closed)
    const lines = wire.heard.match(/^HTTP\/1\.1 .*$/gm) ?? []
    return lines.filter((line) => / 5\d\d /.test(line) && !line.includes(' 505 '))
  }
})

describe('a library as client', () => {
  it('keeps its connection over many requests', async () => {
    const { edge } = await start(() => Promise.resolve(OK))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let i = 0; i < 50; i++) {
      const request = httpRequest({ port: edge.port, host: '127.0.0.1', agent, method: 'POST', path: LEADS })
      request.end('{}')
      const [reply] = await once(request, 'response')
      reply.resume()
      await once(reply, 'end')
      expect(reply.statusCode).toBe(200)
    }
    expect(edge.connections()).toBe(1)
    agent.destroy()
  })
})
