/** Makes offers of what auctions came to. */
import type { Clock } from '../../buyers/wire.ts'
import type { StandingBid } from '../../rules/auction.ts'
import type { Lead } from '../../rules/lead.ts'
import { payoutOf } from '../../rules/money.ts'
import { type Offer, type OfferBid, pingedText } from '../../rules/offer.ts'
import { standingBid } from '../../rules/step/state.ts'
import { type Micros, wallMs } from '../../rules/units.ts'
import { storedTrace } from '../conduct.ts'
import type { Answer, LiveLead } from '../live.ts'
import { newId } from '../random.ts'
import type { Sealer } from '../seal.ts'
import type { OfferRow, Offers } from './ledger.ts'

interface OfferPorts {
  readonly clock: Clock
  readonly seal: Sealer
  readonly offers: Offers
}

/** Whether the lead's values are those that an offer's bids were made for. */
export const unchanged = (seal: Sealer, offer: Offer, lead: Lead): boolean =>
  seal.fingerprint(pingedText(lead, offer.fields)) === offer.fieldsHash

interface Found {
  readonly bids: readonly StandingBid[]
  readonly declined: readonly (readonly [seat: number, reason: string])[]
}

/** The offer that an auction came to. Bids stand best first. */
export function offerRow(
  ports: OfferPorts,
  live: LiveLead,
  found: Found,
  payout: Micros,
  afterLead: string | null,
): OfferRow {
  const { campaign, source, snapshot, test, opening, wire } = live
  const { terms } = live.state
  const at = ports.clock.wall()
  const contractOf = (seat: number) => campaign.contracts[opening.eligible[seat]!]!
  const opened = Math.floor(at - (ports.clock.mono() - live.openedAt))
  const bids = found.bids.map(([seat, price, buyerReference, endsAfter], rank): OfferBid => {
    const { id, bidLifeMs } = contractOf(seat)
    const life = endsAfter === undefined ? bidLifeMs : null
    const endsAt = endsAfter !== undefined ? opened + endsAfter : life === null ? null : at + life
    const longest = at + campaign.offers.lifeMs
    return {
      id: `b${rank + 1}`,
      contract: id,
      price,
      buyerReference,
      expiresAt: wallMs(Math.min(endsAt ?? longest, longest)),
      ...(endsAt !== null && { endsAt: wallMs(endsAt) }),
      payout: payoutOf(terms.payout, [price], terms.minorDigits),
    }
  })
  const fields = [...wire.lead.values.keys()].filter((name) => isPinged(live, name))
  return {
    id: afterLead === null ? live.leadId : newId(),
    campaign: campaign.id,
    source: source.id,
    version: snapshot.version,
    test,
    at,
    expiresAt: wallMs(Math.min(at + campaign.offers.lifeMs, ...bids.map((bid) => bid.expiresAt))),
    payout,
    currency: campaign.currency,
    shortfall: campaign.offers.shortfall,
    choice: campaign.offers.choice,
    bids,
    declined: found.declined.map(([seat, reason]) => [contractOf(seat).id, reason]),
    fields,
    fieldsHash: ports.seal.fingerprint(pingedText(wire.lead, fields)),
    afterLead,
    trace: afterLead === null ? JSON.stringify(storedTrace(live)) : '',
  }
}

const isPinged = ({ campaign }: LiveLead, name: string): boolean =>
  campaign.vertical.fields.some((field) => field.name === name && field.ping)

/** Where the bids that are left earn less than the source was offered, and the campaign would rather say so than sell nothing. */
export async function offerInstead(
  ports: OfferPorts,
  live: LiveLead,
  answer: Answer,
  offer: Offer,
): Promise<Offer | null> {
  if (answer.status !== 'unsold' || offer.shortfall !== 'reoffer') return null
  const lower = live.state.seats
    .filter(({ outcome }) => outcome?.reason === 'below_offer')
    .sort((a, b) => b.value - a.value)
  if (lower.length === 0) return null
  const bids = lower.map(standingBid)
  const declined = live.state.seats.flatMap(({ seat, outcome }) =>
    outcome && outcome.reason !== 'below_offer' ? [[seat, outcome.reason] as const] : [],
  )
  const { terms } = live.state
  const payout = payoutOf(terms.payout, [lower[0]!.value], terms.minorDigits)
  const row = offerRow(ports, live, { bids, declined }, payout, live.leadId)
  return ports.offers.keep(row).then(
    () => row,
    () => null,
  )
}
