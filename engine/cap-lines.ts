/** What is used and what remains of every cap, balance and throttle of a version, as the hot store has it now. */
import { placesOf, windowEndsAt, windowOf, windowWord } from '../rules/calendar.ts'
import type { Place } from '../rules/caps.ts'
import { type Throttle, throttleSpan } from '../rules/throttle.ts'
import { micros, type WallMs, wallMs } from '../rules/units.ts'
import type { CapKind, CapRule, CapScope, Snapshot } from '../rules/version.ts'
import type { HotStore } from './store/port.ts'

export interface CapLine {
  readonly scope: CapScope
  readonly owner: string
  /** `day`, `30m`, `concurrency`, `balance`; of a throttle `second`, `minute` or `day`. */
  readonly window: string
  readonly kind: CapKind | 'pings'
  /** Of a spend in micros. What is held counts as used; of a throttle, what was lent to the engines does. */
  readonly used: number
  /** Of a balance what was paid in and the credit. */
  readonly limit: number
  readonly remaining: number
  /** A paced cap: so much may be used by now. */
  readonly pacedAt: number | null
  /** Null: the window never ends, or rolls on. */
  readonly endsAt: WallMs | null
}

/** Whose lines are wanted: those of one source, campaign, buyer or contract, or all. */
export type Owner = { readonly [scope in 'source' | 'campaign' | 'buyer' | 'contract']?: string }

interface Line {
  readonly rule: CapRule
  readonly tag: string
  readonly place: Place
  readonly keys: readonly string[]
}

/** At most `most` lines, in the order source, campaign, buyer, contract. Rejects while the hot store is away. */
export async function capLines(
  snapshot: Snapshot,
  hot: Pick<HotStore, 'usage' | 'lent'>,
  now: WallMs,
  owner: Owner,
  most: number,
): Promise<readonly CapLine[]> {
  const lines = rulesOf(snapshot, owner)
    .slice(0, most)
    .map(({ rule, buyer }) => lineOf(rule, buyer, snapshot.version, now))
  const usages = await hot.usage(lines.flatMap(({ tag, keys }) => keys.map((key) => ({ tag, key }))))
  let next = 0
  const caps = lines.map((line) => {
    const its = usages.slice(next, next + line.keys.length)
    next += its.length
    return capLine(
      line,
      its.reduce((sum, { used }) => sum + used, 0),
      its[0]!.paidIn,
      now,
    )
  })
  const throttles = throttlesOf(snapshot, owner).slice(0, most - caps.length)
  const spans = throttles.map((throttle) => throttleSpan(throttle, now))
  const lent = await hot.lent(throttles.map(({ owner: whose, window }, at) => `${whose}:${window}:${spans[at]!.name}`))
  return [...caps, ...throttles.map((throttle, at) => throttleLine(throttle, lent[at]!, spans[at]!.endsAt))]
}

function lineOf(rule: CapRule, buyer: string, version: number, now: WallMs): Line {
  const [{ tag, places }] = placesOf([rule], buyer, micros(0), version, now) as [{ tag: string; places: [Place] }]
  const [place] = places
  if (place.behind === undefined) return { rule, tag, place, keys: [place.key] }
  const base = place.key.slice(0, place.key.lastIndexOf(':') + 1)
  const bucket = Number(place.key.slice(base.length))
  const keys = Array.from({ length: place.behind + 2 }, (_, back) => base + (bucket + 1 - back))
  return { rule, tag, place, keys }
}

function capLine({ rule, place }: Line, used: number, paidIn: number, now: WallMs): CapLine {
  const limit = rule.limit + (place.prepaid ? paidIn : 0)
  const rolls = rule.window === 'rolling' || !Number.isFinite(windowOf(rule, now).endsAt)
  return {
    ...{ scope: rule.scope, owner: rule.owner, window: windowWord(rule), kind: rule.kind, used, limit },
    remaining: Math.max(0, limit - used),
    pacedAt: place.upTo ?? null,
    endsAt: rolls ? null : windowEndsAt(place),
  }
}

function throttleLine({ owner, window, limit }: Throttle, used: number, endsAt: WallMs): CapLine {
  const [scope, id] = owner.split(':') as ['buyer' | 'contract', string]
  const remaining = Math.max(0, limit - used)
  return { scope, owner: id, window, kind: 'pings', used, limit, remaining, pacedAt: null, endsAt: wallMs(endsAt) }
}

interface Owned {
  readonly rule: CapRule
  readonly buyer: string
}

/** A contract is asked for with its buyer's caps left out; a buyer with those of its contracts. */
function rulesOf({ sources, campaigns, buyers }: Snapshot, owner: Owner): readonly Owned[] {
  const all = isEmpty(owner)
  const own = (rules: readonly CapRule[], buyer: string): Owned[] => rules.map((rule) => ({ rule, buyer }))
  const contracts = [...campaigns.values()].flatMap((campaign) => campaign.contracts)
  return [
    ...[...sources.values()].flatMap(({ id, caps }) => (all || owner.source === id ? own(caps, '') : [])),
    ...[...campaigns.values()].flatMap(({ id, caps }) => (all || owner.campaign === id ? own(caps, '') : [])),
    ...[...buyers.values()].flatMap(({ id, caps }) => (all || owner.buyer === id ? own(caps, id) : [])),
    ...contracts.flatMap(({ id, buyer, caps, sourceCaps }) => {
      const wanted = all || owner.contract === id || owner.buyer === buyer.id
      const pairs = [...sourceCaps].flatMap(([source, its]) => (wanted || owner.source === source ? its : []))
      return own(wanted ? [...caps, ...pairs] : pairs, buyer.id)
    }),
  ]
}

function throttlesOf({ campaigns, buyers }: Snapshot, owner: Owner): readonly Throttle[] {
  const all = isEmpty(owner)
  const contracts = [...campaigns.values()].flatMap((campaign) => campaign.contracts)
  return [
    ...[...buyers.values()].flatMap(({ id, throttles }) => (all || owner.buyer === id ? throttles : [])),
    ...contracts.flatMap(({ id, buyer, throttles }) =>
      all || owner.contract === id || owner.buyer === buyer.id ? throttles : [],
    ),
  ]
}

const isEmpty = (owner: Owner): boolean => Object.values(owner).every((id) => id === undefined)
