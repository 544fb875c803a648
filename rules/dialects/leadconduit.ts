/** LeadConduit: `submit` and `ping`, keyed in a header, answered with an outcome; its pings have no id, so a submit stands for itself. */
import { amount, type Dialect, isFlag, issueWords, json, type Said, statusOf, Taker, xml } from './dialect.ts'

export const LEAD_CONDUIT: Dialect = {
  calls: ['submit', 'ping'],
  hear: (call, raw, accept) => {
    const fields = new Taker(raw)
    const [key, test] = [fields.take('api_key'), fields.take('is_test')]
    const format = accept.includes('xml') && !accept.includes('json') ? 'xml' : 'json'
    const kind = call === 'ping' ? 'ping' : 'lead'
    return { kind, key, test: isFlag(test), pingId: null, fields: fields.rest(), format }
  },
  say: (said, call, format) => {
    const status = said.kind === 'refused' ? said.status : call === 'submit' ? 201 : statusOf(said)
    return format === 'xml' ? xml(status, 'result', words(said)) : json(status, words(said))
  },
}

function words(said: Said): object {
  switch (said.kind) {
    case 'offer':
      return { outcome: 'success', price: amount(said.payout) }
    case 'noOffer':
      return { outcome: 'failure', reason: 'no bid', price: 0 }
    case 'sold': {
      const redirect = said.redirectUrl === null ? {} : { redirect_url: said.redirectUrl }
      return { outcome: 'success', lead: { id: said.leadId }, price: amount(said.payout), ...redirect }
    }
    case 'unsold':
      return { outcome: 'failure', reason: 'no buyer', lead: { id: said.leadId }, price: 0 }
    case 'duplicate':
      return { outcome: 'failure', reason: 'duplicate', lead: { id: said.leadId }, price: 0 }
    case 'pending':
      return { outcome: 'pending', reason: 'pending', lead: { id: said.leadId }, price: 0 }
    case 'invalid':
      return { outcome: 'failure', reason: issueWords(said.issues), price: 0 }
    case 'refused':
      return { outcome: 'error', reason: said.detail, price: 0 }
    default:
      return said satisfies never
  }
}
