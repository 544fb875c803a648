/** Field types of quantities: numbers, amounts of money, bands, yes and no. */
import type { FieldSpec, FieldType, IssueCode, Reading } from '../fields.ts'
import { formatMoney, MICROS_PER_UNIT, parseMoney } from '../units.ts'

const NUMBER = /^[+-]?(?:\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.\d{1,9})?$/
const COMMAS = /,/g

function within(value: number, spec: FieldSpec): IssueCode | null {
  if (spec.min !== undefined && value < spec.min) return 'too_small'
  if (spec.max !== undefined && value > spec.max) return 'too_large'
  return null
}

function readNumber(text: string, spec: FieldSpec): Reading | IssueCode {
  if (!NUMBER.test(text)) return 'not_a_number'
  const value = Number(text.replace(COMMAS, ''))
  return within(value, spec) ?? { normal: value === 0 ? 0 : value }
}

function readInteger(text: string, spec: FieldSpec): Reading | IssueCode {
  const read = readNumber(text, spec)
  return typeof read !== 'string' && !Number.isSafeInteger(read.normal) ? 'not_an_integer' : read
}

const AMOUNT = /^(?:\$|usd)?\s*(\d{1,9}|\d{1,3}(?:,\d{3}){1,2})(\.\d{1,6})?\s*(?:usd)?$/i

/** A decimal string, as on every wire; `micros` is what filters compare. */
function readMoney(text: string, spec: FieldSpec): Reading | IssueCode {
  const match = AMOUNT.exec(text)
  const amount = match && parseMoney(match[1]!.replace(COMMAS, '') + (match[2] ?? ''))
  if (amount === null) return 'not_an_amount'
  return within(amount / MICROS_PER_UNIT, spec) ?? { normal: formatMoney(amount), parts: { micros: amount } }
}

const LIMIT = String.raw`\$?\s*(\d{1,9}|\d{1,3}(?:,\d{3}){1,2})(k?)`
const BETWEEN = new RegExp(String.raw`^${LIMIT}\s*(?:-|–|—|_|\.\.|to)\s*${LIMIT}$`, 'i')
const UP_TO = new RegExp(`^(?:under|below|less[ _]than|up[ _]to|<=?)[ _]?${LIMIT}$`, 'i')
const OR_LESS = new RegExp(`^${LIMIT}[ _](?:or[ _](?:less|under|below)|and[ _](?:under|below))$`, 'i')
const FROM = new RegExp(`^(?:over|above|more[ _]than|at[ _]least|>=?)[ _]?${LIMIT}$`, 'i')
const OR_MORE = new RegExp(
  String.raw`^${LIMIT}\s*(?:\+|[ _]or[ _](?:more|over|above)|[ _]and[ _](?:over|above|up))$`,
  'i',
)
const EXACT = new RegExp(`^${LIMIT}$`, 'i')

function limitOf(match: RegExpExecArray, at: number): number {
  return Number(match[at]!.replace(COMMAS, '')) * (match[at + 1] === '' ? 1 : 1000)
}

/** `100-200`, `0-100`, `200+` or one exact number, with the ends as parts; an open end has no `max`. */
function readBand(text: string, spec: FieldSpec): Reading | IssueCode {
  const between = BETWEEN.exec(text)
  if (between) return bandOf(limitOf(between, 1), limitOf(between, 3), spec)
  const upTo = UP_TO.exec(text) ?? OR_LESS.exec(text)
  if (upTo) return bandOf(0, limitOf(upTo, 1), spec)
  const from = FROM.exec(text) ?? OR_MORE.exec(text)
  if (from) {
    const min = limitOf(from, 1)
    return within(min, spec) ?? { normal: `${min}+`, parts: { min } }
  }
  const exact = EXACT.exec(text)
  return exact ? bandOf(limitOf(exact, 1), limitOf(exact, 1), spec) : 'not_a_range'
}

function bandOf(min: number, max: number, spec: FieldSpec): Reading | IssueCode {
  if (min > max) return 'not_a_range'
  return (
    within(min, spec) ?? within(max, spec) ?? { normal: min === max ? `${min}` : `${min}-${max}`, parts: { min, max } }
  )
}

