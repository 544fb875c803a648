/** One immutable, numbered snapshot of all the configuration, as the rest of the engine reads it. */
import type { AddressRange } from './addresses.ts'
import type { Alert, Recipient } from './alerts.ts'
import type { CampaignChecks } from './checks.ts'
import { checkAlerts } from './configuration/alert-check.ts'
import { canonicalJson } from './configuration/canonical.ts'
import { type Check, checkFields, checkHouse, newMade } from './configuration/check.ts'
import { checkContracts } from './configuration/contract-check.ts'
import { checkDuplicates } from './configuration/duplicate-check.ts'
import { checkFilters } from './configuration/filter-check.ts'
import { checkLeadChecks, declareOutputs } from './configuration/lead-checks.ts'
import { suggest } from './configuration/nearest.ts'
import { expandPresets, type Presets } from './configuration/presets.ts'
import { checkPrices } from './configuration/price-check.ts'
import { checkSchedules } from './configuration/schedule-check.ts'
import type { ConfigFile } from './configuration/schema.ts'
import { checkShape } from './configuration/shape.ts'
import { buildSnapshot } from './configuration/snapshot.ts'
import { atOnce, type Steps } from './configuration/steps.ts'
import { checkLists } from './configuration/suppression-check.ts'
import type { Delivery } from './delivery.ts'
import type { DuplicatePolicy, DuplicateRule } from './duplicates.ts'
import type { Condition } from './filter.ts'
import type { Redirects } from './onward.ts'
import type { Postback } from './postback.ts'
import type { ContractRules, HouseRules } from './prices.ts'
import type { ReturnTerms } from './returns.ts'
import type { Schedule } from './schedule.ts'
import type { SelfService } from './self-service.ts'
import type { ListSpec } from './suppression.ts'
import type { Throttle } from './throttle.ts'
import type { Micros, Ms, Ppm, WallMs } from './units.ts'
import { VERTICALS, type Vertical } from './verticals.ts'

/**
 * How a tier is sold down: the best bid first (`auction`), by priority (`waterfall`), in an order drawn by weight
 * (`weighted`), or in turns that come round by weight (`round_robin`).
 */
export type Strategy = 'auction' | 'waterfall' | 'weighted' | 'round_robin'
/**
 * What the source earns: a fixed sum once per lead, or a share of the accepted copies' total. `on`: `accepted`: it earns
 * the fixed sum for every valid lead that the campaign takes, sold or not. With a margin floor the engine keeps at least
 * so much of each copy's price.
 */
export type PayoutRule =
  | { readonly fixed: Micros; readonly on?: 'accepted' }
  | { readonly share: Ppm; readonly marginFloor?: Micros }
/** `source_contract`: what one source sells to one contract. */
export type CapScope = 'contract' | 'buyer' | 'source' | 'campaign' | 'source_contract'
/** `balance`: a limit of credit, raised by what the buyer has paid in. */
export type CapWindow = 'hour' | 'day' | 'week' | 'month' | 'total' | 'rolling' | 'concurrency' | 'balance'
export type CapKind = 'count' | 'spend'

/** One limit. `limit` counts leads (count) or micros (spend); concurrency counts only. */
export interface CapRule {
  readonly scope: CapScope
  /** Id of the contract, buyer, source or campaign that the cap belongs to; of a source and a contract `source/contract`. */
  readonly owner: string
  readonly window: CapWindow
  readonly kind: CapKind
  readonly limit: number
  /** IANA zone in which the window's name is computed: the buyer's for contract and buyer caps, the campaign's otherwise. */
  readonly zone: string
  /** A day begins so many minutes after midnight. */
  readonly dayStart?: number
  /** Length of a rolling window. */
  readonly minutes?: number
  /** Of a balance. */
  readonly currency?: string
  /** A day's cap that is spread over the time in which all of these are open; null: it is not. */
  readonly pace?: readonly Schedule[] | null
}

export interface ApiKey {
  readonly source: string
  /** A test key runs everything against test deliveries and sells nothing. */
  readonly test: boolean
}

/** What a key of the admin plane may do: each role may do what those before it may. */
export type AdminRole = 'viewer' | 'operator' | 'admin'
/** Who somebody is to the engine: buyers and sources have operations of their own. */
export type Role = AdminRole | 'buyer' | 'source'

