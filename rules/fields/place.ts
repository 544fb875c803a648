/** Field types of places: state, city, street, country. */
import type { Country, FieldSpec, FieldType, IssueCode, Reading } from '../fields.ts'
import { POSTAL_TYPE } from './postal.ts'
import { lineWith, tidy } from './text.ts'

const AMERICAN_STATES =
  'AL Alabama,AK Alaska,AZ Arizona,AR Arkansas,CA California,CO Colorado,CT Connecticut,DE Delaware,' +
  'DC District of Columbia,FL Florida,GA Georgia,HI Hawaii,ID Idaho,IL Illinois,IN Indiana,IA Iowa,KS Kansas,' +
  'KY Kentucky,LA Louisiana,ME Maine,MD Maryland,MA Massachusetts,MI Michigan,MN Minnesota,MS Mississippi,' +
  'MO Missouri,MT Montana,NE Nebraska,NV Nevada,NH New Hampshire,NJ New Jersey,NM New Mexico,NY New York,' +
  'NC North Carolina,ND North Dakota,OH Ohio,OK Oklahoma,OR Oregon,PA Pennsylvania,RI Rhode Island,' +
  'SC South Carolina,SD South Dakota,TN Tennessee,TX Texas,UT Utah,VT Vermont,VA Virginia,WA Washington,' +
  'WV West Virginia,WI Wisconsin,WY Wyoming,AS American Samoa,GU Guam,MP Northern Mariana Islands,PR Puerto Rico,' +
  'VI Virgin Islands,FM Micronesia,MH Marshall Islands,PW Palau,AA Armed Forces Americas,AE Armed Forces Europe,' +
  'AP Armed Forces Pacific'
const PROVINCES =
  'AB Alberta,BC British Columbia,MB Manitoba,NB New Brunswick,NL Newfoundland and Labrador,NS Nova Scotia,' +
  'NT Northwest Territories,NU Nunavut,ON Ontario,PE Prince Edward Island,QC Quebec,SK Saskatchewan,YT Yukon'
const NATIONS = 'ENG England,NIR Northern Ireland,SCT Scotland,WLS Wales'

const folded = (text: string): string => tidy(text).toUpperCase().replaceAll('.', '')

/** Codes and names, in capitals, of a list like the ones above. */
function codesOf(list: string, more: readonly (readonly [name: string, code: string])[] = []): Map<string, string> {
  const codes = new Map<string, string>(more)
  for (const entry of list.split(',')) {
    const code = entry.slice(0, entry.indexOf(' '))
    codes.set(code, code).set(entry.slice(code.length + 1).toUpperCase(), code)
  }
  return codes
}

const STATES: Readonly<Record<Country, ReadonlyMap<string, string>>> = {
  US: codesOf(AMERICAN_STATES, [
    ['WASHINGTON DC', 'DC'],
    ['US VIRGIN ISLANDS', 'VI'],
  ]),
  CA: codesOf(PROVINCES, [
    ['QUÉBEC', 'QC'],
    ['NEWFOUNDLAND', 'NL'],
    ['YUKON TERRITORY', 'YT'],
  ]),
  GB: codesOf(NATIONS),
}
const AMERICA: readonly Country[] = ['US']

/** The post's code of a state's, province's or nation's name or code in any case. */
function readState(text: string, { countries = AMERICA }: FieldSpec): Reading | IssueCode {
  for (const country of countries) {
    const states = STATES[country]
    const code = states.get(text) ?? states.get(folded(text))
    if (code !== undefined) return { normal: code }
  }
  return 'not_a_state'
}

const COUNTRY_CODES =
  'AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA ' +
  'CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA ' +
  'GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP ' +
  'KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS ' +
  'MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS ' +
  'RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW ' +
  'TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW'

const COUNTRY_NAMES: ReadonlyMap<string, string> = new Map([
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
  const code = COUNTRY_NAMES.get(folded(text))
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
    elsewhere: [
      {
        spec: { type: 'state', countries: ['CA', 'GB'] },
        good: [
          ['Ontario', 'ON'],
          ['québec', 'QC'],
          ['Wales', 'WLS'],
        ],
        bad: [['TX', 'not_a_state']],
      },
    ],
  },
  POSTAL_TYPE,
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
