/** A source's postback as a request: an address with its macros filled in, or a signed JSON body. */
import { filledIn, type Postback, type PostbackFacts, postbackFields } from '../rules/postback.ts'
import type { WallMs } from '../rules/units.ts'
import type { WireRequest } from './adapter.ts'
import { readSecret, signature } from './sign.ts'

/** `now`: when it is sent. The id is that of the event, so that a source knows a repeat. */
export function postbackRequest(postback: Postback, facts: PostbackFacts, now: WallMs): WireRequest {
  const { origin, pathname, search } = new URL(filledIn(postback.url, facts))
  const body = postback.method === 'POST' ? JSON.stringify(postbackFields(facts)) : ''
  const timestamp = Math.floor(now / 1000)
  const headers = ['webhook-id', facts.eventId, 'webhook-timestamp', String(timestamp)]
  const keys = postback.secrets.flatMap((secret) => readSecret(secret) ?? [])
  if (keys.length > 0) headers.push('webhook-signature', signature(keys, facts.eventId, timestamp, body))
  if (body !== '') headers.push('content-type', 'application/json')
  return { method: postback.method, origin, path: pathname + search, headers, body }
}
