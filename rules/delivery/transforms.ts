/** The named transforms of a field map that need no hash: each turns one value into another, or into none. */
import { IANAZone } from 'luxon'
import { isZone } from '../configuration/zones.ts'

export type Scalar = string | number | boolean

export interface Transform {
  /** What is wrong with the arguments, in words that say what to write; null where nothing is. */
  readonly fault: (args: readonly string[]) => string | null
  /** Null: there is nothing to show, and the field is left out. */
  readonly apply: (value: Scalar, args: readonly string[]) => Scalar | null
}

const none = (args: readonly string[]): string | null => (args.length === 0 ? null : 'takes no argument')

/** A transform without arguments over the value as text. */
const plain = (apply: (text: string) => Scalar | null): Transform => ({
  fault: none,
  apply: (value) => apply(String(value)),
})

const NORTH_AMERICAN = /^(?:\+?1)?(\d{3})(\d{3})(\d{4})$/

/** A phone of North America in its three parts; a number of any other country stays as it is, or has no such part. */
const phone = (
  write: (area: string, exchange: string, line: string) => string,
  other: (text: string) => string | null,
) =>
  plain((text) => {
    const parts = NORTH_AMERICAN.exec(text.replace(/[^\d+]/g, ''))
    return parts ? write(parts[1]!, parts[2]!, parts[3]!) : other(text)
  })

const digitsOf = (text: string): string => text.replace(/\D/g, '')
const itself = (text: string): string => text
const nothing = (): null => null

const capitalised = (text: string): string =>
  text
    .toLowerCase()
    .replace(/(^|[^\p{L}\p{M}\d])(\p{L})/gu, (_, before: string, letter: string) => before + letter.toUpperCase())

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

const NO = /^(?:false|no|n|0|off)?$/i

const words: Transform = {
  fault: (args) => (args.length === 2 ? null : 'takes the word for true and the one for false, such as boolean:Yes,No'),
  /** An empty word leaves the field out. */
  apply: (value, args) => (NO.test(String(value)) ? args[1]! : args[0]!) || null,
}

const NUMBER = /^-?\d{1,15}(?:\.\d{1,15})?$/

const number: Transform = {
  fault: none,
  apply: (value) => {
    if (typeof value === 'boolean') return value ? 1 : 0
    const text = typeof value === 'string' ? value.replace(/[$,\s]/g, '') : String(value)
    return NUMBER.test(text) ? Number(text) : null
  },
}

const MAX_LENGTH = 100_000

const truncate: Transform = {
  fault: ([length = '', ...more]) =>
    more.length === 0 && /^\d{1,6}$/.test(length) && Number(length) > 0 && Number(length) <= MAX_LENGTH
      ? null
      : 'takes the most characters, such as truncate:255',
  apply: (value, args) => {
    const text = String(value)
    return text.length > Number(args[0]) ? text.slice(0, Number(args[0])).toWellFormed() : value
  },
}

const TOKEN = /YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|hh|h|mm|ss|SSS|A/g
const PATTERN = /^(?:YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|hh|h|mm|ss|SSS|A|[TZ]|[^A-Za-z])+$/
const MONTHS = 'January February March April May June July August September October November December'.split(' ')
const DAY = /^\d{4}-\d{2}-\d{2}$/
/** Seconds and milliseconds since 1970, and ISO 8601. */
const NAMED_DATES: Readonly<Record<string, (at: Date) => Scalar>> = {
  unix: (at) => Math.floor(at.getTime() / 1000),
  unix_ms: (at) => at.getTime(),
  iso: (at) => at.toISOString(),
}
const two = (n: number): string => (n < 10 ? `0${n}` : `${n}`)

const TOKENS: Readonly<Record<string, (at: Date) => string>> = {
  YYYY: (at) => String(at.getUTCFullYear()),
  YY: (at) => two(at.getUTCFullYear() % 100),
  MMMM: (at) => MONTHS[at.getUTCMonth()]!,
  MMM: (at) => MONTHS[at.getUTCMonth()]!.slice(0, 3),
  MM: (at) => two(at.getUTCMonth() + 1),
  M: (at) => String(at.getUTCMonth() + 1),
  DD: (at) => two(at.getUTCDate()),
  D: (at) => String(at.getUTCDate()),
  HH: (at) => two(at.getUTCHours()),
  H: (at) => String(at.getUTCHours()),
  hh: (at) => two(at.getUTCHours() % 12 || 12),
  h: (at) => String(at.getUTCHours() % 12 || 12),
  mm: (at) => two(at.getUTCMinutes()),
  ss: (at) => two(at.getUTCSeconds()),
  SSS: (at) => String(at.getUTCMilliseconds()).padStart(3, '0'),
  A: (at) => (at.getUTCHours() < 12 ? 'AM' : 'PM'),
}

/** A day has no zone: only a moment is moved to another clock. */
const date: Transform = {
  fault: ([pattern = '', zone, ...more]) => {
    if (more.length > 0 || (!Object.hasOwn(NAMED_DATES, pattern) && !PATTERN.test(pattern)))
      return 'takes unix, unix_ms, iso or a pattern such as date:MM/DD/YYYY (YYYY YY MMMM MMM MM M DD D HH H hh h mm ss SSS A), and a zone after a comma'
    return zone === undefined || isZone(zone) ? null : `"${zone}" is no IANA time zone, such as America/Chicago`
  },
  apply: (value, [pattern, zone]) => {
    const text = String(value)
    const at = Date.parse(text)
    if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(at)) return null
    const named = Object.hasOwn(NAMED_DATES, pattern!) ? NAMED_DATES[pattern!] : undefined
    if (named) return named(new Date(at))
    const ahead = zone === undefined || DAY.test(text) ? 0 : IANAZone.create(zone).offset(at) * 60_000
    const there = new Date(at + ahead)
    return pattern!.replace(TOKEN, (token) => TOKENS[token]!(there))
  },
}

export const TRANSFORMS: ReadonlyMap<string, Transform> = new Map<string, Transform>([
  ['e164', phone((area, exchange, line) => `+1${area}${exchange}${line}`, itself)],
  ['digits', plain(digitsOf)],
  ['digits10', phone((area, exchange, line) => area + exchange + line, digitsOf)],
  ['dashed', phone((area, exchange, line) => `${area}-${exchange}-${line}`, itself)],
  ['parens', phone((area, exchange, line) => `(${area}) ${exchange}-${line}`, itself)],
  ['area', phone((area) => area, nothing)],
  ['exchange', phone((_, exchange) => exchange, nothing)],
  ['line', phone((_area, _exchange, line) => line, nothing)],
  ['upper', plain((text) => text.toUpperCase())],
  ['lower', plain((text) => text.toLowerCase())],
  ['title', plain(capitalised)],
  ['string', plain(itself)],
  ['escape', plain((text) => text.replace(/[&<>]/g, (mark) => ESCAPES[mark]!))],
  ['number', number],
  ['boolean', words],
  ['date', date],
  ['truncate', truncate],
])
