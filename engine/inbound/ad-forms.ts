/** `/v1/hooks/...`: leads that Google and Meta bring from the forms on their own pages. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Courier } from '../../buyers/courier.ts'
import { type FieldNames, googleLead, metaLead, metaLeadIds } from '../../rules/ad-forms.ts'
import type { MetaForms, Snapshot, Source } from '../../rules/version.ts'
import { type Admitted, admitTo, type Entry, identify } from '../admission.ts'
import { readBody } from '../bodies.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import { type IntakePorts, type Taken, take } from '../intake.ts'
import * as problem from '../problem.ts'

export interface AdFormPorts extends IntakePorts {
  readonly courier: Courier
}

const DONE: EdgeReply = { status: 200, body: '{}' }

/** `POST /v1/hooks/google/{campaign}`: answered once the lead is durable, before it is sold. */
export async function takeGoogleLead(ports: AdFormPorts, request: EdgeRequest): Promise<EdgeReply> {
  const body = jsonOf(request)
  if ('refused' in body) return body.refused
  const first = googleLead(body.value, {})
  const known = identify(ports, entryOf(request, first.fields, first.key, first.test))
  if ('refused' in known) return known.refused
  const { fields } = googleLead(body.value, known.source.adForms.fields)
  const admitted = admitTo(ports, { ...known, fields }, request.params[0]!)
  if ('refused' in admitted) return admitted.refused
  const taken = await take(ports, admitted)
  switch (taken.kind) {
    case 'answer':
      return DONE
    case 'invalid':
      return problem.invalidLead(taken.issues)
    case 'refused':
      return taken.refusal
    default:
      return taken satisfies never
  }
}

/** `GET /v1/hooks/meta/{source}/{campaign}`: proves to Meta that this address is the source's. */
export function answerMeta(snapshot: Snapshot, { params, query }: EdgeRequest): EdgeReply {
  const meta = snapshot.sources.get(params[0]!)?.adForms.meta
  const token = query.get('hub.verify_token')
  if (!meta || token === null || !isSame(token, meta.verifyToken)) return problem.keyUnknown()
  return { status: 200, headers: { 'content-type': 'text/plain' }, body: query.get('hub.challenge') ?? '' }
}

/**
 * `POST /v1/hooks/meta/{source}/{campaign}`: a signed notice of leads, which are fetched and taken. Where one of them
 * cannot be had now, the notice is refused: Meta sends it again for a day and a half, and what was taken is known by its id.
 */
export async function takeMetaLeads(ports: AdFormPorts, request: EdgeRequest): Promise<EdgeReply> {
  const [sourceId, campaignId] = request.params as [string, string]
  const snapshot = ports.snapshot()
  const source = snapshot.sources.get(sourceId)
  const meta = source?.adForms.meta
  if (!source || !meta || !isSigned(request, meta.appSecret)) return problem.keyUnknown()
  const body = jsonOf(request)
  if ('refused' in body) return body.refused
  const ids = metaLeadIds(body.value)
  if (ids.length > MOST_LEADS) return problem.unreadable(`A notice may tell of at most ${MOST_LEADS} leads.`)
  for (const id of ids) {
    const refusal = await takeMetaLead(ports, request, { snapshot, source, meta, campaignId, id })
    if (refusal) return refusal
  }
  return DONE
}

/** Meta bundles up to a thousand changes; leads come in far smaller numbers. */
const MOST_LEADS = 100

interface MetaNotice {
  readonly snapshot: Snapshot
  readonly source: Source
  readonly meta: MetaForms
  readonly campaignId: string
  readonly id: string
}

/** Null once the lead needs no further notice: it is taken, or nothing would make it valid. */
async function takeMetaLead(
  ports: AdFormPorts,
  request: EdgeRequest,
  { snapshot, source, meta, campaignId, id }: MetaNotice,
): Promise<problem.Refusal | null> {
  const { origin, pathname } = new URL(`${meta.graphUrl}/${id}`)
  const headers = ['authorization', `Bearer ${meta.accessToken}`, 'accept', 'application/json']
  const path = `${pathname}?fields=id,field_data`
  const reply = await ports.courier.carry({ method: 'GET', origin, path, headers, body: '' })
  const fields = 'status' in reply && reply.status === 200 ? metaFields(reply.body, source.adForms.fields) : null
  if (fields === null) return problem.notReady()
  const entry = entryOf(request, fields, null, false)
  const known = { ...entry, body: Buffer.from(JSON.stringify(fields)), snapshot, source }
  const admitted = admitTo(ports, known, campaignId)
  if ('refused' in admitted) return admitted.refused
  return again(await take(ports, inTest(admitted)))
}

/** A source in test has no key that sells, and no other way to either. */
const inTest = (admitted: Admitted): Admitted => ({ ...admitted, test: admitted.source.inTest })

const again = (taken: Taken): problem.Refusal | null =>
  taken.kind === 'refused' && taken.refusal.status >= 429 ? taken.refusal : null

function metaFields(body: string, names: FieldNames): Readonly<Record<string, string>> | null {
  try {
    return metaLead(JSON.parse(body), names)
  } catch {
    return null
  }
}

/** The body's own bounds are those of every lead. */
function jsonOf(request: EdgeRequest): { readonly value: unknown } | { readonly refused: problem.Refusal } {
  const read = readBody('application/json', request.body)
  return read.ok ? { value: JSON.parse(request.body.toString()) } : { refused: read.refusal }
}

const entryOf = (request: EdgeRequest, fields: Entry['fields'], key: string | null, test: boolean): Entry => ({
  key,
  fields,
  test,
  mode: 'async',
  idempotencyKey: null,
  body: request.body,
  arrivedAt: request.receivedAt,
})

function isSigned({ body, headers }: EdgeRequest, secret: string): boolean {
  return isSame(headers.hubSignature ?? '', `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)
}

function isSame(given: string, right: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(right)]
  return one.length === other.length && timingSafeEqual(one, other)
}
