/** Which contracts may take part in a lead's auction, and why the others may not. */
import type { Opening } from './auction.ts'
import { type Barred, NOBODY } from './duplicates.ts'
import { add, allOf, type Bits, count, drop, dropRow, has, remove, rowsOf, wordsFor } from './eligibility/bits.ts'
import { ConditionIndex } from './eligibility/conditions.ts'
import { HoursIndex } from './eligibility/hours.ts'
import { listItems } from './fields/text.ts'
import type { FieldValue } from './fields.ts'
import type { Lead } from './lead.ts'
import { owedOf, pricesOf } from './prices.ts'
import { opensFor } from './queue.ts'
import { fullReason, type Reason, reason, reasonName } from './reason.ts'
import { scheduleAt } from './schedule.ts'
import { sortOut } from './seats.ts'
import { testContract } from './test-delivery.ts'
import { micros, type WallMs } from './units.ts'
import type { Buyer, Campaign, Contract, Source } from './version.ts'

/** What may be known beforehand to save pings; the hold decides. */
export interface EligibilityHints {
  /** The window of the contract that was just seen full, or null. */
  readonly exhausted: (contract: string) => string | null
  /** True where the contract has as many posts in doubt as it may. */
  readonly doubts: (contract: string) => boolean
  /** True where the contract's buyer is left alone because its server is unwell. */
  readonly unwell: (contract: string) => boolean
  /** Why an operator keeps the lead from the contract now, or null. */
  readonly denied?: (contract: Contract, campaign: string, source: string, lead: Lead) => Reason | null
  /** The window in which a contract that is pinged may not be pinged any more, or null. */
  readonly throttled?: (contract: Contract) => string | null
}

/**
 * Sorts the campaign's seats for one lead, in seat order. Where the campaign's or the source's own filter turns the lead
 * away, every seat has that reason (`campaign_filter_<field>`, `source_filter_<field>`). Otherwise the first reason that
 * holds is the seat's: `inactive`, `source_not_allowed`, `filter_<field>` (the first condition that fails, the buyer's
 * before the contract's), `no_consent` (the consumer named sellers and not this one), `paused`, `closed` (or
 * `queued`, where the lead can wait for its opening), the reason that
 * its buyer is barred for, `blocked_<what>`, `breaker`, `doubts`, `cap_<window>`, `throttle_<window>`. Hours and pauses are those of `at`. A
 * test lead meets contracts that have a test delivery, live or not; what is full, unwell or switched off is not asked of
 * it, and all others are `inactive`.
 */
export function openingOf(
  campaign: Campaign,
  lead: Lead,
  source: Source,
  at: WallMs,
  hints: EligibilityHints,
  test = false,
  barred = NOBODY,
): Omit<Opening, 'dice'> {
  const seats = campaign.contracts.length
  const turnedAway = barredBy(campaign, lead, source)
  if (turnedAway !== null) return { eligible: [], ...sortOut([[turnedAway, allOf(seats)]], seats) }
  const index = indexOf(campaign, test)
  const { alive, excluded } = index.sift(lead, source.id, at)
  if (barred.size > 0) index.dropBarred(alive, excluded, barred)
  const eligible = rowsOf(alive)
  const open = eligible.length
  const denied = hints.denied && ((contract: Contract) => hints.denied!(contract, campaign.id, source.id, lead))
  if (!test) index.dropLimited(eligible, excluded, hints, denied ?? (() => null))
  const prices = pricesOf(campaign, source, lead, eligible)
  // What everybody is kept from, the campaign does not take.
  const isBlocked = open > 0 && eligible.length === 0 && blockedOf(excluded, open) >= open
  const owed = test || isBlocked ? micros(0) : owedOf(campaign, source, prices)
  return { eligible, ...sortOut(excluded, seats), ...(prices && { prices }), ...(owed > 0 && { owed }) }
}

/** How many seats the operator or a buyer has blocked for this lead; where there are so many, it may stop counting. */
function blockedOf(excluded: Excluded, enough: number): number {
  let blocked = 0
  for (const [why, bits] of excluded) if (reasonName(why) === 'blocked') blocked += count(bits, enough)
  return blocked
}

/** Builds the campaign's index now, so that no lead has to wait for it: some 100 ms for 10,000 contracts. */
export function prepareEligibility(campaign: Campaign): void {
  indexOf(campaign, false)
}

/** The filter of the campaign, or of the source there, that turns the lead away as a whole. */
function barredBy(campaign: Campaign, lead: Lead, source: Source): Reason | null {
  const campaignFell = campaign.filter?.fallsOn(lead, source.id) ?? null
  if (campaignFell !== null) return reasonOf('campaign_filter', campaignFell)
  const sourceFell = source.filters.get(campaign.id)?.fallsOn(lead, source.id) ?? null
  return sourceFell === null ? null : reasonOf('source_filter', sourceFell)
}

