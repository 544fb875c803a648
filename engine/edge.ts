/** The data plane's HTTP: the only importer of uWebSockets.js, owner of its rules on aborts, corks and borrowed memory. */

import * as uWS from 'uWebSockets.js'
import { STATUS_CODES } from 'node:http'
import type { Clock } from '../buyers/wire.ts'
import { type Ms, ms } from '../rules/units.ts'
import { MAX_BODY_BYTES } from './bounds.ts'
import { listenFault, probePort } from './listening.ts'
import * as problem from './problem.ts'

interface RouteShape {
  readonly name: string
  /** `any`: whatever comes, for operations that tell methods apart themselves. */
  readonly method: 'get' | 'post' | 'any'
  readonly path: string
  /** A GET that does something: it has no HEAD beside it. */
  readonly acts?: true
}

/** Every address of the data plane; `:name` stands for one path segment. */
const ROUTES = [
  { name: 'postLead', method: 'post', path: '/v1/campaigns/:campaign/leads' },
  { name: 'getLead', method: 'get', path: '/v1/campaigns/:campaign/leads', acts: true },
  { name: 'form', method: 'post', path: '/v1/campaigns/:campaign/form' },
  { name: 'googleLead', method: 'post', path: '/v1/hooks/google/:campaign' },
  { name: 'metaChallenge', method: 'get', path: '/v1/hooks/meta/:source/:campaign' },
  { name: 'metaLeads', method: 'post', path: '/v1/hooks/meta/:source/:campaign' },
  { name: 'ping', method: 'post', path: '/v1/campaigns/:campaign/pings' },
  { name: 'postOffered', method: 'post', path: '/v1/pings/:ping/lead' },
  { name: 'dialect', method: 'post', path: '/v1/dialects/:dialect/:campaign/:call' },
  { name: 'dialect', method: 'get', path: '/v1/dialects/:dialect/:campaign/:call', acts: true },
  { name: 'spec', method: 'get', path: '/v1/campaigns/:campaign/spec' },
  { name: 'readLead', method: 'get', path: '/v1/leads/:lead' },
  { name: 'follow', method: 'get', path: '/r/:token' },
  { name: 'callback', method: 'post', path: '/v1/callbacks/:token' },
  { name: 'portal', method: 'any', path: '/v1/buyer/*' },
  { name: 'portal', method: 'any', path: '/v1/source/*' },
  { name: 'portal', method: 'any', path: '/v1/openapi.json' },
  { name: 'alive', method: 'get', path: '/healthz' },
  { name: 'ready', method: 'get', path: '/readyz' },
] as const satisfies readonly RouteShape[]

type Route = (typeof ROUTES)[number]
const acts = (route: RouteShape): boolean => route.acts === true
/** What the handler is asked for; `alive` and `ready` are answered here. */
export type RouteName = Exclude<Route['name'], 'alive' | 'ready'>

export interface EdgeRequest {
  readonly route: RouteName
  readonly method: Route['method']
  /** Segments that stand for names in the route's path, decoded, in order. */
  readonly params: readonly string[]
  readonly query: { get(name: string): string | null }
  /** Of the portal alone: the request as its operations look for it; the query without its question mark. */
  readonly asked: { readonly method: string; readonly path: string; readonly query: string } | null
  /** Empty where the header is absent. */
  readonly contentType: string
  readonly headers: {
    readonly authorization: string | null
    readonly apiKey: string | null
    readonly idempotencyKey: string | null
    /** These are read where their route looks at them. */
    readonly accept: string | null
    readonly host: string | null
    readonly forwardedProto: string | null
    readonly forwardedFor: string | null
    readonly userAgent: string | null
    readonly referer: string | null
    readonly hubSignature: string | null
    /** Of a callback alone: `webhook-id`, `webhook-timestamp`, `webhook-signature`, empty where one is absent. */
    readonly webhook: readonly [id: string, timestamp: string, signature: string] | null
  }
  /** Empty where the method has none. The handler may keep it. */
  readonly body: Buffer
  readonly remoteAddress: string
  /** When the headers were here, and when the whole body was; monotonic. */
  readonly beganAt: Ms
  readonly receivedAt: Ms
}

/** Content type is JSON where no header says otherwise. Header names are in lower case. */
export interface EdgeReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/** May answer at any later time; a client that hung up meanwhile changes nothing. A throw is a bug: it is reported and answered with 500. */
export type EdgeHandler = (request: EdgeRequest) => EdgeReply | Promise<EdgeReply>

