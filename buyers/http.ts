/** Carries one request to a buyer over pooled HTTP/1.1 connections, and knows whether a byte of it left. */
import { type Dispatcher, Pool } from 'undici'
import { type Ms, ms } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { WireReply, WireRequest } from './adapter.ts'
import { decodeBody } from './charset.ts'
import { ConnectFailure, type ConnectReason, type Guard } from './guard.ts'
import type { Line, RequestKind } from './health.ts'
import { Pulse } from './pulse.ts'
import { leaves, Tape, tap, type Witness } from './tape.ts'
import type { Clock, Timer } from './wire.ts'

/** Bounds of one lane, which is the way to one origin for one kind of request. */
export interface LaneLimits {
  readonly connections: number
  /** Requests that may wait for a connection; one more is refused. */
  readonly queue: number
  readonly origins: number
}

/**
 * Why a request has no whole reply. Before a byte left: `refused` by its own `mayStart`, or no connection. After one left: `reset` before a status line, `truncated` behind it (or over the limit, or not HTTP).
 */
export type Failure = ConnectReason | 'refused' | 'reset' | 'truncated'

/** Why a request was not handed to a lane: its buyer is left alone, too many are under way, or the wire closes. */
export type Unsent = 'breaker' | 'full' | 'closed'

export const MAX_REPLY_BYTES = 256 * 1024
/** Shorter than what common servers keep (Node 5 s, balancers 60 s): a post on a socket that they close is a doubt. */
const KEEP_ALIVE_MS = 4_000
const KEEP_ALIVE_MAX_MS = 30_000
const KEEP_ALIVE_MARGIN_MS = 2_000
const SWEEP_MS = 1_000
const NEVER = ms(Number.POSITIVE_INFINITY)
const NO_HEADERS: WireReply['headers'] = {}
/** Thrown into undici from `onRequestStart`: it drops the request unwritten and keeps the connection. */
const REFUSED = new Error('the request may not leave any more')
const ABORTED = new Error('the exchange took too long')
/** Informational replies count as no byte of the reply, so they have a limit of their own. */
const MAX_HINTS = 16
const HINTS_FLOOD = new Error('informational replies without an end')

/** One request and its reply. undici calls `onRequestStart` in the very turn in which it writes the request to a live socket. */
export abstract class Exchange implements Dispatcher.DispatchHandler {
  /** A byte may have left. */
  started = false
  /** Status line's code, 0 until it came. */
  status = 0
  /** Monotonic moment at which the sweeper ends it; set by `Lanes.watch`. */
  endsAt: Ms = ms(0)
  /** Monotonic moment after which a reply comes too late for anybody; the sweeper tells the buyer's health. */
  lateAt: Ms = NEVER
  protected readonly clock: Clock
  readonly askedAt: Ms
  private lane: Lane | null = null
  private line: Line | null = null
  private ticket = 0
  private hints = 0
  private headers: WireReply['headers'] = NO_HEADERS
  private first: Buffer | null = null
  private rest: Buffer[] | null = null
  private controller: Dispatcher.DispatchController | null = null
  /** Whose exchange is witnessed; null: a check's, which is not. */
  private readonly contract: Contract | null
  private readonly witness: Witness | null
  private tape: Tape | null = null

  constructor(clock: Clock, contract: Contract | null, witness: Witness | null) {
    this.clock = clock
    this.contract = contract
    this.witness = witness
    this.askedAt = clock.mono()
  }

  protected abstract readonly kind: RequestKind

  /** Asked right before the first byte. */
  protected abstract mayStart(): boolean
  protected abstract replied(reply: WireReply): void
  protected abstract failed(failure: Failure): void
  /** True for a status by which the server says that it does not work. */
  protected abstract isSick(status: number): boolean
  /** Its time is up, or the wire closes. */
  abstract expire(): void

  /** It is on its way: over which connections, and to whose account. */
  enter(lane: Lane, line: Line, ticket: number): void {
    this.lane = lane
    this.line = line
    this.ticket = ticket
    lane.inFlight++
    line.inFlight++
  }

