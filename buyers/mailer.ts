/** Delivers leads by mail: what ends a session with a mail server means for a post. */
import { reason } from '../rules/reason.ts'
import type { Contract } from '../rules/version.ts'
import type { PostAnswer } from './adapter.ts'
import type { Guard } from './guard.ts'
import { identityOf } from './identity.ts'
import { bareAddress } from './letter.ts'
import type { PostOrder } from './poster.ts'
import { type SmtpEnd, type SmtpOrder, SmtpSession } from './smtp.ts'
import { Tape } from './tape.ts'
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
    const record = new LetterRecord(this.clock, contract, order, request.body)
    const letter = this.smtpOrder(contract, order, request.body, record)
    const session: SmtpSession = new SmtpSession(this.clock, letter, (end) => {
      line.inFlight--
      this.under.delete(session)
      if (isSick(end)) line.breaker.sick(ticket, this.clock.mono())
      else line.breaker.well(ticket)
      record.ended(end)
      queueMicrotask(() => order.ended(postEnd(end)))
    })
    this.under.add(session)
    session.begin(this.guard)
  }

  private smtpOrder(
    { delivery }: Contract,
    { postMs, postBy }: PostOrder,
    letter: string,
    record: LetterRecord,
  ): SmtpOrder {
    const { postUrl: url, tls, post } = delivery
    const { auth, mail } = post
    const { name: _name, ...identity } = tls === null ? { name: '' } : identityOf(tls)
    return {
      ...{ url, letter, identity, withinMs: postMs },
      login: auth?.kind === 'basic' ? { user: auth.user, password: auth.password } : null,
      envelope: { from: bareAddress(mail!.from), to: mail!.to.map(bareAddress) },
      mayLeave: () => this.clock.mono() <= postBy && record.leaves(),
      heard: (response) => record.heard(response),
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

/** What the lead's witness hears of a letter: the letter as it left, and the server's last word. Nothing else of the session is the lead's. */
class LetterRecord {
  private readonly clock: Clock
  private readonly contract: Contract
  private readonly order: PostOrder
  private readonly letter: string
  private tape: Tape | null = null

  constructor(clock: Clock, contract: Contract, order: PostOrder, letter: string) {
    this.clock = clock
    this.contract = contract
    this.order = order
    this.letter = letter
  }

  leaves(): true {
    const { witness } = this.order.lead
    if (witness === undefined) return true
    this.tape = new Tape('post', this.contract, this.clock.wall(), this.clock.mono())
    this.tape.send(Buffer.from(this.letter, 'utf8'))
    witness.began(this.tape)
    return true
  }

  heard(response: string): void {
    this.tape?.hear(Buffer.from(response, 'utf8'))
  }

  ended(end: SmtpEnd): void {
    if (this.tape === null) return
    this.tape.finish(end.kind === 'broken' ? end.why : 'whole', this.clock.mono())
    this.order.lead.witness?.ended(this.tape)
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
