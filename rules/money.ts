/** What a source earns and what a bid must reach: payout, margin and effective floor. */
import { type Micros, micros, PPM_PER_WHOLE, roundDownToMinor, shareOf } from './units.ts'
import type { PayoutRule } from './version.ts'

/** What the source earns in all for copies that sold for `total`; rounded down to the currency's minor unit. Nothing sold earns nothing. */
export function payoutOf(rule: PayoutRule, total: Micros, minorDigits: number): Micros {
  if (total <= 0) return micros(0)
  return 'fixed' in rule ? rule.fixed : roundDownToMinor(shareOf(total, rule.share), minorDigits)
}

export interface FloorTerms {
  /** The larger of the campaign's and the source's floor. */
  readonly floor: Micros
  readonly payout: PayoutRule
  readonly minMargin: Micros
  readonly allowLoss: boolean
}

/**
 * The least price at which a contract may buy: the largest of campaign, source and contract floor and, unless a loss is
 * allowed, of the price that leaves the payout and the minimum margin. A shared copy is judged as if it sold alone.
 */
export function effectiveFloor(terms: FloorTerms, contractFloor: Micros): Micros {
  const floor = Math.max(terms.floor, contractFloor)
  if (terms.allowLoss) return micros(floor)
  return micros(Math.max(floor, priceForMargin(terms.payout, terms.minMargin)))
}

function priceForMargin(payout: PayoutRule, minMargin: Micros): number {
  if ('fixed' in payout) return payout.fixed + minMargin
  const kept = PPM_PER_WHOLE - payout.share
  return kept > 0 ? Math.ceil((minMargin * PPM_PER_WHOLE) / kept) : minMargin > 0 ? Number.POSITIVE_INFINITY : 0
}
