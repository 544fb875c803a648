/** How a lead comes in: admitted, read, claimed, received, auctioned, answered. */
import { createHash } from 'node:crypto'
import type { WireLead } from '../buyers/adapter.ts'
import { withChecks } from '../rules/checks.ts'
import { type Barred, idempotencyText, judge, NOBODY, PRINT_CHARS, type Print, printsOf } from '../rules/duplicates.ts'
import { openingOf } from '../rules/eligibility.ts'
import { type Issue, type Lead, leadJson, parseLead } from '../rules/lead.ts'
import { chosenBids, type Offer, type OfferUse, openingOfOffer } from '../rules/offer.ts'
import { afterWaiting } from '../rules/queue.ts'
import { micros, type WallMs } from '../rules/units.ts'
import type { Campaign, Source } from '../rules/version.ts'
import { type AdmissionPorts, type Admitted, admit, formOfQuery } from './admission.ts'
import { takenReply } from './answer.ts'
import { awaitAnswer, type ClaimPorts, claim, type Fresh, type Judge } from './claims.ts'
import { abandon, type ConductPorts, conduct } from './conduct.ts'
import type { EdgeReply, EdgeRequest } from './edge.ts'
import type { Exchanges, LeadExchanges } from './exchanges/keeper.ts'
import type { Hints } from './hints.ts'
import type { Answer, LeadFacts, LiveLead } from './live.ts'
import type { Metrics } from './metrics.ts'
import { type Offers, pingKeyOf } from './offers/ledger.ts'
import { offerInstead, unchanged } from './offers/offered.ts'
import * as problem from './problem.ts'
import { newId } from './random.ts'
import type { LeadKey, Sealer } from './seal.ts'
import type { ClaimRequest, ReceivedAnswer, ReceivedRow } from './store/port.ts'

export interface IntakePorts extends ConductPorts, AdmissionPorts, ClaimPorts {
  readonly seal: Sealer
  readonly hints: Hints
  readonly metrics: Metrics
  readonly offers: Offers
  /** Keeps what is said to buyers; absent: nobody does. */
  readonly exchanges?: Pick<Exchanges, 'of' | 'ofPing'>
  /** Buyers whom a suppression list keeps from this lead. */
  readonly suppressed: (campaign: Campaign, lead: Lead) => Barred
}

/** What became of a lead that somebody brought. Every wire says it in its own words. */
export type Taken =
  /** `offer`: what the source may have instead of the offer that it came for. */
  | { readonly kind: 'answer'; readonly answer: Answer; readonly offer: Offer | null }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  | { readonly kind: 'refused'; readonly refusal: problem.Refusal }

/** A valid lead on its way to its claims. */
interface Candidate {
  readonly admitted: Admitted
  readonly lead: Lead
  readonly leadId: string
  readonly key: LeadKey
  readonly receivedAt: WallMs
  readonly claims: ClaimRequest
  /** The offer that it comes for. */
  readonly use: OfferUse | null
  /** What the fingerprints of the claims were made of. */
  readonly prints: readonly Print[]
}

/** `POST /v1/campaigns/{campaign}/leads`. */
export async function takeLead(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const admitted = admit(ports, request, request.params[0]!)
  if ('refused' in admitted) return admitted.refused
  ports.metrics.observe('receive', request.receivedAt - request.beganAt)
  return takenReply(await take(ports, admitted), admitted.campaign)
}

/** The same with the fields in the address, where the campaign allows what proxies log. */
export async function takeLeadByGet(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const [campaign] = request.params
  if (!ports.snapshot().campaigns.get(campaign!)?.allowsGet) return problem.methodNotAllowed('POST, OPTIONS')
  return takeLead(ports, formOfQuery(request))
}

