/** Scripted buyers as one small HTTP/1.1 server: many buyers by path, each with a temper, and a record of every post. */
import fs from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import { type BuyerConfig, Buyers, type MockAction, type MockRequest, type Script } from './mock-temper.ts'

export type { BuyerConfig, MockAction, MockRequest, Script } from './mock-temper.ts'

export interface MockOptions {
  /** 127.0.0.1 where absent. */
  readonly host?: string
  /** 0 (default): any free one. */
  readonly port?: number
  /** PEM: speaks TLS with it. */
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly seed?: number
  /** By the first segment of the path: `/acme/ping`, `/acme/post`; a check's service is `/fraud/check`. `*` stands for everybody who is not listed. */
  readonly buyers?: Readonly<Record<string, BuyerConfig>>
  /** File that takes one JSON line per post received, written before the reply leaves. */
  readonly record?: string
  /** Asked first for every request; undefined leaves it to the buyer's temper. */
  readonly script?: Script
  /** Told of every request and what was decided. */
  readonly heard?: (request: MockRequest, action: MockAction) => void
  /** Keeps every request in `requests`, for tests. */
  readonly keep?: boolean
}

export interface MockBuyers {
  readonly url: string
  readonly port: number
  /** In the order of their arrival; empty unless `keep`. */
  readonly requests: readonly MockRequest[]
  /** Pings and posts received. */
  readonly counts: { readonly ping: number; readonly post: number }
  openSockets(): number
  /** Bytes that all connections together were given so far. */
  bytesWritten(): number
  /** Cuts every connection and stops listening. */
  close(): Promise<void>
}

const MAX_REQUEST_BYTES = 1024 * 1024
const HEAD_END = '\r\n\r\n'
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i

/** Starts listening. Rejects where the port is taken. */
export async function startMockBuyers(options: MockOptions = {}): Promise<MockBuyers> {
  const buyers = new Buyers(options.buyers ?? { '*': {} }, options.seed ?? 1, options.script)
  const record = options.record === undefined ? null : fs.openSync(options.record, 'a', 0o600)
  const sockets = new Set<net.Socket>()
  const requests: MockRequest[] = []
  let writtenBefore = 0
  const serve = (socket: net.Socket, request: MockRequest): void => {
    if (options.keep) requests.push(request)
    const action = buyers.decide(request)
    options.heard?.(request, action)
    if (record !== null && request.kind === 'post') fs.writeSync(record, recordLine(request, action))
    act(socket, action)
  }
  const taken = (socket: net.Socket): void => {
    sockets.add(socket)
    socket.on('close', () => {
      sockets.delete(socket)
      writtenBefore += socket.bytesWritten
    })
    // A peer that hangs up is part of the play.
    socket.on('error', () => socket.destroy())
    socket.on('data', requestReader(socket, serve))
  }
  const server = serverOf(options, taken)
  const host = options.host ?? '127.0.0.1'
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen({ port: options.port ?? 0, host, backlog: 2048 }, listening)
  })
  const { port } = server.address() as net.AddressInfo
  return {
    url: `${options.tls ? 'https' : 'http'}://${host}:${port}`,
    port,
    requests,
    counts: buyers.counts,
    openSockets: () => sockets.size,
    bytesWritten: () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, writtenBefore),
    close: async () => {
      const closed = new Promise((done) => server.close(done))
      for (const socket of sockets) socket.destroy()
      await closed
      if (record !== null) fs.closeSync(record)
    },
  }
}

function serverOf({ tls: pem }: MockOptions, taken: (socket: net.Socket) => void): net.Server {
  if (pem === undefined) return net.createServer({ noDelay: true }, taken)
  const server = tls.createServer({ ...pem, noDelay: true }, taken)
  server.on('tlsClientError', (_, socket) => socket.destroy())
  return server
}

