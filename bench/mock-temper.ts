/** What a scripted buyer does with a request: latency, bids, acceptances and faults, drawn from seeded dice. */
import { type Fault, faulty } from './mock-faults.ts'

/** Milliseconds: always the same, or lognormal around a median and never above `max`. */
export type Latency =
  | { readonly fixed: number }
  | { readonly median: number; readonly sigma: number; readonly max?: number }

/** Decimal amounts: always the same, or even between two, in steps of a cent. */
export type Amount = { readonly fixed: string } | { readonly from: string; readonly to: string }

export type Faults = Readonly<Partial<Record<Fault, number>>>

export interface PingConfig {
  readonly latency?: Latency
  readonly bid?: Amount
  /** Share of pings, 0 to 1, that get no bid. */
  readonly noBid?: number
  readonly noBidReasons?: readonly string[]
  /** Share of requests, 0 to 1, by fault. */
  readonly faults?: Faults
}

export interface PostConfig {
  readonly latency?: Latency
  /** Share of posts, 0 to 1, that are accepted. */
  readonly accept?: number
  readonly rejectReasons?: readonly string[]
  /** Price named in an acceptance; absent: none is named. */
  readonly price?: Amount
  readonly redirectUrl?: string
  readonly faults?: Faults
}

/** A check's service under a buyer's name. */
export interface CheckConfig {
  readonly latency?: Latency
  /** What it says of everybody; absent: a score from 0 to 99. */
  readonly says?: Readonly<Record<string, unknown>>
  readonly faults?: Faults
}

export interface BuyerConfig {
  readonly ping?: PingConfig
  readonly post?: PostConfig
  readonly check?: CheckConfig
}

export interface MockRequest {
  /** Wall time in milliseconds, with fractions. */
  readonly at: number
  readonly path: string
  readonly buyer: string
  readonly kind: 'ping' | 'post' | 'check'
  /** Request line and header lines. */
  readonly head: string
  readonly body: Buffer
}

export interface MockAction {
  readonly how: 'reply' | 'raw' | 'never' | 'reset' | 'reset_after_head' | 'half' | 'drip' | 'drip_head' | 'flood'
  readonly afterMs: number
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Of a flood: what is repeated after the body until so many bytes were sent. */
  readonly flood?: { readonly piece: string; readonly bytes: number }
  /** Between two bytes of a drip. */
  readonly everyMs?: number
  /** For the record: what the buyer decided, whether or not the engine ever hears of it. */
  readonly verdict?: 'accepted' | 'rejected'
  readonly reference?: string
  /** Body of the untroubled reply. */
  readonly plain?: string
  readonly repeat?: boolean
}

export type Script = (request: MockRequest) => MockAction | undefined

const NO_LATENCY: Latency = { fixed: 0 }
const DEFAULT_BID: Amount = { from: '5.00', to: '25.00' }
/** Idempotency keys remembered per server, the oldest forgotten first. */
const KEYS_KEPT = 200_000
/** Faults of a post with which a buyer says that it did not take the lead: such a reply sells nothing, by anybody's reading. */
const REFUSALS = /^(?:reset|garbage|empty|tower|redirect|wrong_type|4(?!08|09|25)\d\d)$/
const KEY_HEADER = /\r\nidempotency-key: *([^\r\n]+)/i

/** Mulberry32: a small seeded generator of numbers from 0 to 1. */
function dice(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function seedOf(name: string, seed: number): number {
  let hash = 2_166_136_261 ^ seed
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 16_777_619)
  return hash
}

/** One buyer's dice and settings. */
class Temper {
  private readonly roll: () => number
  private readonly config: BuyerConfig
  private readonly name: string
  private accepted = 0

  constructor(name: string, config: BuyerConfig, seed: number) {
    this.name = name
    this.config = config
    this.roll = dice(seedOf(name, seed))
  }

  ping(): MockAction {
    const { latency, bid, noBid = 0, noBidReasons, faults } = this.config.ping ?? {}
    const afterMs = this.delay(latency)
    const fault = this.fault(faults)
    const declines = this.roll() < noBid
    const body = declines
      ? noBidBody(this.pick(noBidReasons) ?? 'not_interested')
      : bidBody(this.amount(bid ?? DEFAULT_BID), `${this.name}-b`)
    const plain = reply(afterMs, body)
    return fault === null ? plain : faulty(fault, plain)
  }

  check(): MockAction {
    const { latency, says, faults } = this.config.check ?? {}
    const afterMs = this.delay(latency)
    const fault = this.fault(faults)
    const plain = reply(afterMs, JSON.stringify(says ?? { score: Math.floor(this.roll() * 100) }))
    return fault === null ? plain : faulty(fault, plain)
  }

