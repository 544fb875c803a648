/** Delivers leads to winners: one exchange per post, sent at most once, ended exactly once. */
import { type Ms, ms } from '../rules/units.ts'
import type { PostAnswer, PostFacts, WireLead, WireReply } from './adapter.ts'
import { Exchange, type Failure, type Lanes } from './http.ts'
import type { Route } from './route.ts'
import type { Clock, PostEnd, Timer } from './wire.ts'

/** How long a connection stays open for a reply that may still resolve a timed-out post. */
export const LATE_MS = 30_000

export interface PostOrder {
  readonly route: Route
  readonly lead: WireLead
  readonly facts: PostFacts
  readonly postMs: Ms
  readonly postBy: Ms
  readonly ended: (end: PostEnd) => void
  readonly late: (answer: PostAnswer) => void
}

export class Poster {
  private readonly clock: Clock
  private readonly lanes: Lanes

  constructor(clock: Clock, lanes: Lanes) {
    this.clock = clock
    this.lanes = lanes
  }

  /** Calls `ended` exactly once, and never before it returns; `late` at most once, after `unknown timeout`. */
  post(order: PostOrder): void {
    const exchange = new PostExchange(this.clock, this.lanes, order)
    const { route } = order
    const request = route.adapter.postRequest(order.lead, order.facts)
    if (this.clock.mono() > order.postBy) {
      exchange.notSent('post_by')
      return
    }
    const sent = this.lanes.send(request, route.line('post', request.origin), exchange)
    if (sent !== 'sent') exchange.notSent(UNSENT[sent])
  }
}

const UNSENT = { breaker: 'breaker', full: 'queue_full', closed: 'connect_closed' } as const

/**
 * Waiting (no byte left) -> on the wire -> ended; a post that timed out on the wire lingers for a late reply. Once it
 * has ended it may not start any more, wherever it still waits in a queue.
 */
class PostExchange extends Exchange {
  protected readonly kind = 'post'
  private readonly lanes: Lanes
  private readonly order: PostOrder
  private readonly timer: Timer
  private live = true
  private lingers = false

  constructor(clock: Clock, lanes: Lanes, order: PostOrder) {
    super(clock, order.route.contract, order.lead.witness ?? null)
    this.lanes = lanes
    this.order = order
    this.timer = clock.after(order.postMs, this.timedOut)
  }

  notSent(why: string): void {
    this.end(() => ({ kind: 'notSent', reason: why }))
  }

  override expire(): void {
    this.stopLingering()
    this.abort()
  }

  protected override mayStart(): boolean {
    return this.live && this.clock.mono() <= this.order.postBy
  }

  protected override isSick(status: number): boolean {
    return this.order.route.isSick(status)
  }

  protected override replied(reply: WireReply): void {
    const { late } = this.order
    const { adapter } = this.order.route
    if (this.lingers) {
      this.stopLingering()
      queueMicrotask(() => late(adapter.postReply(reply)))
    } else this.end(() => adapter.postReply(reply))
  }

  protected override failed(failure: Failure): void {
    this.stopLingering()
    if (failure === 'reset' || failure === 'truncated') this.end(() => this.byStatus() ?? unknown(failure))
    else this.notSent(failure === 'refused' ? 'post_by' : failure)
  }

  private readonly timedOut = (): void => {
    this.blameSilence()
    if (!this.started) {
      this.notSent(this.clock.mono() > this.order.postBy ? 'post_by' : 'connect')
      return
    }
    this.witnessed('timeout')
    const verdict = this.byStatus()
    if (this.live && verdict === null && !this.lanes.isClosing()) {
      this.lingers = true
      this.lanes.watch(this, ms(this.clock.mono() + LATE_MS))
    }
    this.end(() => verdict ?? unknown('timeout'))
    if (!this.lingers) this.abort()
  }

  /** A status that rejects needs no body to be believed. */
  private byStatus(): PostAnswer | null {
    if (this.status < 300) return null
    const answer = this.order.route.adapter.postReply({ status: this.status, headers: {}, body: '' })
    return answer.kind === 'rejected' ? answer : null
  }

  private stopLingering(): void {
    this.lingers = false
    this.lanes.unwatch(this)
  }

  /** In a microtask, outside of undici's parser: what the callback throws is not swallowed there, and it may send at once. */
  private end(read: () => PostEnd): void {
    if (!this.live) return
    this.live = false
    this.timer.cancel()
    queueMicrotask(() => this.order.ended(read()))
  }
}

function unknown(why: string): PostAnswer {
  return { kind: 'unknown', reason: why }
}
