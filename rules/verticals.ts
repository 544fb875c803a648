/** The verticals as data: which fields a lead of each has, which are required, which a ping may show. */
import type { FieldSpec } from './fields.ts'

export interface VerticalField extends FieldSpec {
  readonly name: string
  readonly required: boolean
  /** May leave in a ping where a contract names it. */
  readonly ping: boolean
  /** Other names under which the field arrives. */
  readonly aliases: readonly string[]
  readonly label: string
  readonly example: string
}

export interface Vertical {
  readonly id: string
  readonly name: string
  readonly fields: readonly VerticalField[]
}

/** What the source sends for itself: kept apart from the lead's values (`Lead.leadRef`, `Lead.subs`). */
export const TRACKING_FIELDS: ReadonlySet<string> = new Set([
  'lead_ref',
  'click_id',
  'sub1',
  'sub2',
  'sub3',
  'sub4',
  'sub5',
])

type More = Partial<Omit<VerticalField, 'name' | 'type' | 'label' | 'example'>>

const field = (name: string, type: string, label: string, example: string, more: More = {}): VerticalField => ({
  name,
  type,
  required: false,
  ping: false,
  aliases: [],
  label,
  example,
  ...more,
})
const REQUIRED = { required: true } as const
const PING = { ping: true } as const
const BOTH = { required: true, ping: true } as const

const FIRST_NAME = field('first_name', 'name', 'First name', 'Jane', { ...REQUIRED, aliases: ['fname', 'given_name'] })
const LAST_NAME = field('last_name', 'name', 'Last name', 'Doe', {
  ...REQUIRED,
  aliases: ['lname', 'surname', 'family_name'],
})
const PHONE = field('phone', 'phone', 'Phone', '512-234-0199', {
  ...REQUIRED,
  aliases: ['phone_number', 'primary_phone', 'phone1', 'mobile', 'cell', 'home_phone', 'telephone'],
})
const EMAIL = field('email', 'email', 'Email', 'jane@example.com', { ...REQUIRED, aliases: ['email_address', 'mail'] })
const ADDRESS = field('address', 'street', 'Street address', '1100 Congress Ave', {
  aliases: ['address1', 'street', 'street_address'],
})
const CITY = field('city', 'city', 'City', 'Austin', { aliases: ['town'] })
const STATE = field('state', 'state', 'State', 'TX', { ...BOTH, aliases: ['state_code'] })
const ZIP = field('zip', 'zip', 'ZIP code', '78701', { ...BOTH, aliases: ['zip_code', 'postal_code'] })
const DOB = field('dob', 'dob', 'Date of birth', '1980-03-02', {
  aliases: ['date_of_birth', 'birth_date', 'birthday'],
})

const CONSENT: readonly VerticalField[] = [
  field(
    'trustedform_cert_url',
    'trustedform',
    'TrustedForm certificate',
    `https://cert.trustedform.com/${'0a1b'.repeat(10)}`,
    {
      ...PING,
      aliases: ['xxtrustedformcerturl', 'trustedform_url', 'trustedform'],
    },
  ),
  field('jornaya_leadid', 'jornaya', 'Jornaya LeadiD', '01234567-89AB-CDEF-0123-456789ABCDEF', {
    ...PING,
    aliases: ['leadid_token', 'universal_leadid', 'jornaya_id'],
  }),
  field('tcpa_consent', 'boolean', 'Consent to be called', 'yes', { ...PING, aliases: ['tcpa', 'tcpa_opt_in'] }),
  field('tcpa_text', 'consent_text', 'Wording of the consent', 'By pressing Get quotes I agree to be called.', {
    ...PING,
    aliases: ['tcpa_language', 'tcpa_disclosure', 'consent_text', 'consent_language'],
  }),
  field('landing_page_url', 'url', 'Page of the form', 'https://example.com/quote', {
    ...PING,
    aliases: ['landing_page', 'original_url', 'source_url', 'page_url', 'landing_url'],
  }),
  field('ip_address', 'ip', 'IP address of the consumer', '203.0.113.9', { ...PING, aliases: ['ip', 'user_ip'] }),
  field('user_agent', 'user_agent', 'Browser of the consumer', 'Mozilla/5.0', { ...PING, aliases: ['ua'] }),
  field('consented_sellers', 'list', 'Sellers that the consumer named', 'Acme Solar LLC', {
    ...PING,
    aliases: ['consented_seller', 'consent_sellers', 'marketing_partners'],
  }),
]