export interface EdgeOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** True where several processes share the port (SO_REUSEPORT). */
  readonly shared: boolean
  readonly clock: Clock
  readonly handler: EdgeHandler
  /** False: bodies are refused unread with 503 `not ready`. */
  readonly ready: () => boolean
  /** True: bodies are refused unread with 503 `overloaded`. */
  readonly overloaded: () => boolean
  /** Every answer: its status, and how long it took since the request's headers. */
  readonly answered: (status: number, took: Ms) => void
  readonly fault: (error: unknown) => void
  readonly maxConnections?: number
}

export interface Edge {
  readonly port: number
  /** Requests whose answer is still to come. */
  pending(): number
  connections(): number
  /** Takes no more connections; open ones end with their next answer. */
  stopListening(): void
  /** Resolves when no request is pending. */
  drained(): Promise<void>
  /** Cuts every connection. */
  close(): void
}

/** One socket is a file and some kilobytes; beyond this, new ones are closed at once. */
const MAX_CONNECTIONS = 16_384
/** Memory of all bodies that are still arriving. */
const MAX_ARRIVING_BYTES = 64 * 1024 * 1024
/** An answer may overtake this much unread body without asking for the connection's end. */
const MAX_SKIPPED_BYTES = 1024 * 1024

/** What the library has beyond its own types. */
interface Untyped {
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number
  _cfg(setting: string): void
}
interface UntypedApp {
  listen(host: string, port: number, flags: number, heard: (socket: uWS.us_listen_socket | false) => void): void
}
const native = uWS as unknown as Untyped
/** Answers without a header that names the library and its version. */
native._cfg('silent')

/** Rejects with words for the operator where the port cannot be had. */
export async function createEdge(options: EdgeOptions): Promise<Edge> {
  const state: EdgeState = { options, pending: 0, connections: 0, arriving: 0, closing: false, drained: [] }
  const app = uWS.App()
  boundConnections(app, state)
  for (const path of new Set(ROUTES.map((route) => route.path))) addPath(app, state, path)
  app.any('/*', (res, req) => new Exchange(state, res, isHead(req)).send(problem.noSuchPath()))
  const socket = await listen(app, options)
  return {
    port: uWS.us_socket_local_port(socket as uWS.us_socket),
    pending: () => state.pending,
    connections: () => state.connections,
    stopListening: () => {
      if (!state.closing) uWS.us_listen_socket_close(socket)
      state.closing = true
    },
    drained: () =>
      state.pending === 0 ? Promise.resolve() : new Promise((resolve) => void state.drained.push(resolve)),
    close: () => {
      state.closing = true
      app.close()
    },
  }
}

interface EdgeState {
  readonly options: EdgeOptions
  pending: number
  connections: number
  arriving: number
  closing: boolean
  drained: (() => void)[]
}

function boundConnections(app: uWS.TemplatedApp, state: EdgeState): void {
  const most = state.options.maxConnections ?? MAX_CONNECTIONS
  // biome-ignore lint/suspicious/useIterableCallbackReturn: the library's word for a listener, not an array's filter
  app.filter((res, change) => {
    state.connections += change
    if (change > 0 && state.connections > most) res.close()
  })
}

const isHead = (req: uWS.HttpRequest): boolean => req.getMethod() === 'head'

/** Binds what the path takes, HEAD beside GET, OPTIONS, and 405 for the rest. */
function addPath(app: uWS.TemplatedApp, state: EdgeState, path: Route['path']): void {
  const routes: readonly Route[] = ROUTES.filter((route) => route.path === path)
  const every = routes.find(({ method }) => method === 'any')
  if (every) return void app.any(path, (res, req) => new Exchange(state, res, isHead(req)).take(every, req))
  const methods = routes.flatMap((route) =>
    route.method === 'get' ? (acts(route) ? ['GET'] : ['GET', 'HEAD']) : ['POST'],
  )
  const allow = [...methods, 'OPTIONS'].join(', ')
  for (const route of routes) {
    app[route.method](path, (res, req) => new Exchange(state, res, false).take(route, req))
    if (route.method === 'get' && !acts(route))
      app.head(path, (res, req) => new Exchange(state, res, true).take(route, req))
  }
  app.options(path, (res) => new Exchange(state, res, false).send({ status: 204, headers: { allow }, body: '' }))
  app.any(path, (res, req) => new Exchange(state, res, isHead(req)).send(problem.methodNotAllowed(allow)))
}

