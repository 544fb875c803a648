/** A contract's filter: which leads it buys, compiled to one predicate that names the field it fell on. */
import { type FieldKind, type FieldSpec, type FieldType, fieldType } from './fields.ts'
import type { Lead } from './lead.ts'
import { suggest } from './nearest.ts'
import { parseMoney } from './units.ts'
import type { Fault } from './version.ts'
import { TRACKING_FIELDS, type Vertical, type VerticalField } from './verticals.ts'

export interface Filter {
  /** Name of the first field whose condition fell, or null where the lead passes. */
  readonly fallsOn: (lead: Lead) => string | null
}

export type FilterCompiled = { readonly filter: Filter } | { readonly faults: readonly Fault[] }

type Comparable = string | number | boolean
/** What a condition compares: a field's normal form, a part of it, a sub-id. Undefined where the lead has none. */
type Read = (lead: Lead) => Comparable | undefined
/** Passes or fails one lead. A lead without the field fails, but for a `not`. */
type Test = (lead: Lead) => boolean

/** Something of a lead that conditions can be about, and how a configured value becomes comparable with it. */
interface Subject {
  readonly name: string
  readonly kind: FieldKind
  readonly many: boolean
  readonly read: Read
  /** Ends of a range, where they are not the value itself: of a band, of an amount. */
  readonly readMin: Read
  readonly readMax: Read
  /** A configured value as `read` gives it; null where it is none of the subject's. */
  readonly member: (value: unknown) => Comparable | null
  /** A configured end of a range as `readMin` and `readMax` give it; null where it is none. */
  readonly limit: (value: unknown) => number | string | null
}

interface Condition {
  readonly field: string
  readonly test: Test
}

/** Faults shown of one list; the rest is counted. */
const SHOWN_FAULTS = 10

/**
 * Compiles `{field: condition, ...}`; a lead must meet all of them. A field is one of the vertical's, one of its parts
 * (`phone.area`, `dob.age`; a part that only one kind of field has may stand alone: `age`), or a sub-id. A condition is
 *
 * - one value or a list: the lead's value is among them
 * - `{min, max}`: numbers, amounts, bands (the whole band lies within), dates, times
 * - `{not: value or list}`: the lead's value is not among them; a lead without the field passes
 *
 * Values are read by the field's own type, so `Texas` matches `TX`. Faults name their place below `path`.
 */
export function compileFilter(config: unknown, vertical: Vertical, path = 'filter'): FilterCompiled {
  if (!isRecord(config)) {
    return { faults: [{ path, message: 'must be a map of fields to conditions, such as {state: [CA, TX]}.' }] }
  }
  const faults: Fault[] = []
  const conditions: Condition[] = []
  for (const name of Object.keys(config)) {
    const subject = subjectOf(vertical, name)
    const here = `${path}.${name}`
    if (!subject) faults.push({ path: here, message: unknownField(vertical, name) })
    else if (subject.many)
      faults.push({ path: here, message: `"${name}" holds several values, which no filter compares.` })
    else conditions.push({ field: name, test: compileCondition(subject, config[name], here, faults) })
  }
  return faults.length > 0 ? { faults } : { filter: filterOf(conditions) }
}

