/** How a lead comes in: admitted, read, claimed, received, auctioned, answered. */
import { createHash } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { fingerprintsOf, idempotencyText } from '../rules/duplicates.ts'
import { openingOf } from '../rules/eligibility.ts'
import { type Lead, leadJson, parseLead } from '../rules/lead.ts'
import { micros, type WallMs } from '../rules/units.ts'
import { type AdmissionPorts, type Admitted, admit } from './admission.ts'
import { answerReply } from './answer.ts'
import { awaitAnswer, type ClaimPorts, claim } from './claims.ts'
import { abandon, type ConductPorts, conduct } from './conduct.ts'
import type { EdgeReply, EdgeRequest } from './edge.ts'
import type { Hints } from './hints.ts'
import type { Answer, LeadFacts, LiveLead } from './live.ts'
import type { Metrics } from './metrics.ts'
import * as problem from './problem.ts'
import type { Sealer } from './seal.ts'
import type { ClaimRequest, ReceivedAnswer, ReceivedRow } from './store/port.ts'

export interface IntakePorts extends ConductPorts, AdmissionPorts, ClaimPorts {
  readonly seal: Sealer
  readonly hints: Hints
  readonly metrics: Metrics
}

const DAY_MS = 86_400_000

/** A valid lead on its way to its claims. */
interface Candidate {
  readonly admitted: Admitted
  readonly lead: Lead
  readonly leadId: string
  readonly receivedAt: WallMs
  readonly claims: ClaimRequest
}

/** Takes one posted lead from its bytes to its answer. Every refusal is a problem; nothing is thrown for what a client sent. */
export async function takeLead(ports: IntakePorts, request: EdgeRequest): Promise<EdgeReply> {
  const admitted = admit(ports, request)
  if ('refused' in admitted) return admitted.refused
  ports.metrics.observe('receive', request.receivedAt - request.beganAt)
  const receivedAt = ports.clock.wall()
  const parsed = parseLead(admitted.campaign.vertical, admitted.fields, receivedAt)
  ports.metrics.observe('validate', ports.clock.mono() - request.receivedAt)
  if (!parsed.ok) {
    ports.metrics.lead('invalid')
    keepInvalid(ports, admitted, JSON.stringify(parsed.issues.map(({ field, code }) => ({ field, code }))), receivedAt)
    return problem.invalidLead(parsed.issues)
  }
  const candidate = candidateOf(ports, admitted, parsed.lead, request.body, receivedAt)
  return decide(ports, candidate)
}

async function decide(ports: IntakePorts, candidate: Candidate): Promise<EdgeReply> {
  const { test, source } = candidate.admitted
  const askedAt = ports.clock.mono()
  const claimed = test ? ({ code: 'fresh' } as const) : await claim(ports, candidate.claims, source.answerWithinMs)
  ports.metrics.observe('claim', ports.clock.mono() - askedAt)
  switch (claimed.code) {
    case 'fresh':
      return auction(ports, candidate)
    case 'bound':
      return join(ports, candidate, claimed)
    case 'duplicate':
      return duplicate(ports, candidate)
    case 'unavailable':
      return problem.notReady()
    default:
      return claimed satisfies never
  }
}

/** Kept for the operator under an id that is never returned; the source has its issues either way. */
function keepInvalid(ports: IntakePorts, admitted: Admitted, issues: string, at: WallMs): void {
  const { campaign, source } = admitted
  const id = uuidv7()
  const sealed = ports.seal.seal(id, JSON.stringify(admitted.fields))
  ports.ledger.invalid({ id, campaign: campaign.id, source: source.id, at, issues, ...sealed }).catch(() => {})
}

function candidateOf(ports: IntakePorts, admitted: Admitted, lead: Lead, body: Buffer, receivedAt: WallMs): Candidate {
  const { campaign, source, test } = admitted
  const leadId = uuidv7()
  const key = test ? null : (admitted.idempotencyKey ?? lead.leadRef)
  const claims = {
    leadId,
    idempotency: key === null ? null : ports.seal.fingerprint(idempotencyText(source.id, key)),
    bodyHash: key === null ? '' : createHash('sha256').update(body).digest('hex'),
    fingerprints: test
      ? []
      : fingerprintsOf(campaign, lead).map(
          ({ field, text }) => `${campaign.id}:${field}:${ports.seal.fingerprint(text)}`,
        ),
    now: receivedAt,
  }
  return { admitted, lead, leadId, receivedAt, claims }
}

