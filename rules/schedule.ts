/** When a contract buys: opening hours, holidays and a range of dates, by the clock of one zone. */
import { DAY_MS, MINUTE_MS, offsetSpanOf } from './offsets.ts'
import { type WallMs, wallMs } from './units.ts'

/** Minutes since the midnight of the day that it begins on; the end is beyond 1440 where it lies past midnight. */
export interface OpenSpan {
  readonly start: number
  readonly end: number
}

/** Days are numbered from 1 January 1970. Equal schedules of one version are one object. */
export interface Schedule {
  readonly zone: string
  /** By weekday from Sunday on; null: all day, every day. */
  readonly hours: readonly (readonly OpenSpan[])[] | null
  readonly closed: ReadonlySet<number>
  /** First and last day. */
  readonly from: number | null
  readonly to: number | null
}

/** Whether it is open, and until when that surely stays so: a moment at which it may change, or where it is not known further. */
export interface ScheduleState {
  readonly open: boolean
  readonly until: WallMs
}

const DAY_MINUTES = 1440
/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4
const ALL_DAY: readonly OpenSpan[] = [{ start: 0, end: DAY_MINUTES }]

/**
 * It is open while its zone's clock shows a time within one of the day's spans, or within one of the day before that runs
 * past midnight; and both the date that the clock shows and the date on which the span began must be open: a holiday also
 * ends the night before it at midnight. An hour that spring skips is not there, one that autumn repeats is there twice.
 */
export function scheduleAt(schedule: Schedule, at: WallMs): ScheduleState {
  const { minutes, until } = offsetSpanOf(schedule.zone, at)
  const local = Math.floor(at / MINUTE_MS) + minutes
  const day = Math.floor(local / DAY_MINUTES)
  const minute = local - day * DAY_MINUTES
  const spans = spansOn(schedule, day)
  const night = spansOn(schedule, day - 1)
  const isOpen = isDateOpen(schedule, day) && (covers(spans, minute) || covers(night, minute + DAY_MINUTES))
  const next = Math.min(nextEdge(spans, minute), nextEdge(night, minute + DAY_MINUTES) - DAY_MINUTES, DAY_MINUTES)
  const nextAt = (day * DAY_MINUTES + next - minutes) * MINUTE_MS
  return { open: isOpen, until: wallMs(Math.min(nextAt, until)) }
}

/** The first moment from `at` on at which all of them are open; null where there is none before `before`. */
export function opensAt(schedules: readonly Schedule[], at: WallMs, before: WallMs): WallMs | null {
  for (let moment = at; moment < before; ) {
    const states = schedules.map((schedule) => scheduleAt(schedule, moment))
    if (states.every(({ open }) => open)) return moment
    moment = wallMs(Math.max(...states.flatMap(({ open, until }) => (open ? [] : [until]))))
  }
  return null
}

/** When all of them are open within `[from, to)`: `[start, end]` one after the other. */
export function openTimes(
  schedules: readonly Schedule[],
  from: WallMs,
  to: WallMs,
): readonly (readonly [WallMs, WallMs])[] {
  const times: [WallMs, WallMs][] = []
  for (let moment = from; moment < to; ) {
    const states = schedules.map((schedule) => scheduleAt(schedule, moment))
    const until = wallMs(Math.min(to, ...states.map((state) => state.until)))
    const last = times.at(-1)
    if (!states.every(({ open }) => open)) moment = until
    else if (last?.[1] === moment) last[1] = moment = until
    else {
      times.push([moment, until])
      moment = until
    }
  }
  return times
}

function spansOn(schedule: Schedule, day: number): readonly OpenSpan[] {
  if (!isDateOpen(schedule, day)) return []
  return schedule.hours === null ? ALL_DAY : schedule.hours[(day + FIRST_WEEKDAY) % 7]!
}

const isDateOpen = ({ from, to, closed }: Schedule, day: number): boolean =>
  (from === null || day >= from) && (to === null || day <= to) && !closed.has(day)

function covers(spans: readonly OpenSpan[], minute: number): boolean {
  for (const { start, end } of spans) if (start <= minute && minute < end) return true
  return false
}

/** The first minute after this one at which a span begins or ends; Infinity where none does. */
function nextEdge(spans: readonly OpenSpan[], minute: number): number {
  let next = Number.POSITIVE_INFINITY
  for (const { start, end } of spans) {
    if (start > minute) next = Math.min(next, start)
    else if (end > minute) next = Math.min(next, end)
  }
  return next
}

/** Number of the day that a date names; null where there is no such date. */
export function dayNumber(date: string): number | null {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(date) ?? []
  if (year === undefined) return null
  const at = Date.UTC(Number(year), Number(month) - 1, Number(day))
  return new Date(at).toISOString().startsWith(date) ? at / DAY_MS : null
}
