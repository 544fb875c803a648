/** Filters: what passes, on which field the rest falls, and what an operator hears of a filter that cannot be meant. */
import { describe, expect, test } from 'vitest'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { compileFilter, type Filter } from '../rules/filter.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { VERTICALS } from '../rules/verticals.ts'

const example = (vertical: string) =>
  Object.fromEntries(VERTICALS.get(vertical)!.fields.map(({ name, example }) => [name, example]))

function leadOf(vertical: string, raw: Record<string, unknown> = {}): Lead {
  const parsed = parseLead(VERTICALS.get(vertical)!, { ...example(vertical), ...raw }, EXAMPLE_NOW)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

function filterOf(config: unknown, vertical: string): Filter {
  const compiled = compileFilter(config, VERTICALS.get(vertical)!)
  if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults))
  return compiled.filter
}

const fallsOn = (config: unknown, vertical: string, raw: Record<string, unknown> = {}) =>
  filterOf(config, vertical).fallsOn(leadOf(vertical, raw))

function faultsOf(config: unknown, vertical = 'solar'): string[] {
  const compiled = compileFilter(config, VERTICALS.get(vertical)!, 'contracts.acme.filter')
  return 'faults' in compiled ? compiled.faults.map(({ path, message }) => `${path}: ${message}`) : []
}

describe('a filter passes a lead that meets every condition', () => {
  test.each([
    [{}, null],
    [{ state: ['CA', 'TX'] }, null],
    [{ state: 'Texas', ownership: 'Homeowner' }, null],
    [{ state: ['CA', 'NY'] }, 'state'],
    [{ zip: [78701, '90210'] }, null],
    [{ zip: ['78702'] }, 'zip'],
    [{ ownership: 'rent', state: 'CA' }, 'ownership'],
    [{ state: { not: ['CA', 'NY'] } }, null],
    [{ state: { not: 'tx' } }, 'state'],
    [{ 'phone.area': ['512', 737] }, null],
    [{ 'phone.area': '213' }, 'phone.area'],
    [{ 'email.domain': 'example.com' }, null],
    [{ city: ['AUSTIN'] }, null],
    [{ utility: 'austin energy' }, null],
    [{ tcpa_consent: true }, null],
    [{ tcpa_consent: 'no' }, 'tcpa_consent'],
    [{ bill_band: { min: 100 } }, null],
    [{ bill_band: { min: 101 } }, 'bill_band'],
    [{ bill_band: { min: 50, max: 199 } }, 'bill_band'],
    [{ bill_band: '$100 - $200' }, null],
    [{ sub1: ['summer', 'winter'] }, null],
    [{ sub1: { not: 'summer' } }, 'sub1'],
    [{ lead_ref: 'S-1' }, null],
  ])('%j: %j', (config, fell) => {
    expect(fallsOn(config, 'solar')).toBe(fell)
  })

  test.each([
    [{ age: { min: 25, max: 70 } }, null],
    [{ age: { min: 47 } }, 'age'],
    [{ 'birth_year.age': { max: 45 } }, 'birth_year.age'],
    [{ birth_year: { min: 1970, max: 1980 } }, null],
    [{ dob: { min: '1980-03-03' } }, 'dob'],
    [{ dob: { max: '3/2/1980' } }, null],
    [{ gender: 'F' }, null],
    [{ currently_insured: true, incidents: { max: 0 } }, null],
    [{ continuous_months: { min: 12, not: 24 } }, 'continuous_months'],
  ])('of auto insurance %j: %j', (config, fell) => {
    expect(fallsOn(config, 'auto_insurance')).toBe(fell)
  })

  test.each([
    [{ amount: { min: 5000, max: '5000.00' } }, null],
    [{ amount: { min: '5000.01' } }, 'amount'],
    [{ amount: [1000, 5000] }, null],
    [{ next_pay_date: { min: '2026-03-01', max: '2026-03-31' } }, null],
  ])('of personal loans %j: %j', (config, fell) => {
    expect(fallsOn(config, 'personal_loan')).toBe(fell)
  })

  test('an age comes from the birth date where the lead has one, else from the year', () => {
    const filter = filterOf({ age: { min: 46 } }, 'auto_insurance')
    expect(filter.fallsOn(leadOf('auto_insurance', { dob: '' }))).toBe(null)
    expect(filter.fallsOn(leadOf('auto_insurance', { dob: '1980-12-31' }))).toBe('age')
  })

  test('an open band has no upper end', () => {
    expect(fallsOn({ bill_band: { max: 10_000 } }, 'solar', { bill_band: '300+' })).toBe('bill_band')
    expect(fallsOn({ bill_band: { min: 300 } }, 'solar', { bill_band: '300+' })).toBe(null)
  })

  test('a lead without the field falls, but not on a `not`', () => {
    expect(fallsOn({ city: ['Austin'] }, 'solar', { city: '' })).toBe('city')
    expect(fallsOn({ bill_band: { min: 1 } }, 'solar', { bill_band: '' })).toBe('bill_band')
    expect(fallsOn({ city: { not: ['Austin'] } }, 'solar', { city: '' })).toBe(null)
  })

  test('a list of 50,000 zips is one look-up', () => {
    const zips = Array.from({ length: 50_000 }, (_, n) => String(10_000 + n))
    const filter = filterOf({ zip: zips }, 'solar')
    expect(filter.fallsOn(leadOf('solar', { zip: '10001', state: 'NY' }))).toBe(null)
    expect(filter.fallsOn(leadOf('solar'))).toBe('zip')
  })
})

