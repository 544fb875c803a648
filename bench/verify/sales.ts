/** Invariant 2: a lead is sold at most as often as it may be, and to different buyers of different groups. */
import type { Contract } from '../../rules/version.ts'
import type { Dossier, Intent } from './dossiers.ts'
import { Finding } from './finding.ts'
import type { PostRecord, Records } from './records.ts'
import type { Versions } from './versions.ts'

export class SalesCheck {
  readonly finding = new Finding(2, 'no lead is sold too often', ['sold', 'copies', 'in doubt', 'shared'])
  readonly #versions: Versions
  readonly #records: Records

  constructor(versions: Versions, records: Records) {
    this.#versions = versions
    this.#records = records
    if (records.posts) this.finding.count('acceptances', 0)
  }

  see(dossier: Dossier): void {
    const { lead, intents } = dossier
    const taken = intents.filter(({ state }) => state === 'accepted' || state === 'in_doubt' || state === 'open')
    const accepted = taken.filter(({ state }) => state === 'accepted')
    if (accepted.length > 0) this.finding.count('sold')
    this.finding.count('copies', accepted.length)
    this.finding.count('in doubt', taken.length - accepted.length)
    if (taken.length > 0) this.#mayBe(dossier, taken)
    if (this.#records.posts) this.#heard(dossier, this.#records.posts.get(lead.id) ?? [])
  }

  end(): Finding {
    if (!this.#records.posts)
      this.finding.note("buyers' records were not given (--posts FILE): only the ledger was read")
    return this.finding
  }

  #mayBe(dossier: Dossier, taken: readonly Intent[]): void {
    const { lead } = dossier
    const seats = taken.map((intent) => ({ intent, contract: this.#contractOf(dossier, intent) }))
    const tiers = new Set(seats.map(({ contract }) => contract?.tier))
    const copies = this.#copiesOf(dossier, taken[0]!, seats[0]!.contract)
    if (copies > 1) this.finding.count('shared')
    const say = (how: string): void => this.finding.violated(`lead ${lead.id} ${how}`)
    if (tiers.size > 1) say(`was sold in ${tiers.size} tiers`)
    if (taken.length > copies) say(`has ${taken.length} sales or doubts, and may have ${copies}`)
    for (const { copy } of taken) if (copy >= copies) say(`was sold as copy ${copy}, and may have ${copies}`)
    const names = [
      { of: 'buyer', list: taken.map(({ buyer }) => buyer) },
      { of: 'group', list: seats.map(({ contract, intent }) => contract?.buyer.group ?? intent.buyer) },
      { of: 'copy', list: taken.map(({ copy }) => String(copy)) },
    ]
    for (const { of, list } of names) {
      const twice = list.find((name, at) => list.indexOf(name) !== at)
      if (twice !== undefined) say(`was sold twice to the ${of} ${twice}`.replace('to the copy', 'as copy'))
    }
  }

  /** Every buyer that says it took the lead must be one that the ledger sold it to, or doubts about. */
  #heard(dossier: Dossier, posts: readonly PostRecord[]): void {
    const takers = new Set(posts.filter(({ answer }) => answer === 'accepted').map(({ contract }) => contract))
    this.finding.count('acceptances', takers.size)
    for (const name of takers) {
      const ends = dossier.intents.filter(({ contract }) => contract === name)
      if (ends.some(({ state }) => state === 'accepted' || state === 'in_doubt' || state === 'open')) continue
      if (ends.some((intent) => isAgreed(intent, this.#contractOf(dossier, intent)))) {
        this.finding.count('refused by agreement')
      } else {
        this.finding.violated(
          `lead ${dossier.lead.id}: ${name} says that it took it, and the ledger that ${ends.at(-1)?.state ?? 'it was never offered'}`,
        )
      }
    }
  }

  #contractOf({ lead, trace }: Dossier, intent: Intent): Contract | null {
    const numbers = [versionOf(intent), trace?.term === intent.term ? trace.version : null, lead.version]
    for (const number of numbers) {
      const found = number === null ? null : this.#versions.contract(number, lead.campaign, intent.contract)
      if (found) return found
    }
    return null
  }

  /** Copies of the tier it was sold in. A contract that no stored version names is taken for exclusive. */
  #copiesOf({ lead, trace }: Dossier, intent: Intent, contract: Contract | null): number {
    const number = versionOf(intent) ?? trace?.version ?? lead.version
    const snapshot = this.#versions.snapshot(number)
    if (typeof snapshot === 'string' || !contract) return 1
    return snapshot.campaigns.get(lead.campaign)?.tiers[contract.tier]?.copies ?? 1
  }
}

/** The version under which its places were held; null where it took none. */
export const versionOf = (intent: Intent): number | null => intent.places[0]?.places[0]?.version ?? null

/** Contracts may say that silence, or a 5xx, means no sale, whatever the buyer did. */
function isAgreed(intent: Intent, contract: Contract | null): boolean {
  if (intent.state !== 'rejected') return false
  if (intent.reasonName === 'timeout') return contract?.inDoubt === 'timeout_is_no_sale'
  return contract?.serverError === 'rejected' && /^http_5\d\d$/.test(intent.reason ?? '')
}
