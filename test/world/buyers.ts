/** Scripted buyers: what each says to a ping or a post, and after how long. */
import type { PingAnswer, PostAnswer, PostFacts, WireLead } from '../../buyers/adapter.ts'
import { readPing, readPost } from '../../buyers/reply.ts'
import type { BuyersWire, Clock, PostEnd } from '../../buyers/wire.ts'
import { reason } from '../../rules/reason.ts'
import { type Ms, ms } from '../../rules/units.ts'
import type { Contract } from '../../rules/version.ts'
import type { PingScript, PostScript, Story, WireFault } from './story.ts'

/** What the wire gives up on: a buyer that says nothing for so long loses its connection. */
const PING_MAX_MS = 30_000

interface Timed<T> {
  readonly after: number
  readonly says: T
}

/** What becomes of a post: its end, and what the buyer says once it has been given up. */
export interface PostCourse {
  readonly end: Timed<PostEnd>
  readonly late: Timed<PostAnswer> | null
}

export function pingCourse(contract: Contract, script: PingScript): Timed<PingAnswer> {
  if (script === 'silent') return { after: PING_MAX_MS, says: { kind: 'noBid', reason: 'ping_timeout' } }
  const { after, ...act } = typeof script === 'string' ? { after: 0, fault: script } : script
  if ('fault' in act) return { after, says: { kind: 'noBid', reason: reason('ping_error', act.fault) } }
  if ('bid' in act)
    return {
      after,
      says: readPing(
        contract,
        json(200, { accept: true, price: act.bid, buyer_reference: act.reference, expires_in: act.expires }),
      ),
    }
  if ('noBid' in act) return { after, says: readPing(contract, json(200, { accept: false, reason: act.noBid })) }
  return { after, says: readPing(contract, { status: act.status, headers: whole, body: act.body ?? '' }) }
}

export function postCourse(contract: Contract, script: PostScript): PostCourse {
  const timedOut: Timed<PostEnd> = { after: contract.postMs, says: { kind: 'unknown', reason: 'timeout' } }
  if (script === 'silent') return { end: timedOut, late: null }
  const { after, ...act } = typeof script === 'string' ? { after: 0, fault: script } : script
  if ('fault' in act)
    return after < contract.postMs
      ? { end: { after, says: faultEnd(act.fault) }, late: null }
      : { end: timedOut, late: null }
  const says = postReply(contract, act)
  return after < contract.postMs ? { end: { after, says }, late: null } : { end: timedOut, late: { after, says } }
}

type PostReply = Exclude<PostScript, string | { fault: WireFault }>

function postReply(contract: Contract, act: Omit<PostReply, 'after'>): PostAnswer {
  if ('accept' in act) {
    const { accept, price, redirect } = act as Extract<PostReply, { accept: string }>
    return readPost(contract, json(200, { accept: true, price, buyer_reference: accept, redirect_url: redirect }))
  }
  if ('reject' in act) return readPost(contract, json(200, { accept: false, reason: act.reject }))
  const { status, body = '', whole: isWhole = true } = act as Extract<PostReply, { status: number }>
  return readPost(contract, { status, headers: isWhole ? whole : {}, body })
}

function faultEnd(fault: WireFault): PostEnd {
  return fault === 'reset' || fault === 'truncated'
    ? { kind: 'unknown', reason: fault }
    : { kind: 'notSent', reason: fault }
}

const whole = { 'content-length': '2' }
const json = (status: number, body: object) => ({ status, headers: whole, body: JSON.stringify(body) })

/** One post as its buyer saw it. */
export interface PostSeen {
  readonly contract: string
  readonly buyer: string
  readonly leadId: string
  readonly idempotencyKey: string
  readonly at: number
}

/** The wire to a story's buyers. `seen` is what they would swear to. */
export class ScriptedWire implements BuyersWire {
  readonly seen: PostSeen[] = []
  readonly #clock: Clock
  readonly #story: Story

  constructor(clock: Clock, story: Story) {
    this.#clock = clock
    this.#story = story
  }

  ping(contract: Contract, _lead: WireLead, _lateAt: Ms, answered: (answer: PingAnswer) => void): void {
    const { after, says } = pingCourse(contract, this.#story.contracts[contract.id]!.ping ?? 'silent')
    this.#clock.after(ms(after), () => answered(says))
  }

  post(
    contract: Contract,
    lead: WireLead,
    facts: PostFacts,
    postBy: Ms,
    ended: (end: PostEnd) => void,
    late: (answer: PostAnswer) => void,
  ): void {
    if (this.#clock.mono() > postBy) {
      this.#clock.after(ms(0), () => ended({ kind: 'notSent', reason: 'post_by' }))
      return
    }
    const course = postCourse(contract, this.#story.contracts[contract.id]!.post ?? 'silent')
    if (course.end.says.kind !== 'notSent')
      this.seen.push({
        contract: contract.id,
        buyer: contract.buyer.id,
        leadId: lead.id,
        idempotencyKey: facts.idempotencyKey,
        at: this.#clock.mono(),
      })
    this.#clock.after(ms(course.end.after), () => ended(course.end.says))
    if (course.late) this.#clock.after(ms(course.late.after), () => late(course.late!.says))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
