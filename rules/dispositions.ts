/** What a buyer may say became of a lead, and what that comes to. */
import { type Micros, micros } from './units.ts'

/** `attempted` .. `quoted`: on the way; `sold`, `funded`: it came to business; the last three: it will not. */
export const DISPOSITIONS = [
  'attempted',
  'contacted',
  'qualified',
  'appointment',
  'quoted',
  'sold',
  'funded',
  'not_reached',
  'not_interested',
  'bad_contact',
] as const
export type Disposition = (typeof DISPOSITIONS)[number]

/** Somebody spoke with the person. */
const CONTACTED: ReadonlySet<string> = new Set<Disposition>([
  ...(['contacted', 'qualified', 'appointment', 'quoted', 'sold', 'funded', 'not_interested'] as const),
])
/** The lead became business: the later of these says what it was worth. */
const CONVERTED: readonly Disposition[] = ['sold', 'funded']

export interface Disposed {
  readonly status: string
  /** Null: the buyer did not say. */
  readonly value: number | null
}

/** Of one copy. `revenue`: what it was worth to its buyer where it became business. */
export interface Standing {
  readonly contacted: boolean
  readonly converted: boolean
  readonly revenue: Micros
}

export function standingOf(said: readonly Disposed[]): Standing {
  const worth = CONVERTED.flatMap((stage) => said.find(({ status }) => status === stage) ?? [])
  return {
    contacted: said.some(({ status }) => CONTACTED.has(status)),
    converted: worth.length > 0,
    revenue: micros(worth.findLast(({ value }) => value !== null)?.value ?? 0),
  }
}