/** One text for each field that a filter can fall on: joined anew for every seat, it was half the cost of an opening. */
const REASONS = { filter: new Map<string, Reason>(), campaign_filter: new Map(), source_filter: new Map() }

function reasonOf(name: keyof typeof REASONS, field: string): Reason {
  const known = REASONS[name].get(field)
  if (known !== undefined) return known
  const why = reason(name, field)
  REASONS[name].set(field, why)
  return why
}

function knownLimit(contract: Contract, hints: EligibilityHints): Reason | null {
  if (hints.unwell(contract.id)) return 'breaker'
  if (hints.doubts(contract.id)) return 'doubts'
  const window = hints.exhausted(contract.id)
  if (window !== null) return fullReason(window)
  const throttled = contract.pinged && hints.throttled ? hints.throttled(contract) : null
  return throttled === null ? null : reason('throttle', throttled)
}

/** By reason, in the order in which seats are sorted out. */
type Excluded = Map<Reason, Bits>

function bitsOf(excluded: Excluded, why: Reason, words: number, seat: number): void {
  const bits = excluded.get(why) ?? new Int32Array(words)
  excluded.set(why, bits)
  add(bits, seat)
}

/** What a source's seats are before anything is known of the lead. */
interface Start {
  readonly alive: Bits
  readonly excluded: Excluded
}

/** A campaign's contracts, made ready to be asked all at once. It is used by one lead at a time: its bits are its own. */
class CampaignIndex {
  readonly #contracts: readonly Contract[]
  readonly #conditions: ConditionIndex
  readonly #hours: HoursIndex
  /** Some contract lets leads wait for its opening. */
  readonly #queues: boolean
  readonly #reasons: readonly Reason[]
  readonly #sellers: ReadonlyMap<string, readonly number[]>
  readonly #seatsOf: ReadonlyMap<string, readonly number[]>
  /** By source, as far as a contract names it: all other sources are alike. */
  readonly #starts = new Map<string | null, Start>()
  readonly #named: ReadonlySet<string>
  readonly #alive: Bits

