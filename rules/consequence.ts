/** Whether a lead's auction would begin otherwise under another version: with other seats, or on other terms. */
import type { AuctionTerms, SeatTerms } from './auction.ts'
import { canonicalJson } from './configuration/canonical.ts'
import { type EligibilityHints, openingOf } from './eligibility.ts'
import type { Lead } from './lead.ts'
import { leadSeats, leadTerms } from './prices.ts'
import { auctionTerms } from './terms.ts'
import type { WallMs } from './units.ts'
import type { Snapshot } from './version.ts'

/** What is full, unwell or switched off just then is no matter of versions. */
const NO_HINTS: EligibilityHints = { exhausted: () => null, doubts: () => false, unwell: () => false }

/** A lead as both versions are asked about it. */
export interface Sampled {
  readonly campaign: string
  readonly source: string
  readonly lead: Lead
  readonly at: WallMs
}

/** Of two versions: whoever asks about many leads makes it once. */
export class Comparison {
  readonly #versions: readonly [Snapshot, Snapshot]
  readonly #terms = new Map<string, AuctionTerms>()

  constructor(before: Snapshot, after: Snapshot) {
    this.#versions = [before, after]
  }

  /** `other_seats`: other contracts may take part; `other_terms`: the same ones, and tiers, prices or floors differ. */
  of(sampled: Sampled): 'same' | 'other_seats' | 'other_terms' {
    const [before, after] = [this.#opening(0, sampled), this.#opening(1, sampled)]
    const contractsOf = (seats: readonly SeatTerms[]) => seats.map(({ contract }) => contract).join(' ')
    if (contractsOf(before?.seats ?? []) !== contractsOf(after?.seats ?? [])) return 'other_seats'
    return isSame(before, after) ? 'same' : 'other_terms'
  }

  /** Null where the campaign is no more, or the source may not send there. */
  #opening(which: 0 | 1, { campaign: campaignId, source: sourceId, lead, at }: Sampled): Terms | null {
    const version = this.#versions[which]
    const campaign = version.campaigns.get(campaignId)
    const source = version.sources.get(sourceId)
    if (!campaign || !source?.campaigns.has(campaignId)) return null
    const key = `${which} ${campaignId} ${sourceId}`
    const terms = this.#terms.get(key) ?? auctionTerms(campaign, source)
    this.#terms.set(key, terms)
    const { eligible, prices } = openingOf(campaign, lead, source, at, NO_HINTS)
    const { seats: _all, ...rest } = leadTerms(terms, prices)
    return { ...rest, seats: leadSeats(terms, eligible, prices) }
  }
}

type Terms = { readonly seats: readonly SeatTerms[] } & Omit<AuctionTerms, 'seats'>

/** Of the same contracts in the same order. */
function isSame(before: Terms | null, after: Terms | null): boolean {
  if (before === null || after === null) return before === after
  const { seats, ...house } = before
  const { seats: others, ...otherHouse } = after
  return isAlike(house, otherHouse) && seats.every((seat, at) => isAlike(seat, others[at]!))
}

/** Two of one shape. Text by text would take milliseconds where a campaign has thousands of contracts. */
function isAlike<T extends object>(one: T, other: T): boolean {
  for (const key of Object.keys(one) as (keyof T)[]) {
    const [a, b] = [one[key], other[key]]
    if (a !== b && (typeof a !== 'object' || canonicalJson(a) !== canonicalJson(b))) return false
  }
  return true
}
