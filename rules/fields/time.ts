/** Field types of the calendar: dates, dates and years of birth, years, times of day, moments. */
import type { FieldContext, FieldSpec, FieldType, IssueCode, Reading } from '../fields.ts'

interface Day {
  readonly year: number
  readonly month: number
  readonly day: number
}

const ISO = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ][\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?$/
const COMPACT = /^(\d{4})(\d{2})(\d{2})$/
/** As Americans write it: the month first. */
const AMERICAN = /^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})$/
const OLDEST_YEAR = 1900
const NEWEST_YEAR = 2199
/** Nobody is known to have lived longer. */
const OLDEST_AGE = 122

function dayOf(text: string): Day | null {
  const first = ISO.exec(text) ?? COMPACT.exec(text)
  const american = first ? null : AMERICAN.exec(text)
  const found = first
    ? { year: Number(first[1]), month: Number(first[2]), day: Number(first[3]) }
    : american && { year: Number(american[3]), month: Number(american[1]), day: Number(american[2]) }
  return found && isOnCalendar(found) ? found : null
}

function isOnCalendar({ year, month, day }: Day): boolean {
  if (year < OLDEST_YEAR || year > NEWEST_YEAR || month < 1 || month > 12 || day < 1) return false
  return day <= new Date(Date.UTC(year, month, 0)).getUTCDate()
}

const two = (n: number): string => (n < 10 ? `0${n}` : `${n}`)
const isoOf = ({ year, month, day }: Day): string => `${year}-${two(month)}-${two(day)}`

function readDate(text: string): Reading | IssueCode {
  const day = dayOf(text)
  return day ? { normal: isoOf(day), parts: { year: day.year } } : 'not_a_date'
}

function ageWithin(age: number, spec: FieldSpec): IssueCode | null {
  if (age > Math.min(spec.max ?? OLDEST_AGE, OLDEST_AGE)) return 'too_old'
  return spec.min !== undefined && age < spec.min ? 'too_young' : null
}

/** `age` in whole years on the day of `now` in UTC. `min` and `max` of the spec are ages. */
function readBirthDate(text: string, spec: FieldSpec, context: FieldContext): Reading | IssueCode {
  const born = dayOf(text)
  if (!born) return 'not_a_date'
  if (context.now === null) return { normal: isoOf(born) }
  const age = ageIn('years', isoOf(born), context.now)
  if (age < 0) return 'in_the_future'
  return ageWithin(age, spec) ?? { normal: isoOf(born), parts: { age, year: born.year } }
}

export type AgeUnit = 'years' | 'months' | 'days'

/** Whole units from a day (the normal form of a date or a moment) to the day of `at` in UTC; negative for a day to come. */
export function ageIn(unit: AgeUnit, normal: string, at: number): number {
  const [year, month, day] = [Number(normal.slice(0, 4)), Number(normal.slice(5, 7)), Number(normal.slice(8, 10))]
  if (unit === 'days') return Math.floor(at / DAY_MS) - Date.UTC(year, month - 1, day) / DAY_MS
  const today = new Date(at)
  const months = (today.getUTCFullYear() - year) * 12 + today.getUTCMonth() + 1 - month
  const whole = today.getUTCDate() < day ? months - 1 : months
  return unit === 'months' ? whole : Math.floor(whole / 12)
}

const DAY_MS = 86_400_000
const YEAR = /^\d{4}$/

/** `age` is what the person turns this year. `min` and `max` of the spec are ages. */
function readBirthYear(text: string, spec: FieldSpec, context: FieldContext): Reading | IssueCode {
  if (!YEAR.test(text)) return 'not_a_year'
  const year = Number(text)
  if (context.now === null) return { normal: year }
  const age = new Date(context.now).getUTCFullYear() - year
  if (age < 0) return 'in_the_future'
  return ageWithin(age, spec) ?? { normal: year, parts: { age } }
}

function readYear(text: string, spec: FieldSpec): Reading | IssueCode {
  const year = YEAR.test(text) ? Number(text) : 0
  if (year < OLDEST_YEAR || year > NEWEST_YEAR) return 'not_a_year'
  if (spec.min !== undefined && year < spec.min) return 'too_small'
  return spec.max !== undefined && year > spec.max ? 'too_large' : { normal: year }
}

const TIME = /^(\d{1,2})(?::(\d{2}))?(?::\d{2})?\s*(?:(a|p)\.?m\.?)?$/i

/** `15:30`, of a clock with 24 or with twelve hours. An hour alone needs its am or pm. */
function readTime(text: string): Reading | IssueCode {
  const match = TIME.exec(text)
  if (!match) return 'not_a_time'
  const half = match[3]?.toLowerCase()
  const hour = Number(match[1])
  const minute = Number(match[2] ?? 0)
  if (minute > 59 || (half === undefined && match[2] === undefined)) return 'not_a_time'
  if (half === undefined) return hour > 23 ? 'not_a_time' : { normal: `${two(hour)}:${two(minute)}` }
  if (hour < 1 || hour > 12) return 'not_a_time'
  return { normal: `${two((hour % 12) + (half === 'p' ? 12 : 0))}:${two(minute)}` }
}

const MOMENT = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*(Z|UTC|[+-]\d{2}(?::?\d{2})?)?$/i
const AMERICAN_MOMENT = /^(\d{1,2}[-/.]\d{1,2}[-/.]\d{4}),?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:(a|p)\.?m\.?)?$/i
/** Seconds or milliseconds since 1970, of the years 2001 to 2286. */
const UNIX = /^(\d{10})(\d{3})?$/

