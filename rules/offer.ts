/** A source's ping: which of its fields may be asked about, and how the lead that comes for an offer finds its bids. */
import type { Opening, PayoutPromise, StandingBid } from './auction.ts'
import { canonicalJson } from './configuration/canonical.ts'
import { fieldNamed, type Issue, type Lead } from './lead.ts'
import { pricesAmong } from './prices.ts'
import type { Reason } from './reason.ts'
import type { Micros, WallMs } from './units.ts'
import type { Campaign, Shortfall } from './version.ts'
import { TRACKING_FIELDS, type Vertical } from './verticals.ts'

/** One bid of an offer, as it was made. */
export interface OfferBid {
  /** `b1` is the best: what a consumer's choice names. */
  readonly id: string
  readonly contract: string
  readonly price: Micros
  readonly buyerReference: string | null
  readonly expiresAt: WallMs
  /** When the buyer's word ends, however long the offer stands; absent: it does not by itself. */
  readonly endsAt?: WallMs
  /** What the source would earn if this bid alone bought. */
  readonly payout: Micros
}

/** What a ping came to: enough for any process to sell the lead that comes for it. */
export interface Offer {
  readonly id: string
  readonly campaign: string
  readonly source: string
  /** The configuration's version that decided it. */
  readonly version: number
  readonly test: boolean
  readonly at: WallMs
  /** The shortest life among its bids, and the campaign's own for offers. */
  readonly expiresAt: WallMs
  /** What a sale earns the source at the least; 0 where nobody bid. */
  readonly payout: Micros
  readonly currency: string
  readonly shortfall: Shortfall
  /** The consumer chooses among the bids: only those that the lead names may buy. */
  readonly choice: boolean
  /** Best first. */
  readonly bids: readonly OfferBid[]
  /** Contracts that were asked and would not buy. */
  readonly declined: readonly (readonly [contract: string, reason: Reason])[]
  /** Names of the fields that the ping had. */
  readonly fields: readonly string[]
  /** Keyed hash of their values, `pingedText`. */
  readonly fieldsHash: string
  /** The lead that this was offered for instead of the offer it came for; null for a ping's offer. */
  readonly afterLead: string | null
}

/** Drops what a ping may not show. Names are those under which the fields came. */
export function pingFields(
  vertical: Vertical,
  raw: Readonly<Record<string, unknown>>,
): { readonly fields: Readonly<Record<string, unknown>>; readonly dropped: readonly string[] } {
  const fields: Record<string, unknown> = Object.create(null)
  const dropped: string[] = []
  for (const name of Object.keys(raw)) {
    const field = fieldNamed(vertical, name)
    if (field === undefined) continue
    if (field.ping || TRACKING_FIELDS.has(field.name)) fields[name] = raw[name]
    else if (!isBlank(raw[name])) dropped.push(field.name)
  }
  return { fields, dropped: [...new Set(dropped)] }
}

const isBlank = (value: unknown): boolean => value === null || value === undefined || String(value).trim() === ''

/** Values of the named fields, in one text for equal leads: what the bids were made for. */
export function pingedText(lead: Lead, fields: readonly string[]): string {
  return canonicalJson(fields.map((name) => [name, lead.values.get(name)?.normal ?? null]))
}

/** How a lead uses an offer. */
export interface OfferUse {
  readonly offer: Offer
  /** The pinged fields are as they were: the bids stand. */
  readonly unchanged: boolean
  /** Ids of the bids that the consumer chose; null where the campaign leaves nothing to choose. */
  readonly chosen: readonly string[] | null
}

const LISTED = /[\s,;|]+/

/** The bids that a lead's `consent_bids` names, in its order; or what is wrong with them. */
export function chosenBids(offer: Offer, lead: Lead): readonly string[] | null | Issue {
  if (!offer.choice) return null
  const given = lead.unknown['consent_bids'] ?? ''
  const chosen = given
    .replace(/[[\]"']/g, ' ')
    .split(LISTED)
    .filter((id) => id !== '')
  if (chosen.length === 0) return { field: 'consent_bids', code: 'required', value: null }
  const unknown = chosen.find((id) => !offer.bids.some((bid) => bid.id === id))
  if (unknown !== undefined) return { field: 'consent_bids', code: 'not_an_option', value: unknown.slice(0, 200) }
  return [...new Set(chosen)]
}

/** The source earns no less than it was told: by the offer, or where the consumer chose, by the least of the chosen bids. */
function promiseOf({ offer, chosen }: OfferUse): PayoutPromise {
  const told = offer.bids.flatMap(({ id, payout }) => (chosen?.includes(id) ? [payout] : []))
  const payout = chosen === null ? offer.payout : (Math.min(...told) as Micros)
  return { payout, marginGives: offer.shortfall === 'eat_to_zero_margin' }
}

/**
 * The lead's seats with what they said to the ping: bids stand without a second ping, and who declined is not asked
 * again. Where a pinged field has changed, everybody is asked anew. Seats that nobody asked yet may still be.
 */
export function openingOfOffer(
  opening: Omit<Opening, 'dice'>,
  campaign: Campaign,
  use: OfferUse,
  now: WallMs,
): Omit<Opening, 'dice'> {
  const { offer, unchanged, chosen } = use
  const bids = new Map(offer.bids.map((bid) => [bid.contract, bid]))
  const declined = new Map(offer.declined)
  const eligible: number[] = []
  const standing: StandingBid[] = []
  const excluded: Record<Reason, number[]> = {}
  for (const seat of opening.eligible) {
    const { id } = campaign.contracts[seat]!
    const bid = bids.get(id)
    const why = whyNot(bid, chosen, unchanged, declined.get(id), now)
    if (why !== null) excluded[why] = [...(excluded[why] ?? []), seat]
    else {
      if (bid && unchanged) {
        const { price, buyerReference, endsAt } = bid
        const stands = [eligible.length, price, buyerReference] as const
        standing.push(endsAt === undefined ? stands : [...stands, endsAt - now])
      }
      eligible.push(seat)
    }
  }
  const { prices, ...rest } = opening
  return {
    ...rest,
    ...(prices && { prices: pricesAmong(prices, opening.eligible, eligible) }),
    eligible,
    excluded: merged(opening.excluded, excluded),
    bids: standing,
    ...(chosen !== null && { choice: inOrder(chosen, eligible, (seat) => bids.get(campaign.contracts[seat]!.id)!.id) }),
    promise: promiseOf(use),
  }
}

/** Positions of the seats in the consumer's order. All of them were chosen: others are out. */
function inOrder(chosen: readonly string[], eligible: readonly number[], bidOf: (seat: number) => string): number[] {
  const place = (at: number) => chosen.indexOf(bidOf(eligible[at]!))
  return eligible.map((_, at) => at).sort((a, b) => place(a) - place(b))
}

function whyNot(
  bid: OfferBid | undefined,
  chosen: OfferUse['chosen'],
  unchanged: boolean,
  declined: Reason | undefined,
  now: WallMs,
): Reason | null {
  if (chosen !== null && !(bid && chosen.includes(bid.id))) return 'not_chosen'
  if (!unchanged) return null
  if (bid) return bid.expiresAt > now ? null : 'bid_expired'
  return declined ?? null
}

function merged(
  one: Opening['excluded'],
  other: Readonly<Record<Reason, readonly number[]>>,
): Record<Reason, readonly number[]> {
  const all: Record<Reason, readonly number[]> = { ...one }
  for (const [why, seats] of Object.entries(other)) all[why] = [...(all[why] ?? []), ...seats].sort((a, b) => a - b)
  return all
}
