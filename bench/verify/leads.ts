/** Invariant 1: every acknowledged lead is in the ledger and ends once. */
import { parseMoney } from '../../rules/units.ts'
import type { Acknowledgement } from '../load.ts'
import type { Dossier, Intent } from './dossiers.ts'
import { Finding } from './finding.ts'
import type { Records } from './records.ts'
import type { Versions } from './versions.ts'

/** A lead whose engine died may be auctioned anew until it is this old. */
const AUCTIONED_AGAIN_MS = 60_000
/** Finding that an engine is silent, taking over, and the waits between. */
const TAKEN_OVER_MS = 60_000
const LIVE: readonly Intent['state'][] = ['open', 'in_doubt', 'accepted']

export class LeadsCheck {
  readonly finding = new Finding(1, 'every acknowledged lead ends once', ['leads', 'terminal', 'in doubt', 'under way'])
  readonly #versions: Versions
  readonly #records: Records
  readonly #now: number
  readonly #drained: boolean
  readonly #found = new Set<string>()

  /** `drained`: nothing is under way any more, so an undecided lead is lost, however young. `now`: of the ledger's clock. */
  constructor(versions: Versions, records: Records, now: number, drained: boolean) {
    this.#versions = versions
    this.#records = records
    this.#now = now
    this.#drained = drained
    if (records.answers) for (const what of ['acknowledged', 'answers']) this.finding.count(what, 0)
  }

  see({ lead, intents }: Dossier): void {
    const { finding } = this
    finding.count('leads')
    const { status } = lead
    if (lead.asleep) finding.count('asleep')
    else if (status === null) this.#undecided(lead)
    else finding.count(status === 'pending' || status === 'review' ? 'in doubt' : 'terminal')
    const why = status === null ? null : contradiction(status, intents)
    if (why) finding.violated(`lead ${lead.id} is ${status}, but ${why}`)
    const answers = this.#records.answers?.get(lead.id)
    if (!answers) return
    this.#found.add(lead.id)
    finding.count('acknowledged')
    const resolved = intents.some(({ doubt }) => doubt !== null)
    for (const answer of answers) {
      finding.count('answers')
      const wrong = broken(answer, lead.status, lead.payout + lead.clawedBack, resolved)
      if (wrong) finding.violated(`lead ${lead.id} was answered ${answer.status}, but ${wrong}`)
    }
  }

  end(): Finding {
    const { answers } = this.#records
    if (!answers) this.finding.note("clients' records were not given (--acks FILE): every lead counts as acknowledged")
    for (const [leadId, told] of answers ?? []) {
      if (this.#found.has(leadId)) continue
      this.finding.count('acknowledged')
      this.finding.violated(`lead ${leadId} was answered ${told[0]!.status}, and is not in the ledger`)
    }
    return this.finding
  }

  #undecided({ id, version, campaign, receivedAt }: Dossier['lead']): void {
    const ageMs = this.#now - receivedAt
    const longestMs = this.#longestMs(version, campaign)
    if (this.#drained) this.finding.violated(`lead ${id} was never decided, and nothing is under way any more`)
    else if (ageMs > longestMs) this.finding.violated(`lead ${id} is undecided after ${Math.round(ageMs / 1000)} s`)
    else this.finding.count('under way')
  }

  /** A first auction, a second one after a takeover, and the wait for a post whose end nobody heard. */
  #longestMs(version: number, campaign: string): number {
    const snapshot = this.#versions.snapshot(version)
    const totalMs = typeof snapshot === 'string' ? undefined : snapshot.campaigns.get(campaign)?.totalMs
    return AUCTIONED_AGAIN_MS + 2 * (totalMs ?? 180_000) + TAKEN_OVER_MS
  }
}

/** Why a decided lead's status cannot be, seeing how its posts ended. */
function contradiction(status: string, intents: readonly Intent[]): string | null {
  const live = intents.filter(({ state }) => LIVE.includes(state))
  const has = (state: Intent['state']): boolean => live.some((intent) => intent.state === state)
  if (has('open')) return 'one of its posts is still under way'
  switch (status) {
    case 'sold':
      return has('accepted') ? null : 'no buyer accepted it'
    case 'pending':
      return has('accepted') ? 'a buyer accepted it' : has('in_doubt') ? null : 'none of its posts is in doubt'
    default:
      return live.length > 0 ? `a post of it is ${live[0]!.state}` : null
  }
}

/** Why an answer was not kept; a doubt that was resolved since may have added to the payout. What was taken back since for returns was earned then. */
function broken(answer: Acknowledgement, status: string | null, payout: number, resolved: boolean): string | null {
  if (answer.status === 'pending') return null
  if (answer.status !== status) return `the ledger says ${status ?? 'that it is undecided'}`
  if (status !== 'sold') return null
  const told = parseMoney(answer.payout ?? '')
  const kept = told !== null && (resolved ? told <= payout : told === payout)
  return kept ? null : `the payout ${answer.payout} that was told is not the ledger's (${payout} micros)`
}