describe('faults, each with its path and what to do', () => {
  test('all of them at once', () => {
    expect(faultsOf({ stat: ['TX'], zip: [2134], state: ['TX', 'XX'], bill_band: { mn: 3 } })).toEqual([
      'contracts.acme.filter.stat: the vertical solar has no field "stat". Did you mean "state"?',
      'contracts.acme.filter.zip[0]: 2134 is no value that "zip" can have. Quote codes that begin with 0: "02134".',
      'contracts.acme.filter.state[1]: "XX" is no value that "state" can have.',
      'contracts.acme.filter.bill_band.mn: is no condition: use min, max or not.',
    ])
  })

  test.each([
    [['TX'], 'contracts.acme.filter: must be a map of fields to conditions, such as {state: [CA, TX]}.'],
    [
      { state: [] },
      'contracts.acme.filter.state: is an empty list, which no lead is in: remove the field or name values.',
    ],
    [{ state: null }, 'contracts.acme.filter.state: null is no value that "state" can have.'],
    [{ state: {} }, 'contracts.acme.filter.state: says nothing: give a value, a list, min, max or not.'],
    [
      { state: { min: 5 } },
      'contracts.acme.filter.state.min: of "state": a range needs a number, an amount or a date.',
    ],
    [{ bill_band: { min: 'low' } }, 'contracts.acme.filter.bill_band.min: of "bill_band": must be a number.'],
    [
      { bill_band: { min: 5, max: 2 } },
      'contracts.acme.filter.bill_band: min 5 is over max 2, so no lead passes: change one of them.',
    ],
    [
      { zip_code: '78701' },
      'contracts.acme.filter.zip_code: the vertical solar calls "zip_code" by the name zip: write that.',
    ],
    [
      { 'phone.carrier': 'x' },
      'contracts.acme.filter.phone.carrier: "phone" has no part "carrier": it has country, area, ext, line.',
    ],
    [{ 'state.name': 'x' }, 'contracts.acme.filter.state.name: "state" has no part "name": it has no parts.'],
    [
      { ownership: ['own', 'castle'] },
      'contracts.acme.filter.ownership[1]: "castle" is no value that "ownership" can have.',
    ],
    [
      { consented_sellers: 'Acme' },
      'contracts.acme.filter.consented_sellers: "consented_sellers" holds several values, which no filter compares.',
    ],
  ])('%j', (config, fault) => {
    expect(faultsOf(config)).toEqual([fault])
  })

  test('age is no field of solar, and its values are numbers elsewhere', () => {
    expect(faultsOf({ age: { min: 25 } })).toEqual([
      expect.stringMatching(/^contracts\.acme\.filter\.age: the vertical solar has no field "age"\./),
    ])
    expect(faultsOf({ age: { min: '25' } }, 'auto_insurance')).toEqual([
      'contracts.acme.filter.age.min: of "age": must be a number.',
    ])
  })

  test('of a long list ten are shown and the rest counted', () => {
    const faults = faultsOf({ zip: Array.from({ length: 5000 }, () => 'nowhere') })
    expect(faults.length).toBe(11)
    expect(faults[10]).toBe('contracts.acme.filter.zip: has 4990 more values of this kind.')
  })

  test('names of the object machinery are no fields', () => {
    expect(faultsOf(JSON.parse('{"__proto__":1,"constructor":2,"toString":3}')).length).toBe(3)
    expect(faultsOf({ 'phone.constructor': 1 }).length).toBe(1)
  })
})
