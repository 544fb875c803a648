/** A campaign's own fields: what it adds, requires, renames, defaults and derives, down to the lead and the filter. */
import { describe, expect, test } from 'vitest'
import { campaignVertical, type FieldsFile } from '../rules/configuration/campaign-fields.ts'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { compileCondition } from '../rules/filter.ts'
import { fieldOf, type LeadParse, parseLead } from '../rules/lead.ts'
import { VERTICALS, type Vertical } from '../rules/verticals.ts'

function extended(file: FieldsFile, vertical = 'solar'): Vertical {
  const faults: string[] = []
  const fault = (path: string, message: string) => void faults.push(`${path}: ${message}`)
  const made = campaignVertical(VERTICALS.get(vertical)!, file, { fault, hint: () => '' })
  expect(faults).toEqual([])
  return made
}

const EXAMPLE: Readonly<Record<string, string>> = {
  first_name: 'Jane',
  last_name: 'Doe',
  phone: '(512) 555-0123',
  email: 'jane@example.com',
  state: 'TX',
  zip: '78701',
  ownership: 'own',
}
const AUTO = { currently_insured: 'yes', vehicle_year: '2019', vehicle_make: 'Toyota', vehicle_model: 'Camry' }

const read = (vertical: Vertical, raw: Record<string, unknown> = {}): LeadParse =>
  parseLead(vertical, { ...EXAMPLE, ...raw }, EXAMPLE_NOW)

function fieldIn(vertical: Vertical, name: string, raw: Record<string, unknown> = {}) {
  const parsed = read(vertical, raw)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return fieldOf(parsed.lead, name)
}

const issuesOf = (parsed: LeadParse) => (parsed.ok ? [] : parsed.issues.map(({ field, code }) => `${field} ${code}`))

test('without fields of its own a campaign has those of its vertical', () => {
  expect(extended({})).toBe(VERTICALS.get('solar'))
})

describe('an added field', () => {
  const vertical = extended({
    fields: {
      credit_score: { type: 'integer', min: 300, max: 850, required: true, ping: true, aliases: ['fico'] },
      heating: { type: 'enum', options: ['gas', 'oil', 'heat_pump'], synonyms: { 'Natural gas': 'gas' } },
    },
  })

  test('is read, by any of its names, and its faults are issues', () => {
    expect(fieldIn(vertical, 'credit_score', { FICO: '720' })).toBe(720)
    expect(issuesOf(read(vertical))).toEqual(['credit_score required'])
    expect(issuesOf(read(vertical, { credit_score: '900', heating: 'coal' }))).toEqual([
      'credit_score too_large',
      'heating not_an_option',
    ])
    expect(fieldIn(vertical, 'heating', { credit_score: 700, heating: 'natural gas' })).toBe('gas')
  })

  test('may be filtered by', () => {
    const compiled = compileCondition({ credit_score: { min: 680 }, heating: { not: ['oil'] } }, vertical)
    const parsed = read(vertical, { credit_score: 679 })
    expect('condition' in compiled && parsed.ok && compiled.condition.fallsOn(parsed.lead, 'web')).toBe('credit_score')
  })

  test('has a label and an example for the posting instructions', () => {
    const heating = vertical.fields.find(({ name }) => name === 'heating')!
    expect([heating.label, heating.example]).toEqual(['heating', 'gas'])
  })
})

test('a field of the vertical may be required, or no longer be', () => {
  const vertical = extended({
    fields: { utility: { required: true }, email: { required: false }, sub1: { required: true } },
  })
  expect(issuesOf(read(vertical, { email: '' }))).toEqual(['utility required', 'sub1 required'])
})

test('a renamed field is known by its old name too', () => {
  const vertical = extended({ fields: { roof_shade: { rename: 'shade_level' } } })
  expect(fieldIn(vertical, 'shade_level', { shade_level: 'none' })).toBe('none')
  expect(fieldIn(vertical, 'shade_level', { roof_shade: 'none' })).toBe('none')
  expect(fieldIn(vertical, 'shade_level', { shade: 'none' })).toBe('none')
  expect(fieldIn(vertical, 'roof_shade', { shade_level: 'none' })).toBe(null)
})

test('new options take the place of the old ones, whose synonyms stay where they lead somewhere', () => {
  const vertical = extended({ fields: { ownership: { options: ['own', 'lease'], synonyms: { rented: 'lease' } } } })
  expect(fieldIn(vertical, 'ownership', { ownership: 'Homeowner' })).toBe('own')
  expect(fieldIn(vertical, 'ownership', { ownership: 'rented' })).toBe('lease')
  expect(issuesOf(read(vertical, { ownership: 'tenant' }))).toEqual(['ownership not_an_option'])
})

