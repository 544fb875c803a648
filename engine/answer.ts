/** What a source reads: a decided or pending lead as the wire's JSON. */
import { formatMoney } from '../rules/units.ts'
import type { Answer } from './live.ts'
import type { LeadRecord } from './store/port.ts'

/** 200 where the lead is decided, 202 where it is still pending. A source never sees buyers' bids or the margin. */
export function answerReply(answer: Answer): { readonly status: 200 | 202; readonly body: string } {
  const { leadId, status, leadRef } = answer
  const sold = { payout: formatMoney(answer.payout), currency: answer.currency, copies: answer.copies }
  const body = {
    lead_id: leadId,
    status,
    ...(status === 'sold' ? { ...sold, redirect_url: answer.redirectUrl } : {}),
    ...(answer.reasons.length > 0 ? { reasons: answer.reasons } : {}),
    ...(leadRef === null ? {} : { lead_ref: leadRef }),
  }
  return { status: status === 'pending' ? 202 : 200, body: JSON.stringify(body) }
}

/** The same answer again, from the ledger; a lead that is not decided yet is `pending`. `reveal` opens what was concealed for the lead. */
export function answerOf(record: LeadRecord, reveal: (leadId: string, concealed: string) => string): Answer {
  const { leadId, payout, currency, copies, reasons, leadRef } = record
  const redirectUrl = record.redirectUrl && reveal(leadId, record.redirectUrl)
  const status = record.status === 'received' ? 'pending' : (record.status as Answer['status'])
  return { leadId, status, payout, currency, copies, reasons, redirectUrl, leadRef }
}
