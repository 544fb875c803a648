/** A stream of realistic leads: seeded, consistent in place and phone, with duplicates and bad leads at given rates. */
import { base, en, type Faker, Faker as FakerOf, generateMersenne53Randomizer } from '@faker-js/faker'
import { parsePhoneNumberFromString } from 'libphonenumber-js/max'
import areaCodes from 'us-area-codes/data/codes.json' with { type: 'json' }
import zipcodes from 'zipcodes'
import { VERTICALS, type Vertical } from '../rules/verticals.ts'

export interface LeadStreamOptions {
  /** Equal options give equal leads, for ever: nothing else is random, and no clock is read. */
  readonly seed: number
  /** A vertical's id. */
  readonly vertical: string
  /** Share of leads (0 to 1) that repeat the phone or the email of an earlier good one. */
  readonly duplicateRate?: number
  /** Share of leads (0 to 1) that have one fault. */
  readonly badRate?: number
  /** Named as `consented_sellers` in every lead, where given. */
  readonly sellers?: readonly string[]
}

export type RawLead = Readonly<Record<string, string | boolean>>

export type StreamedLead =
  | { readonly kind: 'good'; readonly lead: RawLead }
  /** `of`: the `lead_ref` of the good lead that it repeats. */
  | { readonly kind: 'duplicate'; readonly lead: RawLead; readonly of: string }
  /** `field` and `code`: the issue that it must raise, and the only one. */
  | { readonly kind: 'bad'; readonly lead: RawLead; readonly field: string; readonly code: string }

/** Earlier good leads that a duplicate may repeat. */
const REMEMBERED = 1000

/** Endless. Good leads never share a phone or an email. Emails are of domains that are reserved for examples. */
export function* leadStream(options: LeadStreamOptions): Generator<StreamedLead, never> {
  const { duplicateRate = 0, badRate = 0 } = options
  const vertical = VERTICALS.get(options.vertical)
  if (!vertical)
    throw new Error(`there is no vertical "${options.vertical}": give one of ${[...VERTICALS.keys()].join(', ')}`)
  const faker = new FakerOf({ locale: [en, base], randomizer: generateMersenne53Randomizer(options.seed) })
  const phones = new Phones(faker)
  const goods: RawLead[] = []
  let goodCount = 0
  for (let n = 0; ; n++) {
    const lead = goodLead(faker, phones, vertical, options, n)
    const dice = faker.number.float()
    if (dice < badRate) {
      yield badLead(faker, vertical, lead)
    } else if (dice < badRate + duplicateRate && goods.length > 0) {
      yield duplicateLead(faker, pick(faker, goods), lead)
    } else {
      goods[goodCount++ % REMEMBERED] = lead
      yield { kind: 'good', lead }
    }
  }
}

interface Place {
  readonly zip: string
  readonly city: string
  readonly state: string
}

/** Area codes in service by state, as far as the numbering plan agrees with the list. */
const AREAS_BY_STATE = areasByState()
/** Every ZIP code of a state that has an area code of its own. */
const PLACES: readonly Place[] = Object.values(zipcodes.codes).filter(
  ({ country, state }) => country === 'US' && AREAS_BY_STATE.has(state),
)

function areasByState(): ReadonlyMap<string, readonly string[]> {
  const areas = new Map<string, string[]>()
  for (const [area, name] of Object.entries(areaCodes)) {
    const state = zipcodes.states.full[name.toUpperCase()]
    const known = parsePhoneNumberFromString(`${area}2340199`, 'US')
    if (state === undefined || known?.country !== 'US' || !known.isValid()) continue
    areas.set(state, [...(areas.get(state) ?? []), area])
  }
  return areas
}

/** Exchanges of subscribers: neither services (N11) nor the one of fiction and directories (555). */
const EXCHANGES = Array.from({ length: 800 }, (_, at) => at + 200).filter((n) => n % 100 !== 11 && n !== 555)
const LINES = EXCHANGES.length * 10_000
/** A prime that does not divide LINES: steps of it visit every line of an area before one comes again. */
const LINE_STEP = 1_299_709

/** Gives every lead a phone of its own, of its state. */
class Phones {
  readonly #faker: Faker
  readonly #next = new Map<string, number>()

  constructor(faker: Faker) {
    this.#faker = faker
  }

