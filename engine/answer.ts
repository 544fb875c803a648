/** What a source reads on our own wire: leads and offers as JSON. */
import type { Offer } from '../rules/offer.ts'
import type { Redirects } from '../rules/onward.ts'
import { formatMoney } from '../rules/units.ts'
import type { Campaign } from '../rules/version.ts'
import type { EdgeReply } from './edge.ts'
import { onwardOf } from './inbound/onward.ts'
import type { Taken } from './intake.ts'
import type { Answer } from './live.ts'
import { pingIdOf } from './offers/ledger.ts'
import * as problem from './problem.ts'
import type { LeadRecord } from './store/port.ts'

export function takenReply(taken: Taken, campaign: Campaign): EdgeReply {
  switch (taken.kind) {
    case 'answer':
      return answerReply(taken.answer, campaign.redirects, taken.offer && { offer: offerJson(taken.offer, campaign) })
    case 'invalid':
      return problem.invalidLead(taken.issues)
    case 'refused':
      return taken.refusal
    default:
      return taken satisfies never
  }
}

/** What the source may have: with the sellers' names only where the consumer chooses among them. */
export function offerJson(offer: Offer, campaign: Campaign): object {
  const pingId = pingIdOf(offer.id)
  if (offer.bids.length === 0) return { ping_id: pingId, status: 'no_offer', reasons: ['no_buyer'] }
  return {
    ping_id: pingId,
    status: 'offer',
    payout: formatMoney(offer.payout),
    currency: offer.currency,
    expires_at: `${new Date(offer.expiresAt).toISOString().slice(0, 19)}Z`,
    ...(offer.choice ? { bids: offer.bids.map((bid) => sellerJson(bid, campaign)) } : {}),
  }
}

function sellerJson({ id, payout, contract }: Offer['bids'][number], campaign: Campaign): object {
  const buyer = campaign.contracts.find((one) => one.id === contract)?.buyer
  const text = buyer?.tcpaText ?? null
  return { bid_id: id, payout: formatMoney(payout), seller: buyer?.legalEntity, ...(text ? { tcpa_text: text } : {}) }
}

/** 200 where the lead is decided, 202 where it is still pending. An unsold lead tells a payout where it earns one. A source never sees buyers' bids or the margin. */
export function answerReply(
  answer: Answer,
  redirects: Redirects,
  more: object | null = null,
): { readonly status: 200 | 202; readonly body: string } {
  const { leadId, status, leadRef } = answer
  const { url, phone } = onwardOf(redirects, answer)
  const onward = { redirect_url: url, ...(phone === null ? {} : { transfer_phone: phone }) }
  const earned = { payout: formatMoney(answer.payout), currency: answer.currency }
  const body = {
    lead_id: leadId,
    status,
    ...(status === 'sold' || answer.payout > 0 ? earned : {}),
    ...(status === 'sold' ? { copies: answer.copies, ...onward } : url === null ? {} : onward),
    ...(answer.returned
      ? { returned: { copies: answer.returned.copies, payout: formatMoney(answer.returned.payout) } }
      : {}),
    ...(answer.reasons.length > 0 ? { reasons: answer.reasons } : {}),
    ...(leadRef === null ? {} : { lead_ref: leadRef }),
    ...more,
  }
  return { status: status === 'pending' ? 202 : 200, body: JSON.stringify(body) }
}

/** The same answer again, from the ledger; a lead that is not decided yet is `pending`. `reveal` opens what was concealed for the lead. */
export function answerOf(record: LeadRecord, reveal: (leadId: string, concealed: string) => string): Answer {
  const { leadId, payout, currency, copies, reasons, leadRef } = record
  const redirectUrl = record.redirectUrl && reveal(leadId, record.redirectUrl)
  const status = record.status === 'received' ? 'pending' : (record.status as Answer['status'])
  const answer = { leadId, status, payout, currency, copies, reasons, redirectUrl, leadRef }
  return record.returned.copies > 0 ? { ...answer, returned: record.returned } : answer
}