/** RECEIVED is on its way to the ledger while the buyers are asked; no answer leaves before it is durable. */
async function auction(ports: IntakePorts, candidate: Candidate): Promise<EdgeReply> {
  const givenAt = ports.clock.mono()
  const received = ports.ledger.received(receivedRow(ports, candidate))
  const isStored = received.then(
    ({ code }) => code === 'STORED',
    () => false,
  )
  const lead = open(ports, candidate, isStored)
  const answered = new Promise<Answer | null>((resolve) => lead.waiters.push(resolve))
  const stored = await received.catch(() => null)
  ports.metrics.observe('received', ports.clock.mono() - givenAt)
  if (stored?.code !== 'STORED') return notReceived(ports, candidate, lead, stored)
  if (lead.mode === 'async') return answerReply(pending(lead))
  return answerReply((await answered) ?? pending(lead))
}

function open(ports: IntakePorts, candidate: Candidate, stored: Promise<boolean>): LiveLead {
  const { snapshot, campaign, source, test, mode } = candidate.admitted
  const { leadId, lead, receivedAt } = candidate
  const facts: LeadFacts = {
    leadId,
    term: 1,
    snapshot,
    campaign,
    source,
    test,
    mode,
    receivedAt,
    fingerprints: candidate.claims.fingerprints,
    wire: { id: leadId, campaign: campaign.id, sourcePseudonym: source.pseudonym, lead, fragments: new Map(), test },
    stored,
  }
  return conduct(ports, facts, openingOf(campaign, lead, source, ports.clock.wall(), ports.hints, test))
}

/** The ledger did not take the lead: its key is another lead's, or the ledger is away. Nothing was sold, for no INTENT finds it. */
async function notReceived(
  ports: IntakePorts,
  candidate: Candidate,
  lead: LiveLead,
  stored: ReceivedAnswer | null,
): Promise<EdgeReply> {
  abandon(ports, lead)
  const { leadId, fingerprints, idempotency } = candidate.claims
  const free = () => ports.hot.breakClaim(leadId, fingerprints, idempotency)
  free().catch(() => ports.hotLater(free))
  if (stored?.code === 'BOUND') return join(ports, candidate, stored)
  return problem.notStored()
}

/** The same key: the same body gets the same answer, another body is a conflict. */
async function join(
  ports: IntakePorts,
  candidate: Candidate,
  bound: { leadId: string; bodyHash: string },
): Promise<EdgeReply> {
  if (bound.bodyHash !== candidate.claims.bodyHash) return problem.keyReused()
  const answer = await awaitAnswer(ports, bound.leadId, candidate.admitted.source.answerWithinMs)
  if (answer === 'lost') {
    const { fingerprints, idempotency } = candidate.claims
    const broken = await ports.hot.breakClaim(bound.leadId, fingerprints, idempotency).then(
      () => true,
      () => false,
    )
    if (broken) return decide(ports, candidate)
  }
  if (answer === 'lost' || answer === 'unstored') return problem.notStored()
  if (answer !== 'undecided') return answerReply(answer)
  return answerReply(pendingAnswer(bound.leadId, candidate.admitted.campaign.currency, candidate.lead.leadRef))
}

/** A duplicate is recorded like any lead, and decided at once. */
async function duplicate(ports: IntakePorts, candidate: Candidate): Promise<EdgeReply> {
  const { campaign, source } = candidate.admitted
  const { leadId } = candidate
  const decided = {
    status: 'duplicate',
    payout: micros(0),
    copies: 0,
    reasons: [],
    redirectUrl: null,
    trace: '',
    soldUntil: null,
    outcomes: {},
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
    ports.ledger.received(receivedRow(ports, candidate)),
    ports.ledger.result(row),
  ]).catch(() => [null])
  if (stored?.code === 'BOUND') return join(ports, candidate, stored)
  if (stored === null) return problem.notStored()
  ports.metrics.lead('duplicate')
  return answerReply({ ...pendingAnswer(leadId, campaign.currency, candidate.lead.leadRef), status: 'duplicate' })
}

function receivedRow(ports: IntakePorts, candidate: Candidate): ReceivedRow {
  const { campaign, source, test, mode } = candidate.admitted
  const { leadId, lead, receivedAt, claims } = candidate
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
    boundForMs: campaign.duplicates.days * DAY_MS,
    currency: campaign.currency,
    ...ports.seal.seal(leadId, leadJson(lead)),
  }
}

const pending = (lead: LiveLead): Answer => pendingAnswer(lead.leadId, lead.campaign.currency, lead.wire.lead.leadRef)

function pendingAnswer(leadId: string, currency: string, leadRef: string | null): Answer {
  return { leadId, status: 'pending', payout: micros(0), currency, copies: 0, reasons: [], redirectUrl: null, leadRef }
}