  /** Ten digits. */
  of(state: string): string {
    const area = pick(this.#faker, AREAS_BY_STATE.get(state)!)
    const line = this.#next.get(area) ?? this.#faker.number.int(LINES - 1)
    this.#next.set(area, (line + LINE_STEP) % LINES)
    return `${area}${EXCHANGES[Math.floor(line / 10_000)]}${String(line % 10_000).padStart(4, '0')}`
  }
}

const pick = <T>(faker: Faker, from: readonly T[]): T => from[faker.number.int(from.length - 1)]!
const digits = (faker: Faker, length: number): string => faker.string.numeric({ length, allowLeadingZeros: true })

const PHONE_FORMATS: readonly ((digits: string) => string)[] = [
  (d) => `(${d.slice(0, 3)}) ${d.slice(3, 6)}-${d.slice(6)}`,
  (d) => `${d.slice(0, 3)}-${d.slice(3, 6)}-${d.slice(6)}`,
  (d) => `${d.slice(0, 3)}.${d.slice(3, 6)}.${d.slice(6)}`,
  (d) => `+1${d}`,
  (d) => d,
]

const EMAIL_DOMAINS = ['example.com', 'example.net', 'example.org']
const BROWSERS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14.7; rv:140.0) Gecko/20100101 Firefox/140.0',
]
const TCPA_TEXT =
  'By pressing "Get quotes" I agree that the named companies may call and text me at the number above, by automatic means too. Consent is no condition of a purchase.'

function goodLead(faker: Faker, phones: Phones, vertical: Vertical, options: LeadStreamOptions, n: number): RawLead {
  const place = pick(faker, PLACES)
  const first = faker.person.firstName()
  const last = faker.person.lastName()
  const mailbox = `${first}.${last}`.toLowerCase().replace(/[^a-z.]/g, '')
  return {
    lead_ref: `${options.seed.toString(36)}-${n.toString(36)}`,
    first_name: first,
    last_name: last,
    phone: pick(faker, PHONE_FORMATS)(phones.of(place.state)),
    email: `${mailbox}.${options.seed.toString(36)}.${n.toString(36)}@${pick(faker, EMAIL_DOMAINS)}`,
    address: faker.location.streetAddress(),
    city: place.city,
    state: place.state,
    zip: place.zip,
    ...DETAILS[vertical.id]!(faker),
    ...consent(faker),
    ...(options.sellers ? { consented_sellers: options.sellers.join('|') } : {}),
    sub1: `pub-${faker.number.int(40)}`,
    click_id: faker.string.alphanumeric(16),
  }
}

function consent(faker: Faker): RawLead {
  return {
    trustedform_cert_url: `https://cert.trustedform.com/${faker.string.hexadecimal({ length: 40, prefix: '', casing: 'lower' })}`,
    jornaya_leadid: faker.string.uuid().toUpperCase(),
    tcpa_consent: true,
    tcpa_text: TCPA_TEXT,
    landing_page_url: `https://quotes.example.com/${pick(faker, ['start', 'save', 'compare'])}?c=${faker.number.int(999)}`,
    ip_address: `${faker.number.int({ min: 24, max: 99 })}.${faker.number.int(255)}.${faker.number.int(255)}.${faker.number.int(255)}`,
    user_agent: pick(faker, BROWSERS),
  }
}

const MAKES: Readonly<Record<string, readonly string[]>> = {
  Toyota: ['Camry', 'Corolla', 'RAV4'],
  Ford: ['F-150', 'Escape', 'Explorer'],
  Honda: ['Civic', 'Accord', 'CR-V'],
  Chevrolet: ['Silverado', 'Equinox', 'Malibu'],
}

function dateOfBirth(faker: Faker, from: number, to: number): string {
  const { number } = faker
  return `${number.int({ min: 1, max: 12 })}/${number.int({ min: 1, max: 28 })}/${number.int({ min: from, max: to })}`
}

const health = (faker: Faker, bornFrom: number, bornTo: number): RawLead => ({
  dob: dateOfBirth(faker, bornFrom, bornTo),
  gender: pick(faker, ['M', 'F', 'male', 'female']),
  household_size: `${faker.number.int({ min: 1, max: 6 })}`,
  income_band: pick(faker, ['under 20000', '20000-40000', '$40,000 - $60,000', '60000+']),
  tobacco: pick(faker, ['no', 'no', 'no', 'yes']),
  currently_insured: pick(faker, ['yes', 'no']),
})

