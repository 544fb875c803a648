/** The operators of the condition language: each reads what is configured for a subject into checks, or says what is wrong. */
import { RE2JS } from 're2js'
import { codesWithin, KILOMETERS_PER_MILE } from '../fields/coordinates.ts'
import { type AgeUnit, ageIn } from '../fields/time.ts'
import type { FieldKind } from '../fields.ts'
import type { Fault } from '../version.ts'
import { type Comparable, type Leaf, limitLeaf, memberLeaf, presenceLeaf, testLeaf } from './check.ts'
import { membersOf } from './members.ts'
import { isScalar, type Reading, type Scope, type Subject } from './subject.ts'

export interface Asked {
  readonly subject: Subject
  readonly scope: Scope
  readonly path: string
  readonly faults: Fault[]
}

type Operator = (asked: Asked, value: unknown) => readonly Leaf[]

/** Faults shown of one list; the rest is counted. */
const SHOWN_FAULTS = 10
const MAX_PATTERN = 1000
const MAX_CENTERS = 100
const MAX_MILES = 5000

/**
 * `equals` is what a bare value means, `in` what a bare list means. Texts compare without case where the field is free
 * words, and `contains`, `starts`, `ends` always do; `matches` finds a pattern (RE2) anywhere and minds case unless it
 * says `(?i)`. `min` and `max` include their ends as `between` does, `greater` and `less` do not.
 */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['min', (asked, value) => limit(asked, 'min', value, false)],
  ['max', (asked, value) => limit(asked, 'max', value, false)],
  ['equals', equals],
  ['in', (asked, value) => members(asked, 'in', value)],
  ['not', (asked, value) => members(asked, 'not', value)],
  ['greater', (asked, value) => limit(asked, 'min', value, true)],
  ['less', (asked, value) => limit(asked, 'max', value, true)],
  ['between', between],
  ['contains', (asked, value) => words(asked, 'contains', value, (text, word) => text.includes(word))],
  ['starts', (asked, value) => words(asked, 'starts', value, (text, word) => text.startsWith(word))],
  ['ends', (asked, value) => words(asked, 'ends', value, (text, word) => text.endsWith(word))],
  ['matches', matches],
  ['present', (asked, value) => presence(asked, value, 'present', 'blank')],
  ['blank', (asked, value) => presence(asked, value, 'blank', 'present')],
  ['within', within],
  ['age_years', (asked, value) => age(asked, 'years', value)],
  ['age_months', (asked, value) => age(asked, 'months', value)],
  ['age_days', (asked, value) => age(asked, 'days', value)],
])

/** What a field that holds several values may be asked. */
export const OF_MANY: ReadonlySet<string> = new Set(['contains', 'present', 'blank'])

const fault = ({ path, faults }: Asked, message: string): readonly Leaf[] => {
  faults.push({ path, message })
  return []
}

const itself = ({ name, read }: Subject): Reading & { readonly field: string } => ({ field: name, read, readKey: name })

function equals(asked: Asked, value: unknown): readonly Leaf[] {
  if (Array.isArray(value)) return fault(asked, 'takes one value: write in for a list.')
  return members(asked, 'in', value)
}

function members(asked: Asked, kind: 'in' | 'not', value: unknown): readonly Leaf[] {
  const { subject, scope } = asked
  return [memberLeaf(itself(subject), kind, membersOf(valuesOf(asked, value), scope.dictionary))]
}

function valuesOf(asked: Asked, config: unknown): Set<Comparable> {
  const { subject, path, faults } = asked
  const list: readonly unknown[] = Array.isArray(config) ? config : [config]
  const values = new Set<Comparable>()
  if (list.length === 0) fault(asked, 'is an empty list, which no lead is in: remove the field or name values.')
  let wrong = 0
  list.forEach((value, at) => {
    const member = subject.member(value)
    if (member !== null) values.add(member)
    else if (++wrong <= SHOWN_FAULTS)
      faults.push({ path: Array.isArray(config) ? `${path}[${at}]` : path, message: notOf(subject, value) })
  })
  if (wrong > SHOWN_FAULTS) fault(asked, `has ${wrong - SHOWN_FAULTS} more values of this kind.`)
  return values
}

export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  return text.length > 60 ? `${text.slice(0, 60)}...` : text
}

function notOf({ name, kind, place }: Subject, value: unknown): string {
  const lostZero = place !== null && typeof value === 'number' && value < 10_000
  const quoted = kind === 'number' && typeof value === 'string' ? ' It is a number: take the quotes off.' : ''
  const hint = lostZero ? ' Quote codes that begin with 0: "02134".' : quoted
  return `${shown(value)} is no value that "${name}" can have.${hint}`
}

const LIMIT_WORDS: Readonly<Record<FieldKind, string>> = {
  number: 'must be a number',
  band: 'must be a number',
  money: 'must be an amount, such as 5000 or "5000.50"',
  date: 'must be a date or time in quotes, such as "2026-03-02"',
  text: 'a range needs a number, an amount or a date',
  boolean: 'a range needs a number, an amount or a date',
}

function limit(asked: Asked, kind: 'min' | 'max', value: unknown, open: boolean): readonly Leaf[] {
  const { subject } = asked
  const bound = subject.limit(value)
  if (bound === null) return fault(asked, `of "${subject.name}": ${LIMIT_WORDS[subject.kind]}.`)
  return [limitLeaf({ field: subject.name, ...subject.ends[kind] }, kind, bound, open)]
}

function between(asked: Asked, value: unknown): readonly Leaf[] {
  if (!Array.isArray(value) || value.length !== 2)
    return fault(asked, 'takes the least and the greatest, such as [25, 70].')
  const [least, greatest] = value as [unknown, unknown]
  const at = (n: number) => ({ ...asked, path: `${asked.path}[${n}]` })
  return [...limit(at(0), 'min', least, false), ...limit(at(1), 'max', greatest, false)]
}

