/** The verticals of health: insurance for people and families, and Medicare. */
import {
  ADDRESS,
  BOTH,
  CITY,
  COMMON_FIELDS,
  DOB,
  field,
  GENDER,
  PEOPLE,
  PING,
  STATE,
  type Vertical,
  type VerticalField,
  ZIP,
} from './shared.ts'

/** Insurers price by age: the date of birth is in every ping. */
const BORN: VerticalField = { ...DOB, ...BOTH }

const HOUSEHOLD: readonly VerticalField[] = [
  field('household_size', 'integer', 'People in the household', '3', {
    ...PING,
    min: 1,
    max: 20,
    aliases: ['family_size', 'people_in_household'],
  }),
  field('income_band', 'range', 'Income of the household in a year, in dollars', '40000-60000', {
    ...PING,
    aliases: ['household_income', 'annual_income', 'income', 'income_range'],
  }),
]

const HEALTH: readonly VerticalField[] = [
  field('tobacco', 'boolean', 'Uses tobacco', 'no', { ...PING, aliases: ['smoker', 'tobacco_use', 'uses_tobacco'] }),
  field('conditions', 'list', 'Conditions that are known', 'asthma', {
    ...PING,
    aliases: ['pre_existing_conditions', 'medical_conditions', 'health_conditions'],
  }),
  field('height_inches', 'integer', 'Height, in inches', '67', { ...PING, min: 20, max: 100, aliases: ['height'] }),
  field('weight_pounds', 'integer', 'Weight, in pounds', '160', { ...PING, min: 20, max: 1000, aliases: ['weight'] }),
]

const INSURED: readonly VerticalField[] = [
  field('currently_insured', 'boolean', 'Has health insurance now', 'no', {
    ...PING,
    aliases: ['insured', 'is_insured', 'has_insurance'],
  }),
  field('current_carrier', 'text', 'Insurer now', 'Example Mutual', {
    ...PING,
    max: 100,
    aliases: ['current_insurer', 'carrier', 'insurance_company'],
  }),
]

export const HEALTH_INSURANCE: Vertical = {
  id: 'health_insurance',
  name: 'Health insurance',
  fields: [
    ...PEOPLE,
    ADDRESS,
    CITY,
    STATE,
    ZIP,
    BORN,
    { ...GENDER, ...BOTH },
    ...HOUSEHOLD,
    ...HEALTH,
    ...INSURED,
    field('coverage', 'enum', 'Who is to be insured', 'individual', {
      ...PING,
      options: ['individual', 'couple', 'family', 'children'],
      synonyms: { single: 'individual', self: 'individual', self_and_spouse: 'couple', child: 'children' },
      aliases: ['coverage_type', 'coverage_for'],
    }),
    field('life_event', 'enum', 'What happened in the last 60 days', 'none', {
      ...PING,
      options: ['none', 'lost_coverage', 'married', 'divorced', 'new_child', 'moved', 'income_changed', 'other'],
      synonyms: {
        no: 'none',
        loss_of_coverage: 'lost_coverage',
        lost_job: 'lost_coverage',
        marriage: 'married',
        divorce: 'divorced',
        birth: 'new_child',
        adoption: 'new_child',
        move: 'moved',
      },
      aliases: ['qualifying_life_event', 'qle'],
    }),
    ...COMMON_FIELDS,
  ],
}

export const MEDICARE: Vertical = {
  id: 'medicare',
  name: 'Medicare',
  fields: [
    ...PEOPLE,
    ADDRESS,
    CITY,
    STATE,
    ZIP,
    BORN,
    GENDER,
    ...HOUSEHOLD,
    ...HEALTH,
    ...INSURED,
    field('has_parts_a_b', 'boolean', 'Has Medicare Part A and Part B', 'yes', {
      ...PING,
      aliases: ['medicare_parts_a_and_b', 'part_a_and_b', 'on_medicare'],
    }),
    field('medicaid', 'boolean', 'Has Medicaid', 'no', { ...PING, aliases: ['has_medicaid', 'dual_eligible'] }),
    field('plan_type', 'enum', 'Plan wanted', 'advantage', {
      ...PING,
      options: ['advantage', 'supplement', 'drugs', 'not_sure'],
      synonyms: {
        medicare_advantage: 'advantage',
        part_c: 'advantage',
        medigap: 'supplement',
        medicare_supplement: 'supplement',
        part_d: 'drugs',
        prescription: 'drugs',
        unknown: 'not_sure',
      },
      aliases: ['plan', 'plan_interest', 'interested_in'],
    }),
    ...COMMON_FIELDS,
  ],
}