export interface AdminKey {
  /** Who it is in the audit. */
  readonly label: string
  readonly role: AdminRole
}

export interface Source {
  readonly id: string
  readonly name: string
  /** Stable name under which buyers see this source. */
  readonly pseudonym: string
  readonly campaigns: ReadonlySet<string>
  readonly ratePerSecond: number
  readonly burst: number
  readonly floor: Micros
  /** Overrides the campaign's payout where present. */
  readonly payout: PayoutRule | null
  /** The source refuses to be paid less for a lead; 0: it takes what comes. */
  readonly minPayout: Micros
  /** By campaign. */
  readonly rules: ReadonlyMap<string, HouseRules>
  readonly answerWithinMs: Ms
  /** What a dialect without a word for it says of a lead that is pending. */
  readonly pendingAs: 'unsold' | 'sold' | 'pending'
  /** Whatever it sends is a test. */
  readonly inTest: boolean
  readonly adForms: AdForms
  /** By campaign: how the source hears what became of its leads. */
  readonly postbacks: ReadonlyMap<string, Postback>
  /** By campaign: which leads the source may send there. */
  readonly filters: ReadonlyMap<string, Condition>
  readonly caps: readonly CapRule[]
}

/** How leads come from forms on advertising platforms. */
export interface AdForms {
  /** What a form calls a field -> what the campaign does. */
  readonly fields: Readonly<Record<string, string>>
  readonly meta: MetaForms | null
}

export interface MetaForms {
  readonly appSecret: string
  readonly verifyToken: string
  readonly accessToken: string
  /** Where leads are fetched from. */
  readonly graphUrl: string
}

/** How a campaign answers a consumer's browser. */
export interface WebForm {
  /** Name of a field that people do not see. */
  readonly honeypot: string
}

export interface Tier {
  readonly name: string
  readonly strategy: Strategy
  readonly copies: number
  readonly pingMs: Ms
  /** An auction ends as soon as no bid that is still awaited could win. */
  readonly earlyClose: boolean
}

/** What happens where a lead comes for an offer and its bids no longer earn the source what it was offered. */
export type Shortfall = 'eat_to_zero_margin' | 'reject' | 'reoffer'

/** How a campaign answers the pings of its sources. */
export interface OfferRule {
  /** How long an offer stands, where no bid's own life is shorter. */
  readonly lifeMs: Ms
  readonly shortfall: Shortfall
  /** What becomes of a ping that names the consumer: the fields are dropped with a warning, or the ping is refused. */
  readonly personal: 'drop' | 'refuse'
  /** Bids are shown with their sellers' names, and the consumer chooses who may buy. */
  readonly choice: boolean
}

export interface Buyer {
  readonly id: string
  readonly name: string
  readonly zone: string
  /** Buyers of one group never get two copies of one lead. A buyer without a group is its own. */
  readonly group: string
  readonly legalEntity: string
  readonly health: BuyerHealth
  /** The wording by which a consumer consents to be called by this seller, where it has its own. */
  readonly tcpaText: string | null
  /** Which earlier leads that its group had keep it from buying. */
  readonly duplicates: DuplicateRule
  /** Suppression lists of people that it must not be sold. */
  readonly suppress: readonly string[]
  readonly caps: readonly CapRule[]
  /** How often its contracts may be pinged together. */
  readonly throttles: readonly Throttle[]
  /** Alerts tell of a balance that falls under it; null: it has no threshold of its own. */
  readonly lowBalance: Micros | null
}

/** When a buyer's server counts as unwell, and how much of it may be under way in one process. */
export interface BuyerHealth {
  /** Failures among its latest ten requests of one kind with which it is left alone. */
  readonly failures: number
  /** How long it is left alone before one request probes it; twice as long after each probe that fails, up to `retryMaxMs`. */
  readonly retryMs: Ms
  readonly retryMaxMs: Ms
  /** Most pings and posts under way; one more is not sent. */
  readonly pings: number
  readonly posts: number
}