const TRACKING: readonly VerticalField[] = [
  field('lead_ref', 'text', "The source's own id of the lead", 'S-1', { max: 200 }),
  field('click_id', 'text', "The source's click", 'c-77', { ...PING, max: 200 }),
  ...[1, 2, 3, 4, 5].map((n) =>
    field(`sub${n}`, 'text', `The source's sub-id ${n}`, 'summer', {
      ...PING,
      max: 200,
      aliases: [`subid${n}`, `s${n}`, ...(n === 1 ? ['subid'] : [])],
    }),
  ),
]

/** What every vertical has beside its own fields. */
const COMMON_FIELDS: readonly VerticalField[] = [...CONSENT, ...TRACKING]

const OWNERSHIP: More = {
  options: ['own', 'rent', 'other'],
  synonyms: {
    owner: 'own',
    owned: 'own',
    owns: 'own',
    home_owner: 'own',
    homeowner: 'own',
    renter: 'rent',
    renting: 'rent',
    rented: 'rent',
    rents: 'rent',
    tenant: 'rent',
    live_with_parents: 'other',
    yes: 'own',
    y: 'own',
    true: 'own',
    '1': 'own',
    no: 'rent',
    n: 'rent',
    false: 'rent',
    '0': 'rent',
  },
}

const SOLAR: Vertical = {
  id: 'solar',
  name: 'Solar',
  fields: [
    FIRST_NAME,
    LAST_NAME,
    PHONE,
    EMAIL,
    ADDRESS,
    CITY,
    STATE,
    ZIP,
    field('ownership', 'enum', 'Owns or rents the home', 'own', {
      ...BOTH,
      ...OWNERSHIP,
      aliases: ['home_ownership', 'homeowner', 'own_rent', 'own_home', 'property_ownership'],
    }),
    field('bill_band', 'range', 'Monthly electric bill, in dollars', '100-200', {
      ...PING,
      aliases: ['electric_bill', 'monthly_bill', 'monthly_electric_bill', 'bill'],
    }),
    field('roof_shade', 'enum', 'Shade on the roof', 'none', {
      ...PING,
      options: ['none', 'some', 'heavy', 'uncertain'],
      synonyms: {
        no_shade: 'none',
        full_sun: 'none',
        no: 'none',
        partial: 'some',
        partial_shade: 'some',
        a_little: 'some',
        little_shade: 'some',
        some_shade: 'some',
        full: 'heavy',
        full_shade: 'heavy',
        mostly_shaded: 'heavy',
        a_lot: 'heavy',
        unknown: 'uncertain',
        not_sure: 'uncertain',
      },
      aliases: ['shade', 'shading', 'roof_shading'],
    }),
    field('utility', 'text', 'Electric utility', 'Austin Energy', {
      ...PING,
      max: 100,
      aliases: ['utility_provider', 'electric_utility', 'utility_company', 'electric_provider'],
    }),
    field('project_type', 'enum', 'Project', 'install', {
      ...PING,
      options: ['install', 'replace', 'repair', 'battery'],
      synonyms: {
        new: 'install',
        new_install: 'install',
        installation: 'install',
        replacement: 'replace',
        storage: 'battery',
      },
      aliases: ['project'],
    }),
    field('time_frame', 'enum', 'Wants to begin', 'within_3_months', {
      ...PING,
      options: ['now', 'within_3_months', 'within_6_months', 'within_12_months', 'researching'],
      synonyms: {
        immediately: 'now',
        asap: 'now',
        '1_3_months': 'within_3_months',
        '1_to_3_months': 'within_3_months',
        '3_6_months': 'within_6_months',
        '3_to_6_months': 'within_6_months',
        '6_12_months': 'within_12_months',
        '6_to_12_months': 'within_12_months',
        just_looking: 'researching',
        not_sure: 'researching',
      },
      aliases: ['project_time_frame', 'purchase_time_frame'],
    }),
    ...COMMON_FIELDS,
  ],
}