/** `2026-03-02T20:00:00Z`: UTC, in whole seconds. A moment that names no offset is UTC; a day alone is no moment. */
function readMoment(text: string): Reading | IssueCode {
  const unix = UNIX.exec(text)
  const at = unix ? Number(unix[1]) * 1000 : (isoMoment(text) ?? americanMoment(text))
  if (at === null || Number.isNaN(at)) return 'not_a_moment'
  return { normal: `${new Date(at).toISOString().slice(0, 19)}Z` }
}

function isoMoment(text: string): number | null {
  const match = MOMENT.exec(text)
  const day = match && dayOf(match[1]!)
  if (!match || !day) return null
  const [, , hour, minute, second = '0', zone = 'Z'] = match
  const offset = /^(?:Z|UTC)$/i.test(zone)
    ? 0
    : Number(zone.slice(0, 3)) * 60 + Number(zone[0] + (zone.replace(':', '').slice(3) || '0'))
  const at = atClock(day, Number(hour), Number(minute), Number(second))
  return at === null || Math.abs(offset) > 14 * 60 ? null : at - offset * 60_000
}

function americanMoment(text: string): number | null {
  const match = AMERICAN_MOMENT.exec(text)
  const day = match && dayOf(match[1]!)
  if (!match || !day) return null
  const [, , hour, minute, second = '0', half] = match
  if (half === undefined) return atClock(day, Number(hour), Number(minute), Number(second))
  if (Number(hour) < 1 || Number(hour) > 12) return null
  return atClock(day, (Number(hour) % 12) + (half.toLowerCase() === 'p' ? 12 : 0), Number(minute), Number(second))
}

function atClock({ year, month, day }: Day, hour: number, minute: number, second: number): number | null {
  return hour > 23 || minute > 59 || second > 59 ? null : Date.UTC(year, month - 1, day, hour, minute, second)
}

export const TIME_TYPES: readonly FieldType[] = [
  {
    name: 'date',
    kind: 'date',
    parts: { year: 'number' },
    maxLength: 40,
    parse: readDate,
    good: [
      ['2026-03-02', '2026-03-02', { year: 2026 }],
      ['3/2/2026', '2026-03-02', { year: 2026 }],
      ['20240229', '2024-02-29', { year: 2024 }],
      ['2026-03-02T10:00:00Z', '2026-03-02', { year: 2026 }],
    ],
    bad: [
      ['2023-02-29', 'not_a_date'],
      ['13/01/2026', 'not_a_date'],
      ['3/2/26', 'not_a_date'],
      ['soon', 'not_a_date'],
    ],
  },
  {
    name: 'dob',
    kind: 'date',
    parts: { age: 'number', year: 'number' },
    maxLength: 40,
    parse: readBirthDate,
    exampleSpec: { type: 'dob', min: 18 },
    good: [
      ['1980-03-02', '1980-03-02', { age: 46, year: 1980 }],
      ['03/03/1980', '1980-03-03', { age: 45, year: 1980 }],
      ['2008-03-02', '2008-03-02', { age: 18, year: 2008 }],
    ],
    bad: [
      ['2008-03-03', 'too_young'],
      ['1900-01-01', 'too_old'],
      ['2027-01-01', 'in_the_future'],
      ['1980-02-30', 'not_a_date'],
    ],
  },
  {
    name: 'birth_year',
    kind: 'number',
    parts: { age: 'number' },
    maxLength: 10,
    parse: readBirthYear,
    exampleSpec: { type: 'birth_year', min: 16 },
    good: [['1980', 1980, { age: 46 }]],
    bad: [
      ['80', 'not_a_year'],
      ['2012', 'too_young'],
      ['1899', 'too_old'],
      ['2027', 'in_the_future'],
    ],
  },
  {
    name: 'year',
    kind: 'number',
    parts: {},
    maxLength: 10,
    parse: readYear,
    exampleSpec: { type: 'year', min: 1981, max: 2030 },
    good: [['2019', 2019]],
    bad: [
      ['19', 'not_a_year'],
      ['1899', 'not_a_year'],
      ['1980', 'too_small'],
      ['2031', 'too_large'],
    ],
  },
  {
    name: 'time',
    kind: 'date',
    parts: {},
    maxLength: 20,
    parse: readTime,
    good: [
      ['9:05', '09:05'],
      ['3:30 PM', '15:30'],
      ['12 a.m.', '00:00'],
      ['23:59:59', '23:59'],
    ],
    bad: [
      ['24:00', 'not_a_time'],
      ['13 pm', 'not_a_time'],
      ['9', 'not_a_time'],
      ['noonish', 'not_a_time'],
    ],
  },
  {
    name: 'moment',
    kind: 'date',
    parts: {},
    maxLength: 40,
    parse: readMoment,
    good: [
      ['2026-03-02T14:00:00-06:00', '2026-03-02T20:00:00Z'],
      ['2026-03-02 20:00', '2026-03-02T20:00:00Z'],
      ['2026-03-02T20:00:07.123Z', '2026-03-02T20:00:07Z'],
      ['2026-03-02T20:00:00+0530', '2026-03-02T14:30:00Z'],
      ['3/2/2026 8:00 PM', '2026-03-02T20:00:00Z'],
      ['1772481600', '2026-03-02T20:00:00Z'],
      ['1772481600123', '2026-03-02T20:00:00Z'],
    ],
    bad: [
      ['2026-03-02', 'not_a_moment'],
      ['2026-02-30T10:00:00Z', 'not_a_moment'],
      ['2026-03-02T24:00:00Z', 'not_a_moment'],
      ['2026-03-02T20:00:00+15:00', 'not_a_moment'],
      ['3/2/2026 13:00 PM', 'not_a_moment'],
      ['yesterday', 'not_a_moment'],
    ],
  },
]
