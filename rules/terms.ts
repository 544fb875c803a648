/** What the auction's machine needs of a version: one campaign's terms for one source. */
import type { AuctionTerms } from './auction.ts'
import { micros } from './units.ts'
import type { Campaign, Source } from './version.ts'

/** Pure of the two arguments; costs as much as the campaign has contracts, so callers keep it for the version's life. */
export function auctionTerms(campaign: Campaign, source: Source): AuctionTerms {
  return {
    tiers: campaign.tiers,
    seats: campaign.contracts.map((contract) => ({
      contract: contract.id,
      buyer: contract.buyer.id,
      group: contract.buyer.group,
      tier: contract.tier,
      priority: contract.priority,
      weight: contract.weight,
      price: contract.price,
      pinged: contract.pinged,
      floor: contract.floor,
      minBid: contract.minBid,
      maxBid: contract.maxBid,
      adjust: null,
      postMs: contract.postMs,
      timeoutIsNoSale: contract.inDoubt === 'timeout_is_no_sale',
      bidLifeMs: contract.bidLifeMs,
    })),
    floor: micros(Math.max(campaign.floor, source.floor)),
    payout: source.payout ?? campaign.payout,
    minPayout: source.minPayout,
    minMargin: campaign.minMargin,
    allowLoss: campaign.allowLoss,
    minorDigits: campaign.minorDigits,
    totalMs: campaign.totalMs,
    answerWithinMs: source.answerWithinMs,
  }
}
