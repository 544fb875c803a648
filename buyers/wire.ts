/** The wire to all buyers as the conductor sees it: ask for a bid, deliver a lead. */
import type { CheckService, LeadCheck } from '../rules/checks.ts'
import type { Ms, WallMs } from '../rules/units.ts'
import type { Contract, Snapshot } from '../rules/version.ts'
import type { CompileAdapter, PingAnswer, PostAnswer, PostFacts, WireLead } from './adapter.ts'
import { type CheckAnswer, Checker, type CheckQuestion, compileCheck } from './checker.ts'
import { compileAdapter } from './compile.ts'
import { createGuard, type LookupAll } from './guard.ts'
import { Health, type LineHealth } from './health.ts'
import { type LaneLimits, Lanes } from './http.ts'
import { Mailer } from './mailer.ts'
import { Pinger } from './pinger.ts'
import { Poster } from './poster.ts'
import { Route } from './route.ts'

export interface Timer {
  cancel(): void
}

/** The edge of the world where time is read. The engine's is `engine/clock`; tests bring a virtual one. */
export interface Clock {
  /** Monotonic: deadlines and durations. */
  mono(): Ms
  /** Wall time; never steps back. */
  wall(): WallMs
  after(delay: Ms, fire: () => void): Timer
}

/** How a post ended; `notSent`: no byte of the request left. */
export type PostEnd = PostAnswer | { readonly kind: 'notSent'; readonly reason: string }

export interface BuyersWire {
  /**
   * Calls back exactly once, whenever the answer comes, however late: the tier's deadline is the conductor's. It is told
   * as `lateAt` (monotonic), for an answer after it speaks against the buyer's health.
   */
  ping(contract: Contract, lead: WireLead, lateAt: Ms, answered: (answer: PingAnswer) => void): void
  /** Sends unless `postBy` (monotonic) has passed, and calls back exactly once, at the latest after the contract's `postMs`. A reply that comes after `unknown timeout` goes to `late`. */
  post(
    contract: Contract,
    lead: WireLead,
    facts: PostFacts,
    postBy: Ms,
    ended: (end: PostEnd) => void,
    late: (answer: PostAnswer) => void,
  ): void
  /** Lets go of every socket that no live exchange uses. */
  close(): Promise<void>
}

export interface BuyersWireOptions {
  readonly clock: Clock
  /** Ranges that buyers' hosts may lie in although the guard forbids them. */
  readonly allowedCidrs: readonly string[]
  readonly pings?: Partial<LaneLimits>
  readonly posts?: Partial<LaneLimits>
  readonly connectMs?: number
  /** Replaces the system's resolver. */
  readonly lookup?: LookupAll
  /** Replaces how deliveries are compiled: a trial listens in. */
  readonly compile?: CompileAdapter
  readonly compileCheck?: typeof compileCheck
}

/** Gauges, per kind: requests under way (waiting ones and letters included), origins open, requests turned away at a bound. */
export interface WireStats {
  readonly pings: { readonly inFlight: number; readonly origins: number; readonly refused: number }
  readonly posts: { readonly inFlight: number; readonly origins: number; readonly refused: number }
  readonly checks: { readonly inFlight: number; readonly origins: number; readonly refused: number }
}

export interface OpenBuyersWire extends BuyersWire {
  /** Asks a check's service, and calls back exactly once, never within this call. */
  check(check: LeadCheck, service: CheckService, lead: WireLead, answered: (answer: CheckAnswer) => void): CheckQuestion
  stats(): WireStats
  /** How every buyer's servers do, as far as this process has asked them. */
  health(): readonly LineHealth[]
  /** True where a ping or a post of this contract would not leave now: its buyer's server is unwell. */
  refuses(contract: string): boolean
  /** Takes the allow-list of a new version, and forgets the health of buyers that it no longer has; connections that are open stay. */
  follow(snapshot: Pick<Snapshot, 'allowedCidrs' | 'buyers' | 'campaigns'>): void
}

const PING_LIMITS: LaneLimits = { connections: 512, queue: 2048, origins: 1000 }
const POST_LIMITS: LaneLimits = { connections: 256, queue: 512, origins: 1000 }
const CHECK_LIMITS: LaneLimits = { connections: 128, queue: 512, origins: 100 }
const CONNECT_MS = 2_000

/** The real wire: HTTP/1.1 over pooled sockets, and mail. `close` ends pings and late replies at once and waits for posts. */
export function createBuyersWire(options: BuyersWireOptions): OpenBuyersWire {
  const { clock, allowedCidrs, lookup, compile = compileAdapter } = options
  const guard = createGuard({ allowedCidrs, connectMs: options.connectMs ?? CONNECT_MS, ...(lookup ? { lookup } : {}) })
  const pings = new Lanes(clock, guard, { ...PING_LIMITS, ...options.pings })
  const posts = new Lanes(clock, guard, { ...POST_LIMITS, ...options.posts })
  const checks = new Lanes(clock, guard, CHECK_LIMITS)
  const pinger = new Pinger(clock, pings)
  const poster = new Poster(clock, posts)
  const mailer = new Mailer(clock, guard)
  const health = new Health()
  const checker = new Checker(clock, checks, health, options.compileCheck ?? compileCheck)
  const routes = new WeakMap<Contract, Route>()
  const routeOf = (contract: Contract): Route => {
    const known = routes.get(contract)
    if (known !== undefined) return known
    const route = new Route(contract, compile(contract), health)
    routes.set(contract, route)
    return route
  }
  return {
    ping: (contract, lead, lateAt, answered) => pinger.ping(routeOf(contract), lead, lateAt, answered),
    post: (contract, lead, facts, postBy, ended, late) => {
      const order = { route: routeOf(contract), lead, facts, postMs: contract.postMs, postBy, ended, late }
      if (contract.delivery.post.mail === null) poster.post(order)
      else mailer.post(contract, order)
    },
    check: (check, service, lead, answered) => checker.ask(check, service, lead, answered),
    stats: () => {
      const byHttp = posts.stats()
      return {
        pings: pings.stats(),
        checks: checks.stats(),
        posts: { ...byHttp, inFlight: byHttp.inFlight + mailer.inFlight },
      }
    },
    health: () => health.report(clock.mono()),
    refuses: (contract) => health.refuses(contract, clock.mono()),
    follow: ({ allowedCidrs, buyers, campaigns }) => {
      guard.allow(allowedCidrs)
      health.keep(contractsOf(campaigns), new Set(buyers.keys()), checksOf(campaigns))
    },
    close: async () => {
      await Promise.all([pings.close(), posts.close(), checks.close(), mailer.close()])
    },
  }
}

function checksOf(campaigns: Snapshot['campaigns']): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { checks } of campaigns.values()) for (const id of checks?.all.keys() ?? []) ids.add(id)
  return ids
}

function contractsOf(campaigns: Snapshot['campaigns']): ReadonlySet<string> {
  const ids = new Set<string>()
  for (const { contracts } of campaigns.values()) for (const { id } of contracts) ids.add(id)
  return ids
}
