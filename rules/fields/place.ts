/** Field types of places: state, zip, city, street, country. */
import type { FieldContext, FieldSpec, FieldType, IssueCode, Reading } from '../fields.ts'
import { lineWith, tidy } from './text.ts'
import { statesOfZip } from './zips.ts'

const STATE_NAMES: readonly (readonly [code: string, name: string])[] = (
  'AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,' +
  'DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,' +
  'KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,' +
  'MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,' +
  'NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,' +
  'SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,VT Vermont,VA Virginia,WA Washington,' +
  'WV West Virginia,WI Wisconsin,WY Wyoming,AS American Samoa,GU Guam,MP Northern Mariana Islands,PR Puerto Rico,' +
  'VI Virgin Islands,FM Micronesia,MH Marshall Islands,PW Palau,AA Armed Forces Americas,AE Armed Forces Europe,' +
  'AP Armed Forces Pacific'
)
  .split(',')
  .map((entry) => [entry.slice(0, 2), entry.slice(3)] as const)

const folded = (text: string): string => tidy(text).toUpperCase().replaceAll('.', '')

const STATES: ReadonlyMap<string, string> = new Map([
  ...STATE_NAMES.map(([code]) => [code, code] as const),
  ...STATE_NAMES.map(([code, name]) => [name.toUpperCase(), code] as const),
  ['WASHINGTON DC', 'DC'],
  ['US VIRGIN ISLANDS', 'VI'],
])

/** USPS code of a name or code in any case. */
function readState(text: string): Reading | IssueCode {
  const code = STATES.get(text) ?? STATES.get(folded(text))
  return code === undefined ? 'not_a_state' : { normal: code }
}

const ZIP = /^(\d{5})(?:[- ]?(\d{4}))?$/

/** Five digits, of a prefix that is in use (a buyer's list may hold retired ones). `state` is the one that the prefix lies in, where it is one. */
function readZip(text: string, _spec: FieldSpec, context: FieldContext): Reading | IssueCode {
  const match = ZIP.exec(text)
  if (!match) return 'not_a_zip'
  const zip = match[1]!
  const states = statesOfZip(zip)
  if (states.length === 0 && context.now !== null) return 'not_a_zip'
  const plus4 = match[2]
  const parts: Record<string, string> = { prefix: zip.slice(0, 3) }
  if (states.length === 1) parts.state = states[0]!
  if (plus4 !== undefined) parts.plus4 = plus4
  return { normal: zip, parts }
}

const COUNTRY_CODES =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA ' +
  'CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA ' +
  'GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP ' +
  'KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS ' +
  'MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS ' +
  'RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW ' +
  'TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW'

const COUNTRIES: ReadonlyMap<string, string> = new Map([
  ...COUNTRY_CODES.split(' ').map((code) => [code, code] as const),
  ['USA', 'US'],
  ['UNITED STATES', 'US'],
  ['UNITED STATES OF AMERICA', 'US'],
  ['AMERICA', 'US'],
  ['CAN', 'CA'],
  ['CANADA', 'CA'],
  ['MEX', 'MX'],
  ['MEXICO', 'MX'],
  ['GBR', 'GB'],
  ['UK', 'GB'],
  ['UNITED KINGDOM', 'GB'],
])

/** ISO 3166 code of two letters; names of the countries that American leads come from. */
function readCountry(text: string): Reading | IssueCode {
  const code = COUNTRIES.get(folded(text))
  return code === undefined ? 'not_a_country' : { normal: code }
}

export const PLACE_TYPES: readonly FieldType[] = [
  {
    name: 'state',
    kind: 'text',
    parts: {},
    maxLength: 40,
    parse: readState,
    good: [
      ['TX', 'TX'],
      ['texas', 'TX'],
      ['  new   york ', 'NY'],
      ['D.C.', 'DC'],
    ],
    bad: [
      ['XX', 'not_a_state'],
      ['Ontario', 'not_a_state'],
    ],
  },
  {
    name: 'zip',
    kind: 'text',
    parts: { prefix: 'text', state: 'text', plus4: 'text' },
    maxLength: 12,
    parse: readZip,
    good: [
      ['78701', '78701', { prefix: '787', state: 'TX' }],
      ['02134-1234', '02134', { prefix: '021', state: 'MA', plus4: '1234' }],
      ['73949', '73949', { prefix: '739' }],
    ],
    bad: [
      ['2134', 'not_a_zip'],
      ['00000', 'not_a_zip'],
      ['78701-12', 'not_a_zip'],
      ['K1A 0B1', 'not_a_zip'],
    ],
  },
  {
    name: 'city',
    kind: 'text',
    anyCase: true,
    parts: {},
    maxLength: 100,
    parse: lineWith(/\p{L}/u, 'not_a_city'),
    good: [
      ['Austin', 'Austin'],
      [' St.  Louis ', 'St. Louis'],
    ],
    bad: [['78701', 'not_a_city']],
  },
  {
    name: 'street',
    kind: 'text',
    anyCase: true,
    parts: {},
    maxLength: 200,
    parse: lineWith(/[\p{L}\p{N}]/u, 'not_an_address'),
    good: [['1100  Congress Ave\nApt 4', '1100 Congress Ave Apt 4']],
    bad: [['--', 'not_an_address']],
  },
  {
    name: 'country',
    kind: 'text',
    parts: {},
    maxLength: 60,
    parse: readCountry,
    good: [
      ['us', 'US'],
      ['U.S.A.', 'US'],
      ['mx', 'MX'],
    ],
    bad: [
      ['ZZ', 'not_a_country'],
      ['Atlantis', 'not_a_country'],
    ],
  },
]
