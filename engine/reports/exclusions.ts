/** Why contracts were not asked: counted for each lead by 10,000 of them, of which the most frequent are told. */
import type { Opening } from '../../rules/auction.ts'
import type { Reason } from '../../rules/reason.ts'
import { excludedSeats } from '../../rules/seats.ts'
import type { Campaign } from '../../rules/version.ts'

/** Rows that one quarter of an hour tells apart; what is rarer goes together. */
const MOST_TOLD = 500

export interface Excluded {
  readonly campaign: string
  /** Null: all that are rarer. */
  readonly contract: Campaign['contracts'][number] | null
  readonly reason: Reason
  readonly n: number
}

export class Exclusions {
  /** For each contract of the campaign how often. */
  readonly #counts = new Map<Campaign, Map<Reason, Uint32Array>>()

  see(campaign: Campaign, opening: Pick<Opening, 'excluded' | 'crowd'>): void {
    const byReason = this.#counts.get(campaign) ?? new Map<Reason, Uint32Array>()
    this.#counts.set(campaign, byReason)
    for (const [reason, seats] of excludedSeats(opening, campaign.contracts.length)) {
      const counts = byReason.get(reason) ?? new Uint32Array(campaign.contracts.length)
      byReason.set(reason, counts)
      for (const seat of seats) counts[seat]!++
    }
  }

  *told(): Generator<Excluded> {
    const bound = this.#bound()
    for (const [campaign, byReason] of this.#counts) {
      for (const [reason, counts] of byReason) {
        let rest = 0
        for (const [at, n] of counts.entries()) {
          const isTold = n > bound.least || (n === bound.least && bound.ties-- > 0)
          if (n > 0 && isTold) yield { campaign: campaign.id, contract: campaign.contracts[at]!, reason, n }
          else rest += n
        }
        if (rest > 0) yield { campaign: campaign.id, contract: null, reason, n: rest }
      }
    }
  }

  /** What is more frequent than `least` is told, and so many of those that are as frequent. */
  #bound(): { readonly least: number; ties: number } {
    const all = [...this.#counts.values()].flatMap((byReason) => [...byReason.values()])
    const sorted = new Uint32Array(all.reduce((sum, { length }) => sum + length, 0))
    let end = 0
    for (const counts of all) {
      sorted.set(counts, end)
      end += counts.length
    }
    sorted.sort()
    const told = sorted.subarray(-MOST_TOLD)
    const least = told[0] ?? 0
    return { least, ties: told.lastIndexOf(least) + 1 }
  }
}