  post(): MockAction {
    const { latency, accept = 1, rejectReasons, price, redirectUrl, faults } = this.config.post ?? {}
    const afterMs = this.delay(latency)
    const fault = this.fault(faults)
    const takes = fault === 'reset_at_accept' || (this.roll() < accept && !(fault !== null && REFUSALS.test(fault)))
    const plain = takes
      ? this.acceptance(afterMs, price ? this.amount(price) : null, redirectUrl ?? null)
      : rejection(afterMs, this.pick(rejectReasons) ?? 'not_wanted')
    return fault === null ? plain : faulty(fault, plain)
  }

  private acceptance(afterMs: number, price: string | null, redirectUrl: string | null): MockAction {
    const reference = `${this.name.toUpperCase()}-${++this.accepted}`
    return { ...reply(afterMs, acceptBody(reference, price, redirectUrl)), verdict: 'accepted', reference }
  }

  private delay(latency: Latency = NO_LATENCY): number {
    if ('fixed' in latency) return latency.fixed
    const normal = Math.sqrt(-2 * Math.log(1 - this.roll())) * Math.cos(2 * Math.PI * this.roll())
    return Math.min(Math.round(latency.median * Math.exp(latency.sigma * normal)), latency.max ?? 60_000)
  }

  private amount(amount: Amount): string {
    if ('fixed' in amount) return amount.fixed
    const from = Math.round(Number(amount.from) * 100)
    const cents = from + Math.floor(this.roll() * (Math.round(Number(amount.to) * 100) - from + 1))
    return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`
  }

  private pick(words: readonly string[] | undefined): string | undefined {
    return words?.[Math.floor(this.roll() * words.length)]
  }

  private fault(faults: Faults | undefined): Fault | null {
    if (faults === undefined) return null
    let roll = this.roll()
    for (const [fault, share] of Object.entries(faults)) {
      roll -= share ?? 0
      if (roll < 0) return fault as Fault
    }
    return null
  }
}

/** All buyers of one server: who answers what, each idempotency key the same every time. */
export class Buyers {
  readonly counts = { ping: 0, post: 0, check: 0 }
  private readonly tempers = new Map<string, Temper>()
  private readonly answered = new Map<string, MockAction>()
  private readonly configs: Readonly<Record<string, BuyerConfig>>
  private readonly seed: number
  private readonly script: Script | undefined

  constructor(configs: Readonly<Record<string, BuyerConfig>>, seed: number, script: Script | undefined) {
    this.configs = configs
    this.seed = seed
    this.script = script
  }

  decide(request: MockRequest): MockAction {
    this.counts[request.kind]++
    const scripted = this.script?.(request)
    if (scripted !== undefined) return scripted
    const temper = this.temper(request.buyer)
    if (temper === null) return { how: 'reply', afterMs: 0, status: 404, body: '{"error":"no such buyer"}' }
    if (request.kind === 'check') return temper.check()
    return request.kind === 'ping' ? temper.ping() : this.post(temper, request)
  }

  private post(temper: Temper, request: MockRequest): MockAction {
    const key = KEY_HEADER.exec(request.head)?.[1]
    const known = key === undefined ? undefined : this.answered.get(key)
    if (known !== undefined) {
      return { ...reply(0, known.plain ?? ''), ...decided(known), repeat: true }
    }
    const action = temper.post()
    if (key !== undefined) this.remember(key, action)
    return action
  }

  private remember(key: string, action: MockAction): void {
    this.answered.set(key, action)
    if (this.answered.size <= KEYS_KEPT) return
    for (const oldest of this.answered.keys()) {
      this.answered.delete(oldest)
      return
    }
  }

  private temper(name: string): Temper | null {
    const known = this.tempers.get(name)
    if (known !== undefined) return known
    const config = Object.hasOwn(this.configs, name) ? this.configs[name] : this.configs['*']
    if (config === undefined) return null
    const temper = new Temper(name, config, this.seed)
    this.tempers.set(name, temper)
    return temper
  }
}

export function bidBody(price: string, reference: string | null): string {
  return `{"accept":true,"price":"${price}","buyer_reference":${JSON.stringify(reference)},"reason":null,"redirect_url":null}`
}

export function noBidBody(why: string): string {
  return `{"accept":false,"price":null,"buyer_reference":null,"reason":${JSON.stringify(why)},"redirect_url":null}`
}

export function acceptBody(reference: string, price: string | null, redirectUrl: string | null): string {
  return JSON.stringify({ accept: true, price, buyer_reference: reference, reason: null, redirect_url: redirectUrl })
}

/** A reply in our own shape; `plain` is what a repeat of the same post is told. */
export function reply(afterMs: number, body: string, status = 200): MockAction {
  return { how: 'reply', afterMs, status, body, plain: body }
}

function rejection(afterMs: number, why: string): MockAction {
  return { ...reply(afterMs, JSON.stringify({ accept: false, reason: why })), verdict: 'rejected' }
}

function decided(action: MockAction): Pick<MockAction, 'verdict' | 'reference'> {
  return {
    ...(action.verdict ? { verdict: action.verdict } : {}),
    ...(action.reference ? { reference: action.reference } : {}),
  }
}