export interface Contract {
  readonly id: string
  /** Place in the campaign's contract order, from 0: the seat number in every auction of this version. */
  readonly seat: number
  readonly buyer: Buyer
  readonly active: boolean
  readonly tier: number
  readonly priority: number
  /** Its part of a weighted or round-robin tier. */
  readonly weight: number
  /** Fixed price; null where the price comes by ping. */
  readonly price: Micros | null
  /** `contract`: an acceptance without a price is a bid at `price`. `reply`: a price of 0 or none is no bid. */
  readonly priceFrom: 'contract' | 'reply'
  readonly pinged: boolean
  /** How long its bid stands, where its reply says nothing shorter; null: until the lead is decided, or as long as an offer. */
  readonly bidLifeMs: Ms | null
  readonly floor: Micros
  /** The least and the most that it declares to bid; a bid beyond them is none. */
  readonly minBid: Micros
  readonly maxBid: Micros | null
  readonly rules: ContractRules | null
  /** The buyer's filter and the contract's own, as far as it can be asked before the checks. */
  readonly filter: Condition | null
  /** What of it asks about outputs of checks. */
  readonly lateFilter: Condition | null
  /** Checks whose refusal keeps it from a lead. */
  readonly checks: readonly string[]
  /** Those, and all whose outputs its filter, its prices or its messages name. */
  readonly needs: readonly string[]
  /** Source ids it buys from; null: all. */
  readonly sources: ReadonlySet<string> | null
  /** The buyer's and its own: it buys while all of them are open. */
  readonly schedules: readonly Schedule[]
  /** It or its buyer is paused until then; 0: neither is. */
  readonly pausedUntil: WallMs
  /** So long after it came a lead may wait for it to open; 0: it does not wait. */
  readonly queueForMs: number
  readonly caps: readonly CapRule[]
  /** By source: caps of what that source sells to it. */
  readonly sourceCaps: ReadonlyMap<string, readonly CapRule[]>
  /** How often it may be pinged. */
  readonly throttles: readonly Throttle[]
  readonly postMs: Ms
  /** What a 5xx after a whole reply means: in doubt (default) or, where the contract declares it, a rejection. */
  readonly serverError: 'in_doubt' | 'rejected'
  /** The buyer answers the same Idempotency-Key the same again, and never bills it twice: a post in doubt is sent again. */
  readonly idempotent: boolean
  /** What happens to an in-doubt post that nobody resolves in time. */
  readonly inDoubt: 'hold_unbilled' | 'assume_sold' | 'timeout_is_no_sale'
  /** What the buyer may give back of what it bought under it; null: nothing. */
  readonly returns: ReturnTerms | null
  /** What of it its buyer may change. */
  readonly selfService: SelfService
  readonly delivery: Delivery
}

export interface Campaign {
  readonly id: string
  readonly vertical: Vertical
  /** Which leads the campaign takes at all; null: all. */
  readonly filter: Condition | null
  readonly zone: string
  readonly currency: string
  /** Fraction digits of the currency: 2 for USD. */
  readonly minorDigits: number
  readonly floor: Micros
  readonly minMargin: Micros
  readonly allowLoss: boolean
  readonly payout: PayoutRule
  readonly rules: HouseRules | null
  /** True where a contract has rules. */
  readonly hasContractRules: boolean
  readonly totalMs: Ms
  readonly duplicates: DuplicatePolicy
  /** Suppression lists of people that nobody may be sold. */
  readonly suppress: readonly string[]
  /** Null: neither it nor a contract or rule of it asks for any. */
  readonly checks: CampaignChecks | null
  readonly offers: OfferRule
  /** Leads may come in an address, which proxies log. */
  readonly allowsGet: boolean
  readonly redirects: Redirects
  readonly form: WebForm
  readonly tiers: readonly Tier[]
  /** In seat order. */
  readonly contracts: readonly Contract[]
  readonly caps: readonly CapRule[]
}

