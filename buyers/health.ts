/** How well a buyer's server is: a breaker, a bound on what is under way, and how quick it was lately. */
import type { BuyerHealth, Contract } from '../rules/version.ts'

export type RequestKind = 'ping' | 'post' | 'check'
/**
 * closed: requests leave. open: none does, until its time is over. half_open: one may leave, the probe: its end closes
 * the breaker, or opens it again for twice as long.
 */
export type BreakerState = 'closed' | 'open' | 'half_open'

/** So many of the latest requests are judged by. */
export const JUDGED = 10
const ALL_JUDGED = 2 ** JUDGED - 1

/**
 * Trips where too many of the latest requests failed. It reads no clock: moments are its caller's, in milliseconds of
 * one monotonic clock. A request leaves with a ticket, and only the ticket of the present phase is heard: what was sent
 * before the breaker opened says nothing of how the server is now.
 */
export class Breaker {
  /** How often it went from closed to open. */
  trips = 0
  #limits: BuyerHealth
  #failures = 0
  #phase = 1
  #opensAgainAt = 0
  #waitMs = 0
  #probing = false
  readonly #shut: (by: 1 | -1) => void

  /** `shut` is told when it leaves the closed state (1) and when it is back there (-1). */
  constructor(limits: BuyerHealth, shut: (by: 1 | -1) => void) {
    this.#limits = limits
    this.#shut = shut
  }

  /** Takes other limits from now on. */
  limit(limits: BuyerHealth): void {
    this.#limits = limits
  }