  constructor(contracts: readonly Contract[]) {
    this.#contracts = contracts
    this.#conditions = new ConditionIndex(contracts.map(({ filter }) => filter))
    this.#hours = new HoursIndex(contracts)
    this.#queues = contracts.some(({ queueForMs }) => queueForMs > 0)
    this.#reasons = this.#conditions.fields.map((field) => reasonOf('filter', field))
    this.#sellers = Map.groupBy(
      contracts.map((_, seat) => seat),
      (seat) => sellerNameOf(contracts[seat]!.buyer),
    )
    this.#seatsOf = Map.groupBy(
      contracts.map((_, seat) => seat),
      (seat) => contracts[seat]!.buyer.id,
    )
    this.#named = new Set(contracts.flatMap(({ sources }) => [...(sources ?? [])]))
    this.#alive = new Int32Array(wordsFor(contracts.length))
  }

  /** Seats that neither the lead nor the clock keeps out, and all others by reason. The answer's bits are gone with the next lead. */
  sift(lead: Lead, source: string, at: WallMs): Start {
    const start = this.#startOf(source)
    const alive = this.#alive
    alive.set(start.alive)
    this.#conditions.sift(lead, source, alive)
    const excluded: Excluded = new Map(start.excluded)
    this.#reasons.forEach((why, at) => {
      excluded.set(why, this.#conditions.fell[at]!)
    })
    const named = lead.values.get('consented_sellers')
    if (named !== undefined) excluded.set('no_consent', this.#dropUnnamed(alive, named))
    this.#hours.look(at)
    excluded.set('paused', dropAll(alive, this.#hours.paused))
    const closed = dropAll(alive, this.#hours.closed)
    excluded.set('closed', closed)
    if (this.#queues) excluded.set('queued', this.#takeQueued(closed, lead, at))
    return { alive, excluded }
  }

  /** Of the closed seats those for which the lead can wait; `closed` loses them. */
  #takeQueued(closed: Bits, lead: Lead, at: WallMs): Bits {
    const queued = new Int32Array(closed.length)
    const { queueing } = this.#hours
    for (const seat of rowsOf(closed.map((word, place) => word & queueing[place]!))) {
      if (opensFor(this.#contracts[seat]!, lead.receivedAt, at) !== null) dropRow(closed, seat, queued)
    }
    return queued
  }

  /** Moves the seats of barred buyers to `excluded`. */
  dropBarred(alive: Bits, excluded: Excluded, barred: Barred): void {
    for (const [buyer, why] of barred) {
      for (const seat of this.#seatsOf.get(buyer) ?? []) {
        if (!has(alive, seat)) continue
        remove(alive, seat)
        bitsOf(excluded, why, alive.length, seat)
      }
    }
  }

  /** Moves seats that are switched off or known to be full from `eligible` to `excluded`. */
  dropLimited(
    eligible: number[],
    excluded: Excluded,
    hints: EligibilityHints,
    denied: (contract: Contract) => Reason | null,
  ): void {
    let kept = 0
    for (const seat of eligible) {
      const contract = this.#contracts[seat]!
      const why = denied(contract) ?? knownLimit(contract, hints)
      if (why === null) eligible[kept++] = seat
      else bitsOf(excluded, why, this.#alive.length, seat)
    }
    eligible.length = kept
  }

  #dropUnnamed(alive: Bits, named: FieldValue): Bits {
    const unnamed = alive.slice()
    for (const seller of sellersOf(named)) for (const seat of this.#sellers.get(seller) ?? []) remove(unnamed, seat)
    for (let at = 0; at < alive.length; at++) alive[at]! &= ~unnamed[at]!
    return unnamed
  }

  #startOf(source: string): Start {
    const key = this.#named.has(source) ? source : null
    const known = this.#starts.get(key)
    if (known !== undefined) return known
    const alive = allOf(this.#contracts.length)
    const inactive = new Int32Array(alive.length)
    const notAllowed = new Int32Array(alive.length)
    this.#contracts.forEach(({ active, sources }, seat) => {
      if (!active) dropRow(alive, seat, inactive)
      else if (sources !== null && !sources.has(source)) dropRow(alive, seat, notAllowed)
    })
    const start: Start = {
      alive,
      excluded: new Map([
        ['inactive', inactive],
        ['source_not_allowed', notAllowed],
      ]),
    }
    this.#starts.set(key, start)
    return start
  }
}

function dropAll(alive: Bits, failing: Bits): Bits {
  const fell = new Int32Array(alive.length)
  drop(alive, failing, fell)
  return fell
}

const INDEXES = new WeakMap<Campaign, CampaignIndex>()
/** Tests are rare: an index for them is built with the first. */
const TEST_INDEXES = new WeakMap<Campaign, CampaignIndex>()

function indexOf(campaign: Campaign, test: boolean): CampaignIndex {
  const indexes = test ? TEST_INDEXES : INDEXES
  const known = indexes.get(campaign)
  if (known !== undefined) return known
  const tested = (contract: Contract): Contract => ({ ...contract, active: testContract(contract) !== null })
  const index = new CampaignIndex(test ? campaign.contracts.map(tested) : campaign.contracts)
  indexes.set(campaign, index)
  return index
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

/**
 * The same seats and reasons, contract by contract: what the index must agree with, and what it is measured against.
 * Hints are left out, for they are asked seat by seat either way.
 */
export function openingByLoop(
  campaign: Campaign,
  lead: Lead,
  source: Source,
  at: WallMs,
): { readonly eligible: readonly number[]; readonly excluded: ReadonlyMap<Reason, readonly number[]> } {
  const eligible: number[] = []
  const excluded = new Map<Reason, number[]>()
  const barred = barredBy(campaign, lead, source)
  const named = lead.values.get('consented_sellers')
  const sellers = named === undefined ? null : sellersOf(named)
  for (const contract of campaign.contracts) {
    const why = barred ?? exclusionOf(contract, lead, source.id, sellers, at)
    const seats = why === null ? eligible : excluded.get(why)
    if (seats !== undefined) seats.push(contract.seat)
    else excluded.set(why!, [contract.seat])
  }
  return { eligible, excluded }
}

function exclusionOf(
  { active, sources, filter, buyer, schedules, pausedUntil, queueForMs }: Contract,
  lead: Lead,
  source: string,
  sellers: ReadonlySet<string> | null,
  at: WallMs,
): Reason | null {
  if (!active) return 'inactive'
  if (sources !== null && !sources.has(source)) return 'source_not_allowed'
  const fell = filter === null ? null : filter.fallsOn(lead, source)
  if (fell !== null) return reasonOf('filter', fell)
  if (sellers !== null && !sellers.has(sellerNameOf(buyer))) return 'no_consent'
  if (at < pausedUntil) return 'paused'
  if (schedules.every((schedule) => scheduleAt(schedule, at).open)) return null
  return opensFor({ schedules, queueForMs }, lead.receivedAt, at) === null ? 'closed' : 'queued'
}
