/** Which contracts may take part in a lead's auction, and why the others may not. */
import type { Opening } from './auction.ts'
import { listItems } from './fields/text.ts'
import type { FieldValue } from './fields.ts'
import type { Lead } from './lead.ts'
import { type Reason, reason } from './reason.ts'
import type { Buyer, Campaign, Contract, Source } from './version.ts'

/** What may be known beforehand to save pings; the hold decides. */
export interface EligibilityHints {
  /** The window of the contract that was just seen full, or null. */
  readonly exhausted: (contract: string) => string | null
  /** True where the contract has as many posts in doubt as it may. */
  readonly doubts: (contract: string) => boolean
}

/**
 * Sorts the campaign's seats for one lead, in seat order; the first reason that holds is the seat's:
 * `inactive`, `source_not_allowed`, `filter_<field>`, `no_consent` (the consumer named sellers and not this one),
 * `doubts`, `cap_<window>`. A test lead touches no cap and no doubt, so neither keeps a seat from it.
 */
export function openingOf(
  campaign: Campaign,
  lead: Lead,
  source: Source,
  hints: EligibilityHints,
  test = false,
): Omit<Opening, 'dice'> {
  const eligible: number[] = []
  const excluded = new Map<Reason, number[]>()
  const named = lead.values.get('consented_sellers')
  const sellers = named === undefined ? null : sellersOf(named)
  for (const contract of campaign.contracts) {
    const why = exclusionOf(contract, lead, source, sellers) ?? (test ? null : knownLimit(contract.id, hints))
    if (why === null) {
      eligible.push(contract.seat)
      continue
    }
    const seats = excluded.get(why)
    if (seats === undefined) excluded.set(why, [contract.seat])
    else seats.push(contract.seat)
  }
  return { eligible, excluded: Object.fromEntries(excluded) }
}

function exclusionOf(
  contract: Contract,
  lead: Lead,
  source: Source,
  sellers: ReadonlySet<string> | null,
): Reason | null {
  if (!contract.active) return 'inactive'
  if (contract.sources !== null && !contract.sources.has(source.id)) return 'source_not_allowed'
  const fell = contract.filter === null ? null : contract.filter.fallsOn(lead, source.id)
  if (fell !== null) return filterReason(fell)
  return sellers !== null && !sellers.has(sellerNameOf(contract.buyer)) ? 'no_consent' : null
}

/** One text for each field that a filter can fall on: joined anew for every seat, it was half the cost of an opening. */
const FILTER_REASONS = new Map<string, Reason>()

function filterReason(field: string): Reason {
  const known = FILTER_REASONS.get(field)
  if (known !== undefined) return known
  const why = reason('filter', field)
  FILTER_REASONS.set(field, why)
  return why
}

function knownLimit(contract: string, hints: EligibilityHints): Reason | null {
  if (hints.doubts(contract)) return 'doubts'
  const window = hints.exhausted(contract)
  return window === null ? null : reason('cap', window)
}

const sellersOf = (named: FieldValue): ReadonlySet<string> => new Set(listItems(named.normal as string).map(folded))

const SELLER_NAMES = new WeakMap<Buyer, string>()

function sellerNameOf(buyer: Buyer): string {
  const known = SELLER_NAMES.get(buyer)
  if (known !== undefined) return known
  const name = folded(buyer.legalEntity)
  SELLER_NAMES.set(buyer, name)
  return name
}

/** A legal entity's name without case and punctuation: "Acme Solar, L.L.C." is "acme solar llc". */
function folded(name: string): string {
  return name
    .toLowerCase()
    .replace(/[.,'’]/g, '')
    .replace(/\s+/g, ' ')
    .trim()
}
