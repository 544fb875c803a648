/** Whose lead it is and who has had that person: fingerprints by rule, and what earlier sightings keep a lead from. */
import { fieldOf, type Lead } from './lead.ts'
import { mailboxOf } from './mailbox.ts'
import type { Reason } from './reason.ts'
import {
  codeOf,
  EVERYONE,
  LEVELS,
  type Level,
  leadTail,
  oldestMinute,
  readSightings,
  type Seen,
  type Sighting,
} from './sightings.ts'
import type { WallMs } from './units.ts'

/** Which earlier leads are the same person's and count. A key is a field, or several joined by `+` that must all agree. */
export interface DuplicateRule {
  readonly keys: readonly string[]
  readonly windowMs: number
  /** The earlier lead must have come so far. */
  readonly level: Level
}

export interface CampaignDuplicates extends DuplicateRule {
  /** False: the lead is turned away. True: only the groups that had the earlier one are left out. */
  readonly toOthers: boolean
}

/** A window without an end. */
export const FOREVER_MS = 100 * 365 * 86_400_000
/** Characters of a fingerprint: 72 bits, so among 100 million of them a new lead meets a stranger's once in 10^13. */
export const PRINT_CHARS = 12
/** Keys of one vertical: each costs every lead a fingerprint. */
export const MOST_KEYS = 16

/** A buyer's rule in one campaign; `at`: places of its keys among the vertical's. */
interface BuyerRule {
  readonly buyer: string
  readonly group: string
  readonly at: ReadonlySet<number>
  readonly windowMs: number
  readonly level: Level
}

/**
 * A campaign's duplicates, made ready. Fingerprints and sightings are the vertical's: a buyer has had a person where it
 * bought them in any campaign of it, and two leads of one person are decided one after the other in all of them.
 */
export interface DuplicatePolicy {
  readonly rule: CampaignDuplicates
  /** The vertical: what the fingerprints belong to. */
  readonly scope: string
  /** What fingerprints are made of: the keys of every rule of the vertical. */
  readonly keys: readonly string[]
  /** How long a sighting may matter, and the least level that does. */
  readonly keepMs: number
  readonly remembers: Level
  readonly campaignCode: string
  readonly campaignAt: ReadonlySet<number>
  readonly buyers: readonly BuyerRule[]
  /** By a buyer's code. */
  readonly groups: ReadonlyMap<string, string>
}

/** One campaign as its duplicates see it. */
export interface Market {
  readonly campaign: string
  readonly vertical: string
  readonly rule: CampaignDuplicates
  readonly buyers: readonly RuledBuyer[]
}

interface RuledBuyer {
  readonly id: string
  readonly group: string
  readonly duplicates: DuplicateRule
}

/** Policies by campaign. */
export function policiesOf(
  markets: readonly Market[],
  buyers: Iterable<RuledBuyer>,
): ReadonlyMap<string, DuplicatePolicy> {
  const groups = new Map(Array.from(buyers, ({ id, group }) => [codeOf(id), group]))
  const policies = new Map<string, DuplicatePolicy>()
  for (const [scope, together] of Map.groupBy(markets, ({ vertical }) => vertical)) {
    const rules = together.flatMap(({ rule, buyers: own }) => [rule, ...own.map(({ duplicates }) => duplicates)])
    const used = rules.filter(({ keys }) => keys.length > 0)
    const keys = [...new Set(used.flatMap((rule) => rule.keys))]
    const placesOf = (rule: DuplicateRule) => new Set(rule.keys.map((key) => keys.indexOf(key)))
    const keepMs = Math.max(0, ...used.map(({ windowMs }) => windowMs))
    const remembers = Math.min(LEVELS.sold, ...used.map(({ level }) => level)) as Level
    for (const { campaign, rule, buyers: own } of together) {
      policies.set(campaign, {
        ...{ rule, scope, keys, keepMs, remembers, groups },
        campaignCode: codeOf(campaign),
        campaignAt: placesOf(rule),
        buyers: own.map(({ id, group, duplicates }) => ({
          ...{ buyer: id, group, at: placesOf(duplicates) },
          ...{ windowMs: duplicates.windowMs, level: duplicates.level },
        })),
      })
    }
  }
  return policies
}

/** `key`: place among the policy's keys. `text`: `<key>:<canonical values>`, such as `phone:+15125550123`. */
export interface Print {
  readonly key: number
  readonly text: string
}

