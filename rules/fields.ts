/** The field types: each reads one raw text into a normal form with components, or says why it is invalid. */
import { CONTACT_TYPES } from './fields/contact.ts'
import { IDENTITY_TYPES } from './fields/identity.ts'
import { NUMBER_TYPES } from './fields/number.ts'
import { PLACE_TYPES } from './fields/place.ts'
import { TEXT_TYPES } from './fields/text.ts'
import { TIME_TYPES } from './fields/time.ts'

/** A derived component: the area code of a phone, the age behind a date of birth. */
export type Part = string | number | boolean
export type Parts = Readonly<Record<string, Part>>

export interface FieldValue {
  /** As it arrived. */
  readonly raw: string
  /** Normal form: what filters, maps and fingerprints use. Numbers and booleans are real ones. */
  readonly normal: string | number | boolean
  /** Derived parts, where the type has any: phone -> {area, country}, email -> {domain}, date of birth -> {age}. */
  readonly parts?: Parts
}

export interface FieldSpec {
  readonly type: FieldTypeName
  /** Allowed words of an enum, in normal form. */
  readonly options?: readonly string[]
  /** Other words of an enum, in normal form -> the option they mean. */
  readonly synonyms?: Readonly<Record<string, string>>
  /** Smallest number, amount, year or age; fewest characters of a text. */
  readonly min?: number
  readonly max?: number
  /**
   * Countries of phones, postal codes and states; the first is that of a phone without a country code. Unset: phones of
   * every country, everything else American.
   */
  readonly countries?: readonly Country[]
}

/** ISO 3166 codes of the countries whose postal codes and states are known here. */
export const COUNTRIES = ['US', 'CA', 'GB'] as const
export type Country = (typeof COUNTRIES)[number]

export type FieldTypeName = string

/**
 * Why a value is invalid: a stable word for machines.
 *
 * - any type: `bad_characters` (U+0000 or half a surrogate pair), `too_long`, `not_flat` (an object or several values)
 * - texts: `too_short`, `not_a_name`, `not_a_city`, `not_an_address`, `not_an_option`
 * - numbers: `not_a_number`, `not_an_integer`, `not_an_amount`, `not_a_range`, `not_a_boolean`, `too_small`, `too_large`
 * - phone: `not_a_number` (no phone number at all), `not_a_phone` (a number that cannot be dialled), `not_in_country`
 * - other contact: `not_an_email`, `not_a_url`, `not_an_ip`
 * - places: `not_a_zip`, `not_a_postal_code` (where other countries count), `not_a_state`, `not_a_country`; of the whole lead: `zip_not_in_state`
 * - times: `not_a_date`, `not_a_time`, `not_a_moment`, `not_a_year`, `in_the_future`, `too_young`, `too_old`
 * - identity: `not_an_ssn`, `not_a_routing_number`, `not_an_account`, `not_a_vin`, `bad_checksum`,
 *   `not_a_trustedform_url`, `not_a_jornaya_id`
 */
export type IssueCode = string

/** What a type makes of a text. */
export interface Reading {
  readonly normal: string | number | boolean
  readonly parts?: Parts
}

export interface FieldContext {
  /** Wall milliseconds, for ages in UTC. Null: a configured value is read, of which only the form matters. */
  readonly now: number | null
}

/** How values of a type compare: what a filter may ask of them. */
export type FieldKind = 'text' | 'number' | 'boolean' | 'money' | 'band' | 'date'

export type PartKind = 'text' | 'number' | 'boolean'

/** Raw text, its normal form, its parts. Read at `EXAMPLE_NOW`. */
type GoodExamples = readonly (readonly [raw: string, normal: string | number | boolean, parts?: Parts])[]
type BadExamples = readonly (readonly [raw: string, code: IssueCode])[]

export interface FieldType {
  readonly name: FieldTypeName
  readonly kind: FieldKind
  /** Parts that a reading may have, and how they compare. */
  readonly parts: Readonly<Record<string, PartKind>>
  /** Longest raw value, in UTF-16 units. */
  readonly maxLength: number
  /** True where one field holds several values, joined by `|`. */
  readonly many?: boolean
  /** True where filters compare without case. */
  readonly anyCase?: boolean
  /** Present on secrets: what may be shown of the normal form. */
  readonly mask?: (normal: string) => string
  /** `text` is trimmed, not empty, within `maxLength` and well formed. */
  readonly parse: (text: string, spec: FieldSpec, context: FieldContext) => Reading | IssueCode
  /** Spec under which the examples hold, where the type needs one. */
  readonly exampleSpec?: FieldSpec
  readonly good: GoodExamples
  readonly bad: BadExamples
  /** Examples under other specs. */
  readonly elsewhere?: readonly { readonly spec: FieldSpec; readonly good: GoodExamples; readonly bad: BadExamples }[]
}

/** 2026-03-02 20:00 UTC: the moment at which the examples of the types hold. */
export const EXAMPLE_NOW = Date.UTC(2026, 2, 2, 20)

export const FIELD_TYPES: ReadonlyMap<FieldTypeName, FieldType> = new Map(
  [TEXT_TYPES, CONTACT_TYPES, PLACE_TYPES, NUMBER_TYPES, TIME_TYPES, IDENTITY_TYPES]
    .flat()
    .map((type) => [type.name, type]),
)

/** The type of a field. Throws on an unknown name: verticals are data of this program, so that is a bug. */
export function fieldType(name: FieldTypeName): FieldType {
  const type = FIELD_TYPES.get(name)
  if (!type) throw new Error(`field type "${name}" is not in rules/fields.ts`)
  return type
}

/** Fields that prove or describe consent: what the consumer was shown and said, and from where. */
export const CONSENT_FIELDS: ReadonlySet<string> = new Set([
  'trustedform_cert_url',
  'jornaya_leadid',
  'tcpa_consent',
  'tcpa_text',
  'landing_page_url',
  'ip_address',
  'user_agent',
  'consented_sellers',
])

/** True where a text may be stored: no U+0000, which Postgres cannot hold, and no half of a surrogate pair. */
export const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/** Reads one raw text that is not blank. */
export function readField(
  type: FieldType,
  spec: FieldSpec,
  raw: string,
  context: FieldContext,
): FieldValue | IssueCode {
  if (raw.length > type.maxLength) return 'too_long'
  if (!isStorable(raw)) return 'bad_characters'
  const reading = type.parse(raw.trim(), spec, context)
  if (typeof reading === 'string') return reading
  return reading.parts === undefined
    ? { raw, normal: reading.normal }
    : { raw, normal: reading.normal, parts: reading.parts }
}