const YES = new Set(['true', 'yes', 'y', '1', 'on', 't', 'checked', 'agree', 'agreed', 'si', 'sí'])
const NO = new Set(['false', 'no', 'n', '0', 'off', 'f', 'unchecked'])

function readBoolean(text: string): Reading | IssueCode {
  const word = text.toLowerCase()
  if (YES.has(word)) return { normal: true }
  return NO.has(word) ? { normal: false } : 'not_a_boolean'
}

export const NUMBER_TYPES: readonly FieldType[] = [
  {
    name: 'number',
    kind: 'number',
    parts: {},
    maxLength: 40,
    parse: readNumber,
    exampleSpec: { type: 'number', min: -10, max: 5_000_000 },
    good: [
      ['1,250.5', 1250.5],
      ['-3', -3],
      ['007', 7],
      ['-0', 0],
    ],
    bad: [
      ['12,34', 'not_a_number'],
      ['1e9', 'not_a_number'],
      ['0x10', 'not_a_number'],
      ['NaN', 'not_a_number'],
      ['-11', 'too_small'],
      ['5000001', 'too_large'],
    ],
  },
  {
    name: 'integer',
    kind: 'number',
    parts: {},
    maxLength: 40,
    parse: readInteger,
    good: [
      ['3', 3],
      ['2.0', 2],
    ],
    bad: [
      ['2.5', 'not_an_integer'],
      ['three', 'not_a_number'],
    ],
  },
  {
    name: 'score',
    kind: 'number',
    parts: {},
    maxLength: 20,
    parse: (text, spec) => readNumber(text, { min: 0, max: 100, ...spec }),
    good: [
      ['87', 87],
      ['99.5', 99.5],
      ['0', 0],
    ],
    bad: [
      ['-1', 'too_small'],
      ['100.1', 'too_large'],
      ['good', 'not_a_number'],
    ],
  },
  {
    name: 'money',
    kind: 'money',
    parts: { micros: 'number' },
    maxLength: 40,
    parse: readMoney,
    exampleSpec: { type: 'money', min: 100, max: 100_000 },
    good: [
      ['$5,000', '5000.00', { micros: 5_000_000_000 }],
      ['1250.5', '1250.50', { micros: 1_250_500_000 }],
      ['USD 900', '900.00', { micros: 900_000_000 }],
    ],
    bad: [
      ['-5', 'not_an_amount'],
      ['5,00', 'not_an_amount'],
      ['a lot', 'not_an_amount'],
      ['99.99', 'too_small'],
      ['100000.01', 'too_large'],
    ],
  },
  {
    name: 'range',
    kind: 'band',
    parts: { min: 'number', max: 'number' },
    maxLength: 60,
    parse: readBand,
    good: [
      ['$100 - $200', '100-200', { min: 100, max: 200 }],
      ['1,000 to 2,000', '1000-2000', { min: 1000, max: 2000 }],
      ['50k–75k', '50000-75000', { min: 50_000, max: 75_000 }],
      ['101_150', '101-150', { min: 101, max: 150 }],
      ['under 100', '0-100', { min: 0, max: 100 }],
      ['$100 or less', '0-100', { min: 0, max: 100 }],
      ['$301+', '301+', { min: 301 }],
      ['more than 500', '500+', { min: 500 }],
      ['150', '150', { min: 150, max: 150 }],
    ],
    bad: [
      ['200-100', 'not_a_range'],
      ['cheap', 'not_a_range'],
      ['1-2-3', 'not_a_range'],
    ],
  },
  {
    name: 'boolean',
    kind: 'boolean',
    parts: {},
    maxLength: 20,
    parse: readBoolean,
    good: [
      ['Yes', true],
      ['1', true],
      ['on', true],
      ['FALSE', false],
      ['n', false],
    ],
    bad: [
      ['maybe', 'not_a_boolean'],
      ['2', 'not_a_boolean'],
    ],
  },
]
