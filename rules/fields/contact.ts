/** Field types that reach a person or a browser: phone, email, URL, IP address. */
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import validator from 'validator'
import type { FieldType, IssueCode, Reading } from '../fields.ts'

const DIGIT = /\d/
/** Numbers without a country code are read as American. `extract: false`: the whole text is the number, or it is none. */
const AS_TYPED = { defaultCountry: 'US', extract: false } as const

/**
 * E.164, where the numbering plan knows the number. The library takes 8 us a number; an American number of an area
 * without exceptions needs no more than its shape, 0.3 us. The full metadata cost no more time than the small ones and
 * know the exchanges of the territories too.
 */
function readPhone(text: string): Reading | IssueCode {
  const american = AMERICAN.exec(text)
  if (american && isPlainArea(american[1]!)) {
    const area = american[1]!
    return { normal: `+1${area}${american[2]}${american[3]}`, parts: { country: 'US', area } }
  }
  if (!DIGIT.test(text)) return 'not_a_number'
  const phone = parsePhoneNumberFromString(text, AS_TYPED)
  if (!phone) return 'not_a_number'
  if (!phone.isValid()) return text.replace(/\D/g, '').length < 7 ? 'not_a_number' : 'not_a_phone'
  const country = phone.country ?? ''
  return phone.countryCallingCode === '1'
    ? { normal: phone.number, parts: { country, area: phone.nationalNumber.slice(0, 3) } }
    : { normal: phone.number, parts: { country } }
}

const AMERICAN = /^(?:\+?1[-. ]?)?\(?([2-9]\d\d)\)?[-. ]{0,2}([2-9]\d\d)[-. ]?(\d{4})$/
/** Exchanges of every kind of exception that the numbering plan has: where all are good, every one from 200 on is. */
const PROBES = ['200', '211', '234', '555', '601', '911', '999']
/** At most one entry for each of the 800 area codes. */
const PLAIN_AREAS = new Map<string, boolean>()

/** True where the area code is of the United States and has every exchange from 200 to 999. */
function isPlainArea(area: string): boolean {
  const known = PLAIN_AREAS.get(area)
  if (known !== undefined) return known
  const plain = PROBES.every((exchange) => {
    const phone = parsePhoneNumberFromString(`${area}${exchange}0199`, AS_TYPED)
    return phone?.country === 'US' && phone.isValid()
  })
  PLAIN_AREAS.set(area, plain)
  return plain
}

/** Lower case, as typed otherwise: mail goes to this address. What counts as the same mailbox is `rules/duplicates`' business. */
function readEmail(text: string): Reading | IssueCode {
  if (!validator.isEmail(text)) return 'not_an_email'
  const normal = text.toLowerCase()
  return { normal, parts: { domain: normal.slice(normal.lastIndexOf('@') + 1) } }
}

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
  {
    name: 'phone',
    kind: 'text',
    parts: { country: 'text', area: 'text' },
    maxLength: 40,
    parse: readPhone,
    good: [
      ['(512) 555-0123', '+15125550123', { country: 'US', area: '512' }],
      ['1-512-234-0199', '+15122340199', { country: 'US', area: '512' }],
      ['+1 512.234.0199', '+15122340199', { country: 'US', area: '512' }],
      ['6132340199', '+16132340199', { country: 'CA', area: '613' }],
      ['+44 20 7946 0018', '+442079460018', { country: 'GB' }],
    ],
    bad: [
      ['555', 'not_a_number'],
      ['call me', 'not_a_number'],
      ['mail 512 234 0199 now', 'not_a_number'],
      ['555-555-5555', 'not_a_phone'],
      ['512-123-4567', 'not_a_phone'],
      ['000 234 0199', 'not_a_phone'],
    ],
  },
  {
    name: 'email',
    kind: 'text',
    parts: { domain: 'text' },
    maxLength: 254,
    parse: readEmail,
    good: [
      [' Jane.Doe@Example.COM ', 'jane.doe@example.com', { domain: 'example.com' }],
      ['j+solar@mail.example.org', 'j+solar@mail.example.org', { domain: 'mail.example.org' }],
    ],
    bad: [
      ['jane', 'not_an_email'],
      ['jane@example', 'not_an_email'],
      ['a@b.com, c@d.com', 'not_an_email'],
      ['Jane <jane@example.com>', 'not_an_email'],
      ['jane@exa\nmple.com', 'not_an_email'],
    ],
  },
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
