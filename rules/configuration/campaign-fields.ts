/** The fields of one campaign: those of its vertical, with what the campaign adds, requires, renames, defaults or derives. */

import { FACTS } from '../delivery/placeholder.ts'
import { wordOf } from '../fields/text.ts'
import { type Country, FIELD_TYPES, type FieldKind, type FieldType, fieldType, readField } from '../fields.ts'
import { RESERVED_WORDS } from '../filter/subject.ts'
import { CONTROLS, foldName } from '../lead.ts'
import { type Derivation, TRACKING_FIELDS, type Vertical, type VerticalField } from '../verticals.ts'
import type { Draft, FieldFile } from './schema.ts'

export interface FieldsFile {
  readonly fields?: Draft<Record<string, FieldFile>>
  readonly countries?: Draft<string[]>
}

/** Takes faults, by their path below the campaign. `hint` is what to say beside an unknown word. */
export interface FieldFaults {
  readonly fault: (path: string, message: string) => void
  readonly hint: (word: string, known: () => Iterable<string>) => string
}

const NAME = /^[a-z][a-z0-9_]{0,62}$/
/** The engine looks these up by their names: two of them agree with each other, others tell consent and duplicates. */
const KNOWN_BY_NAME: ReadonlySet<string> = new Set([
  ...TRACKING_FIELDS,
  'zip',
  'state',
  'phone',
  'email',
  'consented_sellers',
  'consent_at',
])
/** Types that tell who the consumer is. */
const PERSONAL: ReadonlySet<string> = new Set(['name', 'phone', 'email', 'street'])
const MAX_FIELDS = 200
/** Types that read a country's own form. */
const NATIONAL: ReadonlySet<string> = new Set(['phone', 'zip', 'state'])

/**
 * The vertical as this campaign has it: `fields` by name, `countries` for phones, postal codes and states. Where there
 * are faults, the faulty part is left out and the rest stands, so that everything else can be checked against it.
 */
export function campaignVertical(vertical: Vertical, file: FieldsFile, faults: FieldFaults): Vertical {
  const overrides = Object.entries(file.fields ?? {})
  if (overrides.length === 0 && file.countries === undefined) return vertical
  const fields = new Map(vertical.fields.map((field) => [field.name, field]))
  const derived = new Set(overrides.flatMap(([name, override]) => (override?.derive ? (override.rename ?? name) : [])))
  for (const [name, override] of overrides) {
    const here = inside(faults, `fields.${name}`)
    const known = fields.get(name)
    const field = known ? changed(known, override ?? {}, here) : added(vertical, name, override ?? {}, here)
    if (field) fields.set(name, field)
  }
  const all = inCountries([...fields.values()], countriesOf(file.countries))
  checkNames(vertical, overrides, faults)
  if (all.length > MAX_FIELDS) faults.fault('fields', `makes ${all.length} fields: ${MAX_FIELDS} are the most.`)
  for (const [name, override] of overrides) {
    const at = all.findIndex((field) => field.name === (override?.rename ?? name))
    if (at >= 0 && override) all[at] = filled(all[at]!, override, all, derived, inside(faults, `fields.${name}`))
  }
  return { ...vertical, fields: [...all.filter((field) => !field.derive), ...all.filter((field) => field.derive)] }
}

const inside = ({ fault, hint }: FieldFaults, above: string): FieldFaults => ({
  fault: (path, message) => fault(path === '' ? above : `${above}.${path}`, message),
  hint,
})

function countriesOf(file: FieldsFile['countries']): readonly Country[] | undefined {
  return file?.flatMap((country) => (country === undefined ? [] : country === 'UK' ? 'GB' : (country as Country)))
}

function inCountries(fields: readonly VerticalField[], countries: readonly Country[] | undefined): VerticalField[] {
  if (countries === undefined || countries.length === 0) return [...fields]
  return fields.map((field) => (NATIONAL.has(field.type) ? { ...field, countries } : field))
}

function added(vertical: Vertical, name: string, override: Draft<FieldFile>, here: FieldFaults): VerticalField | null {
  const alias = vertical.fields.find((field) => field.aliases.some((one) => foldName(one) === foldName(name)))
  const type = override.type === undefined ? undefined : FIELD_TYPES.get(override.type)
  if (alias) here.fault('', `the vertical ${vertical.id} calls "${name}" by the name ${alias.name}: write that.`)
  else if (override.type === undefined) {
    const hint = here.hint(name, () => vertical.fields.map((field) => field.name))
    here.fault('type', `is missing: the vertical ${vertical.id} has no field "${name}", so it needs a type.${hint}`)
  } else if (!type) {
    here.fault('type', `there is no type "${override.type}".${here.hint(override.type, () => FIELD_TYPES.keys())}`)
  } else if (isFreeName(name, here, '')) {
    if (override.rename !== undefined) here.fault('rename', 'makes no sense of a new field: give it the name at once.')
    const label = name.replaceAll('_', ' ')
    const blank = { name, type: type.name, required: false, ping: false, aliases: [], label, example: '' }
    const field = changed(blank, { ...override, type: undefined, rename: undefined }, here)
    return { ...field, example: override.example ?? field.options?.[0] ?? type.good[0]?.[0] ?? '' }
  }
  return null
}

