/** The field type of phone numbers: any writing of one becomes E.164. */
import { type CountryCode, parsePhoneNumberFromString } from 'libphonenumber-js/max'
import type { Country, FieldSpec, FieldType, IssueCode, Reading } from '../fields.ts'

const DIGIT = /\d/
const AMERICAN = /^(?:\+?1[-. ]?)?\(?([2-9]\d\d)\)?[-. ]{0,2}([2-9]\d\d)[-. ]?(\d{4})$/
/** Countries whose numbers begin with +1 and are dialled without it. */
const PLAN_OF_ONE: ReadonlySet<string> = new Set(['US', 'CA'])

/**
 * E.164, where the numbering plan knows the number; numbers without a country code are of the spec's first country. The
 * library takes 8 us a number; an American number of an area without exceptions needs no more than its shape, 0.3 us.
 * The full metadata cost no more time than the small ones and know the exchanges of the territories too.
 */
function readPhone(text: string, spec: FieldSpec): Reading | IssueCode {
  const { countries } = spec
  const home = countries?.[0] ?? 'US'
  const american = PLAN_OF_ONE.has(home) ? AMERICAN.exec(text) : null
  if (american && isPlainArea(american[1]!) && (countries === undefined || countries.includes('US'))) {
    const area = american[1]!
    return { normal: `+1${area}${american[2]}${american[3]}`, parts: { country: 'US', area } }
  }
  if (!DIGIT.test(text)) return 'not_a_number'
  const phone = parse(text, home)
  if (!phone) return 'not_a_number'
  if (!phone.isValid()) return text.replace(/\D/g, '').length < 7 ? 'not_a_number' : 'not_a_phone'
  const country = phone.country ?? ''
  if (countries !== undefined && !countries.includes(country as Country)) return 'not_in_country'
  const parts: Record<string, string> = { country }
  if (phone.countryCallingCode === '1') parts.area = phone.nationalNumber.slice(0, 3)
  if (phone.ext !== undefined) parts.ext = phone.ext
  const line = LINES[phone.getType() ?? '']
  if (line !== undefined) parts.line = line
  return { normal: phone.number, parts }
}

/** `extract: false`: the whole text is the number, or it is none. */
const parse = (text: string, home: string) =>
  parsePhoneNumberFromString(text, { defaultCountry: home as CountryCode, extract: false })

/** Kinds of line that a number alone tells. Most of North America's may be of either kind, and have no such part. */
const LINES: Readonly<Record<string, string>> = {
  MOBILE: 'mobile',
  FIXED_LINE: 'fixed',
  TOLL_FREE: 'toll_free',
  PREMIUM_RATE: 'premium',
  SHARED_COST: 'shared_cost',
  VOIP: 'voip',
  PERSONAL_NUMBER: 'personal',
  PAGER: 'pager',
  UAN: 'company',
  VOICEMAIL: 'voicemail',
}

/** Exchanges of every kind of exception that the numbering plan has: where all are good, every one from 200 on is. */
const PROBES = ['200', '211', '234', '555', '601', '911', '999']
/** At most one entry for each of the 800 area codes. */
const PLAIN_AREAS = new Map<string, boolean>()

/** True where the area code is of the United States, for lines of either kind, and has every exchange from 200 to 999. */
function isPlainArea(area: string): boolean {
  const known = PLAIN_AREAS.get(area)
  if (known !== undefined) return known
  const plain = PROBES.every((exchange) => {
    const phone = parse(`${area}${exchange}0199`, 'US')
    return phone?.country === 'US' && phone.isValid() && LINES[phone.getType() ?? ''] === undefined
  })
  PLAIN_AREAS.set(area, plain)
  return plain
}

export const PHONE_TYPE: FieldType = {
  name: 'phone',
  kind: 'text',
  parts: { country: 'text', area: 'text', ext: 'text', line: 'text' },
  maxLength: 40,
  parse: readPhone,
  good: [
    ['(512) 555-0123', '+15125550123', { country: 'US', area: '512' }],
    ['1-512-234-0199', '+15122340199', { country: 'US', area: '512' }],
    ['+1 512.234.0199', '+15122340199', { country: 'US', area: '512' }],
    ['512-234-0199 ext. 12', '+15122340199', { country: 'US', area: '512', ext: '12' }],
    ['6132340199', '+16132340199', { country: 'CA', area: '613' }],
    ['800-234-0199', '+18002340199', { country: 'US', area: '800', line: 'toll_free' }],
    ['+44 20 7946 0018', '+442079460018', { country: 'GB', line: 'fixed' }],
    ['+44 7400 123456', '+447400123456', { country: 'GB', line: 'mobile' }],
  ],
  bad: [
    ['555', 'not_a_number'],
    ['call me', 'not_a_number'],
    ['mail 512 234 0199 now', 'not_a_number'],
    ['555-555-5555', 'not_a_phone'],
    ['512-123-4567', 'not_a_phone'],
    ['000 234 0199', 'not_a_phone'],
  ],
  elsewhere: [
    {
      spec: { type: 'phone', countries: ['GB'] },
      good: [['020 7946 0018', '+442079460018', { country: 'GB', line: 'fixed' }]],
      bad: [['+1 512 234 0199', 'not_in_country']],
    },
    {
      spec: { type: 'phone', countries: ['CA', 'US'] },
      good: [
        ['613 234 0199', '+16132340199', { country: 'CA', area: '613' }],
        ['512 234 0199', '+15122340199', { country: 'US', area: '512' }],
      ],
      bad: [['+44 20 7946 0018', 'not_in_country']],
    },
    {
      spec: { type: 'phone', countries: ['CA'] },
      good: [],
      bad: [['512 234 0199', 'not_in_country']],
    },
  ],
}
