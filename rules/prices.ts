/** Prices that depend on the lead: rules, resolved once when it opens, so that its trace replays without its values. */
import type { AuctionTerms, LeadPrices, Ruled, SeatPrices, SeatTerms } from './auction.ts'
import type { Condition } from './filter.ts'
import type { Lead } from './lead.ts'
import type { Adjustment } from './money.ts'
import { type Micros, micros } from './units.ts'
import type { Campaign, PayoutRule, Source } from './version.ts'

/** `when` null: it always holds. */
export interface Rule<T> {
  readonly when: Condition | null
  readonly is: T
}

/** What a contract's price, floor and bid depend on. */
export interface ContractRules {
  /** Whose outputs they ask about. */
  readonly checks: readonly string[]
  readonly prices: readonly Rule<Micros>[]
  readonly floors: readonly Rule<Micros>[]
  readonly adjustments: readonly Rule<Adjustment>[]
}

/** What a campaign's or a source's floor and payout depend on. */
export interface HouseRules {
  /** Whose outputs they ask about. */
  readonly checks: readonly string[]
  readonly floors: readonly Rule<Micros>[]
  readonly payouts: readonly Rule<PayoutRule>[]
}

/** The last rule that holds, with its number from 1 on; null where none does. */
export function lastThatHolds<T>(rules: readonly Rule<T>[], lead: Lead, source: string): Ruled<T> | null {
  for (let at = rules.length - 1; at >= 0; at--) {
    const { when, is } = rules[at]!
    if (when === null || when.fallsOn(lead, source) === null) return { rule: at + 1, is }
  }
  return null
}

/** What rules say of a lead and of its eligible seats; null where none holds. Asks the rules of eligible seats alone. */
export function pricesOf(
  campaign: Campaign,
  source: Source,
  lead: Lead,
  eligible: readonly number[],
): LeadPrices | null {
  const ofSource = source.rules.get(campaign.id) ?? null
  const ofHouse = campaign.rules !== null || ofSource !== null
  if (!ofHouse && !campaign.hasContractRules) return null
  const floor = ofHouse ? floorOf(campaign, source, ofSource, lead) : null
  const payout = ofHouse ? payoutOf(campaign, source, ofSource, lead) : null
  const seats = campaign.hasContractRules ? seatsOf(campaign, source, lead, eligible) : []
  if (floor === null && payout === null && seats.length === 0) return null
  return { ...(floor !== null && { floor }), ...(payout !== null && { payout }), ...(seats.length > 0 && { seats }) }
}

/** Null: what the campaign and the source say without rules. */
function floorOf(campaign: Campaign, source: Source, ofSource: HouseRules | null, lead: Lead): Micros | null {
  const first = lastThatHolds(campaign.rules?.floors ?? [], lead, source.id)
  const second = lastThatHolds(ofSource?.floors ?? [], lead, source.id)
  if (first === null && second === null) return null
  return micros(Math.max(first?.is ?? campaign.floor, second?.is ?? source.floor))
}

/** The source's rules, then its own payout, then the campaign's rules. */
function payoutOf(campaign: Campaign, source: Source, ofSource: HouseRules | null, lead: Lead): PayoutRule | null {
  const own = lastThatHolds(ofSource?.payouts ?? [], lead, source.id)
  if (own !== null || source.payout !== null) return own?.is ?? null
  return lastThatHolds(campaign.rules?.payouts ?? [], lead, source.id)?.is ?? null
}

function seatsOf(campaign: Campaign, source: Source, lead: Lead, eligible: readonly number[]): SeatPrices[] {
  const seats: SeatPrices[] = []
  eligible.forEach((seatNumber, seat) => {
    const { rules } = campaign.contracts[seatNumber]!
    if (rules === null) return
    const price = lastThatHolds(rules.prices, lead, source.id)
    const floor = lastThatHolds(rules.floors, lead, source.id)
    const adjust = lastThatHolds(rules.adjustments, lead, source.id)
    if (price === null && floor === null && adjust === null) return
    seats.push({ seat, ...(price && { price }), ...(floor && { floor }), ...(adjust && { adjust }) })
  })
  return seats
}

/** What the source earns for a lead that the campaign takes, sold or not. */
export function owedOf(campaign: Campaign, source: Source, prices: LeadPrices | null): Micros {
  const rule = prices?.payout ?? source.payout ?? campaign.payout
  return 'fixed' in rule && rule.on === 'accepted' ? rule.fixed : micros(0)
}

/** The same where fewer seats are eligible: a seat is named by its place among them. */
export function pricesAmong(prices: LeadPrices, before: readonly number[], now: readonly number[]): LeadPrices {
  const places = new Map(now.map((seatNumber, place) => [seatNumber, place]))
  const seats = (prices.seats ?? []).flatMap((one) => {
    const seat = places.get(before[one.seat]!)
    return seat === undefined ? [] : [{ ...one, seat }]
  })
  const { seats: _, ...rest } = prices
  return seats.length > 0 ? { ...rest, seats } : rest
}

/** The terms under which a lead with these prices is sold. */
export function leadTerms(terms: AuctionTerms, prices: LeadPrices | undefined): AuctionTerms {
  if (prices?.floor === undefined && prices?.payout === undefined) return terms
  return { ...terms, floor: prices.floor ?? terms.floor, payout: prices.payout ?? terms.payout }
}

/** Terms of the eligible seats, in their order, under these prices. */
export function leadSeats(
  terms: AuctionTerms,
  eligible: readonly number[],
  prices: LeadPrices | undefined,
): readonly SeatTerms[] {
  const seats = eligible.map((seatNumber) => terms.seats[seatNumber]!)
  for (const { seat, price, floor, adjust } of prices?.seats ?? []) {
    const own = seats[seat]!
    seats[seat] = { ...own, price: price?.is ?? own.price, floor: floor?.is ?? own.floor, adjust: adjust?.is ?? null }
  }
  return seats
}
