/** `GET /v1/campaigns/{campaign}/spec`: posting instructions, as a page or as OpenAPI, for whoever knows the address. */
import { openApiOf } from '../../rules/posting.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import * as problem from '../problem.ts'
import { specPage } from './page.ts'

/** The example's own key, which everybody knows and which works on loopback only. */
const EXAMPLE_KEY = 'demo'
const JSON_TYPES = /\bapplication\/(?:[\w.+-]*\+)?json\b/
const HOST = /^[\w.-]+(?::\d{1,5})?$|^\[[0-9a-fA-F:]+\](?::\d{1,5})?$/

export function readSpec(snapshot: Snapshot, request: EdgeRequest): EdgeReply {
  const campaign = snapshot.campaigns.get(request.params[0]!)
  if (!campaign) return problem.noSuchCampaign(request.params[0]!)
  const origin = originOf(request)
  if (!wantsJson(request)) {
    const { body, headers } = specPage(campaign, origin, snapshot.example ? EXAMPLE_KEY : null)
    return { status: 200, headers, body }
  }
  return {
    status: 200,
    headers: { 'content-type': 'application/json', vary: 'accept' },
    body: JSON.stringify(openApiOf(campaign, origin)),
  }
}

function wantsJson({ query, headers }: EdgeRequest): boolean {
  const format = query.get('format')
  if (format !== null) return format === 'openapi' || format === 'json'
  const accept = headers.accept ?? ''
  return JSON_TYPES.test(accept) && !accept.includes('text/html')
}

/** As the caller reached it: whoever ends TLS in front says so. */
function originOf({ headers }: EdgeRequest): string {
  const host = headers.host !== null && HOST.test(headers.host) ? headers.host : 'localhost'
  return `${headers.forwardedProto === 'https' ? 'https' : 'http'}://${host}`
}
