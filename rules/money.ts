/** What a source earns, what a bid must reach, and what it counts for: payout, effective floor, effective value. */
import type { PayoutPromise } from './auction.ts'
import { type Micros, micros, PPM_PER_WHOLE, type Ppm, roundDownToMinor, shareOf } from './units.ts'
import type { PayoutRule } from './version.ts'

export const sumOf = (amounts: readonly Micros[]): Micros => micros(amounts.reduce((sum, amount) => sum + amount, 0))

/** What the source earns in all for copies that sold at these bids; rounded down to the currency's minor unit. */
export function payoutOf(rule: PayoutRule, bids: readonly Micros[], minorDigits: number): Micros {
  if (bids.length === 0) return micros(0)
  if ('fixed' in rule) return rule.fixed
  const { share, marginFloor } = rule
  if (marginFloor === undefined) return roundDownToMinor(shareOf(sumOf(bids), share), minorDigits)
  const each = bids.map((bid) => micros(Math.max(0, Math.min(shareOf(bid, share), bid - marginFloor))))
  return roundDownToMinor(sumOf(each), minorDigits)
}

/** The same where the source was promised something for a sale; nothing without one. */
export function earnedFor(
  { payout: rule, minorDigits }: { readonly payout: PayoutRule; readonly minorDigits: number },
  promise: PayoutPromise | null,
  bids: readonly Micros[],
): Micros {
  const payout = payoutOf(rule, bids, minorDigits)
  return promise === null || bids.length === 0 ? payout : micros(Math.max(payout, promise.payout))
}

export interface FloorTerms {
  /** The larger of the campaign's and the source's floor. */
  readonly floor: Micros
  readonly payout: PayoutRule
  /** The source refuses to be paid less. */
  readonly minPayout: Micros
  readonly minMargin: Micros
  readonly allowLoss: boolean
}

/**
 * The least price at which a contract may buy: the largest of campaign, source and contract floor, of the price that
 * pays the source its least and, unless a loss is allowed, of the one that leaves the payout and the minimum margin. A
 * payout that is owed in any case raises no floor: any price is better than none. A shared copy is judged as if it sold
 * alone.
 */
export function effectiveFloor(terms: FloorTerms, contractFloor: Micros): Micros {
  const { payout, minPayout, minMargin } = terms
  const floor = Math.max(terms.floor, contractFloor, minPayout > 0 ? priceForPayout(payout, minPayout) : 0)
  return micros(terms.allowLoss ? floor : Math.max(floor, priceForMargin(payout, minMargin)))
}

/** `least`: whole minor units, so that rounding down does not go below it. */
function priceForPayout(rule: PayoutRule, least: Micros): number {
  if ('fixed' in rule) return rule.fixed >= least ? 0 : Number.POSITIVE_INFINITY
  if (rule.share === 0) return Number.POSITIVE_INFINITY
  return Math.max(Math.ceil((least * PPM_PER_WHOLE) / rule.share), least + (rule.marginFloor ?? 0))
}

function priceForMargin(rule: PayoutRule, minMargin: Micros): number {
  if ('fixed' in rule) return rule.on === 'accepted' ? 0 : rule.fixed + minMargin
  const { share, marginFloor = 0 } = rule
  if (marginFloor >= minMargin) return marginFloor
  const kept = PPM_PER_WHOLE - share
  return kept > 0 ? Math.ceil((minMargin * PPM_PER_WHOLE) / kept) : Number.POSITIVE_INFINITY
}

/** What a bid counts for where it is not what it says: in proportion, or by so much more or less. */
export type Adjustment = { readonly factor: Ppm } | { readonly amount: Micros }

/** The effective value of a bid, in whole micros and never below 0. More bid is never less value. */
export function adjusted(adjustment: Adjustment, bid: Micros): Micros {
  return 'factor' in adjustment ? shareOf(bid, adjustment.factor) : micros(Math.max(0, bid + adjustment.amount))
}
