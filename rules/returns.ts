/** Returns: what a buyer may give back of what it bought, and what the source still earns then. */
import { type Micros, micros, PPM_PER_WHOLE, type Ppm } from './units.ts'

/** What a contract agrees on; a sale goes by those of the version that sold it. */
export interface ReturnTerms {
  /** Days after the sale in which a return may be asked for. */
  readonly maxAgeDays: number
  /** How much of the copies that were sold in a calendar month of the buyer's zone may be returned. */
  readonly share: Ppm
  readonly reasonCodes: readonly string[]
  /** Who approves: an operator, or nobody needs to. */
  readonly approval: 'operator' | 'automatic'
  /** Who gives the source's part of the price back: the source, or our margin. */
  readonly clawback: 'source' | 'us'
}

/** How many of so many copies may be returned: rounded up, so that whoever buys little may return one. */
export const mostReturns = (share: Ppm, sold: number): number => Math.ceil((sold * share) / PPM_PER_WHOLE)

/** One copy of a lead, as it was sold. */
export interface SoldCopy {
  readonly contract: string
  readonly bid: Micros
  /** What it added to the source's payout. */
  readonly payout: Micros
  readonly returned: boolean
}

/** What a source earns for copies that sold at these bids. */
export type Earning = (bids: readonly Micros[]) => Micros

export interface LeadMoney {
  /** Every copy that is sold. */
  readonly copies: readonly SoldCopy[]
  /** What the source has had for them, less what was taken back. */
  readonly paid: Micros
  /** What it earns although nobody buys. */
  readonly owed: Micros
  /** Null where the lead's terms cannot be had: each copy then earns what it was sold for. */
  readonly earning: Earning | null
}

/**
 * What the source gives back when this copy is returned: what it has beyond what the copies that stay earn. A payout that
 * is fixed for the lead stays while one of them does, and so does what was promised for a sale; what is owed in any case
 * is never taken back.
 */
export function clawbackOf({ copies, paid, owed, earning }: LeadMoney, contract: string): Micros {
  const stay = copies.filter((copy) => !copy.returned && copy.contract !== contract)
  return micros(Math.max(0, paid - Math.max(owed, earnedBy(stay, earning))))
}

/** What a copy adds to the payout when it turns out to be sold: what all that stay earn, less what the source has had. */
export function addedBy({ copies, paid, earning }: LeadMoney, copy: Pick<SoldCopy, 'bid' | 'payout'>): Micros {
  if (earning === null) return copy.payout
  const stay = copies.filter(({ returned }) => !returned)
  return micros(Math.max(0, earning([...stay, copy].map(({ bid }) => bid)) - paid))
}

const earnedBy = (copies: readonly SoldCopy[], earning: Earning | null): Micros =>
  earning ? earning(copies.map(({ bid }) => bid)) : micros(copies.reduce((sum, { payout }) => sum + payout, 0))
