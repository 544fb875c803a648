/** A lead, parsed once at the boundary: a Lead, or every issue at once. */

import { postalIsIn } from './fields/postal.ts'
import { type FieldContext, type FieldType, type FieldValue, fieldType, isStorable, readField } from './fields.ts'
import { MICROS_PER_UNIT } from './units.ts'
import { type Derivation, TRACKING_FIELDS, type Vertical, type VerticalField } from './verticals.ts'

export interface Lead {
  readonly vertical: string
  /** Wall milliseconds: when it came. Ages and hours of the day are those of this moment, however often it is decided. */
  readonly receivedAt: number
  /** Valid values by canonical field name, in the vertical's field order; without what the source tracks for itself. */
  readonly values: ReadonlyMap<string, FieldValue>
  /** What the vertical does not know, kept as it came, in the order of its arrival. No prototype. */
  readonly unknown: Readonly<Record<string, string>>
  readonly leadRef: string | null
  /** `sub1`..`sub5` and `click_id`, those that came. No prototype. */
  readonly subs: Readonly<Record<string, string>>
  /** What checks found out, as `fraud.score`; absent before they have answered, and where there are none. Not stored. */
  readonly outputs?: ReadonlyMap<string, string | number | boolean>
}

export interface Issue {
  /** Canonical field name; for an unknown field its own; `*` for the lead as a whole. */
  readonly field: string
  /**
   * Stable word for machines: those of `IssueCode` in `rules/fields`, and `required`, `zip_not_in_state`,
   * `forbidden_name` (`__proto__` and its like), `too_many_fields` (over 100 unknown ones).
   */
  readonly code: string
  /** The raw value, as the source sent it, cut to 200 characters and storable; null for a secret. Never logged. */
  readonly value: string | null
}

export type LeadParse =
  | { readonly ok: true; readonly lead: Lead }
  | { readonly ok: false; readonly issues: readonly Issue[] }

/** Which required fields must be there: all of a full lead, or those that a ping may show. */
export type Demand = 'lead' | 'ping'

export const MAX_UNKNOWN_FIELDS = 100
export const MAX_NAME_LENGTH = 100
export const MAX_UNKNOWN_LENGTH = 2000
const MAX_SHOWN = 200
const MAX_DEPTH = 8

/** Names that reach an object's machinery in a careless reader. */
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
/** What steers the engine is no part of a lead: kept among the unknown fields, a key would reach the buyers. */
export const CONTROLS: ReadonlySet<string> = new Set(['api_key', 'test'])

/** A vertical made ready for reading: one slot for each field. */
interface Plan {
  readonly fields: readonly VerticalField[]
  readonly types: readonly FieldType[]
  readonly slots: ReadonlyMap<string, number>
  /** The same names without case and separators. */
  readonly foldedSlots: ReadonlyMap<string, number>
}

const PLANS = new WeakMap<Vertical, Plan>()

function planOf(vertical: Vertical): Plan {
  const known = PLANS.get(vertical)
  if (known) return known
  const slots = new Map<string, number>()
  vertical.fields.forEach((field, slot) => {
    for (const name of [field.name, ...field.aliases]) if (!slots.has(name)) slots.set(name, slot)
  })
  vertical.fields.forEach((field, slot) => {
    slots.set(field.name, slot)
  })
  const foldedSlots = new Map([...slots].map(([name, slot]) => [foldName(name), slot]))
  const plan = { fields: vertical.fields, types: vertical.fields.map((one) => fieldType(one.type)), slots, foldedSlots }
  PLANS.set(vertical, plan)
  return plan
}

/** `First Name`, `firstName` and `first-name` are one name. */
export const foldName = (name: string): string => name.toLowerCase().replace(/[\s_.-]/g, '')

const slotOf = (plan: Plan, name: string): number | undefined =>
  plan.slots.get(name) ?? plan.foldedSlots.get(foldName(name))

/** The vertical's field that a name stands for, as leads are read; undefined where it knows none. */
export function fieldNamed(vertical: Vertical, name: string): VerticalField | undefined {
  const plan = planOf(vertical)
  const slot = slotOf(plan, name)
  return slot === undefined ? undefined : plan.fields[slot]
}

/** Raw texts by slot, and what has no slot. */
interface Sorted {
  readonly texts: (string | undefined)[]
  /** Under which name each text came. */
  readonly names: string[]
  readonly unknown: Record<string, string>
  readonly issues: Issue[]
  unknownCount: number
}

/**
 * Reads flat raw fields by the vertical. Missing, null and blank are the same. Names match in any case and with any
 * separator; the canonical name wins over an alias, the first alias over a later one, and what loses is kept as unknown.
 * What the source sent is never replaced by what is derived or default.
 * `now` (wall milliseconds) is for ages and dates.
 */
