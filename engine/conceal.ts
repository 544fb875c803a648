/** Short texts that may name a person, such as a redirect's address, sealed so that they fit one column. */
import type { Sealer } from './seal.ts'

/** Each text has a key of its own, wrapped beside it; the lead's id is bound in. */
export function conceal(sealer: Sealer, leadId: string, text: string): string {
  const { sealed, wrappedKey, keyVersion } = sealer.seal(leadId, text)
  return `${keyVersion}.${wrappedKey}.${sealed}`
}

/** Throws where it was altered, or is another lead's. */
export function reveal(sealer: Sealer, leadId: string, concealed: string): string {
  const [keyVersion, wrappedKey, sealed] = concealed.split('.')
  return sealer.open(leadId, { keyVersion: Number(keyVersion), wrappedKey: wrappedKey!, sealed: sealed! })
}
