/** Field types that reach a person or a browser: phone, email, URL, IP address. */
import type { FieldType, IssueCode, Reading } from '../fields.ts'
import { EMAIL_TYPE } from './email.ts'
import { PHONE_TYPE } from './phone.ts'

const SCHEME = /^[a-z][a-z0-9+.-]*:(?!\d+(?:[/?#]|$))/i
const SPACE = /\s/

/** http or https; a missing scheme is taken as https, for forms often send `example.com/page`. No credentials. */
function readUrl(text: string): Reading | IssueCode {
  if (SPACE.test(text)) return 'not_a_url'
  const url = URL.parse(SCHEME.test(text) ? text : `https://${text}`)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'not_a_url'
  if (url.username !== '' || url.password !== '' || !url.hostname.includes('.')) return 'not_a_url'
  return { normal: url.href, parts: { host: url.hostname } }
}

const V4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/
const V6_CHARS = /^[0-9a-f:.]+$/i
const MAPPED = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/

/** Dotted IPv4; IPv6 in its shortest lower-case form; an IPv4 address mapped into IPv6 is that IPv4 address. */
function readIp(text: string): Reading | IssueCode {
  if (V4.test(text)) return { normal: text, parts: { version: 4 } }
  if (!V6_CHARS.test(text)) return 'not_an_ip'
  const host = URL.parse(`http://[${text}]/`)?.hostname
  if (host === undefined) return 'not_an_ip'
  const mapped = MAPPED.exec(host)
  if (!mapped) return { normal: host.slice(1, -1), parts: { version: 6 } }
  const high = Number.parseInt(mapped[1]!, 16)
  const low = Number.parseInt(mapped[2]!, 16)
  return { normal: `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`, parts: { version: 4 } }
}

export const CONTACT_TYPES: readonly FieldType[] = [
  PHONE_TYPE,
  EMAIL_TYPE,
  {
    name: 'url',
    kind: 'text',
    parts: { host: 'text' },
    maxLength: 2048,
    parse: readUrl,
    good: [
      ['https://Example.com/a?b=c', 'https://example.com/a?b=c', { host: 'example.com' }],
      ['example.com:8443/quote', 'https://example.com:8443/quote', { host: 'example.com' }],
    ],
    bad: [
      ['javascript:alert(1)', 'not_a_url'],
      ['ftp://example.com', 'not_a_url'],
      ['https://user:pw@example.com/', 'not_a_url'],
      ['not a url', 'not_a_url'],
      ['localhost', 'not_a_url'],
    ],
  },
  {
    name: 'ip',
    kind: 'text',
    parts: { version: 'number' },
    maxLength: 45,
    parse: readIp,
    good: [
      ['203.0.113.9', '203.0.113.9', { version: 4 }],
      ['2001:DB8:0:0::1', '2001:db8::1', { version: 6 }],
      ['::ffff:203.0.113.9', '203.0.113.9', { version: 4 }],
    ],
    bad: [
      ['203.0.113', 'not_an_ip'],
      ['203.0.113.256', 'not_an_ip'],
      ['0x7f.1', 'not_an_ip'],
      ['2130706433', 'not_an_ip'],
      ['10.0.0.01', 'not_an_ip'],
      ['::1/128', 'not_an_ip'],
    ],
  },
]
