/** The operation on pings of sources: what was offered, and what became of it. */
import Type from 'typebox'
import { validate } from 'uuid'
import { offerIdOf } from '../offers/ledger.ts'
import * as problem from '../problem.ts'
import { json, type Operation } from './operation.ts'
import type { AdminPort } from './port.ts'
import { moment, money, nullable, object, text, whole, words } from './shapes.ts'

const Bid = object({
  bid_id: text('What a consumer’s choice names; b1 is the best.'),
  contract: text('Whose bid.'),
  price: money('What the buyer would pay.'),
  payout: money('What the source would earn if this bid alone bought.'),
  buyer_reference: nullable(text("The buyer's own id of it.")),
  expires_at: moment('When it ends.'),
})
const Ping = object({
  ping_id: text('What the source has.'),
  status: words('open', 'used', 'expired', 'no_offer'),
  campaign: text('Its campaign.'),
  source: text('Who pinged.'),
  version: whole('Of the configuration that decided it.'),
  test: Type.Boolean(),
  pinged_at: moment('When the offer was made.'),
  expires_at: moment('Until when a lead may come for it.'),
  payout: money('What the source was offered.'),
  currency: text('ISO 4217.'),
  shortfall: words('eat_to_zero_margin', 'reject', 'reoffer'),
  choice: Type.Boolean({ description: 'True: the consumer chooses among the bids.' }),
  bids: Type.Array(Bid, { description: 'Best first.' }),
  declined: Type.Array(object({ contract: text('Who would not buy.'), reason: text('Why, as listed.') })),
  fields: Type.Array(text('A field that was pinged; its value is not kept.')),
  lead_id: nullable(text('The lead that came for it.')),
  after_lead: nullable(text('The lead that it was offered for, in place of the offer that it came for.')),
  trace: Type.Array(text('A line of its auction, for people.')),
})

export function pingOperations(data: AdminPort): readonly Operation[] {
  return [
    {
      ...{ id: 'readPing', method: 'GET', path: '/admin/v1/pings/{ping_id}', tag: 'leads', role: 'viewer' },
      params: { ping_id: Type.String({ description: 'The ping_id that the source has, with or without its pg_.' }) },
      summary: "A source's ping: what it was offered, who would not buy and why, and the lead that came for it.",
      answers: { 200: { description: 'The ping.', schema: Ping } },
      run: async ({ params }) => {
        const given = params['ping_id']!
        const id = offerIdOf(given) ?? (validate(given) ? given : null)
        const found = id === null ? null : await data.pingPage(id)
        return found === null ? problem.noSuchPing() : json(found)
      },
    },
  ]
}
