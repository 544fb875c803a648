/** boberdoo: one address, `Mode` ping, post or full, keyed by `Key`, answered with Matched, Unmatched or Error in XML or JSON. */
import {
  amount,
  type Dialect,
  digitsOf,
  isFlag,
  json,
  type Raw,
  type Said,
  statusOf,
  Taker,
  uuidOf,
  xml,
} from './dialect.ts'

/** What steers the platform and tells nothing of the lead. */
const CONTROLS = [
  'API_Action',
  'TYPE',
  'Return_Best_Price',
  'Cost',
  'Allowed_Times_Sold',
  'Skip_XSL',
  'Skip_Dupe_Check',
]

export const BOBERDOO: Dialect = {
  calls: ['api.php', 'genericPostlead.php'],
  hear: (_, raw, accept) => {
    const fields = new Taker(unwrapped(raw))
    const mode = fields.take('Mode')?.toLowerCase() ?? 'full'
    const given = fields.take('Format')?.toLowerCase()
    const asked = given ?? (accept.includes('json') && !accept.includes('xml') ? 'json' : 'xml')
    const [key, test, leadId] = [fields.take('Key'), fields.take('Test_Lead'), fields.take('Lead_ID')]
    for (const name of CONTROLS) fields.take(name)
    fields.rename('Sub_ID', 'sub1')
    fields.rename('Pub_ID', 'sub2')
    fields.rename('Unique_Identifier', 'lead_ref')
    const id = leadId === null ? null : uuidOf(leadId)
    return {
      kind: mode === 'ping' ? 'ping' : mode === 'post' ? 'offered' : 'lead',
      key,
      test: isFlag(test),
      pingId: id === null ? leadId : `pg_${id}`,
      fields: fields.rest(),
      format: asked === 'json' ? 'json' : 'xml',
    }
  },
  say: (said, _, format) => {
    const answer = words(said)
    return format === 'json' ? json(statusOf(said), { response: answer }) : xml(statusOf(said), 'response', answer)
  },
}

/** In JSON everything lies in `Request`. */
function unwrapped(raw: Raw): Raw {
  const inner = raw['Request'] ?? raw['request']
  if (typeof inner !== 'string' || !inner.startsWith('{')) return raw
  return JSON.parse(inner) as Raw
}

function words(said: Said): object {
  switch (said.kind) {
    case 'offer': {
      const price = amount(said.payout)
      const bids = said.bids.map(({ id, payout, seller }) => ({
        bid_id: id,
        seller_company_name: seller ?? '',
        seller_lead_bid: amount(payout),
      }))
      const listed = bids.length === 0 ? {} : { bids: { bid: bids } }
      return { status: 'Matched', lead_id: digitsOf(said.pingId), price, ...listed }
    }
    case 'noOffer':
      return { status: 'Unmatched', lead_id: digitsOf(said.pingId) }
    case 'sold': {
      const redirect = said.redirectUrl === null ? {} : { redirect_url: said.redirectUrl }
      return { status: 'Matched', lead_id: digitsOf(said.leadId), price: amount(said.payout), ...redirect }
    }
    case 'unsold':
      return { status: 'Unmatched', lead_id: digitsOf(said.leadId), price: 0 }
    case 'pending':
      return { status: 'Pending', lead_id: digitsOf(said.leadId), price: 0 }
    case 'duplicate':
      return { status: 'Error', error: 'Duplicate lead' }
    case 'invalid':
      return { status: 'Error', error: said.issues.map(({ field, code }) => `${field}: ${code}`) }
    case 'refused':
      return { status: 'Error', error: said.detail }
    default:
      return said satisfies never
  }
}