function isFreeName(name: string, here: FieldFaults, path: string): boolean {
  if (!NAME.test(name)) here.fault(path, `"${name}" is no name of a field: write a-z, 0-9 and _, a letter first.`)
  else if (RESERVED_WORDS.has(name) || CONTROLS.has(name) || (FACTS as readonly string[]).includes(name))
    here.fault(path, `"${name}" is a word of the engine's own: choose another name.`)
  else return true
  return false
}

function changed(known: VerticalField, override: Draft<FieldFile>, here: FieldFaults): VerticalField {
  const type = fieldType(known.type)
  if (override.type !== undefined) here.fault('type', `is ${known.type} by the vertical: leave it out.`)
  const name = override.rename === undefined ? known.name : renamed(known.name, override.rename, here)
  const min = override.min ?? known.min
  const max = override.max ?? known.max
  if (min !== undefined && max !== undefined && min > max) here.fault('min', `is ${min}, over max ${max}.`)
  if (override.ping === true && (PERSONAL.has(type.name) || type.mask))
    here.fault('ping', `type ${type.name} tells who the consumer is, so it may not leave in a ping: take it out.`)
  const own = (override.aliases ?? []).flatMap((alias) => alias ?? [])
  return {
    ...known,
    ...choices(known, type, override, here),
    name,
    required: override.required ?? known.required,
    ping: override.ping ?? known.ping,
    aliases: [...known.aliases, ...(name === known.name ? [] : [known.name]), ...own],
    label: override.label ?? known.label,
    example: override.example ?? known.example,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
  }
}

function renamed(name: string, to: string, here: FieldFaults): string {
  if (KNOWN_BY_NAME.has(name)) {
    here.fault('rename', `the engine knows "${name}" by this name: give it aliases instead.`)
    return name
  }
  return isFreeName(to, here, 'rename') ? to : name
}

/** Options and synonyms of an enum: new options replace the vertical's, new synonyms come beside them. */
function choices(
  known: VerticalField,
  type: FieldType,
  override: Draft<FieldFile>,
  here: FieldFaults,
): Pick<VerticalField, 'options' | 'synonyms'> {
  if (type.name !== 'enum') {
    if (override.options !== undefined)
      here.fault('options', `are for an enum, and this is a ${type.name}: remove them.`)
    if (override.synonyms !== undefined)
      here.fault('synonyms', `are for an enum, and this is a ${type.name}: remove them.`)
    return {}
  }
  const options = override.options?.flatMap((option) => option ?? []) ?? known.options ?? []
  if (options.length === 0) here.fault('options', 'is missing: an enum needs its options.')
  options.forEach((option, at) => {
    if (wordOf(option) !== option || option === '')
      here.fault(`options[${at}]`, `"${option}" is not how an option is written: write ${wordOf(option) || 'a word'}.`)
  })
  const synonyms: Record<string, string> = {}
  for (const [word, option] of Object.entries(known.synonyms ?? {})) {
    if (options.includes(option)) synonyms[word] = option
  }
  for (const [word, option] of Object.entries(override.synonyms ?? {})) {
    if (option === undefined) continue
    if (options.includes(option)) synonyms[wordOf(word)] = option
    else here.fault(`synonyms.${word}`, `"${option}" is no option.${here.hint(option, () => options)}`)
  }
  return { options, synonyms }
}

/** Every name and alias is one field's. Faults stand at what the campaign wrote, for the vertical's own names agree. */
function checkNames(
  vertical: Vertical,
  overrides: readonly (readonly [name: string, override: Draft<FieldFile> | undefined])[],
  { fault }: FieldFaults,
): void {
  const owners = new Map<string, string>()
  for (const { name, aliases } of vertical.fields) for (const one of [name, ...aliases]) owners.set(foldName(one), name)
  const known = new Map(owners)
  const claim = (owner: string, name: string, path: string): void => {
    const other = owners.get(foldName(name))
    if (other !== undefined && other !== owner)
      fault(path, `"${name}" is a name of "${other}" already: choose another.`)
    else owners.set(foldName(name), owner)
  }
  for (const [name, override] of overrides) {
    // A name that the vertical knows as an alias was told where the field was made.
    if (!known.has(foldName(name))) claim(name, name, `fields.${name}`)
    if (override?.rename !== undefined) claim(name, override.rename, `fields.${name}.rename`)
    override?.aliases?.forEach((alias, at) => {
      if (alias !== undefined) claim(name, alias, `fields.${name}.aliases[${at}]`)
    })
  }
}

