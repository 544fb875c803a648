/** The address by which a consumer goes on, as a source is told it: tracked by a token of the lead, or the page itself. */
import { parse, stringify } from 'uuid'
import { type Onward, pageOf, type Redirects } from '../../rules/onward.ts'
import type { Answer } from '../live.ts'

/** What a source is told: the tracked address where the campaign has one, else the page itself. */
export function onwardOf(redirects: Redirects, answer: Answer): Onward {
  const { url, phone } = pageOf(redirects, answer)
  if (url === null || redirects.tracked === null) return { url, phone }
  return { url: `${redirects.tracked.replace(/\/$/, '')}/r/${tokenOf(answer.leadId)}`, phone }
}

/** The lead's id in 22 letters. Its 74 bits of chance cannot be guessed, and it opens nothing but the page. */
export const tokenOf = (leadId: string): string => Buffer.from(parse(leadId)).toString('base64url')

/** Null where the text is no token. */
export function leadIdOf(token: string): string | null {
  if (!/^[\w-]{22}$/.test(token)) return null
  try {
    return stringify(Buffer.from(token, 'base64url'))
  } catch {
    return null
  }
}
