/** Invariant 5: a post leaves after its INTENT is durable and in time, and "sold" is said after its RESULT is durable. */
import { parseMoney } from '../../rules/units.ts'
import type { Acknowledgement } from '../load.ts'
import type { Dossier, Intent } from './dossiers.ts'
import { Finding } from './finding.ts'
import type { PostRecord, Records } from './records.ts'

export interface Tolerances {
  /** How far the clocks of engine, ledger, buyers and clients may be apart, in milliseconds. */
  readonly skewMs: number
  /** How long after it left a post may be read by its buyer, in milliseconds. */
  readonly arrivalMs: number
}

/**
 * What the ledger alone proves: INTENT before RESULT, and INTENT before `post_by` wherever something left. With the
 * buyers' records: each post has an INTENT whose transaction had begun before the post arrived, no INTENT had two posts,
 * no post came after `post_by`, and no sale is one that its buyer never saw. With the clients' records: what was
 * answered as sold was in the ledger already. A transaction's end is not stored, so a post or an answer between the
 * beginning and the end of its transaction would go unseen.
 */
export class PostsCheck {
  readonly finding = new Finding(5, 'nothing leaves before it is durable', ['intents', 'sales'])
  readonly #records: Records
  readonly #tolerances: Tolerances
  readonly #seen = new Set<string>()
  readonly #firstPostAt: number
  readonly #contracts = new Set<string>()

  constructor(records: Records, tolerances: Tolerances) {
    this.#records = records
    this.#tolerances = tolerances
    let first = Number.POSITIVE_INFINITY
    for (const posts of records.posts?.values() ?? []) {
      for (const { at, contract } of posts) {
        first = Math.min(first, at)
        this.#contracts.add(contract)
      }
    }
    this.#firstPostAt = first
    if (records.posts) this.finding.count('posts', 0)
    if (records.answers) this.finding.count('sold answers', 0)
  }

  see(dossier: Dossier): void {
    const { lead, intents, sales } = dossier
    this.finding.count('intents', intents.length)
    this.finding.count('sales', sales.length)
    this.#ledgerAlone(dossier)
    const posts = this.#records.posts?.get(lead.id)
    if (posts) {
      this.#seen.add(lead.id)
      this.#posted(dossier, posts)
    }
    if (this.#records.posts) this.#arrived(dossier, posts ?? [])
    for (const answer of this.#records.answers?.get(lead.id) ?? []) {
      if (answer.status === 'sold' && !lead.test) this.#answered(dossier, answer)
    }
  }

  end(): Finding {
    const { posts, answers } = this.#records
    for (const [leadId, list] of posts ?? []) {
      if (this.#seen.has(leadId)) continue
      this.finding.count('posts', list.length)
      this.finding.violated(`${list[0]!.contract} got a post of lead ${leadId}, which the ledger does not know`)
    }
    if (!posts) this.finding.note("buyers' records were not given (--posts FILE): when posts arrived is not known")
    if (!answers)
      this.finding.note("clients' records were not given (--acks FILE): when they were answered is not known")
    const { skewMs, arrivalMs } = this.#tolerances
    this.finding.note(`clocks may be ${skewMs} ms apart; a post may take ${arrivalMs} ms to arrive`)
    return this.finding
  }

  #ledgerAlone({ lead, intents, sales }: Dossier): void {
    const { skewMs } = this.#tolerances
    for (const intent of intents) {
      const left = intent.state !== 'open' && intent.state !== 'not_sent' && intent.reasonName !== 'engine_lost'
      if (left && intent.createdAt > intent.postBy + skewMs) {
        this.finding.violated(`${nameOf(lead.id, intent)} became durable after its post must not leave any more`)
      }
      if (intent.endedAt !== null && intent.endedAt + skewMs < intent.createdAt) {
        this.finding.violated(`${nameOf(lead.id, intent)} has its RESULT before its INTENT`)
      }
    }
    for (const sale of sales) {
      const intent = intents.find((one) => one.contract === sale.contract && one.state === 'accepted')
      if (intent && sale.soldAt + skewMs < intent.createdAt) {
        this.finding.violated(`${nameOf(lead.id, intent)} was sold before its INTENT`)
      }
    }
  }

  /** Each post against the INTENTs of its contract: the latest one that was there when it arrived let it leave. */
  #posted({ lead, intents }: Dossier, posts: readonly PostRecord[]): void {
    const { skewMs, arrivalMs } = this.#tolerances
    const byContract = Map.groupBy(posts, ({ contract }) => contract)
    for (const [contract, arrived] of byContract) {
      this.finding.count('posts', arrived.length)
      const allowed = intents.filter((one) => one.contract === contract)
      const repeats = allowed.reduce((most, intent) => Math.max(most, intent.repeats), 0)
      if (arrived.length > allowed.length + repeats) {
        this.finding.violated(
          `lead ${lead.id} was posted to ${contract} ${arrived.length} times, on ${allowed.length} INTENTs`,
        )
      }
      for (const { at } of arrived) {
        const before = allowed.filter(({ createdAt }) => createdAt <= at + skewMs)
        const latest = before.reduce((most, { postBy }) => Math.max(most, postBy), Number.NEGATIVE_INFINITY)
        if (before.length === 0) {
          this.finding.violated(`lead ${lead.id} was posted to ${contract} before its INTENT was in the ledger`)
        } else if (at > latest + skewMs + arrivalMs && !allowed.some((intent) => mayRepeat(intent, at))) {
          const lateMs = Math.round(at - latest)
          this.finding.violated(`lead ${lead.id} arrived at ${contract} ${lateMs} ms after its post must not leave`)
        }
      }
    }
  }

  /** Contracts that never occur in the records post to somebody who keeps none; a doubt may be resolved by other means. */
  #arrived({ lead, intents }: Dossier, posts: readonly PostRecord[]): void {
    for (const intent of intents) {
      if (intent.state !== 'accepted' || intent.doubt !== null || intent.createdAt < this.#firstPostAt) continue
      if (!this.#contracts.has(intent.contract)) continue
      const taken = posts.some(({ contract, answer }) => contract === intent.contract && answer === 'accepted')
      if (!taken) this.finding.violated(`${nameOf(lead.id, intent)} was sold to a buyer that never took it`)
    }
  }

  /** What was entered before the client heard of it must amount to what it heard. */
  #answered({ lead, sales }: Dossier, answer: Acknowledgement): void {
    this.finding.count('sold answers')
    const before = sales.filter(({ soldAt }) => soldAt <= answer.answered_at + this.#tolerances.skewMs)
    const entered = before.reduce((sum, { payout }) => sum + payout, 0)
    if (before.length === 0 || entered < (parseMoney(answer.payout ?? '') ?? 0)) {
      this.finding.violated(`lead ${lead.id} was answered as sold for ${answer.payout} before its RESULT was durable`)
    }
  }
}

/** A post in doubt is sent again under the same key, once it can have ended. */
const mayRepeat = ({ repeats, doubt, postBy, postMs }: Intent, at: number): boolean =>
  repeats > 0 && doubt !== null && at > postBy + postMs

const nameOf = (leadId: string, intent: Intent): string =>
  `lead ${leadId} to ${intent.contract} (term ${intent.term}, attempt ${intent.attempt})`
