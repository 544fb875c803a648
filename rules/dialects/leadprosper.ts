/** Lead Prosper: `ping`, `post` and `direct_post`, keyed by `lp_key`, answered with a status and a code. */
import { amount, type Dialect, issueWords, json, type Said, statusOf, Taker } from './dialect.ts'

/** 1001 is the platform's own general error; the others tell our reasons apart. */
const CODES = { ok: 0, unsold: 1001, invalid: 1002, duplicate: 1003, refused: 1004, pending: 1005 } as const

export const LEAD_PROSPER: Dialect = {
  calls: ['ping', 'post', 'direct_post'],
  hear: (call, raw) => {
    const fields = new Taker(raw)
    const [key, action, pingId] = [fields.take('lp_key'), fields.take('lp_action'), fields.take('lp_ping_id')]
    fields.take('lp_campaign_id')
    fields.take('lp_supplier_id')
    for (let n = 1; n <= 5; n++) fields.rename(`lp_subid${n}`, `sub${n}`)
    const kind = call === 'ping' ? 'ping' : call === 'post' ? 'offered' : 'lead'
    return { kind, key, test: action?.toLowerCase() === 'test', pingId, fields: fields.rest(), format: 'json' }
  },
  say: (said) => json(statusOf(said), words(said)),
}

function words(said: Said): object {
  const error = (code: number, message: string, more: object = {}) => ({ status: 'ERROR', code, message, ...more })
  switch (said.kind) {
    case 'offer':
      return { status: 'ACCEPTED', code: CODES.ok, ping_id: said.pingId, bids: bidsOf(said) }
    case 'noOffer':
      return error(CODES.unsold, 'No bids', { ping_id: said.pingId, bids: [] })
    case 'sold': {
      const redirect = said.redirectUrl === null ? {} : { redirect_url: said.redirectUrl }
      const { leadId: lead_id, payout } = said
      return { status: 'ACCEPTED', code: CODES.ok, message: 'Accepted', lead_id, payout: amount(payout), ...redirect }
    }
    case 'duplicate':
      return { status: 'DUPLICATED', code: CODES.duplicate, message: 'Duplicate', lead_id: said.leadId, payout: 0 }
    case 'unsold':
      return error(CODES.unsold, 'Not accepted', { lead_id: said.leadId, payout: 0 })
    case 'pending':
      return { status: 'PENDING', code: CODES.pending, message: 'Pending', lead_id: said.leadId, payout: 0 }
    case 'invalid':
      return error(CODES.invalid, issueWords(said.issues))
    case 'refused':
      return error(CODES.refused, said.detail)
    default:
      return said satisfies never
  }
}

/** One bid is what the source may have; several, by their ids, where the consumer chooses. */
function bidsOf({ bids, payout }: Extract<Said, { kind: 'offer' }>): object[] {
  if (bids.length === 0) return [{ payout: amount(payout) }]
  return bids.map((bid) => ({ payout: amount(bid.payout), bid_id: bid.id, brand: bid.seller }))
}
