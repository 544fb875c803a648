/** What conditions can be about: fields of the vertical and their parts, the source, the age of the consent. */
import { type FieldKind, type FieldSpec, type FieldType, fieldType, type PartKind } from '../fields.ts'
import { parseMoney } from '../units.ts'
import { TRACKING_FIELDS, type Vertical, type VerticalField } from '../verticals.ts'
import type { Comparable, Read } from './check.ts'
import { Dictionary } from './members.ts'

/** Something of a lead that conditions can be about, and how a configured value becomes comparable with it. */
export interface Subject {
  /** As faults and reasons name it. */
  readonly name: string
  readonly kind: FieldKind
  /** Holds several values, joined by `|`. */
  readonly many: boolean
  readonly read: Read
  /** Ends of a range, where they are not the value itself: of a band, of an amount. */
  readonly ends: { readonly min: Reading; readonly max: Reading }
  /** A configured value as `read` gives it; null where it is none of the subject's. */
  readonly member: (value: unknown) => Comparable | null
  /** A configured end of a range; null where it is none. */
  readonly limit: (value: unknown) => number | string | null
  /** A day, whose age can be asked. */
  readonly dated: boolean
  /** A postal code, by the code under which its place is known. */
  readonly place: Reading | null
}

export interface Reading {
  readonly read: Read
  readonly readKey: string
}

/** An output of a check. `key`: under which the lead has it. */
export interface OutputSubject {
  readonly kind: PartKind
  readonly key: string
}

/** What conditions of one campaign share. */
export interface Scope {
  readonly vertical: Vertical
  /** Zone of `received` where a condition names none. */
  readonly zone: string
  /** Ids of sources that there are; null: any text may be one. */
  readonly sources: ReadonlySet<string> | null
  /** Outputs of checks, by the name under which conditions ask about them. */
  readonly outputs: ReadonlyMap<string, OutputSubject>
  readonly dictionary: Dictionary
  /** Subjects by name, as far as somebody asked for them. */
  readonly subjects: Map<string, Subject | null>
}

export const NO_OUTPUTS: Scope['outputs'] = new Map()

export function scopeOf(vertical: Vertical, more: Partial<Pick<Scope, 'zone' | 'sources' | 'outputs'>> = {}): Scope {
  const { zone = 'UTC', sources = null, outputs = NO_OUTPUTS } = more
  return { vertical, zone, sources, outputs, dictionary: new Dictionary(), subjects: new Map() }
}

/** Words of the language itself, which no field may have for a name. */
export const RESERVED_WORDS: ReadonlySet<string> = new Set([
  'all',
  'any',
  'none',
  'received',
  'source',
  'consent_age_minutes',
])

/** A clock that is ahead of ours by so much is believed: the consent was just now. */
const CLOCK_AHEAD_MINUTES = 5

/** The subject of that name; null where the vertical has none. */
export function subjectOf(scope: Scope, name: string): Subject | null {
  const known = scope.subjects.get(name)
  if (known !== undefined) return known
  const subject = findSubject(scope, name)
  scope.subjects.set(name, subject)
  return subject
}

function findSubject({ vertical, sources, outputs }: Scope, name: string): Subject | null {
  const output = outputs.get(name)
  if (output !== undefined) return outputSubject(name, output)
  if (name === 'source') return sourceSubject(sources)
  if (name === 'consent_age_minutes') return consentAge(vertical)
  const dot = name.indexOf('.')
  const field = fieldOfVertical(vertical, dot < 0 ? name : name.slice(0, dot))
  if (field) return dot < 0 ? fieldSubject(field) : partSubject([field], name.slice(dot + 1), name)
  return dot < 0 && (name === 'age' || fieldsWithPart(vertical, name).length === 1)
    ? partSubject(fieldsWithPart(vertical, name), name, name)
    : null
}

export const fieldOfVertical = (vertical: Vertical, name: string): VerticalField | undefined =>
  vertical.fields.find((one) => one.name === name)

export const fieldsWithPart = (vertical: Vertical, part: string): readonly VerticalField[] =>
  vertical.fields.filter((field) => Object.hasOwn(fieldType(field.type).parts, part))

function fieldSubject(field: VerticalField): Subject {
  const { name } = field
  const type = fieldType(field.type)
  const read = type.anyCase ? inLowerCase(name) : normalOf(name)
  const itself = { read, readKey: name }
  const part = (of: string): Reading => ({ read: partOf(name, of), readKey: `${name}.${of}` })
  const ends =
    type.kind === 'band'
      ? { min: part('min'), max: part('max') }
      : type.kind === 'money'
        ? { min: part('micros'), max: part('micros') }
        : { min: itself, max: itself }
  const member = remembered(memberOf(type, field))
  return {
    name,
    kind: type.kind,
    many: type.many === true,
    read,
    ends,
    member,
    limit: LIMITS[type.kind](member),
    dated: type.kind === 'date' && type.name !== 'time',
    place: type.name === 'zip' ? { read: placeOf(name), readKey: `${name} place` } : null,
  }
}

