/** Who may send this lead: key, campaign, rate, and a body that can be read. */
import { createHash } from 'node:crypto'
import type { Campaign, Snapshot, Source } from '../rules/version.ts'
import { readBody } from './bodies.ts'
import type { EdgeReply, EdgeRequest } from './edge.ts'
import type { Limiter } from './limiter.ts'
import { problems } from './problem.ts'

export interface AdmissionPorts {
  readonly snapshot: () => Snapshot
  readonly limiter: Limiter
}

export interface Admitted {
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

export function admit(ports: AdmissionPorts, request: EdgeRequest): Admitted | { readonly refused: EdgeReply } {
  const snapshot = ports.snapshot()
  const body = readBody(request.contentType, request.body)
  if ('refused' in body) return body
  const { api_key: fieldKey, test: testField, ...fields } = body.fields
  const key = keyOf(snapshot, bearer(request) ?? (typeof fieldKey === 'string' ? fieldKey : null))
  if (!key) return { refused: problems.unknownKey() }
  const source = snapshot.sources.get(key.source)!
  const campaign = snapshot.campaigns.get(request.params[0]!)
  if (!campaign) return { refused: problems.unknownCampaign() }
  if (!source.campaigns.has(campaign.id)) return { refused: problems.campaignNotAllowed() }
  const retryAfter = ports.limiter.take(source)
  if (retryAfter > 0) return { refused: problems.rateLimited(retryAfter) }
  const idempotencyKey = request.headers.idempotencyKey
  if (idempotencyKey !== null && idempotencyKey.length > KEY_MAX_LENGTH)
    return { refused: problems.longKey(KEY_MAX_LENGTH) }
  return {
    source,
    campaign,
    test: key.test || YES.has(String(testField ?? request.query.get('test') ?? '').toLowerCase()),
    mode: request.query.get('mode') === 'async' ? 'async' : 'sync',
    fields,
    idempotencyKey: idempotencyKey || null,
  }
}

function bearer(request: EdgeRequest): string | null {
  const { authorization, apiKey } = request.headers
  if (authorization?.startsWith('Bearer ')) return authorization.slice(7).trim()
  return apiKey
}

/** The whole key is hashed and looked up by its hash: no comparison's time depends on a stored secret. */
export function keyOf(
  snapshot: Snapshot,
  key: string | null,
): { readonly source: string; readonly test: boolean } | null {
  if (key === null) return null
  return snapshot.keys.get(createHash('sha256').update(key).digest('hex')) ?? null
}