export interface Snapshot {
  readonly version: number
  /** Canonical JSON of the configuration this was compiled from: what the ledger stores under the number. */
  readonly canonical: string
  /** True for the example: its well-known keys are served on loopback only. */
  readonly example: boolean
  readonly sources: ReadonlyMap<string, Source>
  /** SHA-256 of an API key in hex -> whose it is. */
  readonly keys: ReadonlyMap<string, ApiKey>
  /** SHA-256 of a buyer's key in hex -> the buyer. */
  readonly buyerKeys: ReadonlyMap<string, string>
  /** SHA-256 of an admin key in hex -> whose it is. */
  readonly adminKeys: ReadonlyMap<string, AdminKey>
  readonly campaigns: ReadonlyMap<string, Campaign>
  readonly buyers: ReadonlyMap<string, Buyer>
  readonly lists: ReadonlyMap<string, ListSpec>
  readonly alerts: ReadonlyMap<string, Alert>
  readonly recipients: ReadonlyMap<string, Recipient>
  /** Where operators reach the admin plane; null: nobody said. */
  readonly adminUrl: string | null
  /** CIDR ranges that buyers' hosts may lie in although the guard forbids them by default. */
  readonly allowedCidrs: readonly string[]
  /** Balancers and networks of delivery before the data plane, which are believed where they say whom they forward. */
  readonly trustedProxies: readonly AddressRange[]
}

/** One fault of a configuration: where (`contracts.acme.price`) and what, in words that say what to do. */
export interface Fault {
  readonly path: string
  readonly message: string
}

/** `warnings`: what is allowed and yet surely not meant, such as a contract that is still in test. */
export type Compiled =
  | { readonly ok: true; readonly snapshot: Snapshot; readonly warnings: readonly Fault[] }
  | { readonly ok: false; readonly faults: readonly Fault[] }

/**
 * Compiles a parsed configuration: every fault at once, or the snapshot that leads are decided by. Pure: the same
 * content gives the same snapshot, whatever the order of its keys; contracts take their seats in the order of their ids.
 * `presets`: what contracts may name; `buyers/presets` has them all.
 */
export function compileVersion(config: unknown, version: number, presets: Presets = NO_PRESETS): Compiled {
  return atOnce(compileInSteps(config, version, presets))
}

/** The same in steps: one of 10,000 contracts takes more than a second, and leads must not wait so long. */
export function* compileInSteps(config: unknown, version: number, presets: Presets): Steps<Compiled> {
  if (!nestsAtMost(config, MAX_NESTING)) return { ok: false, faults: [TOO_DEEP] }
  const canonical = canonicalJson(config)
  const faults = new Map<string, Fault>()
  yield
  const copy = JSON.parse(canonical)
  yield
  expandPresets(copy, presets, ({ path, message }) => faults.set(`${path} ${message}`, { path, message }))
  yield
  const shaped = checkShape(copy)
  yield
  const warnings = new Map<string, Fault>()
  const addTo = (list: Map<string, Fault>) => (path: string, message: string) => {
    list.set(`${path} ${message}`, { path, message })
  }
  const made = newMade()
  const { draft, broken } = shaped
  const check: Check = {
    draft,
    verticals: VERTICALS,
    made,
    broken,
    fault: addTo(faults),
    warn: addTo(warnings),
    hint: hints(),
  }
  for (const fault of shaped.faults) check.fault(fault.path, fault.message)
  checkFields(check)
  declareOutputs(check)
  checkHouse(check)
  yield* checkContracts(check)
  yield* checkFilters(check)
  for (const rest of [checkPrices, checkSchedules, checkDuplicates, checkLists, checkAlerts, checkLeadChecks]) {
    rest(check)
    yield
  }
  if (faults.size > 0) return { ok: false, faults: [...faults.values()] }
  const snapshot = yield* buildSnapshot(draft as ConfigFile, made, version, canonical)
  return { ok: true, snapshot, warnings: [...warnings.values()] }
}

const NO_PRESETS: Presets = new Map()
/** Far deeper than anything that the schema has a use for. */
const MAX_NESTING = 64
const TOO_DEEP: Fault = {
  path: '(file)',
  message: `nests deeper than ${MAX_NESTING} groups and lists, or an anchor refers to itself: flatten it.`,
}

/** True where groups and lists lie in each other at most so many times. */
export function nestsAtMost(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return levels > 0 && Object.values(value).every((inner) => nestsAtMost(inner, levels - 1))
}

const MAX_HINTS = 200

function hints(): Check['hint'] {
  let given = 0
  return (word, known) => (++given > MAX_HINTS ? '' : suggest(word, known()))
}
