/** Who may send this lead: key, campaign, rate, and a body that can be read. */
import { createHash } from 'node:crypto'
import type { Ms } from '../rules/units.ts'
import type { ApiKey, Campaign, Snapshot, Source } from '../rules/version.ts'
import { readBody } from './bodies.ts'
import type { EdgeRequest } from './edge.ts'
import type { Limiter } from './limiter.ts'
import type { Metrics } from './metrics.ts'
import * as problem from './problem.ts'

export interface AdmissionPorts {
  readonly snapshot: () => Snapshot
  readonly limiter: Limiter
  readonly sourcePaused: (source: string) => boolean
  /** A source's key was used: its SHA-256. */
  readonly keyUsed: (sha256: string) => void
  readonly metrics: Pick<Metrics, 'rateLimited'>
}

/** What a request brings, whatever wire it came by. */
export interface Entry {
  /** The API key as it was sent; null where there is none. */
  readonly key: string | null
  readonly fields: Readonly<Record<string, unknown>>
  readonly test: boolean
  readonly mode: 'sync' | 'async'
  readonly idempotencyKey: string | null
  /** What is the same where a request is repeated. */
  readonly body: Buffer
  /** When it was whole; monotonic. */
  readonly arrivedAt: Ms
}

/** An entry whose source is known. */
export interface Known extends Entry {
  /** The version that decides this lead, whatever is published meanwhile. */
  readonly snapshot: Snapshot
  readonly source: Source
}

export interface Admitted extends Known {
  readonly campaign: Campaign
}

type Refused = { readonly refused: problem.Refusal }

/** Values of `test` that mean yes. */
const YES = new Set(['1', 'true', 'yes', 'on'])
const KEY_MAX_LENGTH = 255

/** Whether a flag that arrived as a text, a number or a boolean means yes. */
export const isYes = (flag: unknown): boolean => YES.has(String(flag ?? '').toLowerCase())

/** Admits a request of our own wire to a campaign. */
export function admit(ports: AdmissionPorts, request: EdgeRequest, campaign: string): Admitted | Refused {
  const entry = readEntry(request)
  if ('refused' in entry) return entry
  const known = identify(ports, entry)
  return 'refused' in known ? known : admitTo(ports, known, campaign)
}

/** Reads a request of our own wire. */
export function readEntry(request: EdgeRequest): Entry | Refused {
  const { headers, query } = request
  const read = readBody(request.contentType, request.body)
  if (!read.ok) return { refused: read.refusal }
  const { api_key: fieldKey, test, ...fields } = read.fields
  const { idempotencyKey } = headers
  if (idempotencyKey !== null && idempotencyKey.length > KEY_MAX_LENGTH)
    return { refused: problem.unreadable(`The Idempotency-Key is longer than ${KEY_MAX_LENGTH} characters.`) }
  return {
    key: headerKey(request) ?? (typeof fieldKey === 'string' ? fieldKey : null),
    fields,
    test: isYes(test ?? query.get('test')),
    mode: query.get('mode') === 'async' ? 'async' : 'sync',
    idempotencyKey: idempotencyKey || null,
    body: request.body,
    arrivedAt: request.receivedAt,
  }
}

/** A request whose fields lie in its address, as if they had been posted as a form. */
export const formOfQuery = (request: EdgeRequest): EdgeRequest => ({
  ...request,
  contentType: 'application/x-www-form-urlencoded',
  body: Buffer.from(request.query.toString()),
})

export function identify(ports: Pick<AdmissionPorts, 'snapshot' | 'keyUsed'>, entry: Entry): Known | Refused {
  const snapshot = ports.snapshot()
  const key = keyNamed(snapshot, entry.key, ports.keyUsed)
  if ('refused' in key) return key
  return { ...entry, snapshot, source: snapshot.sources.get(key.source)!, test: entry.test || key.test }
}

export function admitTo(ports: AdmissionPorts, known: Known, campaignId: string): Admitted | Refused {
  const { snapshot, source } = known
  const campaign = snapshot.campaigns.get(campaignId)
  if (!campaign) return { refused: problem.noSuchCampaign(campaignId) }
  if (ports.sourcePaused(source.id)) return { refused: problem.sourcePaused() }
  if (!source.campaigns.has(campaign.id)) return { refused: problem.notAllowed(campaign.id) }
  const retryAfter = ports.limiter.take(source)
  if (retryAfter > 0) {
    ports.metrics.rateLimited(source.id)
    return { refused: problem.rateLimited(retryAfter) }
  }
  return { ...known, campaign }
}

/** Whose key a request carries in its headers. */
export const keyOf = (snapshot: Snapshot, request: EdgeRequest): ApiKey | Refused =>
  keyNamed(snapshot, headerKey(request))

function keyNamed(snapshot: Snapshot, given: string | null, used?: AdmissionPorts['keyUsed']): ApiKey | Refused {
  if (given === null) return { refused: problem.keyMissing() }
  // The whole key is hashed and looked up by its hash: no comparison's time depends on a stored secret.
  const sha256 = createHash('sha256').update(given).digest('hex')
  const key = snapshot.keys.get(sha256)
  if (!key) return { refused: problem.keyUnknown() }
  used?.(sha256)
  return key
}

/** As a bearer, as the password of basic authentication, or in a header of its own. */
export function headerKey(request: EdgeRequest): string | null {
  const { authorization, apiKey } = request.headers
  if (authorization === null) return apiKey
  if (/^bearer /i.test(authorization)) return authorization.slice(7).trim()
  if (!/^basic /i.test(authorization)) return apiKey
  const credentials = Buffer.from(authorization.slice(6).trim(), 'base64').toString()
  return credentials.slice(credentials.indexOf(':') + 1) || apiKey
}