export function parseLead(
  vertical: Vertical,
  raw: Readonly<Record<string, unknown>>,
  now: number,
  demand: Demand = 'lead',
): LeadParse {
  const plan = planOf(vertical)
  const sorted = sortFields(plan, raw)
  const values = new Map<string, FieldValue>()
  const subs: Record<string, string> = Object.create(null)
  const issues: Issue[] = []
  const context: FieldContext = { now }
  let leadRef: string | null = null
  for (let slot = 0; slot < plan.fields.length; slot++) {
    const field = plan.fields[slot]!
    const text = sorted.texts[slot] ?? fillIn(field, values)
    if (text === undefined) {
      if (field.required && (demand === 'lead' || field.ping)) issues.push(issueOf(field.name, 'required', null))
      continue
    }
    const read = text === NOT_FLAT ? 'not_flat' : readField(plan.types[slot]!, field, text, context)
    if (typeof read === 'string') issues.push(issueOf(field.name, read, plan.types[slot]!.mask ? null : text))
    else if (!TRACKING_FIELDS.has(field.name)) values.set(field.name, read)
    else if (field.name === 'lead_ref') leadRef = read.normal as string
    else subs[field.name] = read.normal as string
  }
  const zip = values.get('zip')
  if (zip && !zipAgrees(zip, values.get('state'))) issues.push(issueOf('zip', 'zip_not_in_state', zip.raw))
  if (issues.length > 0 || sorted.issues.length > 0) return { ok: false, issues: [...issues, ...sorted.issues] }
  return { ok: true, lead: { vertical: vertical.id, receivedAt: now, values, unknown: sorted.unknown, leadRef, subs } }
}

/** What stands for a field that did not come: what another field tells of it, else the campaign's default. */
function fillIn(
  { derive, default: otherwise }: VerticalField,
  values: ReadonlyMap<string, FieldValue>,
): string | undefined {
  const origin = derive && values.get(derive.from)
  return (origin && derivedText(derive, origin)) ?? otherwise
}

function derivedText({ part, bands }: Derivation, origin: FieldValue): string | undefined {
  const value = part === null ? origin.normal : origin.parts?.[part]
  if (bands === null || value === undefined) return value === undefined ? undefined : String(value)
  const amount =
    part === null && origin.parts?.micros !== undefined ? Number(origin.parts.micros) / MICROS_PER_UNIT : value
  return bands.findLast((band) => Number(amount) >= band.from)?.label
}

function zipAgrees(zip: FieldValue, state: FieldValue | undefined): boolean {
  return state === undefined || postalIsIn(zip, state.normal as string)
}

/** Stands for a value that is an object, or several values where one is expected. No text that arrives can be it: it is not well formed. */
const NOT_FLAT = '\ud800 not flat'

function sortFields(plan: Plan, raw: Readonly<Record<string, unknown>>): Sorted {
  const sorted: Sorted = {
    texts: new Array(plan.fields.length).fill(undefined),
    names: new Array(plan.fields.length).fill(''),
    unknown: Object.create(null),
    issues: [],
    unknownCount: 0,
  }
  for (const name of Object.keys(raw)) {
    const value = raw[name]
    if (value === null || value === undefined || CONTROLS.has(name)) continue
    if (FORBIDDEN.has(name)) {
      sorted.issues.push(issueOf(name, 'forbidden_name', null))
      continue
    }
    const slot = slotOf(plan, name)
    if (slot === undefined) keepUnknown(sorted, name, unknownText(value))
    else take(plan, sorted, slot, name, value)
  }
  if (sorted.unknownCount > MAX_UNKNOWN_FIELDS) sorted.issues.push(issueOf('*', 'too_many_fields', null))
  return sorted
}

function take(plan: Plan, sorted: Sorted, slot: number, name: string, value: unknown): void {
  const text = textOf(value, plan.types[slot]!.many === true)
  if (isBlank(text)) return
  const before = sorted.texts[slot]
  if (before === undefined || name === plan.fields[slot]!.name) {
    if (before !== undefined && before !== text) keepUnknown(sorted, sorted.names[slot]!, before)
    sorted.texts[slot] = text
    sorted.names[slot] = name
  } else if (before !== text) {
    keepUnknown(sorted, name, text)
  }
}

const isBlank = (text: string): boolean => text === '' || text.trim() === ''

