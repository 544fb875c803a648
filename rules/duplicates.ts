/** What makes two leads the same: canonical texts of the fields that a campaign compares, for the engine to hash under its key. */
import validator from 'validator'
import { fieldOf, type Lead } from './lead.ts'
import type { Campaign } from './version.ts'

/** `text` is `<field>:<canonical value>`, such as `phone:+15125550123`: a field's name keeps equal values of two fields apart. */
export interface Fingerprint {
  readonly field: string
  readonly text: string
}

/** One fingerprint for each field of the campaign's rule that the lead has, in the rule's order. */
export function fingerprintsOf(campaign: Pick<Campaign, 'duplicates'>, lead: Lead): readonly Fingerprint[] {
  const fingerprints: Fingerprint[] = []
  for (const field of campaign.duplicates.fields) {
    const normal = fieldOf(lead, field)
    if (normal !== null) fingerprints.push({ field, text: `${field}:${canonical(field, String(normal))}` })
  }
  return fingerprints
}

function canonical(field: string, normal: string): string {
  return field === 'email' ? mailboxOf(normal) : normal.toLowerCase()
}

/** One mailbox under its many spellings: the dots and tags that its provider ignores are gone. */
function mailboxOf(email: string): string {
  return validator.normalizeEmail(email) || email
}

/** The text whose hash binds an idempotency key to its lead. Keys of two sources never meet: a source's id has no colon. */
export const idempotencyText = (source: string, key: string): string => `key:${source}:${key}`
