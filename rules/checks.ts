/** Checks of a lead before its pings: what they find out, which of them a lead needs, and whom their outputs turn away. */
import type { Checked, CheckSaid, Opening } from './auction.ts'
import type { Find, ReplyFormat, Test } from './delivery/reply.ts'
import type { Message, Tls } from './delivery.ts'
import type { PartKind } from './fields.ts'
import type { Comparable } from './filter/check.ts'
import type { Condition } from './filter.ts'
import type { Lead } from './lead.ts'
import { pricesOf } from './prices.ts'
import { type Reason, reason } from './reason.ts'
import type { Micros, Ms } from './units.ts'
import type { BuyerHealth, Campaign, Contract, Source } from './version.ts'

/** What an output may hold. */
export type OutputKind = PartKind
/** What a check found out, by the names of its outputs. */
export type Outputs = Readonly<Record<string, Comparable>>

/** Where an output stands in a service's reply. */
export interface CheckOutput {
  readonly name: string
  readonly kind: OutputKind
  readonly finds: readonly Find[]
}

/** A service that is asked over HTTP, as a campaign's leads are shown to it. */
export interface CheckService {
  readonly url: string
  readonly message: Message
  readonly tls: Tls | null
  readonly format: ReplyFormat
  /** Any of these makes a reply count; none: every 2xx does. */
  readonly accept: readonly Test[]
  readonly outputs: readonly CheckOutput[]
  /** Canonical lead fields that its map names: what the answer depends on. */
  readonly fields: readonly string[]
  /** What else it depends on: `source`, `campaign`. */
  readonly facts: readonly string[]
  /** Another text for whatever would make another question of it. */
  readonly identity: string
}

/** One check, for the leads of one campaign. */
export interface LeadCheck {
  readonly id: string
  /** A service that is asked, or a suppression list whose one output is `listed`. */
  readonly by: { readonly service: CheckService } | { readonly list: string }
  /** A lead that meets it is refused; null: nobody is, for what was found out. */
  readonly refuses: Condition | null
  /** Where nothing could be found out the lead is refused; otherwise it passes. */
  readonly failClosed: boolean
  readonly timeoutMs: Ms
  /** How long an answer holds for equal questions; 0: every lead is asked about. */
  readonly keepMs: number
  /** Of one call that left. */
  readonly cost: Micros
  /** What a test lead is told instead of a call. */
  readonly testOutputs: Outputs
  readonly health: BuyerHealth
}

/** What the checks of a campaign are. */
export interface CampaignChecks {
  /** Every check that the campaign, its sources or its contracts need. */
  readonly all: ReadonlyMap<string, LeadCheck>
  /** Those whose refusal keeps the lead from everybody. */
  readonly own: readonly string[]
  /** Those, and what the campaign's rules name an output of. */
  readonly needed: readonly string[]
}

/** The name of an output in conditions and maps. */
export const outputName = (check: string, output: string): string => `${check}.${output}`

/**
 * The opening with the checks that its seats need, and by when the slowest has answered or failed. What rules say of
 * such a lead is known only then. Where nobody may buy nothing is checked.
 */
export function withChecks<O extends Omit<Opening, 'dice'>>(opening: O, campaign: Campaign, source: Source): O {
  const checks = checksFor(campaign, source, opening.eligible)
  if (checks === null) return opening
  const { prices: _, ...rest } = opening
  return { ...rest, checks } as O
}

function checksFor(
  campaign: Campaign,
  source: Source,
  eligible: readonly number[],
): NonNullable<Opening['checks']> | null {
  const { checks } = campaign
  if (checks === null || eligible.length === 0) return null
  const names = new Set([...checks.needed, ...(source.rules.get(campaign.id)?.checks ?? [])])
  for (const seat of eligible) for (const name of campaign.contracts[seat]!.needs) names.add(name)
  if (names.size === 0) return null
  let deadlineAt = 0
  for (const name of names) deadlineAt = Math.max(deadlineAt, checks.all.get(name)!.timeoutMs)
  return { names: [...names].sort(), deadlineAt }
}

/** The lead with what its checks found out: conditions, rules and maps read it there. */
export function withOutputs(lead: Lead, said: readonly CheckSaid[]): Lead {
  const outputs = new Map<string, Comparable>()
  for (const { check, outputs: found } of said)
    for (const [name, value] of Object.entries(found ?? {})) outputs.set(outputName(check, name), value)
  return { ...lead, outputs }
}

/**
 * What the checks' answers mean for a lead that has their outputs: whom they turn away, in order of seats, and what rules
 * say of the others. A check of the campaign goes before those of a contract, and these before its filter.
 */
export function judged(
  campaign: Campaign,
  source: Source,
  lead: Lead,
  eligible: readonly number[],
  said: readonly CheckSaid[],
): Checked {
  const { all, own } = campaign.checks!
  const answers = new Map(said.map((one) => [one.check, one]))
  const turnsAway = (name: string): boolean => refusedBy(all.get(name)!, answers.get(name)!, lead, source.id)
  const refusing = own.find(turnsAway)
  if (refusing !== undefined) return { said, refused: reason('check', refusing) }
  const fell: (readonly [number, Reason])[] = []
  eligible.forEach((seatNumber, seat) => {
    const why = whyNot(campaign.contracts[seatNumber]!, lead, source.id, turnsAway)
    if (why !== null) fell.push([seat, why])
  })
  const prices = pricesOf(campaign, source, lead, eligible)
  return { said, ...(fell.length > 0 && { fell }), ...(prices && { prices }) }
}

function refusedBy(check: LeadCheck, { outputs }: CheckSaid, lead: Lead, source: string): boolean {
  if (outputs === null) return check.failClosed
  return check.refuses !== null && check.refuses.fallsOn(lead, source) === null
}

function whyNot(
  { checks, lateFilter }: Contract,
  lead: Lead,
  source: string,
  turnsAway: (name: string) => boolean,
): Reason | null {
  const check = checks.find(turnsAway)
  if (check !== undefined) return reason('check', check)
  const fell = lateFilter === null ? null : lateFilter.fallsOn(lead, source)
  return fell === null ? null : reason('filter', fell)
}

/** What the calls of these answers cost, by check; null: nothing. */
export function costsOf(said: readonly CheckSaid[]): Readonly<Record<string, Micros>> | null {
  const paid = said.flatMap(({ check, cost }) => (cost === undefined ? [] : [[check, cost] as const]))
  return paid.length === 0 ? null : Object.fromEntries(paid)
}
