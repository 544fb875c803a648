/** A lead, parsed once at the boundary: a Lead, or every issue at once. */
import type { FieldValue } from './fields.ts'
import type { Vertical } from './verticals.ts'

export interface Lead {
  readonly vertical: string
  /** Valid values by canonical field name, in the vertical's field order. */
  readonly values: ReadonlyMap<string, FieldValue>
  /** What the vertical does not know, kept as it came, in the order of its arrival. */
  readonly unknown: Readonly<Record<string, string>>
  readonly leadRef: string | null
  readonly subs: Readonly<Record<string, string>>
}

export interface Issue {
  readonly field: string
  /** Stable word for machines: `required`, `not_a_number`, `not_an_email`, `zip_not_in_state`, ... */
  readonly code: string
  /** The raw value, as the source sent it; never logged. */
  readonly value: string | null
}

export type LeadParse =
  | { readonly ok: true; readonly lead: Lead }
  | { readonly ok: false; readonly issues: readonly Issue[] }

/** Reads flat raw fields by the vertical. Missing and blank are the same. `now` is for ages and dates. */
export type ParseLead = (vertical: Vertical, raw: Readonly<Record<string, unknown>>, now: number) => LeadParse
