/** A source's ping as the operator reads it: what was offered, who would not buy, and what became of the offer. */
import { type Kysely, sql } from 'kysely'
import type { Offer } from '../../rules/offer.ts'
import { readTrace, traceLines } from '../../rules/trace.ts'
import { formatMoney } from '../../rules/units.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { Versions } from '../configuration/versions.ts'
import type { LedgerTables } from '../store/tables.ts'
import { pingIdOf, pingKeyOf } from './ledger.ts'

export interface PingPage {
  readonly ping_id: string
  readonly status: 'open' | 'used' | 'expired' | 'no_offer'
  readonly campaign: string
  readonly source: string
  readonly version: number
  readonly test: boolean
  readonly pinged_at: string
  readonly expires_at: string
  readonly payout: string
  readonly currency: string
  readonly shortfall: string
  /** The consumer chooses among the bids. */
  readonly choice: boolean
  readonly bids: readonly object[]
  readonly declined: readonly { readonly contract: string; readonly reason: string }[]
  /** Names of the fields that were pinged; their values are not kept. */
  readonly fields: readonly string[]
  /** The lead that came for it. */
  readonly lead_id: string | null
  /** The lead that it was offered for, in place of the offer that it came for. */
  readonly after_lead: string | null
  readonly trace: readonly string[]
}

/** Null: there is no such ping. `id` is the offer's own. */
export async function pingPage(db: Kysely<LedgerTables>, versions: Versions, id: string): Promise<PingPage | null> {
  const found = await sql<{ offer: Offer; trace: string }>`
    select offer_json(o) as offer, o.trace from offers o where o.id = ${id}`.execute(db)
  const row = found.rows[0]
  if (row === undefined) return null
  const { offer } = row
  const key = pingKeyOf(offer)
  const used = await db.selectFrom('idempotency').select('lead_id').where('key', '=', key).executeTakeFirst()
  const lead = used?.lead_id ?? null
  return {
    ping_id: pingIdOf(offer.id),
    status: statusOf(offer, lead),
    ...{ campaign: offer.campaign, source: offer.source, version: offer.version, test: offer.test },
    pinged_at: moment(offer.at),
    expires_at: moment(offer.expiresAt),
    payout: formatMoney(offer.payout),
    ...{ currency: offer.currency, shortfall: offer.shortfall, choice: offer.choice },
    bids: offer.bids.map(bidPage),
    declined: offer.declined.map(([contract, reason]) => ({ contract, reason })),
    fields: offer.fields,
    lead_id: lead,
    after_lead: offer.afterLead,
    trace: traceOf(row.trace, offer, await versions.get(offer.version)),
  }
}

const moment = (at: number): string => new Date(at).toISOString()

function statusOf({ bids, expiresAt }: Offer, lead: string | null): PingPage['status'] {
  if (bids.length === 0) return 'no_offer'
  if (lead !== null) return 'used'
  return expiresAt > Date.now() ? 'open' : 'expired'
}

function bidPage({ id, contract, price, payout, buyerReference, expiresAt }: Offer['bids'][number]): object {
  const amounts = { price: formatMoney(price), payout: formatMoney(payout) }
  return { bid_id: id, contract, ...amounts, buyer_reference: buyerReference, expires_at: moment(expiresAt) }
}

/** What was offered in place of another offer has no auction of its own. */
function traceOf(stored: string, { campaign: id }: Offer, version: Snapshot | null): readonly string[] {
  const trace = stored === '' ? null : readTrace(stored)
  const campaign = version?.campaigns.get(id)
  if (!trace || !campaign) return []
  const names = {
    seat: (seat: number) => campaign.contracts[trace.opening.eligible[seat]!]!.id,
    tier: (tier: number) => campaign.tiers[tier]!.name,
  }
  return traceLines(trace.rows, names, trace.opening.prices)
}