/** What each vertical asks beside the person, in words as forms send them. */
const DETAILS: Readonly<Record<string, (faker: Faker) => RawLead>> = {
  solar: (faker) => ({
    ownership: pick(faker, ['own', 'own', 'own', 'Owner', 'rent']),
    bill_band: pick(faker, ['under 100', '100-200', '$101-150', '200-300', '301+']),
    roof_shade: pick(faker, ['none', 'some', 'heavy', 'not sure']),
    utility: pick(faker, ['City Light', 'Valley Electric', 'Union Power', 'Coast Energy']),
    project_type: pick(faker, ['install', 'New', 'repair', 'battery']),
    time_frame: pick(faker, ['Immediately', '1-3 months', '3-6 months', 'researching']),
  }),
  auto_insurance: (faker) => {
    const make = pick(faker, Object.keys(MAKES))
    return {
      residence: pick(faker, ['own', 'rent']),
      currently_insured: pick(faker, ['yes', 'yes', 'no']),
      current_carrier: pick(faker, ['Example Mutual', 'Sample Casualty', 'none']),
      birth_year: `${faker.number.int({ min: 1945, max: 2004 })}`,
      gender: pick(faker, ['M', 'F', 'male', 'female', 'X']),
      marital_status: pick(faker, ['single', 'married', 'Divorced']),
      incidents: pick(faker, ['0', '0', '0', '1', '2']),
      vehicle_year: `${faker.number.int({ min: 2004, max: 2025 })}`,
      vehicle_make: make,
      vehicle_model: pick(faker, MAKES[make]!),
    }
  },
  health_insurance: (faker) => ({
    ...health(faker, 1963, 2004),
    coverage: pick(faker, ['individual', 'family', 'Self', 'couple']),
    life_event: pick(faker, ['none', 'none', 'Lost coverage', 'moved']),
  }),
  medicare: (faker) => ({
    ...health(faker, 1932, 1962),
    has_parts_a_b: pick(faker, ['yes', 'yes', 'no']),
    medicaid: pick(faker, ['no', 'no', 'yes']),
    plan_type: pick(faker, ['Medicare Advantage', 'Medigap', 'not sure']),
  }),
  home_services: (faker) => ({
    service: pick(faker, ['roofing', 'Windows', 'HVAC', 'Bathroom remodel', 'gutters', 'walk-in tub']),
    project_type: pick(faker, ['install', 'Replacement', 'repair']),
    ownership: pick(faker, ['own', 'own', 'own', 'Owner', 'rent']),
    property_type: pick(faker, ['single family', 'townhouse', 'condo', 'mobile home']),
    time_frame: pick(faker, ['Immediately', '1-3 months', '3-6 months', 'researching']),
    budget_band: pick(faker, ['under 5000', '5000-10000', '$10,000 - $20,000', '20000+']),
  }),
  mortgage: (faker) => {
    const value = 1000 * faker.number.int({ min: 90, max: 1500 })
    return {
      dob: dateOfBirth(faker, 1945, 2004),
      loan_purpose: pick(faker, ['purchase', 'Refinance', 'cash-out', 'HELOC']),
      property_value: `$${value}`,
      loan_amount: `${Math.round(value * faker.number.float({ min: 0.3, max: 0.95 }))}`,
      credit_band: pick(faker, ['excellent', 'good', 'fair', 'poor']),
      military: pick(faker, ['no', 'no', 'no', 'yes']),
      property_type: pick(faker, ['single family', 'condo', 'townhouse']),
      property_use: pick(faker, ['primary residence', 'primary', 'rental']),
      income_band: pick(faker, ['40000-60000', '60,000 to 80,000', '100000+']),
    }
  },
  legal: (faker) => ({
    case_type: pick(faker, ['Motor vehicle accident', 'mva', 'slip and fall', 'workers comp', 'mass tort']),
    incident_date: `${faker.number.int({ min: 2023, max: 2025 })}-${pick(faker, ['01', '04', '07', '11'])}-15`,
    injured: pick(faker, ['yes', 'yes', 'yes', 'no']),
    injury: pick(faker, ['back or neck', 'whiplash', 'broken bones', 'none']),
    fault: pick(faker, ['no', 'not at fault', 'partly', 'yes']),
    represented: pick(faker, ['no', 'no', 'no', 'yes']),
    treated: pick(faker, ['yes', 'no']),
  }),
  education: (faker) => ({
    degree_level: pick(faker, ["Bachelor's", 'masters', 'certificate', 'associate']),
    program: pick(faker, ['Nursing', 'Business', 'Computer science', 'Criminal justice']),
    highest_education: pick(faker, ['high school', 'GED', 'some college', 'bachelor']),
    grad_year: `${faker.number.int({ min: 1985, max: 2025 })}`,
    start_time_frame: pick(faker, ['Immediately', '1-3 months', '3-6 months']),
    campus: pick(faker, ['online', 'campus', 'either']),
  }),
  personal_loan: (faker) => ({
    dob: dateOfBirth(faker, 1950, 2004),
    amount: pick(faker, ['$1,000', '2500', '5000.00', '12,000', '25000']),
    purpose: pick(faker, ['debt_consolidation', 'medical', 'auto', 'other']),
    income_band: pick(faker, ['2000-3000', '3,000 to 4,000', '4500', '6000+']),
    employer_type: pick(faker, ['employed', 'Full time', 'Self-employed', 'benefits']),
    pay_frequency: pick(faker, ['weekly', 'Bi-weekly', 'twice a month', 'monthly']),
    credit_band: pick(faker, ['excellent', 'good', 'fair', 'poor']),
    ssn: ssnOf(faker),
    bank_routing: '021000021',
    bank_account: digits(faker, 10),
    bank_account_type: pick(faker, ['Checking', 'savings']),
  }),
}