/** Over TLS a socket cannot be reset, only cut. */
function reset(socket: net.Socket): void {
  if (socket instanceof tls.TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}

/** Collects what a socket sends and hands on whole requests, one after the other: a client that pipelines is out of scope. */
function requestReader(socket: net.Socket, serve: (socket: net.Socket, request: MockRequest) => void) {
  let held: Buffer | null = null
  return (chunk: Buffer): void => {
    const data = held === null ? chunk : Buffer.concat([held, chunk])
    const headLength = data.indexOf(HEAD_END)
    if (headLength < 0) {
      held = keepOrCut(socket, data)
      return
    }
    const head = data.toString('latin1', 0, headLength)
    const length = Number(CONTENT_LENGTH.exec(head)?.[1] ?? 0)
    const end = headLength + HEAD_END.length + length
    if (data.length < end) {
      held = keepOrCut(socket, data)
      return
    }
    held = null
    serve(socket, readRequest(head, data.subarray(headLength + HEAD_END.length, end)))
  }
}

function keepOrCut(socket: net.Socket, data: Buffer): Buffer | null {
  if (data.length <= MAX_REQUEST_BYTES) return data
  socket.destroy()
  return null
}

function readRequest(head: string, body: Buffer): MockRequest {
  const pathStart = head.indexOf(' ') + 1
  const path = head.slice(pathStart, head.indexOf(' ', pathStart))
  const slash = path.indexOf('/', 1)
  return {
    at: performance.timeOrigin + performance.now(),
    path,
    buyer: slash < 0 ? path.slice(1) : path.slice(1, slash),
    kind:
      slash < 0
        ? 'post'
        : path.startsWith('/ping', slash)
          ? 'ping'
          : path.startsWith('/check', slash)
            ? 'check'
            : 'post',
    head,
    body,
  }
}

/** Value of a header of a request, or ''. */
export function headerOf(request: MockRequest, name: string): string {
  const start = request.head.toLowerCase().indexOf(`\r\n${name}:`)
  if (start < 0) return ''
  const from = start + name.length + 3
  const end = request.head.indexOf('\r\n', from)
  return request.head.slice(from, end < 0 ? undefined : end).trim()
}

/** The body as a JSON object; empty where it is none. */
export function jsonOf(request: MockRequest): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(request.body.toString('utf8')) as Record<string, unknown>
  } catch {
    return {}
  }
}

function recordLine(request: MockRequest, action: MockAction): string {
  const body = jsonOf(request)
  return `${JSON.stringify({
    at: request.at,
    buyer: request.buyer,
    lead_id: body['lead_id'] ?? null,
    contract: body['contract'] ?? null,
    key: headerOf(request, 'idempotency-key'),
    price: body['price'] ?? null,
    answer: action.verdict ?? 'none',
    buyer_reference: action.reference ?? null,
    how: action.how,
    repeat: action.repeat ?? false,
  })}\n`
}

function act(socket: net.Socket, action: MockAction): void {
  if (action.afterMs === 0) perform(socket, action)
  else setTimeout(perform, action.afterMs, socket, action)
}

function perform(socket: net.Socket, action: MockAction): void {
  if (socket.destroyed) return
  switch (action.how) {
    case 'reply':
      socket.write(response(action.status ?? 200, action.body ?? '', action.headers))
      return
    case 'raw':
      socket.end(action.body ?? '', 'latin1')
      return
    case 'never':
      return
    case 'reset':
      reset(socket)
      return
    case 'half':
      halve(socket, action)
      return
    case 'reset_after_head':
      socket.write(headOf(plainText(action)), () => reset(socket))
      return
    case 'drip':
      drip(socket, plainText(action), headOf(plainText(action)).length, action.everyMs ?? 200)
      return
    case 'drip_head':
      drip(socket, plainText(action), 0, action.everyMs ?? 200)
      return
    case 'flood':
      flood(socket, action)
      return
    default:
      action.how satisfies never
  }
}

const REPLY_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: '

function response(status: number, body: string, headers?: Readonly<Record<string, string>>): string {
  const length = Buffer.byteLength(body)
  if (status === 200 && headers === undefined) return `${REPLY_HEAD}${length}\r\n\r\n${body}`
  const all = { 'content-type': 'application/json', ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  const bodyless = status === 204 || status === 304
  return `HTTP/1.1 ${status} X\r\n${lines.join('')}${bodyless ? '' : `content-length: ${length}\r\n`}\r\n${body}`
}

const plainText = (action: MockAction): string => response(action.status ?? 200, action.body ?? '', action.headers)

const headOf = (text: string): string => text.slice(0, text.indexOf(HEAD_END) + HEAD_END.length)

function halve(socket: net.Socket, action: MockAction): void {
  const whole = plainText(action)
  const head = headOf(whole).length
  socket.write(whole.slice(0, head + Math.floor((whole.length - head) / 2)), () => socket.destroy())
}

/** Sends so many characters at once, and the rest one by one. */
function drip(socket: net.Socket, text: string, atOnce: number, everyMs: number): void {
  let sent = atOnce
  if (atOnce > 0) socket.write(text.slice(0, atOnce))
  const timer = setInterval(() => {
    socket.write(text.charAt(sent++))
    if (sent >= text.length) clearInterval(timer)
  }, everyMs)
  socket.once('close', () => clearInterval(timer))
}

/** As fast as the peer takes it, and no faster: what waits here is one piece. */
function flood(socket: net.Socket, { body = '', flood }: MockAction): void {
  const piece = Buffer.from(flood?.piece ?? '')
  let left = flood?.bytes ?? 0
  const pump = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', pump)
  socket.write(body)
  pump()
}
