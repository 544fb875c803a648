/** The vertical of car insurance. */
import {
  ADDRESS,
  BOTH,
  CITY,
  COMMON_FIELDS,
  DOB,
  field,
  OWNERSHIP,
  PEOPLE,
  PING,
  STATE,
  type Vertical,
  type VerticalField,
  ZIP,
} from './shared.ts'

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

export const AUTO_INSURANCE: Vertical = {
  id: 'auto_insurance',
  name: 'Auto insurance',
  fields: [
    ...PEOPLE,
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
