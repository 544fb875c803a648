/** The calendar of caps: which window of which zone a moment lies in, and which places a hold must take there. */
import { DateTime, type IANAZone } from 'luxon'
import type { Place, PlaceGroup } from './caps.ts'
import { DAY_MS, MINUTE_MS, offsetChange, zoneOf } from './offsets.ts'
import { type Micros, type WallMs, wallMs } from './units.ts'
import type { CapRule, CapWindow } from './version.ts'

/** One window: `[startsAt, endsAt)`. The name is unique among the windows of its kind and zone. */
export interface CapWindowSpan {
  /** `2026-03-02T14-06:00`, `2026-03-02`, `2026-W10`, `2026-03`, `total`, `now`. */
  readonly name: string
  readonly startsAt: WallMs
  /** Infinity for `total` and `now`. */
  readonly endsAt: WallMs
}

type CalendarWindow = Exclude<CapWindow, 'total' | 'concurrency'>

const HOUR_MS = 60 * MINUTE_MS
/** A counter outlives its window by this much, so that late commits and releases still find it. */
const KEPT_AFTER_WINDOW_MS = 2 * DAY_MS
/** More zones than the IANA database has; beyond it the memory starts anew. */
const MAX_ZONES = 1_024

const always = (name: string): CapWindowSpan => ({
  name,
  startsAt: wallMs(Number.NEGATIVE_INFINITY),
  endsAt: wallMs(Number.POSITIVE_INFINITY),
})
const TOTAL = always('total')
const NOW = always('now')

const current = new Map<string, { [window in CalendarWindow]?: CapWindowSpan }>()

/**
 * The window of a zone that a moment lies in. A day has 23, 24 or 25 hours; a week starts on Monday (ISO 8601).
 * Remembers the last answer of each zone and window, so that a hold pays for a look-up and not for a calendar.
 * Throws on a zone that the IANA database does not know: configurations are checked before they go live.
 */
export function windowOf(window: CapWindow, zone: string, at: WallMs): CapWindowSpan {
  if (window === 'total') return TOTAL
  if (window === 'concurrency') return NOW
  const span = current.get(zone)?.[window]
  if (span && at >= span.startsAt && at < span.endsAt) return span
  return remember(window, zone, at)
}

function remember(window: CalendarWindow, name: string, at: WallMs): CapWindowSpan {
  const zone = zoneOf(name)
  const span = window === 'hour' ? hourSpan(zone, at) : daysSpan(window, zone, at)
  let spans = current.get(name)
  if (!spans) {
    if (current.size >= MAX_ZONES) current.clear()
    spans = {}
    current.set(name, spans)
  }
  spans[window] = span
  return span
}

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

function daysSpan(window: Exclude<CalendarWindow, 'hour'>, zone: IANAZone, at: number): CapWindowSpan {
  const first = clock(at + zone.offset(at) * MINUTE_MS).startOf(window)
  const next = first.plus({ [window]: 1 })
  return {
    name: first.toFormat(window === 'day' ? 'yyyy-MM-dd' : window === 'week' ? "kkkk-'W'WW" : 'yyyy-MM'),
    startsAt: wallMs(firstInstant(zone, first.toMillis())),
    endsAt: wallMs(firstInstant(zone, next.toMillis())),
  }
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
  takeScope(groups, 's', 'source', rules, buyer, price, version, at)
  takeScope(groups, 'c', 'campaign', rules, buyer, price, version, at)
  takeScope(groups, 'b', 'buyer', rules, buyer, price, version, at)
  return groups
}

function takeScope(
  groups: PlaceGroup[],
  letter: 's' | 'c' | 'b',
  scope: 'source' | 'campaign' | 'buyer',
  rules: readonly CapRule[],
  buyer: string,
  price: Micros,
  version: number,
  at: WallMs,
): void {
  let places: Place[] | null = null
  for (const rule of rules) {
    if (rule.scope !== scope && !(scope === 'buyer' && rule.scope === 'contract')) continue
    if (!places) {
      places = []
      groups.push({ tag: `${letter}:${scope === 'buyer' ? buyer : rule.owner}`, places })
    }
    places.push(placeOf(rule, price, version, at))
  }
}

function placeOf(rule: CapRule, price: Micros, version: number, at: WallMs): Place {
  const span = windowOf(rule.window, rule.zone, at)
  return {
    key: keyPrefix(rule) + span.name,
    amount: rule.kind === 'spend' ? price : 1,
    limit: rule.limit,
    version,
    transient: rule.window === 'concurrency',
    forgetAt: wallMs(span.endsAt === Number.POSITIVE_INFINITY ? 0 : span.endsAt + KEPT_AFTER_WINDOW_MS),
  }
}

const prefixes = new WeakMap<CapRule, string>()

/** `contract:acme:day:count:`. The hot store separates places by spaces, so a key must not have one. */
function keyPrefix(rule: CapRule): string {
  let prefix = prefixes.get(rule)
  if (prefix === undefined) {
    prefix = `${rule.scope}:${rule.owner}:${rule.window}:${rule.kind}:`
    if (/\s/.test(prefix)) throw new Error(`cap owner "${rule.owner}" has white space in its id`)
    prefixes.set(rule, prefix)
  }
  return prefix
}
