/** The field types: each reads one raw text into a normal form with components, or says why it is invalid. */

export interface FieldValue {
  /** As it arrived. */
  readonly raw: string
  /** Normal form: what filters, maps and fingerprints use. Numbers and booleans are real ones. */
  readonly normal: string | number | boolean
  /** Derived parts, where the type has any: phone -> {area, country}, email -> {domain}, date of birth -> {age}. */
  readonly parts?: Readonly<Record<string, string | number | boolean>>
}

export interface FieldSpec {
  readonly type: FieldTypeName
  /** Allowed words of an enum, in normal form. */
  readonly options?: readonly string[]
  readonly min?: number
  readonly max?: number
}

export type FieldTypeName = string
