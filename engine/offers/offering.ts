/** A source's pings: buyers are asked, the best of what they say becomes an offer, and the lead that comes for it is taken. */
import { openingOf } from '../../rules/eligibility.ts'
import { type Issue, type Lead, parseLead } from '../../rules/lead.ts'
import { type Offer, pingFields } from '../../rules/offer.ts'
import type { WallMs } from '../../rules/units.ts'
import { type Admitted, admit, admitTo, identify, readEntry } from '../admission.ts'
import { offerJson, takenReply } from '../answer.ts'
import { conduct } from '../conduct.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import { type IntakePorts, type Taken, take, wireLead } from '../intake.ts'
import type { LeadFacts, LiveLead } from '../live.ts'
import * as problem from '../problem.ts'
import { newId } from '../random.ts'
import { offerIdOf, pingKeyOf } from './ledger.ts'
import { offerRow } from './offered.ts'

/** What became of a ping. `dropped`: fields that it may not show. */
export type Pinged =
  | {
      readonly kind: 'offer'
      readonly offer: Offer
      readonly dropped: readonly string[]
      readonly leadRef: string | null
    }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  | { readonly kind: 'refused'; readonly refusal: problem.Refusal }

/** `POST /v1/campaigns/{campaign}/pings`. */
export async function takePing(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const admitted = admit(ports, request, request.params[0]!)
  if ('refused' in admitted) return admitted.refused
  const pinged = await ping(ports, admitted)
  switch (pinged.kind) {
    case 'offer':
      return {
        status: 200,
        body: JSON.stringify({ ...offerJson(pinged.offer, admitted.campaign), ...besides(pinged) }),
      }
    case 'invalid':
      return problem.invalidLead(pinged.issues)
    case 'refused':
      return pinged.refusal
    default:
      return pinged satisfies never
  }
}

function besides({ dropped, leadRef }: Extract<Pinged, { kind: 'offer' }>): object {
  return {
    ...(leadRef === null ? {} : { lead_ref: leadRef }),
    ...(dropped.length === 0 ? {} : { warnings: dropped.map((field) => ({ field, code: NOT_IN_A_PING })) }),
  }
}

const NOT_IN_A_PING = 'not_in_a_ping'

/** Asks the campaign's buyers for an admitted ping. The offer is durable when this resolves. */
export async function ping(ports: IntakePorts, admitted: Admitted): Promise<Pinged> {
  const { campaign } = admitted
  const at = ports.clock.wall()
  const { fields, dropped } = pingFields(campaign.vertical, admitted.fields)
  if (dropped.length > 0 && campaign.offers.personal === 'refuse')
    return { kind: 'invalid', issues: dropped.map((field) => ({ field, code: NOT_IN_A_PING, value: null })) }
  const parsed = parseLead(campaign.vertical, fields, at, 'ping')
  if (!parsed.ok) return { kind: 'invalid', issues: parsed.issues }
  const live = await asked(ports, admitted, parsed.lead, at)
  const row = live.offered && offerRow(ports, live, live.offered, live.offered.payout, null)
  const kept = await (row &&
    ports.offers.keep(row).then(
      () => true,
      () => false,
    ))
  if (!row || !kept) return { kind: 'refused', refusal: problem.notReady() }
  if (!row.test) ports.metrics.offer(row.bids.length > 0 ? 'made' : 'nothing')
  return { kind: 'offer', offer: row, dropped, leadRef: parsed.lead.leadRef }
}

/** Resolves when the auction that only asks has ended. */
async function asked(ports: IntakePorts, admitted: Admitted, lead: Lead, receivedAt: WallMs): Promise<LiveLead> {
  const { snapshot, campaign, source, test } = admitted
  const leadId = newId()
  const exchanges = ports.exchanges?.ofPing(leadId, ports.seal.newKey(leadId))
  const facts: LeadFacts = {
    leadId,
    term: 1,
    snapshot,
    campaign,
    source,
    test,
    mode: 'sync',
    receivedAt,
    fingerprints: [],
    exchanges,
    wire: wireLead(leadId, campaign, source, lead, test, exchanges),
  }
  const live = conduct(ports, facts, {
    ...openingOf(campaign, lead, source, receivedAt, ports.hints, test, ports.suppressed(campaign, lead)),
    asks: true,
  })
  if (!live.over) await new Promise<void>((ended) => live.waiters.push(() => ended()))
  return live
}

/** `POST /v1/pings/{ping_id}/lead`. */
export async function takeOfferedLead(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const entry = readEntry(request)
  if ('refused' in entry) return entry.refused
  const known = identify(ports, entry)
  if ('refused' in known) return known.refused
  const offer = await offerNamed(ports, request.params[0]!, known.source.id)
  if ('refused' in offer) return offer.refused
  const admitted = admitTo(ports, known, offer.campaign)
  if ('refused' in admitted) return admitted.refused
  return takenReply(await takeOffered(ports, admitted, offer), admitted.campaign)
}

/** A source's own offer by its ping id. */
export async function offerNamed(
  ports: IntakePorts,
  pingId: string,
  source: string,
): Promise<Offer | { readonly refused: problem.Refusal }> {
  const id = offerIdOf(pingId)
  const offer = id === null ? null : await ports.offers.find(id).catch(() => undefined)
  if (offer === undefined) return { refused: problem.notReady() }
  return offer?.source === source ? offer : { refused: problem.noSuchPing() }
}

/** Takes the lead that comes for an offer. An offer that has ended still tells the lead that came for it in time. */
export async function takeOffered(ports: IntakePorts, admitted: Admitted, offer: Offer): Promise<Taken> {
  const refused = (refusal: problem.Refusal): Taken => ({ kind: 'refused', refusal })
  if (offer.bids.length === 0) return refused(problem.nothingOffered())
  const posted: Admitted = { ...admitted, test: admitted.test || offer.test }
  if (ports.clock.wall() < offer.expiresAt) return take(ports, posted, offer)
  const bound = await ports.ledger.bound(pingKeyOf(offer)).catch(() => undefined)
  if (bound === undefined) return refused(problem.notReady())
  if (bound !== null) return take(ports, posted, offer)
  if (!posted.test) ports.metrics.offer('expired')
  return refused(problem.pingExpired())
}