  /** Tells the buyer's health, once, that this request came to nothing by the server's fault. */
  blame(): void {
    this.line?.breaker.sick(this.ticket, this.clock.mono())
    this.ticket = 0
  }

  /** The same for what came too late, or not at all: unless this process stood still meanwhile and might have missed it. */
  blameSilence(): void {
    if (!this.lane?.pulse.stoodStillSince(this.askedAt)) return this.blame()
    this.line?.breaker.unheard(this.ticket)
    this.ticket = 0
  }

  /** Cuts the connection, where the request is on one. */
  abort(): void {
    this.controller?.abort(ABORTED)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (!this.mayStart()) throw REFUSED
    this.controller = controller
    this.started = true
    if (this.witness !== null && this.tape === null && this.contract !== null && this.kind !== 'check') {
      this.tape = new Tape(this.kind, this.contract, this.clock.wall(), this.clock.mono())
      this.witness.began(this.tape)
    }
    leaves(this.tape)
  }

  onResponseStart(_controller: unknown, status: number, headers: WireReply['headers']): void {
    if (status < 200) {
      if (++this.hints > MAX_HINTS) this.controller?.abort(HINTS_FLOOD)
      return
    }
    this.status = status
    this.headers = headers
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.first === null) this.first = chunk
    else if (this.rest === null) this.rest = [this.first, chunk]
    else this.rest.push(chunk)
  }

  onResponseEnd(): void {
    this.witnessed('whole')
    this.praise()
    this.leave()
    this.replied({ status: this.status, headers: this.headers, body: this.body() })
  }

  onResponseError(_controller: unknown, error: Error): void {
    const failure = this.failureOf(error)
    this.witnessed(error === ABORTED ? 'timeout' : failure)
    if (failure === 'refused' || failure === 'guard' || error === ABORTED) this.line?.breaker.unheard(this.ticket)
    else this.blame()
    this.leave()
    this.failed(failure)
  }

  /** Tells whoever records the lead's exchanges how this one ended. */
  protected witnessed(end: string): void {
    if (this.tape === null) return
    this.tape.finish(end, this.clock.mono())
    this.witness?.ended(this.tape)
  }

  private failureOf(error: Error): Failure {
    if (this.started) return this.status > 0 || !isBroken(error) ? 'truncated' : 'reset'
    if (error instanceof ConnectFailure) return error.reason
    return error === REFUSED ? 'refused' : 'connect'
  }

  /** A whole reply is a sign of health, unless it says the contrary or comes too late. */
  private praise(): void {
    const now = this.clock.mono()
    this.line?.took(now - this.askedAt)
    if (this.isSick(this.status)) this.blame()
    else if (now > this.lateAt) this.blameSilence()
    else this.line?.breaker.well(this.ticket)
  }

  private body(): string {
    if (this.first === null) return ''
    return decodeBody(this.rest === null ? this.first : Buffer.concat(this.rest), this.headers['content-type'])
  }

  private leave(): void {
    this.controller = null
    if (this.lane === null || this.line === null) return
    this.lane.inFlight--
    this.line.inFlight--
    this.lane = null
    this.line = null
  }
}

/** What the socket says when it broke; everything else after a byte left is a reply that could not be read. */
function isBroken(error: Error): boolean {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  return code === 'UND_ERR_SOCKET' || code.startsWith('E')
}

/** A connection under one contract's certificates is never another's. */
const keyOf = ({ origin, tls }: WireRequest): string => (tls === undefined ? origin : `${origin} ${tls.name}`)

function tapped(connect: Guard['connect']): Guard['connect'] {
  return (target, connected) =>
    connect(target, (...[error, socket]) => {
      if (socket !== null) tap(socket)
      connected(...([error, socket] as Parameters<typeof connected>))
    })
}

/** The way to one origin for one kind of request. */
class Lane {
  readonly pool: Pool
  readonly pulse: Pulse
  inFlight = 0