  state(now: number): BreakerState {
    if (this.#waitMs === 0) return 'closed'
    return now < this.#opensAgainAt ? 'open' : 'half_open'
  }

  /** True where a request would get no ticket. */
  refuses(now: number): boolean {
    return this.#waitMs > 0 && (this.#probing || now < this.#opensAgainAt)
  }

  /** The ticket of a request that leaves now; 0: none may. */
  take(now: number): number {
    if (this.#waitMs === 0) return this.#phase
    if (this.#probing || now < this.#opensAgainAt) return 0
    this.#probing = true
    return this.#phase
  }

  well(ticket: number): void {
    if (ticket !== this.#phase) return
    if (this.#waitMs === 0) this.#failures = (this.#failures << 1) & ALL_JUDGED
    else this.#close()
  }

  sick(ticket: number, now: number): void {
    if (ticket !== this.#phase) return
    if (this.#waitMs > 0) return this.#open(Math.min(this.#waitMs * 2, this.#limits.retryMaxMs), now)
    this.#failures = ((this.#failures << 1) | 1) & ALL_JUDGED
    if (bitsOf(this.#failures) < this.#limits.failures) return
    this.trips++
    this.#shut(1)
    this.#open(this.#limits.retryMs, now)
  }

  /** The request never left, or its end says nothing of the server: another may be the probe. */
  unheard(ticket: number): void {
    if (ticket === this.#phase) this.#probing = false
  }

  #open(waitMs: number, now: number): void {
    this.#phase++
    this.#waitMs = waitMs
    this.#opensAgainAt = now + waitMs
    this.#probing = false
  }

  #close(): void {
    this.#shut(-1)
    this.#phase++
    this.#waitMs = 0
    this.#failures = 0
    this.#probing = false
  }
}

function bitsOf(word: number): number {
  let bits = 0
  for (let left = word; left !== 0; left &= left - 1) bits++
  return bits
}

/** Whose server it is: a buyer, or a check. */
export interface Server {
  readonly id: string
  readonly health: BuyerHealth
}

/** The latest durations, bounded: enough for a p95 that follows the buyer within minutes. */
const TIMED = 128

/** How one buyer's server at one origin does under one kind of request. */
export class Line {
  /** Of a check: its id. */
  readonly buyer: string
  readonly kind: RequestKind
  readonly origin: string
  readonly breaker: Breaker
  /** Requests under way, those that wait for a connection included. */
  inFlight = 0
  /** Requests turned away because too many were under way. */
  refused = 0
  #most: number
  readonly #times = new Float32Array(TIMED)
  #timed = 0

  constructor({ id, health }: Server, kind: RequestKind, origin: string, shut: (by: 1 | -1) => void) {
    this.buyer = id
    this.kind = kind
    this.origin = origin
    this.breaker = new Breaker(health, shut)
    this.#most = mostOf(health, kind)
  }

  limit(health: BuyerHealth): void {
    this.breaker.limit(health)
    this.#most = mostOf(health, this.kind)
  }

  isFull(): boolean {
    if (this.inFlight < this.#most) return false
    this.refused++
    return true
  }

  /** A whole reply came after so many milliseconds. */
  took(duration: number): void {
    this.#times[this.#timed++ % TIMED] = duration
  }

  /** Milliseconds of the latest replies; null where there was none. */
  latency(): { readonly p50: number; readonly p95: number } | null {
    const times = this.#times.slice(0, Math.min(this.#timed, TIMED)).sort()
    if (times.length === 0) return null
    const at = (share: number) => times[Math.ceil(share * times.length) - 1]!
    return { p50: at(0.5), p95: at(0.95) }
  }
}

const mostOf = (health: BuyerHealth, kind: RequestKind): number => (kind === 'post' ? health.posts : health.pings)

/** One line as an operator reads it. */
export interface LineHealth {
  /** Of a check: its id. */
  readonly buyer: string
  readonly kind: RequestKind
  readonly origin: string
  readonly state: BreakerState
  readonly trips: number
  readonly inFlight: number
  readonly refused: number
  readonly latency: { readonly p50: number; readonly p95: number } | null
}

/** Beyond so many the oldest idle line is forgotten: more buyers than this are never asked at once. */
const MOST_LINES = 20_000

/** Every buyer's lines, two for each server that it is asked at, and every check's. */
export class Health {
  readonly #lines = new Map<string, Line>()
  /** By contract: the lines on which it was asked last. */
  readonly #asked = new Map<string, { ping: Line | null; post: Line | null }>()
  /** Breakers that are not closed: while there is none, nobody is looked up. */
  #shut = 0

  /** The line that a contract's requests to an origin take, with the buyer's limits as the contract has them. */
  line(contract: Contract, kind: 'ping' | 'post', origin: string): Line {
    const line = this.lineTo(contract.buyer, kind, origin)
    const asked = this.#asked.get(contract.id) ?? { ping: null, post: null }
    asked[kind] = line
    this.#asked.set(contract.id, asked)
    return line
  }

  /** The line to a server, with the limits as they are told. */
  lineTo(server: Server, kind: RequestKind, origin: string): Line {
    const key = `${kind} ${server.id} ${origin}`
    const line = this.#lines.get(key) ?? this.#add(key, new Line(server, kind, origin, this.#count))
    line.limit(server.health)
    return line
  }

  /** True where a ping or a post of this contract would not leave now, because its buyer's server is unwell. */
  refuses(contract: string, now: number): boolean {
    if (this.#shut === 0) return false
    const asked = this.#asked.get(contract)
    if (asked === undefined) return false
    return asked.ping?.breaker.refuses(now) === true || asked.post?.breaker.refuses(now) === true
  }

  /** Forgets what a new version no longer has; what is under way is counted to its end. */
  keep(contracts: ReadonlySet<string>, buyers: ReadonlySet<string>, checks: ReadonlySet<string>): void {
    for (const id of this.#asked.keys()) if (!contracts.has(id)) this.#asked.delete(id)
    for (const [key, { buyer, kind }] of this.#lines)
      if (!(kind === 'check' ? checks : buyers).has(buyer)) this.#lines.delete(key)
  }

  report(now: number): readonly LineHealth[] {
    return Array.from(this.#lines.values(), (line) => ({
      buyer: line.buyer,
      kind: line.kind,
      origin: line.origin,
      state: line.breaker.state(now),
      trips: line.breaker.trips,
      inFlight: line.inFlight,
      refused: line.refused,
      latency: line.latency(),
    }))
  }

  readonly #count = (by: 1 | -1): void => {
    this.#shut += by
  }

  #add(key: string, line: Line): Line {
    if (this.#lines.size >= MOST_LINES) this.#forgetIdle()
    this.#lines.set(key, line)
    return line
  }

  #forgetIdle(): void {
    for (const [key, { inFlight }] of this.#lines) {
      if (inFlight > 0) continue
      this.#lines.delete(key)
      return
    }
  }
}
