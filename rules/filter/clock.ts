/** What a zone's clock shows at a moment: the day of the week and the minute of the day. */
import { MINUTE_MS, offsetSpanOf } from '../offsets.ts'

const DAY_MINUTES = 1440
export const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4

/** Minutes since 1970 that the zone's clock has counted. */
const localMinutes = (zone: string, at: number): number => Math.floor(at / MINUTE_MS) + offsetSpanOf(zone, at).minutes

export function weekdayAt(zone: string, at: number): (typeof WEEKDAYS)[number] {
  return WEEKDAYS[(Math.floor(localMinutes(zone, at) / DAY_MINUTES) + FIRST_WEEKDAY) % 7]!
}

export const minuteAt = (zone: string, at: number): number => localMinutes(zone, at) % DAY_MINUTES
