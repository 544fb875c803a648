/** Asks buyers for bids: one exchange per ping, answered exactly once, however late. */
import { type Reason, reason } from '../rules/reason.ts'
import { type Ms, ms } from '../rules/units.ts'
import type { PingAnswer, WireLead, WireReply } from './adapter.ts'
import { Exchange, type Failure, type Lanes, type Unsent } from './http.ts'
import type { Route } from './route.ts'
import type { Clock } from './wire.ts'

/** The longest that a tier may wait is 25 s; whoever drips beyond this loses the connection. */
export const PING_MAX_MS = 30_000
/** A ping that found no connection for this long would come too late for most tiers, and is not sent at all. */
export const PING_WAIT_MS = 2_500

export type Answered = (answer: PingAnswer) => void

export class Pinger {
  private readonly clock: Clock
  private readonly lanes: Lanes

  constructor(clock: Clock, lanes: Lanes) {
    this.clock = clock
    this.lanes = lanes
  }

  /** Calls back exactly once, and never before it returns. An answer after `lateAt` counts against the buyer's health. */
  ping(route: Route, lead: WireLead, lateAt: Ms, answered: Answered): void {
    const exchange = new PingExchange(this.clock, this.lanes, route, lead, lateAt, answered)
    const request = route.adapter.pingRequest(lead, this.clock.wall())
    const sent = this.lanes.send(request, route.line('ping', request.origin), exchange)
    if (sent === 'sent') this.lanes.watch(exchange, ms(exchange.askedAt + PING_MAX_MS))
    else exchange.decline(whyUnsent(sent))
  }
}

function whyUnsent(why: Unsent): Reason {
  switch (why) {
    case 'breaker':
      return 'breaker'
    case 'full':
      return 'queue_full'
    case 'closed':
      return reason('ping_error', 'closed')
    default:
      return why satisfies never
  }
}

class PingExchange extends Exchange {
  protected readonly kind = 'ping'
  private readonly lanes: Lanes
  private readonly route: Route
  private answered: Answered | null

  constructor(clock: Clock, lanes: Lanes, route: Route, lead: WireLead, lateAt: Ms, answered: Answered) {
    super(clock, route.contract, lead.witness?.wantsPings ? lead.witness : null)
    this.lanes = lanes
    this.route = route
    this.answered = answered
    this.lateAt = lateAt
  }

  decline(why: Reason): void {
    this.settle(() => ({ kind: 'noBid', reason: why }))
  }

  override expire(): void {
    this.decline(this.lanes.isClosing() ? reason('ping_error', 'closed') : 'ping_timeout')
    if (!this.lanes.isClosing()) this.blameSilence()
    this.abort()
  }

  protected override mayStart(): boolean {
    return this.answered !== null && this.clock.mono() - this.askedAt <= PING_WAIT_MS
  }

  protected override isSick(status: number): boolean {
    return this.route.isSick(status)
  }

  protected override replied(reply: WireReply): void {
    this.settle(() => this.route.adapter.pingReply(reply))
  }

  protected override failed(failure: Failure): void {
    this.decline(failure === 'refused' ? 'queue_full' : reason('ping_error', failure))
  }

  /** In a microtask, outside of undici's parser: what the callback throws is not swallowed there, and it may send at once. */
  private settle(read: () => PingAnswer): void {
    const { answered } = this
    if (answered === null) return
    this.answered = null
    this.lanes.unwatch(this)
    queueMicrotask(() => answered(read()))
  }
}
