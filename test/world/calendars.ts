/** An independent reading of zones' clocks, by Intl alone: what schedules and windows must agree with. */
import { dayNumber, type OpenSpan, type Schedule } from '../../rules/schedule.ts'
import { pick, type Random, whole } from './conditions.ts'

/** Zones of every kind of change between 2024 and 2028. */
export const ZONES = [
  'America/Chicago',
  'America/New_York',
  'America/Phoenix', // no summer time
  'America/Havana', // autumn repeats midnight itself
  'America/Santiago', // spring skips midnight
  'America/Asuncion', // gave summer time up in 2024
  'America/St_Johns', // half-hour offset
  'Asia/Almaty', // moved west in March 2024
  'Asia/Beirut', // spring skips midnight
  'Africa/Cairo', // spring skips midnight
  'Africa/Casablanca', // two changes within weeks
  'Australia/Lord_Howe', // clocks move by half an hour
  'Asia/Kathmandu', // quarter-hour offset
  'Pacific/Chatham',
  'Pacific/Kiritimati',
  'Antarctica/Troll', // clocks move by two hours
  'Europe/London',
  'UTC',
] as const

export const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const DAY_MINUTES = 1440
export const FROM = Date.UTC(2024, 0, 1)
export const TO = Date.UTC(2029, 0, 1)

export interface Reading {
  /** `2026-03-02`. */
  readonly date: string
  /** `14`. */
  readonly hour: string
  /** `-06:00`. */
  readonly offset: string
  /** Since midnight. */
  readonly minute: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

export function clockOf(zone: string, moment: number): Reading {
  let format = formats.get(zone)
  if (!format) {
    const two = '2-digit'
    format = new Intl.DateTimeFormat('en-CA', {
      ...{ timeZone: zone, hourCycle: 'h23', timeZoneName: 'longOffset' },
      ...{ year: 'numeric', month: two, day: two, hour: two, minute: two },
    })
    formats.set(zone, format)
  }
  const parts: Record<string, string> = {}
  for (const { type, value } of format.formatToParts(moment)) parts[type] = value
  const { year, month, day, hour = '', minute } = parts
  const offset = parts['timeZoneName']!.slice(3) || '+00:00'
  return { date: `${year}-${month}-${day}`, hour, offset, minute: Number(hour) * 60 + Number(minute) }
}

/** Moments between 2024 and 2028 within six hours after which the zone's clock changes. */
export function changesOf(zone: string): number[] {
  const changes: number[] = []
  let before = clockOf(zone, FROM).offset
  for (let t = FROM; t < TO; t += 6 * HOUR_MS) {
    const after = clockOf(zone, t + 6 * HOUR_MS).offset
    if (after !== before) changes.push(t)
    before = after
  }
  return changes
}

/** Open by what the clock shows, and by the day on which the span began. */
export function isOpenBy(schedule: Schedule, moment: number): boolean {
  const { date, minute } = clockOf(schedule.zone, moment)
  const today = Date.parse(date) / DAY_MS
  if (!isDateOpen(schedule, today)) return false
  if (schedule.hours === null) return true
  const weekday = (day: number) => new Date(day * DAY_MS).getUTCDay()
  const within = ({ start, end }: OpenSpan, at: number) => at >= start && at < end
  if (schedule.hours[weekday(today)]!.some((span) => within(span, minute))) return true
  return (
    isDateOpen(schedule, today - 1) &&
    schedule.hours[weekday(today - 1)]!.some((span) => within(span, minute + DAY_MINUTES))
  )
}

function isDateOpen({ from, to, closed }: Schedule, day: number): boolean {
  return !closed.has(day) && day >= (from ?? day) && day <= (to ?? day)
}

/** Hours of every kind, at minutes at which clocks change too. */
export function randomSchedule(random: Random, zone: string = pick(random, ZONES)): Schedule {
  const span = (): OpenSpan => {
    const start = pick(random, [0, 30, 60, 90, 120, 150, 180, 540, 1380, 1410])
    const end = pick(random, [30, 61, 90, 120, 135, 180, 1020, 1440])
    return { start, end: end <= start ? end + DAY_MINUTES : end }
  }
  const spans = () => Array.from({ length: whole(random, 0, 3) }, span)
  const first = Date.UTC(2024, 0, 1) / DAY_MS
  const someDay = () => first + whole(random, 0, 1826)
  const from = random() < 0.2 ? someDay() : null
  return {
    zone,
    hours: random() < 0.15 ? null : Array.from({ length: 7 }, spans),
    closed: new Set(Array.from({ length: whole(random, 0, 12) }, someDay)),
    from,
    to: random() < 0.2 ? (from ?? first) + whole(random, 0, 700) : null,
  }
}

/** From Monday to Friday on, with a holiday, as an office would have it. */
export const officeOf = (zone: string, spans: readonly OpenSpan[]): Schedule => ({
  zone,
  hours: Array.from({ length: 7 }, (_, day) => (day === 0 || day === 6 ? [] : spans)),
  closed: new Set([dayNumber('2026-12-25')!]),
  from: null,
  to: null,
})
