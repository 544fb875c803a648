/** Leads that recovery gives back: their owner died before any buyer was offered them, so they are auctioned again. */
import { judge, printsOf } from '../rules/duplicates.ts'
import { leadFromJson } from '../rules/lead.ts'
import { type Micros, ms, type WallMs } from '../rules/units.ts'
import { claim } from './claims.ts'
import { conduct } from './conduct.ts'
import { fingerprintsOf, type IntakePorts, openingFor, useOf, wireLead } from './intake.ts'
import type { Sealed } from './seal.ts'

/** A received lead without an INTENT, taken over under a new term. */
export interface Recovered {
  readonly leadId: string
  readonly term: number
  readonly campaign: string
  readonly source: string
  readonly mode: 'sync' | 'async'
  readonly test: boolean
  readonly receivedAt: WallMs
  readonly fingerprints: readonly string[]
  /** Bound by a key: its source's own, or the offer's that it came for. */
  readonly keyed: boolean
  /** It waited for a contract to open. */
  readonly waited: boolean
  /** What its source earns although nobody buys it: as it was received, whatever the version in force says. */
  readonly owed: Micros
  readonly sealed: Sealed
}

/** So long a recovered lead waits for its claim: the lock of its dead engine is its own. */
const CLAIM_WITHIN_MS = ms(2_000)

/**
 * Opens the lead's auction under the version in force; false where its campaign or source is no longer configured, or
 * where the person was sold as another lead by now; `later` where that is being decided, or the hot store is away.
 */
export async function auctionAgain(ports: IntakePorts, recovered: Recovered): Promise<boolean | 'later'> {
  const snapshot = ports.snapshot()
  const campaign = snapshot.campaigns.get(recovered.campaign)
  const source = snapshot.sources.get(recovered.source)
  if (!campaign || !source) return false
  const { leadId, term, mode, test, receivedAt } = recovered
  const lead = leadFromJson(ports.seal.open(leadId, recovered.sealed))
  const prints = test ? [] : printsOf(campaign.duplicates.keys, lead)
  const now = fingerprintsOf(ports.seal, campaign, prints)
  const request = { leadId, idempotency: null, bodyHash: '', keepMs: campaign.duplicates.keepMs, now: receivedAt }
  const claimed = await claim(
    ports,
    { ...request, fingerprints: now },
    (seen) => judge(campaign.duplicates, prints, seen, leadId, ports.clock.wall()),
    CLAIM_WITHIN_MS,
  )
  if (claimed.code !== 'fresh') return claimed.code === 'unavailable' ? 'later' : false
  const fingerprints = [...new Set([...recovered.fingerprints, ...now])]
  const exchanges = ports.exchanges?.of(leadId, ports.seal.keyOf(leadId, recovered.sealed))
  const offer = recovered.keyed ? await ports.offers.ofLead(leadId) : null
  const use = offer && useOf(ports, offer, lead)
  const facts = {
    leadId,
    term,
    snapshot,
    campaign,
    source,
    test,
    mode,
    receivedAt,
    fingerprints,
    exchanges,
    wire: wireLead(leadId, campaign, source, lead, test, exchanges),
    waited: recovered.waited,
  }
  const opening = openingFor(ports, facts, use && 'offer' in use ? use : null, claimed.barred)
  conduct(ports, facts, { ...opening, owed: recovered.owed }, true)
  return true
}