async function listen(app: uWS.TemplatedApp, options: EdgeOptions): Promise<uWS.us_listen_socket> {
  const { host, port, shared } = options
  const flags = shared ? 0 : native.LIBUS_LISTEN_EXCLUSIVE_PORT
  const socket = await new Promise<uWS.us_listen_socket | false>((resolve) =>
    (app as unknown as UntypedApp).listen(host, port, flags, resolve),
  )
  // The library says only that it failed; the same bind through node says why.
  if (socket === false) throw (await probePort(host, port)) ?? listenFault(host, port, undefined)
  return socket
}

/** As the library spells them. */
const BODILESS: ReadonlySet<string> = new Set(['get', 'head', 'delete', 'options'])

const ALIVE: EdgeReply = { status: 200, body: '{"status":"alive"}' }
const READY: EdgeReply = { status: 200, body: '{"status":"ready"}' }
/** As nginx counts them: the client hung up before its answer. */
const HUNG_UP = 499

/** One request and its answer. Once the client hung up or was answered, the library's response must not be touched: `#gone`. */
class Exchange {
  readonly #state: EdgeState
  readonly #res: uWS.HttpResponse
  readonly #head: boolean
  readonly #beganAt: Ms
  #gone = false
  #body: ArrivingBody | null = null

  constructor(state: EdgeState, res: uWS.HttpResponse, head: boolean) {
    this.#state = state
    this.#res = res
    this.#head = head
    this.#beganAt = state.options.clock.mono()
    // First of all: a request that is left without this listener ends the process.
    res.onAborted(() => this.#hungUp())
  }

  take(route: Route, req: uWS.HttpRequest): void {
    const { ready } = this.#state.options
    if (route.name === 'alive') return this.send(ALIVE)
    if (route.name === 'ready') return this.send(ready() ? READY : problem.notReady())
    const bodied = route.method === 'post' || (route.method === 'any' && !BODILESS.has(req.getMethod()))
    const expected = bodied ? Number(req.getHeader('content-length')) || 0 : 0
    const refusal = route.method === 'get' ? null : this.#refusedUnread(expected)
    if (refusal) return this.send(refusal, expected)
    const request = draftOf(route, this.#res, req, this.#beganAt)
    this.#state.pending++
    if (!bodied) return this.#handle(request)
    this.#body = new ArrivingBody(this.#state, expected)
    this.#res.onData((chunk, last) => this.#heard(request, chunk, last))
  }

  #refusedUnread(expected: number): problem.Refusal | null {
    const { ready, overloaded } = this.#state.options
    if (!ready()) return problem.notReady()
    if (overloaded()) return problem.overloaded()
    return expected > MAX_BODY_BYTES ? problem.tooLarge(MAX_BODY_BYTES) : null
  }

  /** A request whose body was whole goes on without its client. */
  #hungUp(): void {
    this.#gone = true
    this.#state.options.answered(HUNG_UP, this.#took())
    if (this.#body) this.#finished()
  }

  #heard(request: Draft, chunk: ArrayBuffer, last: boolean): void {
    if (this.#gone) return
    const said = this.#body!.take(chunk, last)
    if (said === 'too large') this.#refuse(problem.tooLarge(MAX_BODY_BYTES))
    else if (said === 'no room') this.#refuse(problem.overloaded())
    else if (last) {
      request.body = said
      request.receivedAt = this.#state.options.clock.mono()
      this.#handle(request)
    }
  }

  #refuse(refusal: problem.Refusal): void {
    // How much is still to come is unknown: the client is asked to end the connection.
    this.send(refusal, Number.POSITIVE_INFINITY)
    this.#finished()
  }

  #handle(request: EdgeRequest): void {
    this.#body?.drop()
    this.#body = null
    try {
      const reply = this.#state.options.handler(request)
      if (!(reply instanceof Promise)) this.#answer(reply)
      else reply.then((late) => this.#answer(late)).catch((error) => this.#failed(error))
    } catch (error) {
      this.#failed(error)
    }
  }

  #answer(reply: EdgeReply): void {
    this.send(reply)
    this.#finished()
  }

  #failed(error: unknown): void {
    this.#state.options.fault(error)
    this.#answer(problem.ourFault())
  }

  /** `unread`: bytes of body that may still come. They are skipped for up to ten seconds, so that the answer is not lost to a reset. */
  send(reply: EdgeReply, unread = 0): void {
    if (this.#gone) return
    this.#gone = true
    this.#res.cork(() => this.#write(reply, unread))
    this.#state.options.answered(reply.status, this.#took())
  }

  #write({ status, headers, body }: EdgeReply, unread: number): void {
    const res = this.#res
    const close = this.#state.closing && unread === 0
    res.writeStatus(STATUS_LINES[status] ?? String(status))
    if (!headers?.['content-type'] && body !== '') res.writeHeader('content-type', 'application/json')
    for (const name in headers) res.writeHeader(name, headers[name]!)
    if (unread > MAX_SKIPPED_BYTES) res.writeHeader('connection', 'close')
    if (!this.#head) return void res.end(body, close)
    // With any argument the library would add a length of its own, or wait for that many bytes.
    res.writeHeader('content-length', String(Buffer.byteLength(body))).endWithoutBody()
  }

  #took(): Ms {
    return ms(this.#state.options.clock.mono() - this.#beganAt)
  }

  #finished(): void {
    const state = this.#state
    this.#body?.drop()
    this.#body = null
    state.pending--
    if (state.pending === 0) for (const wake of state.drained.splice(0)) wake()
  }
}