/** Takes one admitted lead to its answer; nothing is thrown for what a client sent. `offer`: what it comes for. */
export async function take(ports: IntakePorts, admitted: Admitted, offer: Offer | null = null): Promise<Taken> {
  const receivedAt = ports.clock.wall()
  const parsed = parseLead(admitted.campaign.vertical, admitted.fields, receivedAt)
  ports.metrics.observe('validate', ports.clock.mono() - admitted.arrivedAt)
  if (!parsed.ok) {
    ports.metrics.lead('invalid')
    keepInvalid(ports, admitted, JSON.stringify(parsed.issues.map(({ field, code }) => ({ field, code }))), receivedAt)
    return { kind: 'invalid', issues: parsed.issues }
  }
  const use = offer && useOf(ports, offer, parsed.lead)
  if (use && 'code' in use) return { kind: 'invalid', issues: [use] }
  return decide(ports, candidateOf(ports, admitted, parsed.lead, receivedAt, use))
}

/** How the lead uses its offer, or what is wrong with the consumer's choice. */
export function useOf(ports: Pick<IntakePorts, 'seal'>, offer: Offer, lead: Lead): OfferUse | Issue {
  const chosen = chosenBids(offer, lead)
  if (chosen !== null && 'code' in chosen) return chosen
  return { offer, chosen, unchanged: unchanged(ports.seal, offer, lead) }
}

const refused = (refusal: problem.Refusal): Taken => ({ kind: 'refused', refusal })
const answered = (answer: Answer, offer: Offer | null = null): Taken => ({ kind: 'answer', answer, offer })

async function decide(ports: IntakePorts, candidate: Candidate): Promise<Taken> {
  const { test, source } = candidate.admitted
  const askedAt = ports.clock.mono()
  const claimed = test ? UNCLAIMED : await claim(ports, candidate.claims, judgeOf(candidate), source.answerWithinMs)
  ports.metrics.observe('claim', ports.clock.mono() - askedAt)
  switch (claimed.code) {
    case 'fresh':
      return auction(ports, candidate, claimed)
    case 'bound':
      return join(ports, candidate, claimed)
    case 'duplicate':
      return duplicate(ports, candidate)
    case 'unavailable':
      return refused(problem.notReady())
    default:
      return claimed satisfies never
  }
}

const UNCLAIMED = { code: 'fresh', barred: NOBODY, epoch: null } as const

function judgeOf({ admitted, prints, leadId, receivedAt }: Candidate): Judge {
  return (seen) => judge(admitted.campaign.duplicates, prints, seen, leadId, receivedAt)
}

/** Kept for the operator under an id that is never returned; the source has its issues either way. */
export function keepInvalid(ports: IntakePorts, admitted: Admitted, issues: string, at: WallMs): void {
  const { campaign, source } = admitted
  const id = newId()
  const sealed = ports.seal.seal(id, JSON.stringify(admitted.fields))
  ports.ledger.invalid({ id, campaign: campaign.id, source: source.id, at, issues, ...sealed }).catch(() => {})
}

function candidateOf(
  ports: IntakePorts,
  admitted: Admitted,
  lead: Lead,
  receivedAt: WallMs,
  use: OfferUse | null,
): Candidate {
  const { campaign, test } = admitted
  const leadId = newId()
  const idempotency = test ? null : boundTo(ports, admitted, lead, use)
  const prints = test ? [] : printsOf(campaign.duplicates.keys, lead)
  const claims = {
    leadId,
    idempotency,
    bodyHash: idempotency === null ? '' : createHash('sha256').update(admitted.body).digest('hex'),
    fingerprints: fingerprintsOf(ports.seal, campaign, prints),
    keepMs: campaign.duplicates.keepMs,
    now: receivedAt,
  }
  return { admitted, lead, leadId, key: ports.seal.newKey(leadId), receivedAt, claims, prints, use }
}

/** `<vertical>:<hmac>`: a person's fingerprints are the same in every campaign of a vertical. */
export function fingerprintsOf(seal: Sealer, { duplicates }: Campaign, prints: readonly Print[]): string[] {
  return prints.map(({ text }) => `${duplicates.scope}:${seal.fingerprint(text).slice(0, PRINT_CHARS)}`)
}