function words(
  asked: Asked,
  name: string,
  value: unknown,
  test: (text: string, word: string) => boolean,
): readonly Leaf[] {
  const { subject } = asked
  if (subject.kind !== 'text') return fault(asked, `needs a text, and "${subject.name}" is none.`)
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.some((word) => typeof word !== 'string' || word === ''))
    return fault(asked, 'takes a text in quotes, or a list of them.')
  const wanted = (list as readonly string[]).map((word) => word.toLowerCase())
  const holds = subject.many
    ? (text: string) => text.split('|').some((item) => wanted.includes(item))
    : (text: string) => wanted.some((word) => test(text, word))
  return [testLeaf(itself(subject), `${name} ${JSON.stringify(wanted)}`, (read) => holds(String(read).toLowerCase()))]
}

function matches(asked: Asked, value: unknown): readonly Leaf[] {
  const { subject } = asked
  if (subject.kind !== 'text' || subject.many) return fault(asked, `needs a text, and "${subject.name}" is none.`)
  if (typeof value !== 'string' || value === '')
    return fault(asked, 'takes a pattern in quotes, such as "^pub-[0-9]+$".')
  if (value.length > MAX_PATTERN) return fault(asked, `is longer than ${MAX_PATTERN} characters.`)
  try {
    const pattern = RE2JS.compile(value)
    return [testLeaf(itself(subject), `matches ${value}`, (read) => pattern.test(String(read)))]
  } catch (error) {
    return fault(asked, `${shown(value)} is no pattern of RE2: ${(error as Error).message}.`)
  }
}

function presence(asked: Asked, value: unknown, yes: 'present' | 'blank', no: 'present' | 'blank'): readonly Leaf[] {
  if (typeof value !== 'boolean') return fault(asked, `is ${shown(value)}: say true or false.`)
  return [presenceLeaf(itself(asked.subject), value ? yes : no)]
}

/** `{miles: 25, of: "78701"}`, or `km`, or several centers. Becomes the list of codes that lie so near. */
function within(asked: Asked, value: unknown): readonly Leaf[] {
  const { subject, scope, path, faults } = asked
  const { place } = subject
  if (place === null) return fault(asked, `needs a postal code, and "${subject.name}" is none.`)
  const { miles: inMiles, km, of, ...rest } = (isRecord(value) ? value : {}) as Record<string, unknown>
  const [odd] = Object.keys(rest)
  const miles = km === undefined ? inMiles : Number(km) / KILOMETERS_PER_MILE
  const reach = typeof (km ?? inMiles) === 'number' && Number(miles) >= 0 && Number(miles) <= MAX_MILES
  if (odd !== undefined || !reach || (km !== undefined && inMiles !== undefined) || of === undefined)
    return fault(asked, `takes a distance (up to ${MAX_MILES} miles) and a center, such as {miles: 25, of: "78701"}.`)
  const centers: readonly unknown[] = Array.isArray(of) ? of : [of]
  if (centers.length === 0 || centers.length > MAX_CENTERS) return fault(asked, `takes 1 to ${MAX_CENTERS} centers.`)
  const near = new Set<Comparable>()
  centers.forEach((center, at) => {
    const code = subject.member(center)
    const codes = typeof code === 'string' ? codesWithin(code, Number(miles)) : null
    if (codes === null) {
      const here = Array.isArray(of) ? `${path}.of[${at}]` : `${path}.of`
      faults.push({ path: here, message: `${shown(center)} is no postal code whose place is known.` })
    }
    for (const one of codes ?? []) near.add(one)
  })
  return [memberLeaf({ field: subject.name, ...place }, 'in', membersOf(near, scope.dictionary))]
}

/** `[25, 70]`, or `{min, max}` of which one may be left out: whole units, at the day the lead came, in UTC. */
function age(asked: Asked, unit: AgeUnit, value: unknown): readonly Leaf[] {
  const { subject } = asked
  if (!subject.dated) return fault(asked, `needs a date, and "${subject.name}" is none.`)
  const list = Array.isArray(value) && value.length === 2
  const { min, max, ...rest } = (
    list ? { min: value[0], max: value[1] } : isRecord(value) ? value : { odd: value }
  ) as Record<string, unknown>
  const ends = [min, max].filter((end) => end !== undefined)
  const isAge = (end: unknown) => typeof end === 'number' && Number.isInteger(end) && Math.abs(end) <= 100_000
  if (Object.keys(rest).length > 0 || ends.length === 0 || !ends.every(isAge))
    return fault(asked, `takes whole ${unit}, such as [25, 70] or {min: 25}.`)
  if (Number(min) > Number(max))
    return fault(asked, `min ${min} is over max ${max}, so no lead passes: change one of them.`)
  const read: Reading['read'] = (lead, source) => {
    const day = subject.read(lead, source)
    return day === undefined ? undefined : ageIn(unit, String(day), lead.receivedAt)
  }
  const reading = { field: subject.name, read, readKey: `${subject.name} ${unit}` }
  return [
    ...(min === undefined ? [] : [limitLeaf(reading, 'min', min as number, false)]),
    ...(max === undefined ? [] : [limitLeaf(reading, 'max', max as number, false)]),
  ]
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A bare value, or a bare list. */
export function bareValue(asked: Asked, value: unknown): readonly Leaf[] {
  const bad = !Array.isArray(value) && !isScalar(value)
  return bad
    ? fault(asked, `${shown(value)} is no value that "${asked.subject.name}" can have.`)
    : members(asked, 'in', value)
}
