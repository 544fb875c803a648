/** Asks check services about leads: one exchange for each question, answered exactly once, however late. */
import type { CheckService, LeadCheck, Outputs } from '../rules/checks.ts'
import { type Ms, ms } from '../rules/units.ts'
import type { WireLead, WireReply, WireRequest } from './adapter.ts'
import { compileBody } from './body.ts'
import { compileRequest } from './compile.ts'
import type { Health } from './health.ts'
import { Exchange, type Failure, type Lanes } from './http.ts'
import { compileOutputs } from './reply-rules.ts'
import type { Said } from './slot.ts'
import type { Clock } from './wire.ts'

/** What a service said; null outputs: nothing that is an answer, and `failed` says why. */
export type CheckAnswer =
  | { readonly outputs: Outputs; readonly failed: null }
  | { readonly outputs: null; readonly failed: string }

/** A question under way. */
export interface CheckQuestion {
  /** True once a byte of it may have left: then it has its price. */
  readonly left: () => boolean
}

/** Whoever answers so long after its time is not listened to any more; until then a late answer may be kept for the next lead. */
const LATE_MS = 10_000

export interface CheckAdapter {
  readonly request: (wire: WireLead, said: Said) => WireRequest
  readonly read: (reply: WireReply) => CheckAnswer
}

/** Compiles a check's service. Throws on a URL that the check of a configuration lets nobody publish. */
export function compileCheck(id: string, service: CheckService): CheckAdapter {
  const { message, url, tls } = service
  const sender = { id, delivery: { tls } }
  const write = compileRequest(sender, message, url)
  const body = compileBody(message, message.body!, id)
  const outputs = compileOutputs(service)
  return {
    request: (wire, said) => write(wire, said, body(wire, said) ?? '', []),
    read: (reply) => {
      if (reply.status < 200 || reply.status > 299) return failed(`http_${reply.status}`)
      const found = outputs(reply)
      return found === null ? failed('unreadable') : { outputs: found, failed: null }
    },
  }
}

const failed = (why: string): CheckAnswer => ({ outputs: null, failed: why })

export class Checker {
  readonly #clock: Clock
  readonly #lanes: Lanes
  readonly #health: Health
  readonly #compile: typeof compileCheck
  readonly #adapters = new WeakMap<CheckService, CheckAdapter>()

  constructor(clock: Clock, lanes: Lanes, health: Health, compile: typeof compileCheck) {
    this.#compile = compile
    this.#clock = clock
    this.#lanes = lanes
    this.#health = health
  }

  /** Calls back exactly once, and never before it returns. An answer after the check's time counts against its health. */
  ask(check: LeadCheck, service: CheckService, lead: WireLead, answered: (answer: CheckAnswer) => void): CheckQuestion {
    const adapter = this.#adapters.get(service) ?? this.#compile(check.id, service)
    this.#adapters.set(service, adapter)
    const exchange = new CheckExchange(this.#clock, this.#lanes, adapter, check.timeoutMs, answered)
    const request = adapter.request(lead, { at: this.#clock.wall(), price: null, buyerReference: null })
    const line = this.#health.lineTo(check, 'check', request.origin)
    const sent = this.#lanes.send(request, line, exchange)
    if (sent === 'sent') this.#lanes.watch(exchange, ms(exchange.lateAt + LATE_MS))
    else exchange.decline(sent === 'full' ? 'queue_full' : sent)
    return { left: () => exchange.started }
  }
}

class CheckExchange extends Exchange {
  protected readonly kind = 'check'
  readonly #lanes: Lanes
  readonly #adapter: CheckAdapter
  #answered: ((answer: CheckAnswer) => void) | null

  constructor(
    clock: Clock,
    lanes: Lanes,
    adapter: CheckAdapter,
    timeoutMs: Ms,
    answered: (answer: CheckAnswer) => void,
  ) {
    super(clock, null, null)
    this.#lanes = lanes
    this.#adapter = adapter
    this.#answered = answered
    this.lateAt = ms(this.askedAt + timeoutMs)
  }

  decline(why: string): void {
    this.#settle(() => failed(why))
  }

  override expire(): void {
    this.decline('timeout')
    if (!this.#lanes.isClosing()) this.blameSilence()
    this.abort()
  }

  /** What found no connection in its time is not asked any more: nobody waits for it. */
  protected override mayStart(): boolean {
    return this.#answered !== null && this.clock.mono() < this.lateAt
  }

  protected override isSick(status: number): boolean {
    return status === 408 || status === 429 || status >= 500
  }

  protected override replied(reply: WireReply): void {
    this.#settle(() => this.#adapter.read(reply))
  }

  protected override failed(failure: Failure): void {
    this.decline(failure === 'refused' ? 'timeout' : failure)
  }

  /** In a microtask, outside of undici's parser. */
  #settle(read: () => CheckAnswer): void {
    const answered = this.#answered
    if (answered === null) return
    this.#answered = null
    this.#lanes.unwatch(this)
    queueMicrotask(() => answered(read()))
  }
}
