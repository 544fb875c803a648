/** How far a zone's clock is from UTC, and until when it stays so. */
import { IANAZone } from 'luxon'

export const MINUTE_MS = 60_000
export const DAY_MS = 1440 * MINUTE_MS

/** The zone's clock is `minutes` ahead of UTC in `[from, until)`: that much is known, and it may be so for longer. */
export interface OffsetSpan {
  readonly minutes: number
  readonly from: number
  readonly until: number
}

/** No zone changes its clock twice within this time. */
const STEP_MS = DAY_MS / 2
/** How far ahead one look goes. */
const STEPS = 20
/** More zones than the IANA database has; beyond it the memory starts anew. */
const MAX_ZONES = 1_024

const current = new Map<string, OffsetSpan>()

/** Remembers each zone's last span: asking luxon takes 2 us. Throws on a zone that the IANA database does not know. */
export function offsetSpanOf(zone: string, at: number): OffsetSpan {
  const known = current.get(zone)
  if (known !== undefined && at >= known.from && at < known.until) return known
  if (current.size >= MAX_ZONES) current.clear()
  const span = lookAhead(zoneOf(zone), at)
  current.set(zone, span)
  return span
}

export function zoneOf(name: string): IANAZone {
  const zone = IANAZone.create(name)
  if (!zone.isValid) throw new Error(`zone "${name}" is not in the IANA database: name one such as America/Chicago`)
  return zone
}

function lookAhead(zone: IANAZone, at: number): OffsetSpan {
  const minutes = zone.offset(at)
  for (let step = 1; step <= STEPS; step++) {
    const later = at + step * STEP_MS
    if (zone.offset(later) !== minutes) return { minutes, from: at, until: offsetChange(zone, later - STEP_MS, later) }
  }
  return { minutes, from: at, until: at + STEPS * STEP_MS }
}

/** The first millisecond in `(from, to]` that has the offset of `to`; there is one change between them. */
export function offsetChange(zone: IANAZone, from: number, to: number): number {
  const offset = zone.offset(to)
  let old = from
  let changed = to
  while (changed - old > 1) {
    const middle = Math.floor((old + changed) / 2)
    if (zone.offset(middle) === offset) changed = middle
    else old = middle
  }
  return changed
}