function filterOf(conditions: readonly Condition[]): Filter {
  return {
    fallsOn: (lead) => {
      for (const condition of conditions) if (!condition.test(lead)) return condition.field
      return null
    },
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function unknownField(vertical: Vertical, name: string): string {
  const field = vertical.fields.find((one) => one.name === name.split('.')[0])
  if (field) {
    const parts = Object.keys(fieldType(field.type).parts)
    const which = parts.length === 0 ? 'it has no parts' : `it has ${parts.join(', ')}`
    return `"${field.name}" has no part "${name.slice(field.name.length + 1)}": ${which}.`
  }
  const alias = vertical.fields.find((one) => one.aliases.includes(name))
  if (alias) return `the vertical ${vertical.id} calls "${name}" by the name ${alias.name}: write that.`
  const names = vertical.fields.map((one) => one.name)
  return `the vertical ${vertical.id} has no field "${name}".${suggest(name, names)}`
}

function subjectOf(vertical: Vertical, name: string): Subject | null {
  const dot = name.indexOf('.')
  const field = vertical.fields.find((one) => one.name === (dot < 0 ? name : name.slice(0, dot)))
  if (field) return dot < 0 ? fieldSubject(field) : partSubject([field], name.slice(dot + 1), name)
  return dot < 0 ? partSubject(vertical.fields, name, name) : null
}

function fieldSubject(field: VerticalField): Subject {
  const { name } = field
  const type = fieldType(field.type)
  const part =
    (of: string): Read =>
    (lead) =>
      lead.values.get(name)?.parts?.[of]
  const read = type.anyCase ? inLowerCase(name) : normalOf(name)
  const ends: Readonly<Partial<Record<FieldKind, readonly [Read, Read]>>> = {
    band: [part('min'), part('max')],
    money: [part('micros'), part('micros')],
  }
  const [readMin, readMax] = ends[type.kind] ?? [read, read]
  const member = memberOf(type, field)
  const many = type.many === true
  return { name, kind: type.kind, many, read, readMin, readMax, member, limit: LIMITS[type.kind](member) }
}

function normalOf(name: string): Read {
  if (name === 'lead_ref') return (lead) => lead.leadRef ?? undefined
  return TRACKING_FIELDS.has(name) ? (lead) => lead.subs[name] : (lead) => lead.values.get(name)?.normal
}

function inLowerCase(name: string): Read {
  const read = normalOf(name)
  return (lead) => (read(lead) as string | undefined)?.toLowerCase()
}

/** A part of the first of these fields that the lead has. Only parts of an equal kind can stand for each other. */
function partSubject(fields: readonly VerticalField[], part: string, name: string): Subject | null {
  const having = fields.filter((field) => Object.hasOwn(fieldType(field.type).parts, part))
  const kinds = new Set(having.map((field) => fieldType(field.type).parts[part]!))
  const [kind] = kinds
  if (kind === undefined || kinds.size > 1) return null
  const names = having.map((field) => field.name)
  const read: Read = (lead) => {
    for (const one of names) {
      const found = lead.values.get(one)?.parts?.[part]
      if (found !== undefined) return found
    }
    return undefined
  }
  const text = (value: unknown) => (isScalar(value) ? String(value) : null)
  const ofKind = kind === 'number' ? { member: numberOf, limit: numberOf } : { member: text, limit: () => null }
  return { name, kind, many: false, read, readMin: read, readMax: read, ...ofKind }
}

const isScalar = (value: unknown): value is Comparable =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

const numberOf = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

/** Reads configured values into the field's normal form; the field's own bounds do not bind a filter. */
function memberOf(type: FieldType, field: VerticalField): Subject['member'] {
  const spec: FieldSpec = { ...field, min: undefined, max: undefined }
  return (value) => {
    const text = isScalar(value) ? String(value).trim() : ''
    if (text === '' || text.length > type.maxLength) return null
    const reading = type.parse(text, spec, { now: null })
    if (typeof reading === 'string') return null
    return type.anyCase ? (reading.normal as string).toLowerCase() : reading.normal
  }
}

/** How the ends of a range are read, by kind of field. */
const LIMITS: Readonly<Record<FieldKind, (member: Subject['member']) => Subject['limit']>> = {
  number: () => numberOf,
  band: () => numberOf,
  money: () => (value) => (isScalar(value) ? parseMoney(String(value)) : null),
  date: (member) => (value) => member(value) as string | null,
  text: () => () => null,
  boolean: () => () => null,
}

const LIMIT_WORDS: Readonly<Record<FieldKind, string>> = {
  number: 'must be a number',
  band: 'must be a number',
  money: 'must be an amount, such as 5000 or "5000.50"',
  date: 'must be a date or time in quotes, such as "2026-03-02"',
  text: 'a range needs a number, an amount or a date',
  boolean: 'a range needs a number, an amount or a date',
}

function compileCondition(subject: Subject, config: unknown, path: string, faults: Fault[]): Test {
  if (!isRecord(config)) return memberTest(subject, config, path, faults)
  const tests: Test[] = []
  for (const key of Object.keys(config)) {
    const here = `${path}.${key}`
    if (key === 'not') tests.push(absentTest(subject, config[key], here, faults))
    else if (key === 'min' || key === 'max') tests.push(limitTest(subject, key, config[key], here, faults))
    else faults.push({ path: here, message: 'is no condition: use min, max or not.' })
  }
  if (Object.keys(config).length === 0)
    faults.push({ path, message: 'says nothing: give a value, a list, min, max or not.' })
  checkOrder(subject, config, path, faults)
  const [only] = tests
  return tests.length === 1 ? only! : (lead) => tests.every((test) => test(lead))
}

function memberTest({ read, ...subject }: Subject, config: unknown, path: string, faults: Fault[]): Test {
  const members = membersOf(subject, config, path, faults)
  const [only] = members
  if (members.size === 1) return (lead) => read(lead) === only
  return (lead) => {
    const value = read(lead)
    return value !== undefined && members.has(value)
  }
}

function absentTest({ read, ...subject }: Subject, config: unknown, path: string, faults: Fault[]): Test {
  const members = membersOf(subject, config, path, faults)
  return (lead) => {
    const value = read(lead)
    return value === undefined || !members.has(value)
  }
}

type Valued = Pick<Subject, 'name' | 'member'>

function membersOf(subject: Valued, config: unknown, path: string, faults: Fault[]): Set<Comparable> {
  const list: readonly unknown[] = Array.isArray(config) ? config : [config]
  const members = new Set<Comparable>()
  if (list.length === 0)
    faults.push({ path, message: 'is an empty list, which no lead is in: remove the field or name values.' })
  let wrong = 0
  list.forEach((value, at) => {
    const member = subject.member(value)
    if (member !== null) members.add(member)
    else if (++wrong <= SHOWN_FAULTS)
      faults.push({ path: Array.isArray(config) ? `${path}[${at}]` : path, message: notOf(subject, value) })
  })
  if (wrong > SHOWN_FAULTS) faults.push({ path, message: `has ${wrong - SHOWN_FAULTS} more values of this kind.` })
  return members
}

function notOf(subject: Valued, value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing'
  const lostZero = subject.name.startsWith('zip') && typeof value === 'number' && value < 10_000
  const hint = lostZero ? ' Quote codes that begin with 0: "02134".' : ''
  return `${text.length > 60 ? `${text.slice(0, 60)}...` : text} is no value that "${subject.name}" can have.${hint}`
}

function limitTest(subject: Subject, key: 'min' | 'max', config: unknown, path: string, faults: Fault[]): Test {
  const limit = subject.limit(config)
  if (limit === null) faults.push({ path, message: `of "${subject.name}": ${LIMIT_WORDS[subject.kind]}.` })
  const bound = limit ?? 0
  const read = key === 'min' ? subject.readMin : subject.readMax
  if (key === 'min') return (lead) => atLeast(read(lead), bound)
  return (lead) => {
    const value = read(lead)
    return value !== undefined && atLeast(bound, value)
  }
}

/** Numbers by size; dates and times, which are texts of one length, by their letters. */
const atLeast = (value: Comparable | undefined, bound: Comparable): boolean => value !== undefined && value >= bound

function checkOrder(subject: Subject, config: Record<string, unknown>, path: string, faults: Fault[]): void {
  const min = subject.limit(config.min)
  const max = subject.limit(config.max)
  if (min !== null && max !== null && min > max) {
    faults.push({
      path,
      message: `min ${config.min} is over max ${config.max}, so no lead passes: change one of them.`,
    })
  }
}
