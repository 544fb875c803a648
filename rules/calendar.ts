/** The calendar of caps: which window of which zone a moment lies in, and which places a hold must take there. */
import { DateTime, type IANAZone } from 'luxon'
import type { Place, PlaceGroup } from './caps.ts'
import { DAY_MS, MINUTE_MS, offsetChange, zoneOf } from './offsets.ts'
import { pacedAt } from './pace.ts'
import { type Micros, type WallMs, wallMs } from './units.ts'
import type { Campaign, CapRule, Contract, Source } from './version.ts'

/** One window: `[startsAt, endsAt)`. The name is unique among the windows of its kind and zone. */
export interface CapWindowSpan {
  /** `2026-03-02T14-06:00`, `2026-03-02`, `2026-03-02T06:00`, `2026-W10`, `2026-03`, `total`, `now`; of a rolling window the number of a bucket. */
  readonly name: string
  readonly startsAt: WallMs
  /** Infinity for `total` and `now`. */
  readonly endsAt: WallMs
}

/** What of a rule says which windows it has. */
export type Windows = Pick<CapRule, 'window' | 'zone' | 'dayStart' | 'minutes' | 'currency'>
type DateWindow = 'day' | 'week' | 'month'

const HOUR_MS = 60 * MINUTE_MS
/** A counter outlives its window by this much, so that late commits and releases still find it. */
const KEPT_AFTER_WINDOW_MS = 2 * DAY_MS
/** More zones than the IANA database has, and some starts of days; beyond it the memory starts anew. */
const MAX_CLOCKS = 4_096
/**
 * A rolling window of n minutes is counted in buckets of n seconds, at least five: the present one, the 60 before it, and
 * the next, which another engine's clock may have reached. Never does more fit into n minutes than the limit; a place
 * returns at most one bucket late.
 */
const ROLLING_BUCKETS = 60
const LEAST_BUCKET_MS = 5_000

const bucketMs = (minutes: number): number => Math.max(LEAST_BUCKET_MS, (minutes * MINUTE_MS) / ROLLING_BUCKETS)

const always = (name: string): CapWindowSpan => ({
  name,
  startsAt: wallMs(Number.NEGATIVE_INFINITY),
  endsAt: wallMs(Number.POSITIVE_INFINITY),
})
const TOTAL = always('total')
const NOW = always('now')

/** Of one zone, or of one zone's days that begin at another time than midnight. */
type Spans = { [window in 'hour' | DateWindow]?: CapWindowSpan }
const current = new Map<string, Spans>()

/**
 * The window that a moment lies in. A day has 23, 24 or 25 hours; a week starts on Monday (ISO 8601). Remembers the last
 * answer of each zone and window, so that a hold pays for a look-up and not for a calendar. Throws on a zone that the IANA
 * database does not know: configurations are checked before they go live.
 */
export function windowOf(rule: Windows, at: WallMs): CapWindowSpan {
  const { window, zone, dayStart = 0 } = rule
  if (window === 'total') return TOTAL
  if (window === 'concurrency') return NOW
  if (window === 'rolling') return bucketAt(rule, at)
  if (window === 'balance') return { ...TOTAL, name: rule.currency! }
  const clock = window === 'day' && dayStart !== 0 ? `${zone} ${dayStart}` : zone
  const span = current.get(clock)?.[window]
  if (span && at >= span.startsAt && at < span.endsAt) return span
  return remember(clock, rule as Windows & { window: keyof Spans }, at)
}

function remember(
  clock: string,
  { window, zone, dayStart = 0 }: Windows & { window: keyof Spans },
  at: WallMs,
): CapWindowSpan {
  const span = window === 'hour' ? hourSpan(zoneOf(zone), at) : dateSpan(window, zoneOf(zone), dayStart, at)
  let spans = current.get(clock)
  if (!spans) {
    if (current.size >= MAX_CLOCKS) current.clear()
    spans = {}
    current.set(clock, spans)
  }
  spans[window] = span
  return span
}

function bucketAt({ minutes = 0 }: Windows, at: WallMs): CapWindowSpan {
  const length = bucketMs(minutes)
  const bucket = Math.floor(at / length)
  return { name: String(bucket), startsAt: wallMs(bucket * length), endsAt: wallMs((bucket + 1) * length) }
}

/** How many buckets before the present one count with it. */
export const bucketsBehind = (minutes: number): number => Math.ceil((minutes * MINUTE_MS) / bucketMs(minutes))

/** An hour of the wall clock under one offset: the hour that autumn repeats is two windows with two names. */
function hourSpan(zone: IANAZone, at: number): CapWindowSpan {
  const offset = zone.offset(at)
  const local = at + offset * MINUTE_MS
  const hour = Math.floor(local / HOUR_MS) * HOUR_MS
  let startsAt = hour - offset * MINUTE_MS
  let endsAt = startsAt + HOUR_MS
  if (zone.offset(startsAt) !== offset) startsAt = offsetChange(zone, startsAt, at)
  if (zone.offset(endsAt - 1) !== offset) endsAt = offsetChange(zone, at, endsAt - 1)
  const name = `${clock(hour).toFormat("yyyy-MM-dd'T'HH")}${zone.formatOffset(at, 'short')}`
  return { name, startsAt: wallMs(startsAt), endsAt: wallMs(endsAt) }
}