function textOf(value: unknown, many: boolean): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (!Array.isArray(value) || (value.length > 1 && !many)) return NOT_FLAT
  const items = value.map((item) => (typeof item === 'object' && item !== null ? NOT_FLAT : textOf(item ?? '', false)))
  return items.includes(NOT_FLAT) ? NOT_FLAT : items.join('|')
}

/** An unknown value may have members: it is kept as its JSON text. */
function unknownText(value: unknown): string {
  if (typeof value !== 'object') return textOf(value, false)
  return isShallow(value, MAX_DEPTH) ? JSON.stringify(value) : NOT_FLAT
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true
  return depth > 0 && Object.values(value).every((member) => isShallow(member, depth - 1))
}

function keepUnknown(sorted: Sorted, name: string, text: string): void {
  if (isBlank(text)) return
  sorted.unknownCount++
  if (sorted.unknownCount > MAX_UNKNOWN_FIELDS) return
  const code = faultOfUnknown(name, text)
  if (code === null) sorted.unknown[name] = text
  else sorted.issues.push(issueOf(name, code, text))
}

function faultOfUnknown(name: string, text: string): string | null {
  if (text === NOT_FLAT) return 'not_flat'
  if (name.length > MAX_NAME_LENGTH || text.length > MAX_UNKNOWN_LENGTH) return 'too_long'
  return isStorable(name) && isStorable(text) ? null : 'bad_characters'
}

function issueOf(field: string, code: string, text: string | null): Issue {
  return {
    field: shown(field, MAX_NAME_LENGTH),
    code,
    value: text === null || text === NOT_FLAT ? null : shown(text, MAX_SHOWN),
  }
}

function shown(text: string, length: number): string {
  return text.slice(0, length).replaceAll('\0', '\ufffd').toWellFormed()
}

/** A sub-id or a value in normal form; null where the lead does not have the field. */
export function fieldOf(lead: Lead, name: string): string | number | boolean | null {
  const value = lead.values.get(name)
  if (value !== undefined) return value.normal
  return name === 'lead_ref' ? lead.leadRef : (lead.subs[name] ?? null)
}

/** The lead as it may be shown to people: secrets keep their last digits only, and what came under a second name of theirs nothing. */
export function maskLead(lead: Lead, vertical: Vertical): Lead {
  const plan = planOf(vertical)
  const values = new Map(lead.values)
  plan.fields.forEach(({ name }, slot) => {
    const value = values.get(name)
    const masked = value && plan.types[slot]!.mask?.(value.normal as string)
    if (masked !== undefined) values.set(name, { raw: masked, normal: masked })
  })
  const unknown: Record<string, string> = bare(lead.unknown)
  for (const name of Object.keys(unknown)) {
    const slot = slotOf(plan, name)
    if (slot !== undefined && plan.types[slot]!.mask) unknown[name] = '*****'
  }
  return { ...lead, values, unknown }
}

/** A value as it is sealed: name, raw, then normal and parts where they say more. */
type SealedValue = readonly [name: string, raw: string, normal?: FieldValue['normal'], parts?: FieldValue['parts']]
type SealedLead = readonly [
  format: 1,
  vertical: string,
  values: readonly SealedValue[],
  unknown: Readonly<Record<string, string>>,
  leadRef: string | null,
  subs: Readonly<Record<string, string>>,
  receivedAt: number,
]

/** The whole lead as JSON text, secrets included: for sealing only. Equal leads give equal text. */
export function leadJson(lead: Lead): string {
  const values: SealedValue[] = []
  for (const [name, { raw, normal, parts }] of lead.values) {
    if (parts !== undefined) values.push([name, raw, normal, parts])
    else values.push(normal === raw ? [name, raw] : [name, raw, normal])
  }
  const sealed: SealedLead = [1, lead.vertical, values, lead.unknown, lead.leadRef, lead.subs, lead.receivedAt]
  return JSON.stringify(sealed)
}

/** Reads what `leadJson` wrote: an equal lead, its ages as they were when it was parsed. Throws on anything else: it is our own text. */
export function leadFromJson(text: string): Lead {
  const sealed: SealedLead = JSON.parse(text)
  if (sealed[0] !== 1)
    throw new Error(`a sealed lead of format ${sealed[0]} cannot be read: this engine knows format 1`)
  const values = new Map<string, FieldValue>()
  for (const [name, raw, normal = raw, parts] of sealed[2]) {
    values.set(name, parts === undefined ? { raw, normal } : { raw, normal, parts })
  }
  const [, vertical, , unknown, leadRef, subs, receivedAt] = sealed
  return { vertical, receivedAt, values, unknown: bare(unknown), leadRef, subs: bare(subs) }
}

const bare = (record: Readonly<Record<string, string>>): Record<string, string> =>
  Object.assign(Object.create(null), record)