/** A body on its way. Pieces are copied at once: the library takes its memory back. */
class ArrivingBody {
  readonly #state: EdgeState
  readonly #expected: number
  #buffer = NO_BYTES
  #size = 0

  constructor(state: EdgeState, expected: number) {
    this.#state = state
    this.#expected = expected
  }

  /** The body so far, or why there is no room for it. */
  take(chunk: ArrayBuffer, last: boolean): Buffer | 'too large' | 'no room' {
    const size = this.#size + chunk.byteLength
    if (size > MAX_BODY_BYTES) return 'too large'
    if (last && this.#size === 0) return Buffer.from(new Uint8Array(chunk))
    if (size > this.#buffer.length && !this.#grow(size)) return 'no room'
    this.#buffer.set(new Uint8Array(chunk), this.#size)
    this.#size = size
    return this.#buffer.subarray(0, size)
  }

  #grow(size: number): boolean {
    const had = this.#buffer.length
    const length = Math.min(MAX_BODY_BYTES, Math.max(size, this.#expected, 2 * had))
    if (this.#state.arriving + length - had > MAX_ARRIVING_BYTES) return false
    this.#state.arriving += length - had
    const grown = Buffer.allocUnsafe(length)
    grown.set(this.#buffer.subarray(0, this.#size))
    this.#buffer = grown
    return true
  }

  drop(): void {
    this.#state.arriving -= this.#buffer.length
    this.#buffer = NO_BYTES
  }
}

const NO_BYTES = Buffer.alloc(0)
const NO_QUERY = new URLSearchParams()

type Draft = { -readonly [K in keyof EdgeRequest]: EdgeRequest[K] }

/** All that is needed of the library's request: it is gone when its callback returns. */
function draftOf(route: Route, res: uWS.HttpResponse, req: uWS.HttpRequest, beganAt: Ms): Draft {
  const query = req.getQuery()
  const told = route.name !== 'postLead' && route.name !== 'ping' && route.name !== 'postOffered'
  const more = (name: string): string | null => (told && req.getHeader(name)) || null
  return {
    route: route.name as RouteName,
    method: route.method,
    params: paramsOf(route, req),
    query: query ? new URLSearchParams(query) : NO_QUERY,
    asked: route.name === 'portal' ? { method: req.getMethod().toUpperCase(), path: req.getUrl(), query } : null,
    contentType: req.getHeader('content-type'),
    headers: {
      authorization: req.getHeader('authorization') || null,
      apiKey: req.getHeader('x-api-key') || null,
      idempotencyKey: req.getHeader('idempotency-key') || null,
      accept: more('accept'),
      host: more('host'),
      forwardedProto: more('x-forwarded-proto'),
      forwardedFor: more('x-forwarded-for'),
      userAgent: more('user-agent'),
      referer: more('referer'),
      hubSignature: more('x-hub-signature-256'),
      webhook: route.name === 'callback' ? webhookOf(req) : null,
    },
    body: NO_BYTES,
    remoteAddress: Buffer.from(res.getRemoteAddressAsText()).toString('latin1'),
    beganAt,
    receivedAt: beganAt,
  }
}

function paramsOf({ path }: Route, req: uWS.HttpRequest): string[] {
  const params = [decoded(req.getParameter(0) ?? '')]
  for (let at = 1, next = path.indexOf(':', path.indexOf(':') + 1); next > 0; at++, next = path.indexOf(':', next + 1))
    params.push(decoded(req.getParameter(at) ?? ''))
  return params
}

const webhookOf = (req: uWS.HttpRequest) =>
  [req.getHeader('webhook-id'), req.getHeader('webhook-timestamp'), req.getHeader('webhook-signature')] as const

/** A segment whose escapes are broken is taken as it stands: it names nothing. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const STATUS_LINES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(STATUS_CODES).map(([code, words]) => [code, `${code} ${words}`]),
)