/** A day that starts at six begins when the clock first shows six or later, and lasts until it does so again. */
function dateSpan(window: DateWindow, zone: IANAZone, dayStart: number, at: number): CapWindowSpan {
  const startMs = window === 'day' ? dayStart * MINUTE_MS : 0
  const first = clock(at + zone.offset(at) * MINUTE_MS - startMs).startOf(window)
  const span = spanFrom(first)
  // A clock that is set back shows the end of the day before once more; one that is set forth may skip its start.
  if (at < span.startsAt) return spanFrom(first.minus({ [window]: 1 }))
  return at < span.endsAt ? span : spanFrom(first.plus({ [window]: 1 }))

  function spanFrom(start: DateTime): CapWindowSpan {
    const next = start.plus({ [window]: 1 })
    return {
      name: dateName(window, start, startMs),
      startsAt: wallMs(firstInstant(zone, start.toMillis() + startMs)),
      endsAt: wallMs(firstInstant(zone, next.toMillis() + startMs)),
    }
  }
}

function dateName(window: DateWindow, start: DateTime, startMs: number): string {
  if (window === 'week') return start.toFormat("kkkk-'W'WW")
  if (window === 'month') return start.toFormat('yyyy-MM')
  return startMs === 0 ? start.toFormat('yyyy-MM-dd') : start.plus(startMs).toFormat("yyyy-MM-dd'T'HH:mm")
}

/** A zone's wall clock, counted as if it were UTC: calendar arithmetic without offsets. */
const clock = (localMs: number): DateTime => DateTime.fromMillis(localMs, { zone: 'utc' })

/**
 * The first moment at which the zone's clock reads `localMs`, or the first after the gap where it is skipped. A midnight
 * that autumn repeats counts once, the first time.
 */
export function firstInstant(zone: IANAZone, localMs: number): number {
  const before = zone.offset(localMs - DAY_MS)
  const after = zone.offset(localMs + DAY_MS)
  const underBefore = localMs - before * MINUTE_MS
  if (before === after || zone.offset(underBefore) === before) return underBefore
  const underAfter = localMs - after * MINUTE_MS
  if (zone.offset(underAfter) === after) return underAfter
  return offsetChange(zone, underAfter, underBefore)
}

/** Every cap that a sale of this source's lead to this contract touches, in the order in which a hold takes them. */
export function capsOf(source: Source, campaign: Campaign, contract: Contract): readonly CapRule[] {
  const ofPair = contract.sourceCaps.get(source.id) ?? []
  return [...source.caps, ...campaign.caps, ...contract.buyer.caps, ...contract.caps, ...ofPair]
}

/**
 * The places that a hold must take under these rules, grouped by hash tag in the fixed order source, campaign, buyer.
 * Contract caps share the buyer's tag. `price` (micros) is what a spend cap counts; `version` is the snapshot's number.
 * Rules of one scope, owner, window and kind must not repeat.
 */
export function placesOf(
  rules: readonly CapRule[],
  buyer: string,
  price: Micros,
  version: number,
  at: WallMs,
): PlaceGroup[] {
  const groups: PlaceGroup[] = []
  takeTag(groups, 's', rules, buyer, price, version, at)
  takeTag(groups, 'c', rules, buyer, price, version, at)
  takeTag(groups, 'b', rules, buyer, price, version, at)
  return groups
}

const TAGS = { source: 's', campaign: 'c', buyer: 'b', contract: 'b', source_contract: 'b' } as const

function takeTag(
  groups: PlaceGroup[],
  letter: 's' | 'c' | 'b',
  rules: readonly CapRule[],
  buyer: string,
  price: Micros,
  version: number,
  at: WallMs,
): void {
  let places: Place[] | null = null
  for (const rule of rules) {
    if (TAGS[rule.scope] !== letter) continue
    if (!places) {
      places = []
      groups.push({ tag: `${letter}:${letter === 'b' ? buyer : rule.owner}`, places })
    }
    places.push(placeOf(rule, price, version, at))
  }
}

function placeOf(rule: CapRule, price: Micros, version: number, at: WallMs): Place {
  const span = windowOf(rule, at)
  const place = {
    key: keyPrefix(rule) + span.name,
    amount: rule.kind === 'spend' ? price : 1,
    limit: rule.limit,
    version,
    transient: rule.window === 'concurrency',
    forgetAt: wallMs(span.endsAt === Number.POSITIVE_INFINITY ? 0 : span.endsAt + keptAfter(rule)),
  }
  if (rule.window === 'rolling') return { ...place, behind: bucketsBehind(rule.minutes ?? 0) }
  if (rule.window === 'balance') return { ...place, prepaid: true }
  return rule.pace ? { ...place, upTo: pacedAt(rule, span, at) } : place
}

/** A bucket counts until the window has passed over it; nothing that comes later needs it. */
function keptAfter({ window, minutes = 0 }: Windows): number {
  return window === 'rolling' ? bucketsBehind(minutes) * bucketMs(minutes) : KEPT_AFTER_WINDOW_MS
}

/** When a place's window is over; 0 for never. */
export function windowEndsAt({ forgetAt, behind }: Place): WallMs {
  return forgetAt === 0 || behind !== undefined ? forgetAt : wallMs(forgetAt - KEPT_AFTER_WINDOW_MS)
}

/** The word for a rule's window in keys and reasons: `day`, `30m`. */
export const windowWord = ({ window, minutes = 0 }: Windows): string => (window === 'rolling' ? `${minutes}m` : window)

const prefixes = new WeakMap<CapRule, string>()

/** `contract:acme:day:count:`. The hot store separates places by spaces, so a key must not have one. */
export function keyPrefix(rule: CapRule): string {
  let prefix = prefixes.get(rule)
  if (prefix === undefined) {
    prefix = `${rule.scope}:${rule.owner}:${windowWord(rule)}:${rule.kind}:`
    if (/\s/.test(prefix)) throw new Error(`cap owner "${rule.owner}" has white space in its id`)
    prefixes.set(rule, prefix)
  }
  return prefix
}
