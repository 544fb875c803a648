/** A source's postback as a request: an address with its macros filled in, or a signed JSON body. */
import { filledIn, type Postback, type PostbackFacts, postbackFields } from '../rules/postback.ts'
import type { WallMs } from '../rules/units.ts'
import type { WireRequest } from './adapter.ts'
import { webhookRequest } from './webhook.ts'

/** `now`: when it is sent. The id is that of the event. */
export function postbackRequest({ method, url, secrets }: Postback, facts: PostbackFacts, now: WallMs): WireRequest {
  const body = method === 'POST' ? JSON.stringify(postbackFields(facts)) : ''
  return webhookRequest({ method, url: filledIn(url, facts), secrets, id: facts.eventId, body }, now)
}