/** One for each key of which the lead has every field, for the engine to hash under its own key. */
export function printsOf(keys: readonly string[], lead: Lead): readonly Print[] {
  const prints: Print[] = []
  keys.forEach((name, key) => {
    const values = name.split('+').map((field) => canonicalOf(field, lead))
    // No value holds U+0000: intake refuses it.
    if (!values.includes(null)) prints.push({ key, text: `${name}:${values.join('\0')}` })
  })
  return prints
}

function canonicalOf(field: string, lead: Lead): string | null {
  const normal = fieldOf(lead, field)
  if (normal === null) return null
  return field === 'email' ? mailboxOf(String(normal)) : String(normal).toLowerCase()
}

/** Buyers that may not take part, with the reason that their seats get. */
export type Barred = ReadonlyMap<string, Reason>
export const NOBODY: Barred = new Map()

/**
 * What the person's earlier leads mean for this one: it is a duplicate, or some buyers are left out. `seen[i]` are the
 * sightings of the fingerprint that was made of `prints[i]`.
 */
export function judge(
  policy: DuplicatePolicy,
  prints: readonly Print[],
  seen: readonly string[],
  leadId: string,
  now: WallMs,
): 'duplicate' | Barred {
  const own = leadTail(leadId)
  const found: readonly Found[] = seen.flatMap((text, i) =>
    readSightings(text)
      .filter(({ lead }) => lead !== own)
      .map((one) => ({ ...one, key: prints[i]!.key })),
  )
  if (found.length === 0) return NOBODY
  const { rule, campaignAt, campaignCode } = policy
  const here = found.filter((one) => one.campaign === campaignCode && counts(one, rule, campaignAt, now))
  if (here.length > 0 && !rule.toOthers) return 'duplicate'
  const barred = new Map<string, Reason>()
  for (const buyer of policy.buyers) {
    const had = (one: Found) =>
      (counts(one, buyer, buyer.at, now) && hadBy(buyer.group, one, buyer.level, policy.groups)) ||
      (here.includes(one) && hadBy(buyer.group, one, rule.level, policy.groups))
    if (found.some(had)) barred.set(buyer.buyer, 'buyer_duplicate')
  }
  return barred
}

type Found = Seen & { readonly key: number }

function counts(
  { key, level, at }: Found,
  rule: Pick<DuplicateRule, 'level' | 'windowMs'>,
  keys: ReadonlySet<number>,
  now: WallMs,
): boolean {
  return keys.has(key) && level >= rule.level && at >= oldestMinute(now, rule.windowMs)
}

function hadBy(group: string, { sold, asked }: Seen, level: Level, groups: ReadonlyMap<string, string>): boolean {
  const isIts = (code: string): boolean => code === ANYBODY || groups.get(code) === group
  return sold.some(isIts) || (level < LEVELS.sold && asked.some(isIts))
}

const ANYBODY = codeOf(EVERYONE)

/** How one seat ended, as far as its buyer may have had the lead. */
export interface SeatEnd {
  readonly buyer: string
  /** It was pinged or posted to. */
  readonly asked: boolean
  /** It bought, or may have. */
  readonly had: boolean
}

/** What is to be kept of a decided lead; null where nobody's rule counts it. */
export function sightingOf(
  policy: DuplicatePolicy,
  lead: Pick<Sighting, 'leadId' | 'campaign' | 'at'>,
  seats: readonly SeatEnd[],
): Sighting | null {
  const idsOf = (some: readonly SeatEnd[]) => [...new Set(some.map(({ buyer }) => buyer))]
  const sold = idsOf(seats.filter(({ had }) => had))
  const asked = idsOf(seats.filter((seat) => seat.asked && !sold.includes(seat.buyer)))
  const level = sold.length > 0 ? LEVELS.sold : asked.length > 0 ? LEVELS.pinged : LEVELS.received
  if (level < policy.remembers || policy.keys.length === 0) return null
  return { ...lead, level, sold, asked: policy.remembers < LEVELS.sold ? asked : [], keepMs: policy.keepMs }
}

/** The text whose hash binds an idempotency key to its lead. Keys of two sources never meet: a source's id has no colon. */
export const idempotencyText = (source: string, key: string): string => `key:${source}:${key}`