function ssnOf(faker: Faker): string {
  const area = faker.number.int({ min: 100, max: 599 })
  return `${area}-${faker.number.int({ min: 10, max: 99 })}-${faker.number.int({ min: 1000, max: 9999 })}`
}

/** The same person again: the phone in another shape, or the email in capitals; everything else is new. */
function duplicateLead(faker: Faker, original: RawLead, fresh: RawLead): StreamedLead {
  const { first_name, last_name, phone, email, lead_ref } = original as Readonly<Record<string, string>>
  const ten = phone!.replace(/\D/g, '').slice(-10)
  const { state, zip, city } = original
  const repeated: RawLead =
    faker.number.float() < 0.7
      ? { phone: pick(faker, PHONE_FORMATS)(ten), state: state!, zip: zip!, city: city! }
      : { email: email!.toUpperCase() }
  return {
    kind: 'duplicate',
    lead: { ...fresh, first_name: first_name!, last_name: last_name!, ...repeated },
    of: lead_ref!,
  }
}

type Fault = (faker: Faker, lead: RawLead) => readonly [change: Readonly<Record<string, string>>, code: string]

/** One fault each, by the field that it is in. A blank value counts as missing. */
const FAULTS: readonly (readonly [field: string, fault: Fault])[] = [
  ['phone', () => [{ phone: '555' }, 'not_a_number']],
  ['phone', (faker) => [{ phone: `555-555-${digits(faker, 4)}` }, 'not_a_phone']],
  ['phone', () => [{ phone: '' }, 'required']],
  ['email', (_, lead) => [{ email: String(lead.email).replace('@', ' at ') }, 'not_an_email']],
  ['last_name', () => [{ last_name: ' ' }, 'required']],
  ['first_name', (faker) => [{ first_name: digits(faker, 6) }, 'not_a_name']],
  ['state', () => [{ state: 'XX' }, 'not_a_state']],
  ['zip', () => [{ zip: '00000' }, 'not_a_zip']],
  ['zip', (_, lead) => [{ zip: lead.state === 'TX' ? '90210' : '78701' }, 'zip_not_in_state']],
]

function badLead(faker: Faker, vertical: Vertical, lead: RawLead): StreamedLead {
  const choices = vertical.fields.filter((one) => one.required && one.type === 'enum')
  const at = faker.number.int(FAULTS.length - 1 + (choices.length > 0 ? 1 : 0))
  const [field, fault] = FAULTS[at] ?? notAnOption(pick(faker, choices).name)
  const [change, code] = fault(faker, lead)
  return { kind: 'bad', lead: { ...lead, ...change }, field, code }
}

const notAnOption = (field: string): readonly [field: string, fault: Fault] => [
  field,
  () => [{ [field]: 'no such word' }, 'not_an_option'],
]