function normalOf(name: string): Read {
  if (name === 'lead_ref') return (lead) => lead.leadRef ?? undefined
  return TRACKING_FIELDS.has(name) ? (lead) => lead.subs[name] : (lead) => lead.values.get(name)?.normal
}

function inLowerCase(name: string): Read {
  const read = normalOf(name)
  return (lead, source) => (read(lead, source) as string | undefined)?.toLowerCase()
}

const partOf =
  (name: string, part: string): Read =>
  (lead) =>
    lead.values.get(name)?.parts?.[part]

/** A Canadian code's place is known by its first three characters. */
const placeOf =
  (name: string): Read =>
  (lead) => {
    const value = lead.values.get(name)
    return value?.parts?.country === 'CA' ? value.parts.prefix : value?.normal
  }

/** A part of the first of these fields that the lead has. */
function partSubject(fields: readonly VerticalField[], part: string, name: string): Subject | null {
  const [first] = fields.filter((field) => Object.hasOwn(fieldType(field.type).parts, part))
  if (first === undefined) return null
  const reads = fields.map((field) => partOf(field.name, part))
  const [only] = reads
  const read: Read =
    reads.length === 1
      ? only!
      : (lead, source) => {
          for (const one of reads) {
            const found = one(lead, source)
            if (found !== undefined) return found
          }
          return undefined
        }
  return plainSubject(name, fieldType(first.type).parts[part]!, read)
}

const PART_MEMBERS: Readonly<Record<PartKind, Subject['member']>> = {
  text: (value) => (isScalar(value) && typeof value !== 'boolean' && value !== '' ? String(value) : null),
  number: (value) => numberOf(value),
  boolean: (value) => (typeof value === 'boolean' ? value : null),
}

function plainSubject(name: string, kind: PartKind, read: Read, member = PART_MEMBERS[kind]): Subject {
  const itself = { read, readKey: name }
  const limit = LIMITS[kind](member)
  return { name, kind, many: false, read, ends: { min: itself, max: itself }, member, limit, dated: false, place: null }
}

/** Words of a service are compared without case, which services change without telling. */
function outputSubject(name: string, { kind, key }: OutputSubject): Subject {
  if (kind !== 'text') return plainSubject(name, kind, (lead) => lead.outputs?.get(key))
  const member = (value: unknown) => (isScalar(value) && value !== '' ? String(value).toLowerCase() : null)
  return plainSubject(name, 'text', (lead) => (lead.outputs?.get(key) as string | undefined)?.toLowerCase(), member)
}

function sourceSubject(sources: ReadonlySet<string> | null): Subject {
  const member = (value: unknown) =>
    typeof value === 'string' && value !== '' && (sources === null || sources.has(value)) ? value : null
  return plainSubject('source', 'text', (_, source) => source, member)
}

function consentAge(vertical: Vertical): Subject | null {
  if (!fieldOfVertical(vertical, 'consent_at')) return null
  return plainSubject('consent_age_minutes', 'number', (lead) => {
    const consentAt = lead.values.get('consent_at')
    if (consentAt === undefined) return undefined
    const minutes = (lead.receivedAt - Date.parse(consentAt.normal as string)) / 60_000
    return minutes < -CLOCK_AHEAD_MINUTES ? undefined : Math.max(0, minutes)
  })
}

export const isScalar = (value: unknown): value is Comparable =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

const numberOf = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

/** Reads configured values into the field's normal form; the field's own bounds do not bind a condition. */
function memberOf(type: FieldType, field: VerticalField): Subject['member'] {
  const spec: FieldSpec = { ...field, min: undefined, max: undefined }
  return (value) => {
    if (type.kind === 'number' && typeof value !== 'number') return null
    const text = isScalar(value) ? String(value).trim() : ''
    if (text === '' || text.length > type.maxLength) return null
    const reading = type.parse(text, spec, { now: null })
    if (typeof reading === 'string') return null
    return type.anyCase ? (reading.normal as string).toLowerCase() : reading.normal
  }
}

/** Ten thousand lists of zips name the same ones again and again. As long-lived as the scope, and as large as what it was asked. */
function remembered(member: Subject['member']): Subject['member'] {
  const known = new Map<unknown, Comparable | null>()
  return (value) => {
    const before = known.get(value)
    if (before !== undefined) return before
    const read = member(value)
    known.set(value, read)
    return read
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