/** What makes a second post of the lead a repeat: its offer, else the source's own key. */
function boundTo(ports: IntakePorts, admitted: Admitted, lead: Lead, use: OfferUse | null): string | null {
  if (use) return pingKeyOf(use.offer)
  const key = admitted.idempotencyKey ?? lead.leadRef
  return key === null ? null : ports.seal.fingerprint(idempotencyText(admitted.source.id, key))
}

/** RECEIVED is on its way to the ledger while the buyers are asked; no answer leaves before it is durable. */
async function auction(ports: IntakePorts, candidate: Candidate, claimed: Fresh): Promise<Taken> {
  const facts = factsOf(ports, candidate)
  const opening = openingFor(ports, facts, candidate.use, claimed.barred)
  const givenAt = ports.clock.mono()
  const received = ports.ledger.received(receivedRow(candidate, claimed.epoch, opening.owed))
  const isStored = received.then(
    ({ code }) => code === 'STORED',
    () => false,
  )
  const lead = conduct(ports, { ...facts, stored: isStored }, opening)
  const decided = new Promise<Answer | null>((resolve) => lead.waiters.push(resolve))
  const stored = await received.catch(() => null)
  ports.metrics.observe('received', ports.clock.mono() - givenAt)
  if (stored?.code !== 'STORED') return notReceived(ports, candidate, lead, stored)
  if (candidate.use && !lead.test) ports.metrics.offer('used')
  if (lead.mode === 'async') return answered(pending(lead))
  const answer = (await decided) ?? pending(lead)
  const instead = candidate.use && (await offerInstead(ports, lead, answer, candidate.use.offer))
  if (instead && !lead.test) ports.metrics.offer('reoffered')
  return answered(answer, instead)
}

function factsOf(ports: IntakePorts, candidate: Candidate): LeadFacts {
  const { snapshot, campaign, source, test, mode } = candidate.admitted
  const { leadId, key, lead, receivedAt } = candidate
  const exchanges = ports.exchanges?.of(leadId, key)
  return {
    leadId,
    term: 1,
    snapshot,
    campaign,
    source,
    test,
    mode,
    receivedAt,
    fingerprints: candidate.claims.fingerprints,
    exchanges,
    wire: wireLead(leadId, campaign, source, lead, test, exchanges),
  }
}

/** What adapters may know of a lead. */
export function wireLead(
  id: string,
  campaign: Pick<Campaign, 'id'>,
  { pseudonym: sourcePseudonym }: Pick<Source, 'pseudonym'>,
  lead: Lead,
  test: boolean,
  witness: LeadExchanges | undefined,
): WireLead {
  return { id, campaign: campaign.id, sourcePseudonym, lead, fragments: new Map(), test, witness }
}

/** A buyer that is barred for both has the list's reason. */
const joined = (barred: Barred, suppressed: Barred): Barred =>
  suppressed.size === 0 ? barred : new Map([...barred, ...suppressed])

/** Who may take part in a received lead's auction, and what they have bid for its offer already. */
export function openingFor(
  ports: Pick<IntakePorts, 'clock' | 'hints' | 'suppressed'>,
  { campaign, source, test, wire, waited, receivedAt }: LeadFacts,
  use: OfferUse | null,
  barred: Barred,
): ReturnType<typeof openingOf> {
  const now = ports.clock.wall()
  const suppressed = ports.suppressed(campaign, wire.lead)
  const hints = waited ? afterWaiting(ports.hints, receivedAt, now) : ports.hints
  const sorted = openingOf(campaign, wire.lead, source, now, hints, test, joined(barred, suppressed))
  return withChecks(use ? openingOfOffer(sorted, campaign, use, now) : sorted, campaign, source)
}

/**
 * The ledger did not take the lead: its key is another lead's, the hot store was rebuilt after its claim, or the ledger
 * is away. Nothing was sold, for no INTENT finds it.
 */
