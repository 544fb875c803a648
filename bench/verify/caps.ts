/** Invariant 3: what is committed and held never exceeds a cap's limit. */
import { placesOf } from '../../rules/calendar.ts'
import type { Place } from '../../rules/caps.ts'
import { micros, wallMs } from '../../rules/units.ts'
import type { Intent, LeadRow } from './dossiers.ts'
import { Finding } from './finding.ts'
import { versionOf } from './sales.ts'
import type { Versions } from './versions.ts'

/** What one cap key has seen so far, in the order in which holds were asked for. */
interface Counter {
  /** Amounts of places that were never given back. */
  taken: number
  /** Concurrency: places that come back when their post has ended. */
  readonly passing: { readonly from: number; readonly until: number; readonly amount: number }[]
  /** The earliest moment at which an INTENT under this version was durable, hence its limit known to the hot store. */
  readonly knownFrom: Map<number, number>
}

/**
 * The ledger keeps the INTENTs, not the holds: a hold that never came to an INTENT took a place too, and a place that
 * was given back was so before its RESULT was durable. So what is proven here is that no limit was exceeded by what the
 * ledger knows: at every hold in the order in which they were asked for, the places that were taken before and never
 * given back, and the place it took, are within the limit; of concurrency, the places of posts whose INTENT was durable
 * before the hold was asked for and whose RESULT came after its own INTENT. The limit is that of the highest version the
 * store can have known: one that an earlier INTENT names, or where it is larger one that was published by then. That
 * each hold took every place that its version's caps ask for is checked too. Counters themselves are invariant 4.
 */
export class CapsCheck {
  readonly finding = new Finding(3, 'no cap is exceeded', ['intents', 'places', 'caps', 'at their limit'])
  readonly #versions: Versions
  readonly #skewMs: number
  readonly #counters = new Map<string, Counter>()
  readonly #full = new Set<string>()

  constructor(versions: Versions, skewMs: number) {
    this.#versions = versions
    this.#skewMs = skewMs
  }

  /** Of each lead: do its holds name all the places that they must? A test lead takes none. */
  seePlaces(lead: LeadRow, intent: Intent): void {
    const number = versionOf(intent) ?? (intent.term === 1 ? lead.version : null)
    if (number === null) return
    const rules = lead.test ? [] : this.#versions.rules(number, lead.campaign, lead.source, intent.contract)
    if (!rules) return this.finding.note(`intents of version ${number} were not compared with its caps`)
    const expected = placesOf(rules, intent.buyer, micros(intent.bid), number, wallMs(Math.round(intent.heldAt)))
    const wanted = expected.flatMap(({ places }) => places)
    const taken = intent.places.flatMap(({ places }) => places)
    const missing = wanted.find((place) => !taken.some((one) => isSame(one, place)))
    if (!missing && wanted.length === taken.length) return
    const which = missing ? `no place in ${missing.key}` : 'places in caps that its version does not have'
    this.finding.violated(`lead ${lead.id} to ${intent.contract} took ${which}`)
  }

  /** Every intent, in the order in which holds were asked for. */
  seeHold(intent: Intent): void {
    this.finding.count('intents')
    for (const { places } of intent.places) {
      for (const place of places) {
        this.finding.count('places')
        // What was paid in raises a balance's limit; balances are proven with the money.
        if (place.prepaid) continue
        if (place.transient) this.#pass(intent, place)
        else if (isTaken(intent)) this.#take(intent, place)
      }
    }
  }

  end(): Finding {
    this.finding.count('caps', this.#counters.size)
    this.finding.count('at their limit', this.#full.size)
    return this.finding
  }

  #take(intent: Intent, place: Place): void {
    const counter = this.#counterOf(place.key)
    counter.taken += place.amount
    this.#compare(intent, place, counter, counter.taken)
    learn(counter, intent, place)
  }

  #pass(intent: Intent, place: Place): void {
    const counter = this.#counterOf(place.key)
    const { passing } = counter
    for (let i = passing.length - 1; i >= 0; i--) {
      if (passing[i]!.until < intent.heldAt - this.#skewMs) passing.splice(i, 1)
    }
    let taken = place.amount
    for (const { from, until, amount } of passing) {
      const throughout = from + this.#skewMs <= intent.heldAt && until - this.#skewMs >= intent.createdAt
      if (throughout) taken += amount
    }
    this.#compare(intent, place, counter, taken)
    learn(counter, intent, place)
    const ended = intent.state === 'accepted' ? (intent.endedAt ?? intent.createdAt) : intent.createdAt
    const until = intent.state === 'open' || intent.state === 'in_doubt' ? Number.POSITIVE_INFINITY : ended
    passing.push({ from: intent.createdAt, until, amount: place.amount })
  }

  #counterOf(key: string): Counter {
    let counter = this.#counters.get(key)
    if (!counter) {
      counter = { taken: 0, passing: [], knownFrom: new Map() }
      this.#counters.set(key, counter)
    }
    return counter
  }

  #compare(intent: Intent, place: Place, counter: Counter, taken: number): void {
    const limit = this.#limitFor(intent, place, counter, taken)
    if (taken === limit) this.#full.add(place.key)
    if (taken <= limit) return
    this.finding.violated(
      `${place.key}: the hold of lead ${intent.leadId} to ${intent.contract} made it ${taken} of ${limit}`,
    )
  }

  /** The largest limit that may have been in force when the hold was granted. */
  #limitFor(intent: Intent, place: Place, counter: Counter, taken: number): number {
    let oldest = place.version
    if (taken <= place.limit && counter.knownFrom.size <= 1 && counter.knownFrom.has(oldest)) return place.limit
    for (const [version, from] of counter.knownFrom) {
      if (version > oldest && from + this.#skewMs <= intent.heldAt) oldest = version
    }
    let most = oldest === place.version ? place.limit : 0
    for (const number of this.#versions.numbers()) {
      if (number < oldest || this.#versions.createdAt(number) > intent.createdAt + this.#skewMs) continue
      most = Math.max(most, this.#versions.limit(number, place.key) ?? 0)
    }
    return most
  }
}

/** Never given back: a doubt keeps its place until it is resolved. */
const isTaken = ({ state }: Intent): boolean => state === 'accepted' || state === 'in_doubt' || state === 'open'

function learn(counter: Counter, intent: Intent, place: Place): void {
  const known = counter.knownFrom.get(place.version)
  if (known === undefined || intent.createdAt < known) counter.knownFrom.set(place.version, intent.createdAt)
}

const isSame = (taken: Place, wanted: Place): boolean =>
  taken.key === wanted.key &&
  taken.amount === wanted.amount &&
  taken.limit === wanted.limit &&
  taken.transient === wanted.transient &&
  taken.forgetAt === wanted.forgetAt