describe('what stands for a field that did not come', () => {
  test('a default, which also meets what is required', () => {
    const vertical = extended({ fields: { utility: { default: 'Unknown Power', required: true } } })
    expect(fieldIn(vertical, 'utility')).toBe('Unknown Power')
    expect(fieldIn(vertical, 'utility', { utility: 'Austin Energy' })).toBe('Austin Energy')
  })

  test('a part of another field', () => {
    const vertical = extended(
      {
        fields: { birth_year: { derive: { from: 'dob.year' } }, age: { type: 'integer', derive: { from: 'dob.age' } } },
      },
      'auto_insurance',
    )
    expect(fieldIn(vertical, 'birth_year', { ...AUTO, dob: '1980-03-02' })).toBe(1980)
    expect(fieldIn(vertical, 'age', { ...AUTO, dob: '1980-03-02' })).toBe(46)
    expect(fieldIn(vertical, 'birth_year', { ...AUTO, dob: '1980-03-02', birth_year: '1981' })).toBe(1981)
    expect(issuesOf(read(vertical, AUTO))).toEqual(['birth_year required'])
  })

  test('the state that the zip lies in', () => {
    const vertical = extended({ fields: { state: { derive: { from: 'zip.state' } } } })
    expect(fieldIn(vertical, 'state', { state: '' })).toBe('TX')
    expect(issuesOf(read(vertical, { state: '', zip: '73949' }))).toEqual(['state required'])
    expect(issuesOf(read(vertical, { state: 'CA' }))).toEqual(['zip zip_not_in_state'])
  })

  test('a band that a number lies in', () => {
    const vertical = extended({
      fields: {
        monthly_bill_exact: { type: 'money', aliases: ['bill_amount'] },
        bill_band: { derive: { from: 'monthly_bill_exact', bands: [100, 200, 300] } },
      },
    })
    const band = (bill_amount: string) => fieldIn(vertical, 'bill_band', { bill_amount })
    expect(['0', '99.99', '100', '250.50', '300', '9000'].map(band)).toEqual([
      '0-100',
      '0-100',
      '100-200',
      '200-300',
      '300+',
      '300+',
    ])
    expect(fieldIn(vertical, 'bill_band', { bill_amount: '150', bill_band: '300+' })).toBe('300+')
  })

  test('a word for a band, and none below the lowest', () => {
    const vertical = extended({
      fields: {
        fico: { type: 'integer' },
        credit: {
          type: 'enum',
          options: ['good', 'fair', 'poor'],
          derive: { from: 'fico', bands: { good: 660, fair: 600, poor: 300 } },
        },
      },
    })
    const credit = (fico: string) => fieldIn(vertical, 'credit', { fico })
    expect(['850', '660', '659', '599', '299'].map(credit)).toEqual(['good', 'good', 'fair', 'poor', null])
  })

  test('a derived value obeys the field like any other', () => {
    const vertical = extended(
      { fields: { age: { type: 'integer', min: 21, derive: { from: 'dob.age' } } } },
      'auto_insurance',
    )
    expect(issuesOf(read(vertical, { ...AUTO, birth_year: '2007', dob: '2007-01-01' }))).toEqual(['age too_small'])
  })
})

describe('countries', () => {
  test('of a Canadian campaign', () => {
    const vertical = extended({ countries: ['CA'] })
    const home = { state: 'ON', zip: 'k1a 0b1', phone: '613 234 0199' }
    expect(fieldIn(vertical, 'zip', home)).toBe('K1A 0B1')
    expect(issuesOf(read(vertical, { ...home, state: 'QC' }))).toEqual(['zip zip_not_in_state'])
    expect(issuesOf(read(vertical, { ...home, phone: '512 234 0199', zip: '78701', state: 'TX' }))).toEqual([
      'phone not_in_country',
      'state not_a_state',
      'zip not_a_postal_code',
    ])
  })

  test('of one in the United Kingdom, where nobody asks for a state', () => {
    const vertical = extended({ countries: ['UK'], fields: { state: { required: false } } })
    const home = { state: '', zip: 'sw1a1aa', phone: '020 7946 0018' }
    expect(fieldIn(vertical, 'phone', home)).toBe('+442079460018')
    expect(fieldIn(vertical, 'zip', home)).toBe('SW1A 1AA')
  })

  test('are read by filters too', () => {
    const vertical = extended({ countries: ['US', 'CA'] })
    const compiled = compileCondition({ zip: { within: { km: 30, of: 'K1A 0B1' } }, 'zip.country': 'CA' }, vertical)
    const parsed = read(vertical, { state: 'ON', zip: 'K1P 1J1', phone: '613 234 0199' })
    expect('condition' in compiled && parsed.ok && compiled.condition.fallsOn(parsed.lead, 'web')).toBe(null)
  })
})
