/** The field type of postal codes: American ZIP codes, and those of Canada and the United Kingdom where they count. */
import type { Country, FieldContext, FieldSpec, FieldType, FieldValue, IssueCode, Reading } from '../fields.ts'
import { statesOfZip, zipIsIn } from './zips.ts'

const ZIP = /^(\d{5})(?:[- ]?(\d{4}))?$/
const CANADIAN = /^([ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z])[- ]?(\d[ABCEGHJ-NPRSTV-Z]\d)$/i
const BRITISH =
  /^([A-PR-UWYZ](?:\d\d?|\d[A-HJKPS-UW]|[A-HK-Y]\d\d?|[A-HK-Y]\d[ABEHMNPRV-Y])|GIR) ?(\d[ABD-HJLNP-UW-Z]{2}|0AA)$/i

/** First letter of a Canadian code -> provinces that it serves. */
const PROVINCES: Readonly<Record<string, readonly string[]>> = {
  A: ['NL'],
  B: ['NS'],
  C: ['PE'],
  E: ['NB'],
  G: ['QC'],
  H: ['QC'],
  J: ['QC'],
  K: ['ON'],
  L: ['ON'],
  M: ['ON'],
  N: ['ON'],
  P: ['ON'],
  R: ['MB'],
  S: ['SK'],
  T: ['AB'],
  V: ['BC'],
  X: ['NT', 'NU'],
  Y: ['YT'],
}

/** Five digits, of a prefix that is in use (a buyer's list may hold retired ones). `state` is the one that the prefix lies in, where it is one. */
function readZip(text: string, context: FieldContext): Reading | null {
  const match = ZIP.exec(text)
  if (!match) return null
  const zip = match[1]!
  const states = statesOfZip(zip)
  if (states.length === 0 && context.now !== null) return null
  const parts: Record<string, string> = { country: 'US', prefix: zip.slice(0, 3) }
  if (states.length === 1) parts.state = states[0]!
  if (match[2] !== undefined) parts.plus4 = match[2]
  return { normal: zip, parts }
}

/** `prefix`: the forward sortation area, of three characters. */
function readCanadian(text: string): Reading | null {
  const match = CANADIAN.exec(text)
  if (!match) return null
  const prefix = match[1]!.toUpperCase()
  const parts: Record<string, string> = { country: 'CA', prefix }
  const provinces = PROVINCES[prefix[0]!]!
  if (provinces.length === 1) parts.state = provinces[0]!
  return { normal: `${prefix} ${match[2]!.toUpperCase()}`, parts }
}

/** `prefix`: the outward code, of two to four characters. */
function readBritish(text: string): Reading | null {
  const match = BRITISH.exec(text)
  if (!match) return null
  const prefix = match[1]!.toUpperCase()
  return { normal: `${prefix} ${match[2]!.toUpperCase()}`, parts: { country: 'GB', prefix } }
}

const READERS: Readonly<Record<Country, (text: string, context: FieldContext) => Reading | null>> = {
  US: readZip,
  CA: readCanadian,
  GB: readBritish,
}

function readPostal(text: string, { countries }: FieldSpec, context: FieldContext): Reading | IssueCode {
  if (countries === undefined) return readZip(text, context) ?? 'not_a_zip'
  for (const country of countries) {
    const reading = READERS[country](text, context)
    if (reading !== null) return reading
  }
  return countries.length === 1 && countries[0] === 'US' ? 'not_a_zip' : 'not_a_postal_code'
}

/** False where a postal code cannot lie in the state or province. The United Kingdom's tell no nation. */
export function postalIsIn({ normal, parts }: Pick<FieldValue, 'normal' | 'parts'>, state: string): boolean {
  const code = normal as string
  if (parts?.country === 'CA') return PROVINCES[code[0]!]!.includes(state)
  return parts?.country === 'GB' ? BRITISH_NATIONS.has(state) : zipIsIn(code, state)
}

const BRITISH_NATIONS: ReadonlySet<string> = new Set(['ENG', 'NIR', 'SCT', 'WLS'])

export const POSTAL_TYPE: FieldType = {
  name: 'zip',
  kind: 'text',
  parts: { country: 'text', prefix: 'text', state: 'text', plus4: 'text' },
  maxLength: 12,
  parse: readPostal,
  good: [
    ['78701', '78701', { country: 'US', prefix: '787', state: 'TX' }],
    ['02134-1234', '02134', { country: 'US', prefix: '021', state: 'MA', plus4: '1234' }],
    ['73949', '73949', { country: 'US', prefix: '739' }],
  ],
  bad: [
    ['2134', 'not_a_zip'],
    ['00000', 'not_a_zip'],
    ['78701-12', 'not_a_zip'],
    ['K1A 0B1', 'not_a_zip'],
  ],
  elsewhere: [
    {
      spec: { type: 'zip', countries: ['US', 'CA'] },
      good: [
        ['k1a0b1', 'K1A 0B1', { country: 'CA', prefix: 'K1A', state: 'ON' }],
        ['X0A 0H0', 'X0A 0H0', { country: 'CA', prefix: 'X0A' }],
        ['78701', '78701', { country: 'US', prefix: '787', state: 'TX' }],
      ],
      bad: [
        ['D1A 0B1', 'not_a_postal_code'],
        ['K1A 0BO', 'not_a_postal_code'],
        ['SW1A 1AA', 'not_a_postal_code'],
      ],
    },
    {
      spec: { type: 'zip', countries: ['GB'] },
      good: [
        ['sw1a1aa', 'SW1A 1AA', { country: 'GB', prefix: 'SW1A' }],
        ['M1 1AE', 'M1 1AE', { country: 'GB', prefix: 'M1' }],
        ['EC1A 1BB', 'EC1A 1BB', { country: 'GB', prefix: 'EC1A' }],
        ['GIR 0AA', 'GIR 0AA', { country: 'GB', prefix: 'GIR' }],
      ],
      bad: [
        ['78701', 'not_a_postal_code'],
        ['QQ1 1AA', 'not_a_postal_code'],
        ['SW1A 1CA', 'not_a_postal_code'],
      ],
    },
  ],
}