/** What stands for the field where it does not come. */
function filled(
  field: VerticalField,
  override: Draft<FieldFile>,
  fields: readonly VerticalField[],
  derived: ReadonlySet<string>,
  here: FieldFaults,
): VerticalField {
  const otherwise = override.default === undefined ? null : validText(field, override.default, 'default', here)
  const derive = override.derive?.from === undefined ? null : derivation(field, override.derive, fields, derived, here)
  return { ...field, ...(otherwise === null ? {} : { default: otherwise }), ...(derive === null ? {} : { derive }) }
}

/** The text under which a configured value would arrive; null where the field could not have it. */
function validText(field: VerticalField, value: unknown, path: string, here: FieldFaults): string | null {
  const text = ['string', 'number', 'boolean'].includes(typeof value) ? String(value).trim() : ''
  const read = text === '' ? 'not_flat' : readField(fieldType(field.type), field, text, { now: null })
  if (typeof read !== 'string') return text
  here.fault(path, `${JSON.stringify(value)} is no value that "${field.name}" can have (${read}).`)
  return null
}

function derivation(
  field: VerticalField,
  file: NonNullable<Draft<FieldFile>['derive']>,
  fields: readonly VerticalField[],
  derived: ReadonlySet<string>,
  here: FieldFaults,
): Derivation | null {
  const [from, part = null] = file.from!.split('.') as [string, string?]
  const origin = fields.find((one) => one.name === from)
  const fault = (message: string): null => {
    here.fault('derive.from', message)
    return null
  }
  if (!origin) return fault(`there is no field "${from}".${here.hint(from, () => fields.map((one) => one.name))}`)
  if (origin === field) return fault(`"${from}" cannot be told by itself.`)
  if (derived.has(from)) return fault(`"${from}" is derived itself: name what it is derived from.`)
  if (TRACKING_FIELDS.has(from))
    return fault(`"${from}" is what the source tracks for itself: name a field of the lead.`)
  const type = fieldType(origin.type)
  const parts = Object.keys(type.parts)
  if (part !== null && !parts.includes(part))
    return fault(`"${from}" has no part "${part}": it has ${parts.join(', ') || 'none'}.`)
  const kind = part === null ? type.kind : type.parts[part]!
  if (file.bands !== undefined) {
    if (kind !== 'number' && kind !== 'money') return fault(`bands need a number, and "${file.from}" is none.`)
    const bands = bandsOf(field, file.bands, here)
    return bands && { from, part, bands }
  }
  if (!canTell(kind, fieldType(field.type).kind))
    return fault(`a ${kind} cannot tell the ${field.type} "${field.name}".`)
  return { from, part, bands: null }
}

const canTell = (from: FieldKind, to: FieldKind): boolean =>
  from === to || to === 'text' || ((from === 'number' || from === 'money') && ['number', 'money', 'band'].includes(to))

/** `[100, 200]`: 0-100, 100-200, 200+. `{good: 660, fair: 600}`: each label from its number on. */
function bandsOf(field: VerticalField, config: unknown, here: FieldFaults): Derivation['bands'] {
  const ends = Array.isArray(config) ? config : Object.values((config ?? {}) as object)
  const sorted = ends.toSorted((a, b) => a - b)
  const isLadder =
    ends.length > 0 && ends.every((end) => Number.isFinite(end)) && sorted.every((end, at) => end !== sorted[at - 1])
  if (typeof config !== 'object' || !isLadder) {
    here.fault('derive.bands', 'takes where bands begin, such as [100, 200, 300] or {good: 660, fair: 600}.')
    return null
  }
  const bands = Array.isArray(config)
    ? ladder(sorted)
    : Object.entries(config as Record<string, number>)
        .map(([label, from]) => ({ from, label }))
        .sort((a, b) => a.from - b.from)
  const good = bands.every(({ label }) => validText(field, label, 'derive.bands', here) !== null)
  return good ? bands : null
}

function ladder(ends: readonly number[]): { from: number; label: string }[] {
  const steps = ends[0]! > 0 ? [0, ...ends] : ends
  return steps.map((from, at) => ({ from, label: at + 1 < steps.length ? `${from}-${steps[at + 1]}` : `${from}+` }))
}
