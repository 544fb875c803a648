/** What a zone's clock shows at a moment: the day of the week and the minute of the day. */
import { IANAZone } from 'luxon'

const MINUTE_MS = 60_000
const DAY_MINUTES = 1440
/** No zone changes its clock between two quarters of an hour. */
const SLOT_MS = 15 * MINUTE_MS
/** More zones than the IANA database has; beyond it the memory starts anew. */
const MAX_ZONES = 1024
export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4

const offsets = new Map<string, { readonly slot: number; readonly minutes: number }>()

/** Minutes since 1970 that the zone's clock has counted. Remembers each zone's last quarter of an hour: luxon takes 2 us. */
function localMinutes(zone: string, at: number): number {
  const slot = Math.floor(at / SLOT_MS)
  let known = offsets.get(zone)
  if (known?.slot !== slot) {
    if (offsets.size >= MAX_ZONES) offsets.clear()
    known = { slot, minutes: IANAZone.create(zone).offset(at) }
    offsets.set(zone, known)
  }
  return Math.floor(at / MINUTE_MS) + known.minutes
}

export function weekdayAt(zone: string, at: number): (typeof WEEKDAYS)[number] {
  return WEEKDAYS[(Math.floor(localMinutes(zone, at) / DAY_MINUTES) + FIRST_WEEKDAY) % 7]!
}

export const minuteAt = (zone: string, at: number): number => localMinutes(zone, at) % DAY_MINUTES
