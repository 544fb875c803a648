/** `/v1/dialects/{dialect}/{campaign}/{call}`: leads and pings in another platform's words, so that an integration moves by its address. */
import { DIALECTS, type Dialect, type Heard, type Said } from '../../rules/dialects.ts'
import type { Campaign } from '../../rules/version.ts'
import { type Admitted, admitTo, formOfQuery, headerKey, identify, isYes } from '../admission.ts'
import { readBody } from '../bodies.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import { type IntakePorts, type Taken, take } from '../intake.ts'
import { pingIdOf } from '../offers/ledger.ts'
import { offerNamed, type Pinged, ping, takeOffered } from '../offers/offering.ts'
import * as problem from '../problem.ts'
import { onwardOf } from './onward.ts'

export async function takeInDialect(ports: IntakePorts, asked: EdgeRequest): Promise<EdgeReply> {
  const [name, campaignId, call] = asked.params as [string, string, string]
  const dialect = DIALECTS.get(name)
  if (!dialect?.calls.includes(call)) return problem.noSuchPath()
  const accept = asked.headers.accept ?? ''
  const request = asked.method === 'get' ? formOfQuery(asked) : asked
  const body = bodyOf(ports, request, campaignId)
  if ('refused' in body) return spoken(dialect, refusedIn(body.refused), call, dialect.hear(call, {}, accept))
  const heard = dialect.hear(call, body.fields, accept)
  return spoken(dialect, await decided(ports, request, campaignId, heard), call, heard)
}

type Fields = Readonly<Record<string, unknown>>

/** A GET has its fields in its address, where the campaign allows that. */
function bodyOf(
  ports: IntakePorts,
  request: EdgeRequest,
  campaign: string,
): { readonly fields: Fields } | { readonly refused: problem.Refusal } {
  if (request.method === 'get') {
    if (!ports.snapshot().campaigns.get(campaign)?.allowsGet) return { refused: problem.methodNotAllowed('POST') }
  }
  const read = readBody(request.contentType, request.body)
  return read.ok ? { fields: read.fields } : { refused: read.refusal }
}

async function decided(ports: IntakePorts, request: EdgeRequest, campaignId: string, heard: Heard): Promise<Said> {
  const { api_key: fieldKey, test, ...fields } = heard.fields
  const known = identify(ports, {
    key: headerKey(request) ?? heard.key ?? (typeof fieldKey === 'string' ? fieldKey : request.query.get('api_key')),
    fields,
    test: heard.test || isYes(test ?? request.query.get('test')),
    mode: 'sync',
    idempotencyKey: request.headers.idempotencyKey,
    body: request.body,
    arrivedAt: request.receivedAt,
  })
  if ('refused' in known) return refusedIn(known.refused)
  const admitted = admitTo(ports, known, campaignId)
  if ('refused' in admitted) return refusedIn(admitted.refused)
  if (heard.kind === 'ping') return saidOfPing(await ping(ports, admitted), admitted.campaign)
  const taken = heard.kind === 'lead' ? await take(ports, admitted) : await forOffer(ports, admitted, heard.pingId)
  return saidOfLead(taken, admitted)
}

async function forOffer(ports: IntakePorts, admitted: Admitted, pingId: string | null): Promise<Taken> {
  const offer = await offerNamed(ports, pingId ?? '', admitted.source.id)
  if ('refused' in offer) return { kind: 'refused', refusal: offer.refused }
  if (offer.campaign !== admitted.campaign.id) return { kind: 'refused', refusal: problem.noSuchPing() }
  return takeOffered(ports, admitted, offer)
}

function saidOfPing(pinged: Pinged, campaign: Campaign): Said {
  if (pinged.kind === 'invalid') return pinged
  if (pinged.kind === 'refused') return refusedIn(pinged.refusal)
  const { id, bids, payout, choice } = pinged.offer
  if (bids.length === 0) return { kind: 'noOffer', pingId: pingIdOf(id) }
  const sellerOf = (contract: string): string | null =>
    campaign.contracts.find((one) => one.id === contract)?.buyer.legalEntity ?? null
  const shown = choice ? bids.map((bid) => ({ id: bid.id, payout: bid.payout, seller: sellerOf(bid.contract) })) : []
  return { kind: 'offer', pingId: pingIdOf(id), payout, bids: shown }
}

function saidOfLead(taken: Taken, { source, campaign }: Admitted): Said {
  if (taken.kind === 'invalid') return taken
  if (taken.kind === 'refused') return refusedIn(taken.refusal)
  const { leadId, status, payout } = taken.answer
  const { url: redirectUrl } = onwardOf(campaign.redirects, taken.answer)
  switch (status) {
    case 'sold':
      return { kind: 'sold', leadId, payout, redirectUrl }
    case 'unsold':
    case 'duplicate':
      return { kind: status, leadId }
    case 'expired':
      return { kind: 'unsold', leadId }
    case 'pending':
    case 'review':
      if (source.pendingAs === 'sold') return { kind: 'sold', leadId, payout, redirectUrl }
      return { kind: source.pendingAs, leadId }
    default:
      return status satisfies never
  }
}

function refusedIn({ status, body }: problem.Refusal): Said {
  const { title, detail } = JSON.parse(body) as { title: string; detail: string }
  return { kind: 'refused', status, title, detail }
}

function spoken(dialect: Dialect, said: Said, call: string, heard: Heard): EdgeReply {
  const { status, type, body } = dialect.say(said, call, heard.format)
  return { status, headers: { 'content-type': type }, body }
}
