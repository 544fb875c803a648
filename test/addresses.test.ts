/** Which address is the consumer's, whoever stands between. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { consumerAddress, readRange } from '../rules/addresses.ts'

const PROXIES = ['10.0.0.0/8', '2001:4860::/32', '203.0.113.0/24'].map((cidr) => readRange(cidr)!)

describe("a consumer's address", () => {
  it.each([
    ['8.8.8.8', null, '8.8.8.8'],
    ['::ffff:8.8.8.8', null, '8.8.8.8'],
    ['0000:0000:0000:0000:0000:ffff:0808:0808', null, '8.8.8.8'],
    ['2a00:1450:4001:81b::200e', null, '2a00:1450:4001:81b::200e'],
    ['10.0.0.1', '8.8.8.8', '8.8.8.8'],
    ['10.0.0.1', '1.1.1.1, 8.8.8.8', '8.8.8.8'],
    ['10.0.0.1', '1.1.1.1, 8.8.8.8, 10.9.9.9', '8.8.8.8'],
    ['203.0.113.7', '8.8.8.8:51234', '8.8.8.8'],
    ['2001:4860::1', '[2a00:1450:4001:81b::200e]:443', '2a00:1450:4001:81b::200e'],
    ['10.0.0.1', null, null],
    ['10.0.0.1', '10.0.0.2', null],
    ['10.0.0.1', 'unknown', null],
    ['10.0.0.1', '8.8.8.8, 192.168.0.1', null],
    ['10.0.0.1', '8.8.8.8,', null],
    ['10.0.0.1', '134744072', null],
    ['8.8.8.8', '1.1.1.1', null],
    ['192.168.1.1', null, null],
    ['127.0.0.1', null, null],
    ['', null, null],
  ])('%s, forwarded for %s: %s', (connected, forwarded, expected) => {
    expect(consumerAddress(connected, forwarded, PROXIES)).toBe(expected)
  })

  it('is never what the consumer writes before the address that the proxy heard', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (written) => {
        expect(consumerAddress('10.0.0.1', `${written}, 8.8.8.8`, PROXIES)).toBe('8.8.8.8')
      }),
    )
  })
})
