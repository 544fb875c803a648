/** Who may send this lead: key, campaign, rate, and a body that can be read. */
import { createHash } from 'node:crypto'
import type { ApiKey, Campaign, Snapshot, Source } from '../rules/version.ts'
import { readBody } from './bodies.ts'
import type { EdgeRequest } from './edge.ts'
import type { Limiter } from './limiter.ts'
import type { Metrics } from './metrics.ts'
import * as problem from './problem.ts'

export interface AdmissionPorts {
  readonly snapshot: () => Snapshot
  readonly limiter: Limiter
  readonly metrics: Pick<Metrics, 'rateLimited'>
}

export interface Admitted {
  /** The version that decides this lead, whatever is published meanwhile. */
  readonly snapshot: Snapshot
  readonly source: Source
  readonly campaign: Campaign
  readonly test: boolean
  readonly mode: 'sync' | 'async'
  readonly fields: Readonly<Record<string, unknown>>
  readonly idempotencyKey: string | null
}

/** Values of `test` that mean yes. */
const YES = new Set(['1', 'true', 'yes', 'on'])
const KEY_MAX_LENGTH = 255

export function admit(ports: AdmissionPorts, request: EdgeRequest): Admitted | { readonly refused: problem.Refusal } {
  const snapshot = ports.snapshot()
  const body = readBody(request.contentType, request.body)
  if (!body.ok) return { refused: body.refusal }
  const { api_key: fieldKey, test: testField, ...fields } = body.fields
  const key = keyOf(snapshot, request, fieldKey)
  if ('refused' in key) return key
  const source = snapshot.sources.get(key.source)!
  const campaign = snapshot.campaigns.get(request.params[0]!)
  if (!campaign) return { refused: problem.noSuchCampaign(request.params[0]!) }
  if (!source.campaigns.has(campaign.id)) return { refused: problem.notAllowed(campaign.id) }
  const retryAfter = ports.limiter.take(source)
  if (retryAfter > 0) {
    ports.metrics.rateLimited(source.id)
    return { refused: problem.rateLimited(retryAfter) }
  }
  const idempotencyKey = request.headers.idempotencyKey
  if (idempotencyKey !== null && idempotencyKey.length > KEY_MAX_LENGTH)
    return { refused: problem.unreadable(`The Idempotency-Key is longer than ${KEY_MAX_LENGTH} characters.`) }
  return {
    snapshot,
    source,
    campaign,
    test: key.test || YES.has(String(testField ?? request.query.get('test') ?? '').toLowerCase()),
    mode: request.query.get('mode') === 'async' ? 'async' : 'sync',
    fields,
    idempotencyKey: idempotencyKey || null,
  }
}

/** Whose key the request carries: in a header, or (forms) in the body's `api_key`. */
export function keyOf(
  snapshot: Snapshot,
  request: EdgeRequest,
  fieldKey: unknown = null,
): ApiKey | { readonly refused: problem.Refusal } {
  const given = headerKey(request) ?? (typeof fieldKey === 'string' ? fieldKey : null)
  if (given === null) return { refused: problem.keyMissing() }
  // The whole key is hashed and looked up by its hash: no comparison's time depends on a stored secret.
  const key = snapshot.keys.get(createHash('sha256').update(given).digest('hex'))
  return key ?? { refused: problem.keyUnknown() }
}

function headerKey(request: EdgeRequest): string | null {
  const { authorization, apiKey } = request.headers
  return authorization !== null && /^bearer /i.test(authorization) ? authorization.slice(7).trim() : apiKey
}