  constructor(origin: string, limits: LaneLimits, connect: Guard['connect'], pulse: Pulse) {
    this.pulse = pulse
    this.pool = new Pool(origin, {
      connect: tapped(connect),
      connections: limits.connections,
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
      keepAliveTimeoutThreshold: KEEP_ALIVE_MARGIN_MS,
      maxResponseSize: MAX_REPLY_BYTES,
      // Deadlines are ours: undici's clock is coarse, and its body timeout never ends a reply that drips.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }
}

/** All lanes of one kind of request (pings and posts never queue behind each other), and the sweeper of what takes too long. */
export class Lanes {
  /** Requests turned away because their lane, or the number of origins, was at its bound. */
  refused = 0
  private readonly lanes = new Map<string, Lane>()
  private readonly watched = new Set<Exchange>()
  private readonly clock: Clock
  private readonly guard: Guard
  private readonly limits: LaneLimits
  private readonly pulse: Pulse
  private sweep: Timer | null = null
  private closing = false

  constructor(clock: Clock, guard: Guard, limits: LaneLimits) {
    this.clock = clock
    this.guard = guard
    this.limits = limits
    this.pulse = new Pulse(clock, () => this.stats().inFlight > 0)
  }

  /** Hands the request to its lane; the exchange hears of its end, never within this call. Says why where it does not take it. */
  send(request: WireRequest, line: Line, exchange: Exchange): 'sent' | Unsent {
    if (this.closing) return 'closed'
    const now = this.clock.mono()
    if (line.breaker.refuses(now)) return 'breaker'
    const lane = this.lanes.get(keyOf(request)) ?? this.open(request)
    if (lane === null || lane.inFlight >= this.limits.connections + this.limits.queue || line.isFull()) {
      this.refused++
      return 'full'
    }
    exchange.enter(lane, line, line.breaker.take(now))
    this.pulse.start()
    lane.pool.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: request.headers as string[],
        body: request.body,
        blocking: false,
      },
      exchange,
    )
    return 'sent'
  }

  /** Ends the exchange by `expire` once `endsAt` has passed, to the second. */
  watch(exchange: Exchange, endsAt: Ms): void {
    exchange.endsAt = endsAt
    this.watched.add(exchange)
    this.sweep ??= this.clock.after(ms(SWEEP_MS), this.sweepUp)
  }

  unwatch(exchange: Exchange): void {
    this.watched.delete(exchange)
  }

  isClosing(): boolean {
    return this.closing
  }

  /** Requests under way, waiting for a connection included, and the lanes that are open. */
  stats(): { readonly inFlight: number; readonly origins: number; readonly refused: number } {
    let inFlight = 0
    for (const lane of this.lanes.values()) inFlight += lane.inFlight
    return { inFlight, origins: this.lanes.size, refused: this.refused }
  }

  /** Ends what is watched, waits for the rest, and closes every socket. */
  async close(): Promise<void> {
    this.closing = true
    this.sweep?.cancel()
    this.pulse.stop()
    for (const exchange of [...this.watched]) exchange.expire()
    await Promise.all([...this.lanes.values()].map((lane) => lane.pool.close()))
    this.lanes.clear()
  }

  private open(request: WireRequest): Lane | null {
    if (this.lanes.size >= this.limits.origins && !this.dropIdle()) return null
    const connect = request.tls === undefined ? this.guard.connect : this.guard.connectAs(request.tls)
    const lane = new Lane(request.origin, this.limits, connect, this.pulse)
    this.lanes.set(keyOf(request), lane)
    return lane
  }

  /** Makes room by the oldest lane that nothing uses. */
  private dropIdle(): boolean {
    for (const [origin, lane] of this.lanes) {
      if (lane.inFlight > 0) continue
      this.lanes.delete(origin)
      void lane.pool.close()
      return true
    }
    return false
  }

  private readonly sweepUp = (): void => {
    const now = this.clock.mono()
    for (const exchange of [...this.watched]) {
      if (exchange.endsAt <= now) exchange.expire()
      else if (exchange.lateAt < now) exchange.blameSilence()
    }
    this.sweep = this.watched.size > 0 ? this.clock.after(ms(SWEEP_MS), this.sweepUp) : null
  }
}
