/** What verticals are made of: the shape of one, and the fields that several have. */
import type { FieldSpec } from '../fields.ts'

export interface VerticalField extends FieldSpec {
  readonly name: string
  readonly required: boolean
  /** May leave in a ping where a contract names it. */
  readonly ping: boolean
  /** Other names under which the field arrives. */
  readonly aliases: readonly string[]
  readonly label: string
  readonly example: string
  /** What stands for the field where it did not come. */
  readonly derive?: Derivation
  /** Raw text that stands for the field where it neither came nor could be derived. */
  readonly default?: string
}

/** A field told by another one, which stands before it: its value, a part of it, or the band that it lies in. */
export interface Derivation {
  readonly from: string
  readonly part: string | null
  /** By ascending lower ends; null: the value itself. A value below all of them tells nothing. */
  readonly bands: readonly { readonly from: number; readonly label: string }[] | null
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

/** What a field says beside its name, type, label and example. */
export type More = Partial<Omit<VerticalField, 'name' | 'type' | 'label' | 'example'>>

export const field = (name: string, type: string, label: string, example: string, more: More = {}): VerticalField => ({
  name,
  type,
  required: false,
  ping: false,
  aliases: [],
  label,
  example,
  ...more,
})
export const REQUIRED = { required: true } as const
export const PING = { ping: true } as const
export const BOTH = { required: true, ping: true } as const

export const FIRST_NAME = field('first_name', 'name', 'First name', 'Jane', {
  ...REQUIRED,
  aliases: ['fname', 'given_name'],
})
export const LAST_NAME = field('last_name', 'name', 'Last name', 'Doe', {
  ...REQUIRED,
  aliases: ['lname', 'surname', 'family_name'],
})
export const PHONE = field('phone', 'phone', 'Phone', '512-234-0199', {
  ...REQUIRED,
  aliases: ['phone_number', 'primary_phone', 'phone1', 'mobile', 'cell', 'home_phone', 'telephone'],
})
export const EMAIL = field('email', 'email', 'Email', 'jane@example.com', {
  ...REQUIRED,
  aliases: ['email_address', 'mail'],
})
export const ADDRESS = field('address', 'street', 'Street address', '1100 Congress Ave', {
  aliases: ['address1', 'street', 'street_address'],
})
export const CITY = field('city', 'city', 'City', 'Austin', { aliases: ['town'] })
export const STATE = field('state', 'state', 'State', 'TX', { ...BOTH, aliases: ['state_code'] })
export const ZIP = field('zip', 'zip', 'ZIP code', '78701', { ...BOTH, aliases: ['zip_code', 'postal_code'] })
export const DOB = field('dob', 'dob', 'Date of birth', '1980-03-02', {
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
  field('consent_at', 'moment', 'When the consumer consented', '2026-03-02T19:58:00Z', {
    ...PING,
    aliases: ['consent_timestamp', 'consent_date', 'tcpa_timestamp', 'opt_in_at', 'opt_in_date'],
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
export const COMMON_FIELDS: readonly VerticalField[] = [...CONSENT, ...TRACKING]

export const OWNERSHIP: More = {
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

export const PEOPLE = [FIRST_NAME, LAST_NAME, PHONE, EMAIL] as const

export const PROJECT_TYPE = field('project_type', 'enum', 'Project', 'install', {
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
})

export const TIME_FRAME = field('time_frame', 'enum', 'Wants to begin', 'within_3_months', {
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
})

export const GENDER = field('gender', 'gender', 'Gender', 'female', { ...PING, aliases: ['sex'] })

export const CREDIT_BAND = field('credit_band', 'enum', 'Credit, as the consumer sees it', 'good', {
  ...PING,
  options: ['excellent', 'good', 'fair', 'poor', 'unknown'],
  synonyms: { bad: 'poor', average: 'fair', very_good: 'good', not_sure: 'unknown' },
  aliases: ['credit', 'credit_rating', 'credit_score_range'],
})

export const MILITARY = field('military', 'boolean', 'Active member of the military, or veteran', 'no', {
  ...PING,
  aliases: ['active_military', 'is_military', 'veteran'],
})
