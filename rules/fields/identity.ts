/** Field types of documents: social security, bank, vehicle, and the two consent certificates. */
import type { FieldType, IssueCode, Reading } from '../fields.ts'

const SSN = /^(\d{3})[- ]?(\d{2})[- ]?(\d{4})$/
/** Printed in advertisements once, and never valid since. */
const ADVERTISED = new Set(['078051120', '219099999'])

function readSsn(text: string): Reading | IssueCode {
  const match = SSN.exec(text)
  if (!match) return 'not_an_ssn'
  const [, area, group, serial] = match as unknown as readonly [string, string, string, string]
  const digits = area + group + serial
  if (area === '000' || area === '666' || area >= '900' || group === '00' || serial === '0000') return 'not_an_ssn'
  return ADVERTISED.has(digits) ? 'not_an_ssn' : { normal: digits }
}

const ROUTING = /^(?:0\d|1[0-2]|2[1-9]|3[0-2]|6[1-9]|7[0-2]|80)\d{7}$/

/** American Bankers Association: the digits weighted 3, 7, 1 sum to a multiple of ten. */
function readRouting(text: string): Reading | IssueCode {
  if (!ROUTING.test(text) || text === '000000000') return 'not_a_routing_number'
  let sum = 0
  for (let at = 0; at < 9; at++) sum += Number(text[at]) * [3, 7, 1][at % 3]!
  return sum % 10 === 0 ? { normal: text } : 'bad_checksum'
}

const ACCOUNT = /^\d(?:[- ]?\d){3,16}$/

function readAccount(text: string): Reading | IssueCode {
  return ACCOUNT.test(text) ? { normal: text.replace(/[- ]/g, '') } : 'not_an_account'
}

const VIN = /^[A-HJ-NPR-Z0-9]{17}$/
const VIN_VALUES = '0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ'
const VIN_WEIGHTS = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]

/** 49 CFR 565.15: the weighted sum modulo 11 stands at the ninth place, ten as X. */
function readVin(text: string): Reading | IssueCode {
  const vin = text.toUpperCase()
  if (!VIN.test(vin)) return 'not_a_vin'
  let sum = 0
  for (let at = 0; at < 17; at++) sum += (VIN_VALUES.indexOf(vin[at]!) % 10) * VIN_WEIGHTS[at]!
  const check = sum % 11 === 10 ? 'X' : `${sum % 11}`
  return vin[8] === check ? { normal: vin } : 'bad_checksum'
}

const TRUSTEDFORM = /^https:\/\/cert\.trustedform\.com\/([A-Za-z0-9._~=-]{40,255})$/i
const WEB_CERTIFICATE = /^[0-9a-f]{40}$/i

/** A web form's certificate has 40 hexadecimal digits, in lower case; others are longer and kept as they are. */
function readTrustedForm(text: string): Reading | IssueCode {
  const id = TRUSTEDFORM.exec(text)?.[1]
  if (id === undefined) return 'not_a_trustedform_url'
  const web = WEB_CERTIFICATE.test(id)
  if (!web && id.length === 40) return 'not_a_trustedform_url'
  const normal = web ? id.toLowerCase() : id
  return { normal: `https://cert.trustedform.com/${normal}`, parts: { id: normal } }
}

const GUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i

function readJornaya(text: string): Reading | IssueCode {
  return GUID.test(text) ? { normal: text.toUpperCase() } : 'not_a_jornaya_id'
}

/** The last four digits, or two of a short one. */
const lastDigits = (normal: string): string => `*****${normal.slice(normal.length < 9 ? -2 : -4)}`

const identity = (
  name: string,
  maxLength: number,
  parse: (text: string) => Reading | IssueCode,
  good: FieldType['good'],
  bad: FieldType['bad'],
): FieldType => ({ name, kind: 'text', parts: {}, maxLength, parse, good, bad })

const HEX40 = '0123456789abcdef0123456789ABCDEF01234567'

export const IDENTITY_TYPES: readonly FieldType[] = [
  {
    ...identity(
      'ssn',
      20,
      readSsn,
      [
        ['123-45-6789', '123456789'],
        ['123 45 6789', '123456789'],
      ],
      [
        ['12345678', 'not_an_ssn'],
        ['000-12-3456', 'not_an_ssn'],
        ['666-12-3456', 'not_an_ssn'],
        ['900-12-3456', 'not_an_ssn'],
        ['123-00-6789', 'not_an_ssn'],
        ['078-05-1120', 'not_an_ssn'],
      ],
    ),
    mask: lastDigits,
  },
  identity(
    'bank_routing',
    20,
    readRouting,
    [['021000021', '021000021']],
    [
      ['021000022', 'bad_checksum'],
      ['991000021', 'not_a_routing_number'],
      ['12345', 'not_a_routing_number'],
      ['000000000', 'not_a_routing_number'],
    ],
  ),
  {
    ...identity(
      'bank_account',
      30,
      readAccount,
      [
        ['0012-3456 789', '00123456789'],
        ['1234', '1234'],
      ],
      [
        ['123', 'not_an_account'],
        ['12a45', 'not_an_account'],
        ['123456789012345678', 'not_an_account'],
      ],
    ),
    mask: lastDigits,
  },
  identity(
    'vin',
    20,
    readVin,
    [
      ['1M8GDM9AXKP042788', '1M8GDM9AXKP042788'],
      ['1hgcm82633a004352', '1HGCM82633A004352'],
    ],
    [
      ['1M8GDM9A1KP042788', 'bad_checksum'],
      ['1M8GDM9AXKP04278', 'not_a_vin'],
      ['1M8GDM9AXKPO42788', 'not_a_vin'],
    ],
  ),
  {
    ...identity(
      'trustedform',
      300,
      readTrustedForm,
      [
        [
          `https://cert.trustedform.com/${HEX40}`,
          `https://cert.trustedform.com/${HEX40.toLowerCase()}`,
          { id: HEX40.toLowerCase() },
        ],
        [`HTTPS://cert.TrustedForm.com/0.${HEX40}`, `https://cert.trustedform.com/0.${HEX40}`, { id: `0.${HEX40}` }],
      ],
      [
        [`http://cert.trustedform.com/${HEX40}`, 'not_a_trustedform_url'],
        [`https://cert.trustedform.com.example.com/${HEX40}`, 'not_a_trustedform_url'],
        ['https://cert.trustedform.com/abc', 'not_a_trustedform_url'],
        [`https://cert.trustedform.com/g${HEX40.slice(1)}`, 'not_a_trustedform_url'],
      ],
    ),
    parts: { id: 'text' },
  },
  identity(
    'jornaya',
    40,
    readJornaya,
    [['01234567-89ab-cdef-0123-456789abcdef', '01234567-89AB-CDEF-0123-456789ABCDEF']],
    [
      ['0123456789abcdef0123456789abcdef', 'not_a_jornaya_id'],
      ['not-a-guid', 'not_a_jornaya_id'],
    ],
  ),
]
