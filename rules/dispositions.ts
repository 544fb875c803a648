/** What a buyer may say became of a lead, in the order of how far it came. */

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
export const CONTACTED: readonly Disposition[] = [
  'contacted',
  'qualified',
  'appointment',
  'quoted',
  'sold',
  'funded',
  'not_interested',
]
/** The lead became business. */
export const CONVERTED: readonly Disposition[] = ['sold', 'funded']
