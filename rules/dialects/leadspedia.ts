/** LeadsPedia: `ping.do` and `post.do`, keyed by `lp_campaign_key`, answered with a result in XML or JSON. */
import { amount, type Dialect, isFlag, json, type Said, statusOf, Taker, xml } from './dialect.ts'

export const LEADS_PEDIA: Dialect = {
  calls: ['ping.do', 'post.do'],
  hear: (call, raw) => {
    const fields = new Taker(raw)
    const [key, test, pingId] = [fields.take('lp_campaign_key'), fields.take('lp_test'), fields.take('lp_ping_id')]
    const format = fields.take('lp_response')?.toLowerCase() === 'json' ? 'json' : 'xml'
    fields.take('lp_campaign_id')
    for (let n = 1; n <= 5; n++) fields.rename(`lp_s${n}`, `sub${n}`)
    fields.rename('lp_click_id', 'click_id')
    const kind = call === 'ping.do' ? 'ping' : pingId === null ? 'lead' : 'offered'
    return { kind, key, test: isFlag(test), pingId, fields: fields.rest(), format }
  },
  say: (said, _, format) => {
    const { errors, ...rest } = words(said)
    if (format === 'json') return json(statusOf(said), { ...rest, errors })
    return xml(statusOf(said), 'response', errors.length > 0 ? { ...rest, errors: { error: errors } } : rest)
  },
}

interface Words {
  readonly result: 'success' | 'failed' | 'pending'
  readonly msg: string
  readonly errors: readonly { readonly field: string; readonly error: string }[]
}

function words(said: Said): Words {
  const failed = (msg: string, more: object = {}, errors: Words['errors'] = []): Words => ({
    result: 'failed',
    msg,
    ...more,
    errors,
  })
  const good = (msg: string, more: object): Words => ({ result: 'success', msg, ...more, errors: [] })
  switch (said.kind) {
    case 'offer':
      return good('Ping Accepted', { ping_id: said.pingId, price: amount(said.payout) })
    case 'noOffer':
      return failed('Ping Rejected', { ping_id: said.pingId, price: 0 })
    case 'sold': {
      const redirect = said.redirectUrl === null ? {} : { redirect_url: said.redirectUrl }
      return good('Lead Accepted', { lead_id: said.leadId, price: amount(said.payout), ...redirect })
    }
    case 'duplicate':
      return failed('Duplicate Lead', { lead_id: said.leadId, price: 0 })
    case 'unsold':
      return failed('Lead Rejected', { lead_id: said.leadId, price: 0 })
    case 'pending':
      return { result: 'pending', msg: 'Lead Pending', lead_id: said.leadId, price: 0, errors: [] } as Words
    case 'invalid':
      return failed(
        'Invalid Fields',
        {},
        said.issues.map(({ field, code }) => ({ field, error: code })),
      )
    case 'refused':
      return failed(said.detail)
    default:
      return said satisfies never
  }
}