const vehicle = (n: number, required: boolean): readonly VerticalField[] => {
  const first = n === 1
  const named = (part: string) => (first ? `vehicle_${part}` : `vehicle${n}_${part}`)
  const also = (part: string) => (first ? [`vehicle1_${part}`, part] : [])
  const need = { ping: true, required }
  return [
    field(named('year'), 'year', `Year of vehicle ${n}`, '2019', { ...need, aliases: also('year'), max: 2100 }),
    field(named('make'), 'text', `Make of vehicle ${n}`, 'Toyota', { ...need, aliases: also('make'), max: 50 }),
    field(named('model'), 'text', `Model of vehicle ${n}`, 'Camry', { ...need, aliases: also('model'), max: 80 }),
    field(named('vin'), 'vin', `VIN of vehicle ${n}`, '1M8GDM9AXKP042788', { aliases: also('vin') }),
  ]
}

const AUTO_INSURANCE: Vertical = {
  id: 'auto_insurance',
  name: 'Auto insurance',
  fields: [
    FIRST_NAME,
    LAST_NAME,
    PHONE,
    EMAIL,
    ADDRESS,
    CITY,
    { ...STATE, required: false },
    ZIP,
    field('residence', 'enum', 'Owns or rents the home', 'own', {
      ...PING,
      ...OWNERSHIP,
      aliases: ['residence_type', 'home_ownership', 'homeowner', 'ownership', 'residence_status'],
    }),
    field('currently_insured', 'boolean', 'Has auto insurance now', 'yes', {
      ...BOTH,
      aliases: ['insured', 'is_insured', 'has_insurance'],
    }),
    field('current_carrier', 'text', 'Insurer now', 'Example Mutual', {
      ...PING,
      max: 100,
      aliases: ['current_insurer', 'carrier', 'insurance_company'],
    }),
    field('continuous_months', 'integer', 'Months insured without a break', '24', {
      ...PING,
      min: 0,
      max: 1200,
      aliases: ['months_insured', 'continuously_insured_months'],
    }),
    { ...DOB, min: 15 },
    field('birth_year', 'birth_year', "Driver's year of birth", '1980', {
      ...BOTH,
      min: 15,
      aliases: ['driver_birth_year', 'year_of_birth'],
    }),
    field('gender', 'gender', "Driver's gender", 'female', { ...PING, aliases: ['sex', 'driver_gender'] }),
    field('marital_status', 'enum', "Driver's marital status", 'married', {
      ...PING,
      options: ['single', 'married', 'divorced', 'widowed', 'separated', 'domestic_partner'],
      aliases: ['marital'],
    }),
    field('sr22', 'boolean', 'Needs an SR-22', 'no', { ...PING, aliases: ['needs_sr22'] }),
    field('incidents', 'integer', 'Accidents, tickets and claims in three years', '0', {
      ...PING,
      min: 0,
      max: 99,
      aliases: ['incident_count', 'violations'],
    }),
    ...vehicle(1, true),
    ...vehicle(2, false),
    ...COMMON_FIELDS,
  ],
}