async function notReceived(
  ports: IntakePorts,
  candidate: Candidate,
  lead: LiveLead,
  stored: ReceivedAnswer | null,
): Promise<Taken> {
  abandon(ports, lead)
  if (stored?.code === 'STALE') return decide(ports, candidate)
  const { leadId, fingerprints, idempotency } = candidate.claims
  const free = () => ports.hot.breakClaim(leadId, fingerprints, idempotency)
  free().catch(() => ports.hotLater(free))
  if (stored?.code === 'BOUND') return join(ports, candidate, stored)
  return refused(problem.notStored())
}

/** The same key: the same body gets the same answer, another body is a conflict. */
async function join(
  ports: IntakePorts,
  candidate: Candidate,
  bound: { leadId: string; bodyHash: string },
): Promise<Taken> {
  const { use, admitted } = candidate
  if (bound.bodyHash !== candidate.claims.bodyHash) return refused(use ? problem.pingUsed() : problem.keyReused())
  const answer = await awaitAnswer(ports, bound.leadId, admitted.source.answerWithinMs)
  if (answer === 'lost') {
    const { fingerprints, idempotency } = candidate.claims
    const broken = await ports.hot.breakClaim(bound.leadId, fingerprints, idempotency).then(
      () => true,
      () => false,
    )
    if (broken) return decide(ports, candidate)
  }
  if (answer === 'lost' || answer === 'unstored') return refused(problem.notStored())
  if (answer === 'undecided')
    return answered(pendingAnswer(bound.leadId, admitted.campaign.currency, candidate.lead.leadRef))
  const offer = use && answer.status === 'unsold' ? await ports.offers.afterLead(bound.leadId).catch(() => null) : null
  return answered(answer, offer)
}

/** A duplicate is recorded like any lead, and decided at once. */
async function duplicate(ports: IntakePorts, candidate: Candidate): Promise<Taken> {
  const { campaign, source } = candidate.admitted
  const { leadId } = candidate
  const decided = {
    status: 'duplicate',
    payout: micros(0),
    copies: 0,
    reasons: [],
    redirectUrl: null,
    trace: '',
    sighting: null,
    outcomes: {},
    awaited: false,
  } as const
  const row = {
    leadId,
    term: 1,
    campaign: campaign.id,
    source: source.id,
    test: false,
    currency: campaign.currency,
    results: [],
    final: decided,
  }
  const [stored] = await Promise.all([
    ports.ledger.received(receivedRow(candidate, null)),
    ports.ledger.result(row),
  ]).catch(() => [null])
  if (stored?.code === 'BOUND') return join(ports, candidate, stored)
  if (stored === null) return refused(problem.notStored())
  ports.metrics.lead('duplicate')
  return answered({ ...pendingAnswer(leadId, campaign.currency, candidate.lead.leadRef), status: 'duplicate' })
}

function receivedRow(candidate: Candidate, claimEpoch: number | null, owed = micros(0)): ReceivedRow {
  const { campaign, source, test, mode } = candidate.admitted
  const { leadId, key, lead, receivedAt, claims } = candidate
  return {
    leadId,
    campaign: campaign.id,
    source: source.id,
    version: candidate.admitted.snapshot.version,
    mode,
    test,
    receivedAt,
    leadRef: lead.leadRef,
    idempotency: claims.idempotency === null ? null : { key: claims.idempotency, bodyHash: claims.bodyHash },
    fingerprints: claims.fingerprints,
    claimEpoch,
    remembers: campaign.duplicates.remembers,
    keepMs: campaign.duplicates.keepMs,
    currency: campaign.currency,
    owed,
    ...{ sealed: key.seal(leadJson(lead)), wrappedKey: key.wrappedKey, keyVersion: key.keyVersion },
  }
}

const pending = (lead: LiveLead): Answer => pendingAnswer(lead.leadId, lead.campaign.currency, lead.wire.lead.leadRef)

function pendingAnswer(leadId: string, currency: string, leadRef: string | null): Answer {
  return { leadId, status: 'pending', payout: micros(0), currency, copies: 0, reasons: [], redirectUrl: null, leadRef }
}
