/** Delivers leads by mail: what ends a session with a mail server means for a post. */
import { reason } from '../rules/reason.ts'
import type { Contract } from '../rules/version.ts'
import type { PostAnswer } from './adapter.ts'
import type { Guard } from './guard.ts'
import { identityOf } from './identity.ts'
import { bareAddress } from './letter.ts'
import type { PostOrder } from './poster.ts'
import { type SmtpEnd, type SmtpOrder, SmtpSession } from './smtp.ts'
import type { Clock, PostEnd } from './wire.ts'

/** Sessions under way at once, over all buyers. */
const MAX_SESSIONS = 64

export class Mailer {
  private readonly clock: Clock
  private readonly guard: Guard
  private readonly under = new Set<SmtpSession>()
  private closing = false

  constructor(clock: Clock, guard: Guard) {
    this.clock = clock
    this.guard = guard
  }

  /** Calls `ended` exactly once, and never before it returns. There is no late answer: a session that is over is closed. */
  post(contract: Contract, order: PostOrder): void {
    const request = order.route.adapter.postRequest(order.lead, order.facts)
    const line = order.route.line('post', request.origin)
    const refuse = (why: string): void => queueMicrotask(() => order.ended({ kind: 'notSent', reason: why }))
    if (this.closing) return refuse('connect_closed')
    if (this.clock.mono() > order.postBy) return refuse('post_by')
    if (line.breaker.refuses(this.clock.mono())) return refuse('breaker')
    if (this.under.size >= MAX_SESSIONS || line.isFull()) return refuse('queue_full')
    const ticket = line.breaker.take(this.clock.mono())
    line.inFlight++
    const letter = this.smtpOrder(contract, order, request.body)
    const session: SmtpSession = new SmtpSession(this.clock, letter, (end) => {
      line.inFlight--
      this.under.delete(session)
      if (isSick(end)) line.breaker.sick(ticket, this.clock.mono())
      else line.breaker.well(ticket)
      queueMicrotask(() => order.ended(postEnd(end)))
    })
    this.under.add(session)
    session.begin(this.guard)
  }

  private smtpOrder({ delivery }: Contract, { postMs, postBy }: PostOrder, letter: string): SmtpOrder {
    const { postUrl: url, tls, post } = delivery
    const { auth, mail } = post
    const { name: _name, ...identity } = tls === null ? { name: '' } : identityOf(tls)
    return {
      ...{ url, letter, identity, withinMs: postMs },
      login: auth?.kind === 'basic' ? { user: auth.user, password: auth.password } : null,
      envelope: { from: bareAddress(mail!.from), to: mail!.to.map(bareAddress) },
      mayLeave: () => this.clock.mono() <= postBy,
    }
  }

  /** Letters under way are waited for: each ends by its own time. */
  async close(): Promise<void> {
    this.closing = true
    await Promise.all([...this.under].map((session) => session.over))
  }

  get inFlight(): number {
    return this.under.size
  }
}

const isSick = ({ kind }: SmtpEnd): boolean => kind === 'broken' || kind === 'login'

/**
 * What ends it before the letter is begun means that nothing was sent, unless the server refused it for good; afterwards
 * only the server's own word does.
 */
function postEnd(end: SmtpEnd): PostEnd {
  switch (end.kind) {
    case 'taken':
      return { kind: 'accepted', price: null, buyerReference: null, redirectUrl: null }
    case 'refused': {
      const said = reason('rejected', end.words)
      return end.begun || end.status >= 500 ? { kind: 'rejected', reason: said } : notSent(said)
    }
    case 'login':
      return notSent(reason('rejected', end.words))
    case 'broken':
      return end.begun ? unknown(end.why) : notSent(end.why)
    case 'withheld':
      return notSent('post_by')
    default:
      return end satisfies never
  }
}

const unknown = (why: string): PostAnswer => ({ kind: 'unknown', reason: why })
const notSent = (why: string): PostEnd => ({ kind: 'notSent', reason: why })