const PERSONAL_LOAN: Vertical = {
  id: 'personal_loan',
  name: 'Personal loan',
  fields: [
    FIRST_NAME,
    LAST_NAME,
    PHONE,
    EMAIL,
    ADDRESS,
    CITY,
    STATE,
    { ...ZIP, ping: false },
    { ...DOB, ...REQUIRED, min: 18 },
    field('amount', 'money', 'Amount wanted, in dollars', '5000.00', {
      ...BOTH,
      min: 100,
      max: 1_000_000,
      aliases: ['loan_amount', 'requested_amount', 'amount_requested'],
    }),
    field('purpose', 'enum', 'Purpose', 'debt_consolidation', {
      ...PING,
      options: ['debt_consolidation', 'home_improvement', 'medical', 'auto', 'business', 'moving', 'other'],
      synonyms: { consolidation: 'debt_consolidation', home: 'home_improvement', car: 'auto' },
      aliases: ['loan_purpose', 'loan_reason'],
    }),
    field('income_band', 'range', 'Monthly income, in dollars', '3000-4000', {
      ...BOTH,
      aliases: ['monthly_income', 'income', 'net_monthly_income', 'income_range'],
    }),
    field('employer_type', 'enum', 'Kind of income', 'employed', {
      ...BOTH,
      options: ['employed', 'self_employed', 'benefits', 'retired', 'military', 'unemployed', 'other'],
      synonyms: {
        full_time: 'employed',
        part_time: 'employed',
        job: 'employed',
        job_income: 'employed',
        employment: 'employed',
        pension: 'retired',
        social_security: 'benefits',
        disability: 'benefits',
      },
      aliases: ['employment_type', 'employment_status', 'income_type', 'income_source'],
    }),
    field('pay_frequency', 'enum', 'Is paid', 'every_two_weeks', {
      ...BOTH,
      options: ['weekly', 'every_two_weeks', 'twice_a_month', 'monthly'],
      synonyms: {
        biweekly: 'every_two_weeks',
        bi_weekly: 'every_two_weeks',
        fortnightly: 'every_two_weeks',
        semimonthly: 'twice_a_month',
        semi_monthly: 'twice_a_month',
        twice_monthly: 'twice_a_month',
      },
      aliases: ['pay_period', 'paid', 'payment_frequency'],
    }),
    field('credit_band', 'enum', 'Credit, as the consumer sees it', 'good', {
      ...PING,
      options: ['excellent', 'good', 'fair', 'poor', 'unknown'],
      synonyms: { bad: 'poor', average: 'fair', very_good: 'good', not_sure: 'unknown' },
      aliases: ['credit', 'credit_rating', 'credit_score_range'],
    }),
    field('military', 'boolean', 'Active member of the military', 'no', {
      ...PING,
      aliases: ['active_military', 'is_military'],
    }),
    field('direct_deposit', 'boolean', 'Is paid by direct deposit', 'yes', {
      ...PING,
      aliases: ['has_direct_deposit'],
    }),
    field('next_pay_date', 'date', 'Next pay day', '2026-03-13', { aliases: ['next_payday', 'pay_date1'] }),
    field('employer_name', 'text', 'Employer', 'Example Works', { max: 100, aliases: ['employer', 'company_name'] }),
    field('residence', 'enum', 'Owns or rents the home', 'rent', {
      ...OWNERSHIP,
      aliases: ['residence_type', 'home_ownership', 'homeowner', 'ownership'],
    }),
    field('ssn', 'ssn', 'Social security number', '123-45-6789', {
      aliases: ['social_security_number', 'social_security', 'social'],
    }),
    field('bank_routing', 'bank_routing', 'Bank routing number', '021000021', {
      aliases: ['routing_number', 'bank_aba', 'aba', 'routing'],
    }),
    field('bank_account', 'bank_account', 'Bank account number', '00123456789', {
      aliases: ['account_number', 'bank_account_number'],
    }),
    field('bank_account_type', 'enum', 'Kind of bank account', 'checking', {
      options: ['checking', 'savings'],
      synonyms: { saving: 'savings', check: 'checking' },
      aliases: ['account_type'],
    }),
    ...COMMON_FIELDS,
  ],
}

export const VERTICALS: ReadonlyMap<string, Vertical> = new Map(
  [SOLAR, AUTO_INSURANCE, PERSONAL_LOAN].map((vertical) => [vertical.id, vertical]),
)
