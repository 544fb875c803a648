/** How replies in our own shape are read: bids, refusals, and every row of the table of a post's outcomes. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { WireReply } from '../buyers/adapter.ts'
import { cleanWords, MAX_WORDS, readPing, readPost } from '../buyers/reply.ts'
import { reasonName } from '../rules/reason.ts'
import { micros } from '../rules/units.ts'

const FROM_REPLY = { price: null, priceFrom: 'reply' } as const
const FROM_CONTRACT = { price: micros(20_000_000), priceFrom: 'contract' } as const
const DOUBT = { serverError: 'in_doubt' } as const

function replyOf(body: unknown, status = 200, headers: WireReply['headers'] = { 'content-length': '9' }): WireReply {
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) }
}
const ping = (body: unknown, status = 200) => readPing(FROM_REPLY, replyOf(body, status))
const post = (body: unknown, status = 200) => readPost(DOUBT, replyOf(body, status))
const bid = (price: number, buyerReference: string | null = null) => ({ kind: 'bid', price, buyerReference })
const noBid = (reason: string) => ({ kind: 'noBid', reason })
const rejected = (reason: string) => ({ kind: 'rejected', reason })
const unknown = (reason: string) => ({ kind: 'unknown', reason })

describe('the reply to a ping', () => {
  it.each([
    [{ accept: true, price: '18.50', buyer_reference: 'B-77' }, bid(18_500_000, 'B-77')],
    [{ accept: true, price: 18.5, buyer_reference: 77 }, bid(18_500_000, '77')],
    [{ accept: true, price: 0.1 + 0.2 }, bid(300_000)],
    [{ accept: 'true', price: '1' }, bid(1_000_000)],
    [{ accept: 1, price: '0.000001' }, bid(1)],
    ['\ufeff{"accept":true,"price":"2.00"}', bid(2_000_000)],
    [{ accept: true, price: '100000' }, bid(100_000_000_000)],
    [{ accept: true }, noBid('no_bid:no_price')],
    [{ accept: true, price: '0' }, noBid('no_bid:no_price')],
    [{ accept: true, price: 0 }, noBid('no_bid:no_price')],
    [{ accept: true, price: null }, noBid('no_bid:no_price')],
    [{ accept: true, price: '100000.01' }, noBid('ping_error:price')],
    [{ accept: true, price: 1e21 }, noBid('ping_error:price')],
    [{ accept: true, price: -5 }, noBid('ping_error:price')],
    [{ accept: true, price: '-5.00' }, noBid('ping_error:price')],
    [{ accept: true, price: '$18.50' }, bid(18_500_000)],
    [{ accept: true, price: '1,850' }, bid(1_850_000_000)],
    [{ accept: true, price: '1e3' }, noBid('ping_error:price')],
    [{ accept: true, price: '18.5000001' }, bid(18_500_000)],
    [{ accept: true, price: {} }, noBid('ping_error:price')],
    [{ accept: false, reason: 'not_interested' }, noBid('no_bid:not_interested')],
    [{ accept: false, reason: 'Duplicate' }, noBid('duplicate')],
    [{ accept: false, reason: '  ' }, noBid('no_bid')],
    [{ accept: null }, noBid('no_bid')],
    [{}, noBid('no_bid')],
    ['[{"accept":true,"price":"9"}]', noBid('ping_error:unreadable')],
    ['{"accept":tru', noBid('ping_error:unreadable')],
    ['', noBid('ping_error:unreadable')],
    ['<html>', noBid('ping_error:unreadable')],
    [`{"accept":true,"x":${'['.repeat(5000)}`, noBid('ping_error:unreadable')],
  ])('%j', (body, expected) => expect(ping(body)).toEqual(expected))

  it.each([
    [204, 'no_bid'],
    [302, 'http_302'],
    [404, 'http_404'],
    [408, 'http_408'],
    [500, 'http_500'],
    [503, 'http_503'],
  ])('with status %i is no bid, whatever its body says', (status, why) =>
    expect(ping({ accept: true, price: '9.00' }, status)).toEqual(noBid(why)),
  )

  it('is a bid at the contract price where the contract says so', () => {
    expect(readPing(FROM_CONTRACT, replyOf({ accept: true }))).toEqual(bid(20_000_000))
    expect(readPing(FROM_CONTRACT, replyOf({ accept: true, price: '35.00' }))).toEqual(bid(20_000_000))
    expect(readPing(FROM_CONTRACT, replyOf({ accept: false }))).toEqual(noBid('no_bid'))
  })
})

describe('the reply to a post', () => {
  it('is an acceptance with what it names', () => {
    const whole = {
      accept: true,
      price: '17.00',
      buyer_reference: 'B-1',
      redirect_url: 'https://buyer.example/thanks?id=1',
    }
    expect(post(whole)).toEqual({
      kind: 'accepted',
      price: 17_000_000,
      buyerReference: 'B-1',
      redirectUrl: 'https://buyer.example/thanks?id=1',
    })
    const bare = { kind: 'accepted', price: null, buyerReference: null, redirectUrl: null }
    for (const price of [undefined, null, '', 0, '0.00', 'a lot', -3, 1e12])
      expect(post({ accept: true, price })).toEqual(bare)
    for (const url of ['javascript:alert(1)', '/thanks', 7, `https://x.example/${'y'.repeat(3000)}`])
      expect(post({ accept: true, redirect_url: url })).toEqual(bare)
    expect(post({ accept: true }, 201)).toEqual(bare)
  })

  it.each([
    [{ accept: false, reason: 'out_of_area' }, 200, rejected('rejected:out_of_area')],
    [{ accept: false, reason: 'duplicate' }, 200, rejected('duplicate')],
    [{ accept: false, reason: 'Duplicate lead' }, 200, rejected('duplicate')],
    [{ accept: false }, 200, rejected('rejected')],
    [{ accept: false, reason: { a: 1 } }, 200, rejected('rejected')],
    [{ error: 'x' }, 200, rejected('http_200')],
    ['{"accept":tru', 200, rejected('http_200')],
    ['<html>OK</html>', 200, rejected('http_200')],
    ['', 204, rejected('http_204')],
    ['', 301, rejected('http_301')],
    ['', 302, rejected('http_302')],
    ['', 400, rejected('http_400')],
    ['', 401, rejected('http_401')],
    ['', 404, rejected('http_404')],
    ['', 422, rejected('http_422')],
    ['', 429, rejected('http_429')],
    [{ accept: false, reason: 'bad zip' }, 422, rejected('rejected:bad zip')],
    [{ accept: true }, 400, unknown('http_400')],
    ['', 408, unknown('http_408')],
    ['', 409, unknown('http_409')],
    [{ accept: false, reason: 'busy' }, 409, unknown('http_409')],
    ['', 425, unknown('http_425')],
    ['', 500, unknown('http_500')],
    [{ accept: false }, 503, unknown('http_503')],
    [{ accept: true }, 502, unknown('http_502')],
  ])('%j with status %i', (body, status, expected) => expect(post(body, status)).toEqual(expected))

  it('with a 5xx is a rejection where the contract declares it, but never against an acceptance', () => {
    const declared = { serverError: 'rejected' } as const
    expect(readPost(declared, replyOf('', 503))).toEqual(rejected('http_503'))
    expect(readPost(declared, replyOf({ accept: false, reason: 'down' }, 500))).toEqual(rejected('rejected:down'))
    expect(readPost(declared, replyOf({ accept: true }, 500))).toEqual(unknown('http_500'))
    expect(readPost(declared, replyOf('', 408))).toEqual(unknown('http_408'))
  })

  it('that nothing delimits and that does not parse may be a cut acceptance', () => {
    expect(readPost(DOUBT, replyOf('{"accept":tr', 200, {}))).toEqual(unknown('truncated'))
    expect(readPost(DOUBT, replyOf('', 200, { connection: 'close' }))).toEqual(unknown('truncated'))
    expect(readPost(DOUBT, replyOf('{"accept":tr', 200, { 'transfer-encoding': 'chunked' }))).toEqual(
      rejected('http_200'),
    )
    expect(readPost(DOUBT, replyOf({ accept: false }, 200, {}))).toEqual(rejected('rejected'))
  })
})

describe('a buyer’s words', () => {
  it('become one bounded line without control characters, addresses or long numbers', () => {
    expect(cleanWords(' out\u0000 of\r\n\tarea\u202e\ufeff ')).toBe('out of area')
    expect(cleanWords('jane.doe@example.com is known')).toBe('[email] is known')
    expect(cleanWords('phone (512) 555-0143 is a duplicate')).toBe('phone ([number] is a duplicate')
    expect(cleanWords('+15125550143')).toBe('[number]')
    expect(cleanWords('code 1001, limit 25')).toBe('code 1001, limit 25')
    expect(cleanWords('x'.repeat(500))).toHaveLength(MAX_WORDS)
    expect(cleanWords(`${'x'.repeat(MAX_WORDS - 1)}😀`).isWellFormed()).toBe(true)
  })

  it('always make a reason of the list, and never hold the loop', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), (words) => {
        const answer = post({ accept: false, reason: words })
        if (answer.kind !== 'rejected') throw new Error('a rejection was read as something else')
        expect(answer.reason.length).toBeLessThanOrEqual('rejected:'.length + MAX_WORDS)
        expect(answer.reason.isWellFormed()).toBe(true)
        expect(['rejected', 'duplicate']).toContain(reasonName(answer.reason))
      }),
    )
    const began = performance.now()
    for (const word of ['1 ', '1(', 'a', '@', ' ', '1 ( ']) cleanWords(word.repeat(100_000))
    expect(performance.now() - began).toBeLessThan(200)
  })

  it('and its references are cleaned too', () => {
    const read = (reference: unknown) => post({ accept: true, buyer_reference: reference })
    expect(read(' B-1\r\nx\u0000 ')).toMatchObject({ kind: 'accepted', buyerReference: 'B-1x' })
    for (const none of [{ id: 1 }, '', '\u0000', 'y'.repeat(513), true])
      expect(read(none)).toMatchObject({ buyerReference: null })
  })

  it('and everything else a buyer may send is read without a throw', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.integer({ min: 200, max: 599 }), (body, status) => {
        ping(JSON.stringify(body), status)
        post(JSON.stringify(body), status)
      }),
    )
  })
})
