/** Answers what the checks of a lead find out: from memory, from a list, or by asking a service once for all who wait. */
import type { CheckAnswer, CheckQuestion } from '../../buyers/checker.ts'
import type { Clock, OpenBuyersWire, Timer } from '../../buyers/wire.ts'
import type { CheckSaid } from '../../rules/auction.ts'
import type { CheckService, LeadCheck } from '../../rules/checks.ts'
import type { Lead } from '../../rules/lead.ts'
import type { Campaign } from '../../rules/version.ts'
import type { LeadFacts } from '../live.ts'
import type { Metrics } from '../metrics.ts'
import type { Sealer } from '../seal.ts'
import { Answers } from './answers.ts'

export interface ChecksSettings {
  readonly clock: Clock
  readonly wire: Pick<OpenBuyersWire, 'check'>
  readonly seal: Pick<Sealer, 'fingerprint'>
  readonly metrics: Pick<Metrics, 'observe' | 'check'>
  /** True where a suppression list names the lead. */
  readonly listed: (list: string, campaign: Campaign, lead: Lead) => boolean
}

export type Told = (said: CheckSaid) => void
type Asking = Pick<LeadFacts, 'campaign' | 'wire'>

/** A lead that waits for an answer, until its own time is over. */
interface Waiter {
  readonly told: (answer: CheckAnswer, pays: boolean) => void
  readonly timer: Timer
}

/** A question under way, and who waits for it; the first of them pays. */
interface Flight {
  question: CheckQuestion | null
  readonly waiters: Set<Waiter>
}

const TIMEOUT: CheckAnswer = { outputs: null, failed: 'timeout' }

export class Checks {
  readonly #settings: ChecksSettings
  readonly #answers: Answers
  /** By question. As many as the wire lets be under way: whatever it refuses is answered at once. */
  readonly #flights = new Map<string, Flight>()
  /** What tells one service from another in a key: as long-lived as its version. */
  readonly #names = new WeakMap<CheckService, string>()

  constructor(settings: ChecksSettings, answers = new Answers()) {
    this.#settings = settings
    this.#answers = answers
  }

  /** Calls back exactly once, at the latest when the check's time is over, and never before it returns. */
  ask(check: LeadCheck, lead: Asking, told: Told): void {
    const { by, id } = check
    const tell = (said: Omit<CheckSaid, 'check'>): void => {
      this.#settings.metrics.check(id, said.failed ?? said.via)
      told({ check: id, ...said })
    }
    if (lead.wire.test) queueMicrotask(() => tell({ via: 'test', outputs: check.testOutputs }))
    else if ('list' in by) {
      const listed = this.#settings.listed(by.list, lead.campaign, lead.wire.lead)
      queueMicrotask(() => tell({ via: 'list', outputs: { listed } }))
    } else this.#askService(check, by.service, lead, tell)
  }

  #askService(
    check: LeadCheck,
    service: CheckService,
    { wire }: Asking,
    tell: (said: Omit<CheckSaid, 'check'>) => void,
  ): void {
    const { clock, metrics } = this.#settings
    const key = this.#keyOf(service, wire)
    const kept = check.keepMs === 0 ? null : this.#answers.find(key, clock.mono())
    if (kept !== null) return queueMicrotask(() => tell({ via: 'kept', outputs: kept }))
    const askedAt = clock.mono()
    const known = this.#flights.get(key)
    const flight = known ?? { question: null, waiters: new Set() }
    const answered = ({ outputs, failed }: CheckAnswer, pays: boolean): void => {
      metrics.observe('check', clock.mono() - askedAt)
      const via = known === undefined ? 'asked' : 'shared'
      tell({ via, outputs, ...(failed !== null && { failed }), ...(pays && check.cost > 0 && { cost: check.cost }) })
    }
    this.#wait(flight, check, answered, known === undefined)
    if (known !== undefined) return
    this.#flights.set(key, flight)
    flight.question = this.#settings.wire.check(check, service, wire, (answer) => {
      this.#flights.delete(key)
      if (answer.outputs !== null) this.#answers.keep(key, answer.outputs, check.keepMs, clock.mono())
      const left = flight.question?.left() === true
      for (const waiter of flight.waiters) {
        waiter.timer.cancel()
        waiter.told(answer, left)
      }
      flight.waiters.clear()
    })
  }

  /** A lead waits for its check's time, whoever asked first and whenever. What left for it has its price, answered or not. */
  #wait(flight: Flight, check: LeadCheck, answered: Waiter['told'], pays: boolean): void {
    const waiter: Waiter = {
      told: (answer, left) => answered(answer, pays && left),
      timer: this.#settings.clock.after(check.timeoutMs, () => {
        flight.waiters.delete(waiter)
        waiter.told(TIMEOUT, flight.question?.left() === true)
      }),
    }
    flight.waiters.add(waiter)
  }

  /** Of what the answer depends on: the service as it is configured, and the values that its map names. */
  #keyOf(service: CheckService, { lead, sourcePseudonym, campaign }: Asking['wire']): string {
    const { seal } = this.#settings
    const name = this.#names.get(service) ?? seal.fingerprint(service.identity)
    this.#names.set(service, name)
    const given = (field: string) =>
      field === 'lead_ref' ? lead.leadRef : (lead.values.get(field)?.normal ?? lead.subs[field] ?? null)
    const facts = service.facts.map((fact) => (fact === 'source' ? sourcePseudonym : campaign))
    return seal.fingerprint(JSON.stringify([name, service.fields.map(given), facts]))
  }
}
