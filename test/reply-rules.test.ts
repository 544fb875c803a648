/** How replies are read as a contract configures it: every format, what lies about its type, prices of either custom, and that no bytes throw. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Adapter, WireReply } from '../buyers/adapter.ts'
import { decodeBody } from '../buyers/charset.ts'
import { compileAdapter } from '../buyers/compile.ts'
import { readPrice } from '../buyers/price.ts'
import { reasonName } from '../rules/reason.ts'
import { contractWith } from './delivery-kit.ts'

const adapterOf = (reply: object, contract: object = {}): Adapter =>
  compileAdapter(contractWith({ ping_fields: ['zip'], ping: { reply }, post: { reply } }, contract))
const replyOf = (body: string, status = 200, headers: WireReply['headers'] = { 'content-length': '9' }): WireReply => ({
  status,
  headers,
  body,
})
const ping = (reply: object, body: string, status = 200) => adapterOf(reply).pingReply(replyOf(body, status))
const post = (reply: object, body: string, status = 200, headers?: WireReply['headers']) =>
  adapterOf(reply).postReply(replyOf(body, status, headers))

const JSON_RULES = {
  accept: { path: 'status', equals: ['ACCEPTED', 'matched'] },
  price: 'bids[0].payout',
  reason: 'errors[0].error',
  buyer_reference: 'ping_id',
  redirect_url: 'next.url',
  transfer_phone: 'phone',
  duplicate: { path: 'status', matches: '^dup' },
  capped: 'daily (cap|limit)',
}
const bid = (price: number, buyerReference: string | null = null) => ({ kind: 'bid', price, buyerReference })
const noBid = (reason: string) => ({ kind: 'noBid', reason })
const rejected = (reason: string) => ({ kind: 'rejected', reason })
const unknown = (reason: string) => ({ kind: 'unknown', reason })
const accepted = (price: number | null, buyerReference: string | null = null, redirectUrl: string | null = null) => ({
  kind: 'accepted',
  price,
  buyerReference,
  redirectUrl,
})

describe('a ping’s reply in JSON', () => {
  it.each([
    ['{"status":"ACCEPTED","ping_id":"p-1","bids":[{"payout":35.7}]}', bid(35_700_000, 'p-1')],
    ['[{"status":"accepted","bids":{"payout":"$7"}}]', bid(7_000_000)],
    ['"{\\"status\\":\\"matched\\",\\"bids\\":[{\\"payout\\":1}]}"', bid(1_000_000)],
    ['{"Status":" Matched ","Bids":[{"Payout":"12,50"}]}', bid(12_500_000)],
    ['{"status":"ACCEPTED","bids":[]}', noBid('no_bid:no_price')],
    ['{"status":"ACCEPTED","bids":[{"payout":"many"}]}', noBid('ping_error:price')],
    ['{"status":"DUPLICATED"}', noBid('duplicate')],
    ['{"status":"no","msg":"Daily Cap reached"}', noBid('capped')],
    ['{"status":"no","errors":[{"error":"bad zip"}]}', noBid('no_bid:bad zip')],
    ['{"status":"no","errors":[]}', noBid('no_bid')],
    ['{"status":null}', noBid('no_bid')],
    ['[]', noBid('no_bid')],
    ['7', noBid('no_bid')],
    ['', noBid('ping_error:unreadable')],
    ['{"status":"ACC', noBid('ping_error:unreadable')],
    ['<response><status>Accepted</status><payout>4.00</payout></response>', bid(4_000_000)],
    ['status=accepted&payout=4.5&ping_id=x', bid(4_500_000, 'x')],
    ['warning in line 3 {"status":"accepted", "payout": 4}', bid(4_000_000)],
    ['Status: rejected; we have a daily limit', noBid('capped')],
  ])('%s', (body, expected) => expect(ping(JSON_RULES, body)).toEqual(expected))

  it.each([
    [39, { afterMs: 39_000 }],
    ['39', { afterMs: 39_000 }],
    [' 1.5 ', { afterMs: 1_500 }],
    [0, { afterMs: 0 }],
    [1_772_467_239, { at: 1_772_467_239_000 }],
    ['1772467239123', { at: 1_772_467_239_123 }],
    ['2026-03-02T16:00:39Z', { at: 1_772_467_239_000 }],
    ['2026-03-02 10:00:39.5 -06:00', { at: 1_772_467_239_500 }],
    ['2026-03-02T16:00', { at: 1_772_467_200_000 }],
    [-1, undefined],
    [1e300, undefined],
    ['soon', undefined],
    ['2026-13-40T99:00', undefined],
    [true, undefined],
    [[39], { afterMs: 39_000 }],
    [{}, undefined],
    [null, undefined],
  ])('reads until when its bid stands: %j', (expires, ends) => {
    const rules = { ...JSON_RULES, expires: ['gone', 'expireInSeconds'] }
    const body = JSON.stringify({ status: 'ACCEPTED', bids: [{ payout: 4.2 }], expireInSeconds: expires })
    expect(ping(rules, body)).toEqual({ ...bid(4_200_000), ...(ends && { ends }) })
    if (typeof expires === 'object') return
    const own = compileAdapter(contractWith({ ping_fields: ['zip'] }))
    const said = JSON.stringify({ accept: true, price: '4.20', expires_in: expires })
    expect(own.pingReply(replyOf(said))).toEqual({ ...bid(4_200_000), ...(ends && { ends }) })
  })

  it('has no bid under another status or none at all', () => {
    expect(ping(JSON_RULES, '{"status":"ACCEPTED","bids":[{"payout":1}]}', 400)).toEqual(noBid('http_400'))
    expect(ping(JSON_RULES, '', 204)).toEqual(noBid('no_bid'))
  })

  it('is a bid at the contract’s price by its acceptance alone', () => {
    const adapter = adapterOf({ accept: { status: [200, 204] } }, { price: '9.00' })
    expect(adapter.pingReply(replyOf('', 204))).toEqual(bid(9_000_000))
    expect(adapter.pingReply(replyOf('whatever', 200))).toEqual(bid(9_000_000))
    expect(adapter.pingReply(replyOf('', 201))).toEqual(noBid('ping_error:unreadable'))
  })
})

describe('a post’s reply', () => {
  it.each([
    ['{"status":"ACCEPTED","ping_id":9,"bids":[{"payout":5}]}', 200, accepted(5_000_000, '9')],
    [
      '{"status":"ACCEPTED","next":{"url":"https://b.example/x y"}}',
      201,
      accepted(null, null, 'https://b.example/x%20y'),
    ],
    ['{"status":"ACCEPTED","phone":"(512) 234-0199"}', 200, accepted(null, null, ' 5122340199')],
    [
      '{"status":"ACCEPTED","phone":"+15122340199","next":{"url":"https://b.example/"}}',
      200,
      accepted(null, null, 'https://b.example/ +15122340199'),
    ],
    ['{"status":"ACCEPTED"}', 302, unknown('http_302')],
    ['{"status":"ACCEPTED"}', 404, unknown('http_404')],
    ['{"status":"ACCEPTED"}', 500, unknown('http_500')],
    ['{"status":"no"}', 409, unknown('http_409')],
    ['{"status":"duplicate"}', 409, unknown('http_409')],
    ['{"status":"duplicate"}', 422, rejected('duplicate')],
    ['{"status":"no"}', 422, rejected('http_422')],
    ['{"status":"no","errors":[{"error":"bad zip"}]}', 422, rejected('rejected:bad zip')],
    ['{"status":"no"}', 200, rejected('rejected')],
    ['{"status":"no","m":"daily cap"}', 200, rejected('capped')],
    ['garbage', 200, rejected('http_200')],
    ['', 204, rejected('http_204')],
    ['{"status":"ACCEPTED","m":"daily cap"}', 200, accepted(null)],
  ])('%s with status %i', (body, status, expected) => expect(post(JSON_RULES, body, status)).toEqual(expected))

  it('that nothing proves to be whole is a doubt, unless it refuses in known words', () => {
    expect(post(JSON_RULES, '{"status":"ACC', 200, {})).toEqual(unknown('truncated'))
    expect(post(JSON_RULES, '{"status":"no"}', 200, {})).toEqual(rejected('rejected'))
    expect(post(JSON_RULES, 'no: daily cap', 200, {})).toEqual(rejected('capped'))
    const xml = { format: 'xml', accept: { path: 'r.status', equals: 'ok' } }
    expect(post(xml, '<r><status>no</status></r>', 200, {})).toEqual(rejected('rejected'))
    expect(post(xml, '<r><status>no</status><pri', 200, {})).toEqual(unknown('truncated'))
    const text = { format: 'text', accept: 'accepted' }
    expect(post(text, 'not today', 200, {})).toEqual(unknown('truncated'))
    expect(post(text, 'not today', 200)).toEqual(rejected('rejected'))
    expect(post({ ...text, format: 'html' }, '<html>no</html>\n', 200, {})).toEqual(rejected('rejected'))
  })

  it('counts by its status, a header, or both', () => {
    expect(post({ accept: { status: 201 } }, 'x', 201, {})).toEqual(accepted(null))
    expect(post({ accept: { status: 201 } }, 'x', 200)).toEqual(rejected('http_200'))
    const header = {
      accept: { status: 200, header: 'X-Result', equals: 'OK' },
      reason: { header: 'x-why' },
      buyer_reference: { header: 'Location', matches: '/leads/(\\d+)' },
    }
    expect(post(header, '', 200, { 'x-result': 'ok', location: '/leads/77?x' })).toEqual(accepted(null, '77'))
    expect(post(header, '', 200, { 'x-result': 'no', 'x-why': 'closed', 'content-length': '0' })).toEqual(
      rejected('rejected:closed'),
    )
    expect(post(header, '', 200, { 'content-length': '0' })).toEqual(rejected('http_200'))
  })
})

describe('the other formats', () => {
  const xml = {
    format: 'xml',
    accept: { path: 'response.status', equals: 'Matched' },
    price: 'response.price',
    reason: 'response.error',
    buyer_reference: 'response.lead.@id',
  }
  it.each([
    ['<response><status>Matched</status><price>6.66</price><lead id="21"/></response>', accepted(6_660_000, '21')],
    [
      '<?xml version="1.0"?>\n<ns:response xmlns:ns="u"><ns:status t="1">matched</ns:status></ns:response>',
      accepted(null),
    ],
    ['<response><status><![CDATA[Matched]]></status></response>', accepted(null)],
    ['<string>&lt;response&gt;&lt;status&gt;Matched&lt;/status&gt;&lt;/response&gt;</string>', accepted(null)],
    ['<response><status>Unmatched</status><error>a &amp; b</error></response>', rejected('rejected:a & b')],
    ['<response><status>Matched</status><price>6.66', accepted(null)],
    ['<!DOCTYPE r [<!ENTITY a "Matched">]><response><status>&a;</status></response>', rejected('http_200')],
    ['{"response":{"status":"Matched","price":2}}', accepted(2_000_000)],
    [`${'<a>'.repeat(5000)}`, rejected('http_200')],
  ])('XML: %s', (body, expected) => expect(post(xml, body)).toEqual(expected))

  it('form', () => {
    const form = { format: 'form', accept: { path: 'success' }, price: 'price', buyer_reference: 'id', reason: 'msg' }
    expect(post(form, 'success=1&price=3.5&id=a%20b')).toEqual(accepted(3_500_000, 'a b'))
    expect(post(form, 'success=true\r\nprice=3\r\n')).toEqual(accepted(3_000_000))
    expect(post(form, 'success=0&msg=bad+zip')).toEqual(rejected('rejected:bad zip'))
    expect(post(form, '{"success":true,"price":2}')).toEqual(accepted(2_000_000))
  })

  it('HTML and text: patterns, the first group being the value', () => {
    const page = {
      format: 'html',
      accept: 'lead\\s+accepted',
      price: 'at \\$([\\d.,]+)',
      buyer_reference: 'id (\\w+)',
      reason: 'because (.+?)\\.',
      duplicate: 'seen before',
    }
    const body =
      '<html><head><style>lead accepted</style></head><body><b>Lead</b> <i>Accepted</i> at&nbsp;<b>$1,250.00</b>, id A7</body></html>'
    expect(post(page, body)).toEqual(accepted(1_250_000_000, 'A7'))
    expect(post(page, '<p>No, because it <b>rains</b>.</p>')).toEqual(rejected('rejected:it rains'))
    expect(post(page, '<p>SEEN before</p>')).toEqual(rejected('duplicate'))
    expect(post({ format: 'text', accept: '^ok' }, 'OK 7')).toEqual(accepted(null))
  })
})

describe('a price', () => {
  it.each([
    ['$1,234.50', 1_234_500_000],
    ['12,50', 12_500_000],
    ['1.234,50 EUR', 1_234_500_000],
    ['1 234,50 €', 1_234_500_000],
    ['USD 7', 7_000_000],
    ['US$ 7.25', 7_250_000],
    ['7.25usd', 7_250_000],
    ['1,234', 1_234_000_000],
    ['1.234', 1_234_000],
    ['12,345.6', 12_345_600_000],
    ["1'234.50", 1_234_500_000],
    ['.75', 750_000],
    ['18.', 18_000_000],
    ['0.30000000000000004', 300_000],
    [12.3, 12_300_000],
    [0.1 + 0.2, 300_000],
  ])('%j', (value, price) => expect(readPrice(value)).toEqual({ kind: 'price', price }))

  it.each([[''], ['0'], ['0.00'], ['$0'], [null], [undefined], [0], ['  ']])('%j is none', (value) =>
    expect(readPrice(value)).toEqual({ kind: 'none' }),
  )

  it.each([
    ['-5'],
    ['5%'],
    ['1e3'],
    ['12 to 15'],
    ['1,23,4.5'],
    ['1.2.3'],
    ['free'],
    ['100000.01'],
    [{}],
    [true],
    [Number.NaN],
    ['9'.repeat(50)],
    ['12.50 per lead'],
  ])('%j is unreadable', (value) => expect(readPrice(value)).toEqual({ kind: 'unreadable' }))
})

describe('the bytes of a reply', () => {
  const said = '{"words":"Zoë – größer"}'
  const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16()
  it.each([
    ['UTF-8', Buffer.from(said), 'application/json', said],
    ['UTF-8 with a mark, called latin1', Buffer.from(`\ufeff${said}`), 'text/html; charset=iso-8859-1', said],
    [
      'latin1 by its type',
      Buffer.from('{"a":"größer"}', 'latin1'),
      'application/json;charset="ISO-8859-1"',
      '{"a":"größer"}',
    ],
    ['UTF-16 with a mark', Buffer.from(`\ufeff${said}`, 'utf16le'), undefined, said],
    ['UTF-16, the high byte first', swapped(`\ufeff${said}`), 'text/plain', said],
    ['UTF-16 without a mark', Buffer.from(said, 'utf16le'), undefined, said],
    ['UTF-16 without a mark, the high byte first', swapped(said), undefined, said],
    [
      'XML in latin1',
      Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><a>ü</a>', 'latin1'),
      'text/xml',
      '<?xml version="1.0" encoding="ISO-8859-1"?><a>ü</a>',
    ],
    ['a charset that nobody knows', Buffer.from(said), 'text/plain; charset=klingon', said],
    ['nothing', Buffer.alloc(0), undefined, ''],
  ])('%s', (_, bytes, type, text) => expect(decodeBody(bytes, type)).toBe(text))

  it('never throw, never make an acceptance of another status, and always end in listed reasons', () => {
    const formats = ['json', 'xml', 'html', 'form', 'text'].map((format) => {
      const flat = format === 'html' || format === 'text'
      const place = (path: string) => (flat ? `${path}=(\\w*)` : path)
      return adapterOf({
        format,
        accept: flat ? 'ok|yes' : [{ path: 'status', matches: 'ok|yes' }, { path: '[0].a.b' }],
        price: place('price'),
        reason: place('reason'),
        buyer_reference: place('id'),
        redirect_url: place('url'),
        duplicate: 'dup',
        capped: { header: 'x-cap', matches: '1' },
      })
    })
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '<',
      '>',
      '</',
      '/>',
      '<a>',
      '<![CDATA[',
      '&amp;',
      '&#',
      '=',
      '&',
      '%',
      'status',
      'ok',
      'price',
      '"status":"ok"',
      '<status>ok</status>',
      'status=yes',
      'dup',
      '\0',
      '\ufeff',
      '__proto__',
      'constructor',
      '12,5',
    )
    const body = fc.oneof(
      fc
        .array(fc.oneof(piece, fc.string({ maxLength: 6 })), { maxLength: 30 })
        .map((parts) => Buffer.from(parts.join(''))),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    )
    const status = fc.constantFrom(200, 201, 204, 302, 400, 404, 409, 500, 503)
    fc.assert(
      fc.property(
        body,
        status,
        fc.constantFrom(undefined, 'text/xml', 'a; charset=utf-16', 'a; charset=x'),
        (bytes, status, type) => {
          const reply = { status, headers: { 'x-cap': '0' }, body: decodeBody(bytes, type) }
          for (const adapter of formats) {
            const bid = adapter.pingReply(reply)
            const end = adapter.postReply(reply)
            if (bid.kind === 'noBid') reasonName(bid.reason)
            if (end.kind !== 'accepted') reasonName(end.reason)
            else expect(status).toBeLessThan(300)
            if (status >= 500 || status === 409) expect(end.kind).toBe('unknown')
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('cannot hold the loop', () => {
    const heavy = [
      '{',
      '[',
      '<',
      '<a ',
      '<!--',
      '&',
      '&#1',
      'status',
      'status ',
      '"status":',
      '= ',
      '\0',
      '<![CDATA[',
      'a=',
      '<script',
    ]
    const adapters = ['json', 'xml', 'form'].map((format) =>
      adapterOf({ format, accept: { path: 'status', equals: 'ok' } }),
    )
    const page = adapterOf({ format: 'html', accept: '(a+)+$' })
    for (const piece of heavy) {
      const body = piece.repeat(Math.floor(262_144 / piece.length))
      for (const adapter of [...adapters, page]) {
        const began = performance.now()
        adapter.postReply(replyOf(body))
        expect(performance.now() - began, `${piece} by ${adapters.indexOf(adapter)}`).toBeLessThan(500)
      }
    }
  })
})
