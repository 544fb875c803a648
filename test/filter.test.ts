/** Conditions: what passes, on which field the rest falls, and what an operator hears of a filter that cannot be meant. */
import { describe, expect, test } from 'vitest'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { type Condition, compileCondition, scopeOf } from '../rules/filter.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { VERTICALS } from '../rules/verticals.ts'

const example = (vertical: string) =>
  Object.fromEntries(VERTICALS.get(vertical)!.fields.map(({ name, example }) => [name, example]))

function leadOf(vertical: string, raw: Record<string, unknown> = {}): Lead {
  const parsed = parseLead(VERTICALS.get(vertical)!, { ...example(vertical), ...raw }, EXAMPLE_NOW)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

function filterOf(config: unknown, vertical: string): Condition {
  const compiled = compileCondition(config, VERTICALS.get(vertical)!)
  if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults))
  return compiled.condition
}

const fallsOn = (config: unknown, vertical: string, raw: Record<string, unknown> = {}) =>
  filterOf(config, vertical).fallsOn(leadOf(vertical, raw), 'web')

function faultsOf(config: unknown, vertical = 'solar'): string[] {
  const compiled = compileCondition(config, VERTICALS.get(vertical)!, 'contracts.acme.filter')
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
    expect(filter.fallsOn(leadOf('auto_insurance', { dob: '' }), 'web')).toBe(null)
    expect(filter.fallsOn(leadOf('auto_insurance', { dob: '1980-12-31' }), 'web')).toBe('age')
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
    expect(filter.fallsOn(leadOf('solar', { zip: '10001', state: 'NY' }), 'web')).toBe(null)
    expect(filter.fallsOn(leadOf('solar'), 'web')).toBe('zip')
  })
})

describe('every operator', () => {
  test.each([
    [{ state: { equals: 'Texas' } }, null],
    [{ state: { in: ['CA', 'NY'] } }, 'state'],
    [{ state: { in: ['TX'], not: ['CA'] } }, null],
    [{ bill_band: { greater: 99 } }, null],
    [{ bill_band: { greater: 100 } }, 'bill_band'],
    [{ bill_band: { less: 200 } }, 'bill_band'],
    [{ bill_band: { less: 201 } }, null],
    [{ bill_band: { between: [100, 200] } }, null],
    [{ bill_band: { between: [100, 199] } }, 'bill_band'],
    [{ utility: { contains: 'IN ener' } }, null],
    [{ utility: { contains: ['gas', 'energy'] } }, null],
    [{ utility: { starts: 'austin' } }, null],
    [{ utility: { starts: 'ustin' } }, 'utility'],
    [{ utility: { ends: ['co', 'Energy'] } }, null],
    [{ email: { ends: ['@example.com'] } }, null],
    [{ sub1: { matches: '^s[a-z]+r$' } }, null],
    [{ sub1: { matches: '^S' } }, 'sub1'],
    [{ sub1: { matches: '(?i)^S' } }, null],
    [{ phone: { matches: '555' } }, 'phone'],
    [{ city: { present: true } }, null],
    [{ city: { present: false } }, 'city'],
    [{ city: { blank: true } }, 'city'],
    [{ city: { blank: false } }, null],
    [{ consented_sellers: { contains: 'acme solar llc' } }, null],
    [{ consented_sellers: { contains: 'acme' } }, 'consented_sellers'],
    [{ consented_sellers: { present: true }, 'consented_sellers.count': { max: 3 } }, null],
    [{ zip: { within: { miles: 25, of: '78702' } } }, null],
    [{ zip: { within: { miles: 25, of: '10001' } } }, 'zip'],
    [{ zip: { within: { km: 40, of: ['10001', 78702] } } }, null],
    [{ 'zip.state': 'TX' }, null],
    [{ 'email.free': false, 'email.disposable': false }, null],
    [{ free: true }, 'free'],
    [{ 'email.registrable': 'example.com' }, null],
    [{ source: ['web', 'app'] }, null],
    [{ source: { not: 'web' } }, 'source'],
    [{ consent_age_minutes: { max: 2 } }, null],
    [{ consent_age_minutes: { less: 2 } }, 'consent_age_minutes'],
    [{ consent_at: { min: '2026-03-02T00:00:00Z' } }, null],
    [{ consent_at: { age_days: { max: 0 } } }, null],
  ])('%j: %j', (config, fell) => {
    expect(fallsOn(config, 'solar')).toBe(fell)
  })

  test.each([
    [{ incident_date: { age_days: [46, 46] } }, null],
    [{ incident_date: { age_days: { max: 45 } } }, 'incident_date'],
    [{ incident_date: { age_months: [1, 1] } }, null],
    [{ incident_date: { age_years: { max: 0 } } }, null],
    [{ incident_date: { age_months: { max: 2 }, age_days: { min: 30 } } }, null],
  ])('of legal %j: %j', (config, fell) => {
    expect(fallsOn(config, 'legal')).toBe(fell)
  })

  test('an age of years turns on the birthday', () => {
    const filter = filterOf({ dob: { age_years: [25, 70] } }, 'auto_insurance')
    const fell = (dob: string) => filter.fallsOn(leadOf('auto_insurance', { dob }), 'web')
    expect(['2001-03-02', '2001-03-03', '1955-03-03', '1955-03-02'].map(fell)).toEqual([null, 'dob', null, 'dob'])
    expect(fell('1955-03-01')).toBe('dob')
  })

  test('a consent of the future is none, but for clocks that are ahead', () => {
    const filter = filterOf({ consent_age_minutes: { max: 60 } }, 'solar')
    const fell = (consent_at: string) => filter.fallsOn(leadOf('solar', { consent_at }), 'web')
    expect(fell('2026-03-02T20:04:00Z')).toBe(null)
    expect(fell('2026-03-02T20:06:00Z')).toBe('consent_age_minutes')
    expect(fell('')).toBe('consent_age_minutes')
  })
})

describe('groups', () => {
  test.each([
    [{ any: [{ state: 'CA' }, { zip: '78701', ownership: 'own' }] }, null],
    [{ any: [{ state: 'CA' }, { zip: '78701', ownership: 'rent' }] }, 'state'],
    [{ any: { state: 'CA', ownership: 'rent' } }, 'state'],
    [{ any: { state: 'CA', ownership: 'own' } }, null],
    [{ none: [{ state: 'CA' }, { ownership: 'rent' }] }, null],
    [{ none: [{ state: 'CA' }, { ownership: 'own', state: 'TX' }] }, 'ownership'],
    [{ none: { state: 'CA', roof_shade: 'none' } }, 'roof_shade'],
    [{ all: [{ state: 'TX' }, { ownership: 'rent' }] }, 'ownership'],
    [{ all: { state: 'CA', ownership: 'rent' }, zip: '10001' }, 'state'],
    [{ any: [{ none: [{ state: 'TX' }] }, { all: [{ any: [{ state: ['CA', 'TX'] }] }] }] }, null],
    [{ any: [{ none: [{ zip: '78701' }] }, { state: 'CA' }] }, 'zip'],
  ])('%j: %j', (config, fell) => {
    expect(fallsOn(config, 'solar')).toBe(fell)
  })
})

describe('a value that the lead does not have', () => {
  const without = { city: '', bill_band: '', consented_sellers: '', zip: '78701' }
  test.each([
    [{ city: 'Austin' }, 'city'],
    [{ city: { not: 'Austin' } }, null],
    [{ city: { blank: true } }, null],
    [{ city: { present: true } }, 'city'],
    [{ city: { contains: 'a' } }, 'city'],
    [{ city: { matches: '.*' } }, 'city'],
    [{ bill_band: { greater: 0 } }, 'bill_band'],
    [{ bill_band: { max: 9999 } }, 'bill_band'],
    [{ consented_sellers: { contains: 'x' } }, 'consented_sellers'],
    [{ consented_sellers: { blank: true } }, null],
    [{ none: [{ city: 'Austin' }] }, null],
    [{ none: [{ city: { not: 'Austin' } }] }, 'city'],
    [{ any: [{ city: 'Austin' }, { city: { blank: true } }] }, null],
    [{ 'zip.plus4': { starts: '1' } }, 'zip.plus4'],
  ])('%j: %j', (config, fell) => {
    expect(fallsOn(config, 'solar', without)).toBe(fell)
  })
})

describe('when the lead came', () => {
  /** EXAMPLE_NOW is Monday 14:00 in Chicago, Tuesday 05:00 in Tokyo. */
  test.each([
    [{ received: { days: ['mon', 'tue'], hours: [9, 17], zone: 'America/Chicago' } }, null],
    [{ received: { days: 'tue', zone: 'America/Chicago' } }, 'received'],
    [{ received: { days: 'tue', zone: 'Asia/Tokyo' } }, null],
    [{ received: { hours: [14, 15], zone: 'America/Chicago' } }, null],
    [{ received: { hours: [9, 14], zone: 'America/Chicago' } }, 'received'],
    [{ received: { hours: ['13:59', '14:01'], zone: 'America/Chicago' } }, null],
    [{ received: { hours: [22, 6], zone: 'Asia/Tokyo' } }, null],
    [{ received: { hours: [22, 5], zone: 'Asia/Tokyo' } }, 'received'],
    [{ received: { hours: [20, 24] } }, null],
    [{ none: [{ received: { days: ['mon'] } }] }, 'received'],
  ])('%j: %j', (config, fell) => {
    expect(fallsOn(config, 'solar')).toBe(fell)
  })

  test("the clock is the zone's, on both sides of its change", () => {
    const early = filterOf({ received: { hours: [3, 4], zone: 'America/New_York' } }, 'solar')
    const at = (iso: string) => early.fallsOn({ ...leadOf('solar'), receivedAt: Date.parse(iso) }, 'web')
    expect(['2026-03-08T06:59:00Z', '2026-03-08T07:00:00Z', '2026-03-08T08:00:00Z'].map(at)).toEqual([
      'received',
      null,
      'received',
    ])
    expect(['2026-11-01T07:59:00Z', '2026-11-01T08:00:00Z', '2026-11-01T08:59:00Z'].map(at)).toEqual([
      'received',
      null,
      null,
    ])
  })

  test('a zone that is not named is that of the scope', () => {
    const scope = scopeOf(VERTICALS.get('solar')!, { zone: 'Asia/Tokyo' })
    const compiled = compileCondition({ received: { days: 'tue' } }, scope)
    expect('condition' in compiled && compiled.condition.fallsOn(leadOf('solar'), 'web')).toBe(null)
  })
})

describe('faults, each with its path and what to do', () => {
  test('all of them at once', () => {
    expect(faultsOf({ stat: ['TX'], zip: [2134], state: ['TX', 'XX'], bill_band: { mn: 3 } })).toEqual([
      'contracts.acme.filter.stat: the vertical solar has no field "stat". Did you mean "state"?',
      'contracts.acme.filter.zip[0]: 2134 is no value that "zip" can have. Quote codes that begin with 0: "02134".',
      'contracts.acme.filter.state[1]: "XX" is no value that "state" can have.',
      'contracts.acme.filter.bill_band.mn: is no operator. Did you mean "min"?',
    ])
  })

  test.each([
    [['TX'], 'contracts.acme.filter: must be a map of fields to conditions, such as {state: [CA, TX]}.'],
    [
      { state: [] },
      'contracts.acme.filter.state: is an empty list, which no lead is in: remove the field or name values.',
    ],
    [{ state: null }, 'contracts.acme.filter.state: null is no value that "state" can have.'],
    [
      { state: {} },
      'contracts.acme.filter.state: says nothing: give a value, a list, or an operator such as min or not.',
    ],
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
      'contracts.acme.filter.consented_sellers: "consented_sellers" holds several values: ask whether it contains one, or is present or blank.',
    ],
  ])('%j', (config, fault) => {
    expect(faultsOf(config)).toEqual([fault])
  })

  test.each([
    [{ any: [] }, 'any: takes a list of conditions, such as [{state: CA}, {zip: ["10001"]}].'],
    [{ none: 'CA' }, 'none: takes a list of conditions, such as [{state: CA}, {zip: ["10001"]}].'],
    [{ any: [{}] }, 'any[0]: says nothing: name a field.'],
    [{ any: ['CA'] }, 'any[0]: must be a map of fields to conditions, such as {state: [CA, TX]}.'],
    [{ any: [{ state: 'CA' }, { state: 'XX' }] }, 'any[1].state: "XX" is no value that "state" can have.'],
    [{ none: { stat: 'CA' } }, 'none.stat: the vertical solar has no field "stat". Did you mean "state"?'],
    [{ all: [{ any: [{ zip: 'x' }] }] }, 'all[0].any[0].zip: "x" is no value that "zip" can have.'],
    [{ state: { equals: ['CA'] } }, 'state.equals: takes one value: write in for a list.'],
    [{ state: { greater: 5 } }, 'state.greater: of "state": a range needs a number, an amount or a date.'],
    [{ bill_band: { between: [1] } }, 'bill_band.between: takes the least and the greatest, such as [25, 70].'],
    [{ bill_band: { between: [1, 'x'] } }, 'bill_band.between[1]: of "bill_band": must be a number.'],
    [
      { bill_band: { between: [9, 1] } },
      'bill_band: [9,1] ends before it begins, so no lead passes: change one of them.',
    ],
    [{ bill_band: { contains: 'x' } }, 'bill_band.contains: needs a text, and "bill_band" is none.'],
    [{ zip: { starts: 787 } }, 'zip.starts: takes a text in quotes, or a list of them.'],
    [
      { sub1: { matches: '(a' } },
      'sub1.matches: "(a" is no pattern of RE2: error parsing regexp: missing closing ): `(a`.',
    ],
    [{ sub1: { matches: '(?=a)' } }, expect.stringMatching(/^sub1\.matches: "\(\?=a\)" is no pattern of RE2:/)],
    [{ sub1: { matches: 'a'.repeat(1001) } }, 'sub1.matches: is longer than 1000 characters.'],
    [{ city: { present: 'yes' } }, 'city.present: is "yes": say true or false.'],
    [{ city: { within: { miles: 5, of: '78701' } } }, 'city.within: needs a postal code, and "city" is none.'],
    [{ zip: { within: { miles: 5, of: '00000' } } }, 'zip.within.of: "00000" is no postal code whose place is known.'],
    [
      { zip: { within: { miles: '5', of: '78701' } } },
      'zip.within: takes a distance (up to 5000 miles) and a center, such as {miles: 25, of: "78701"}.',
    ],
    [{ 'email.free': 'yes' }, 'email.free: "yes" is no value that "email.free" can have.'],
    [{ country: 'US' }, 'country: several fields have a part "country": write one of phone.country, zip.country.'],
    [
      { received: { hours: [9] } },
      'received.hours: takes when it begins and when it ends, such as [9, 17] or ["22:30", "6:00"].',
    ],
    [
      { received: { days: ['monday'] } },
      'received.days[0]: "monday" is no day: write sun, mon, tue, wed, thu, fri or sat.',
    ],
    [
      { received: { days: 'mon', zone: 'EST' } },
      'received.zone: "EST" is no IANA time zone: write it as America/Chicago, or UTC.',
    ],
    [{ received: 'mon' }, 'received: takes days, hours or both, such as {days: [mon, tue], hours: [9, 17]}.'],
    [{ consent_age_minutes: { max: '30d' } }, 'consent_age_minutes.max: of "consent_age_minutes": must be a number.'],
  ])('%j', (config, fault) => {
    const path = 'contracts.acme.filter.'
    expect(faultsOf(config).map((one) => one.slice(path.length))).toEqual([fault])
  })

  test.each([
    [
      { incidents: 'two' },
      'incidents: "two" is no value that "incidents" can have. It is a number: take the quotes off.',
    ],
    [
      { incidents: { in: ['2'] } },
      'incidents.in[0]: "2" is no value that "incidents" can have. It is a number: take the quotes off.',
    ],
    [{ dob: { age_years: ['25', '70'] } }, 'dob.age_years: takes whole years, such as [25, 70] or {min: 25}.'],
    [{ dob: { age_years: [70, 25] } }, 'dob.age_years: min 70 is over max 25, so no lead passes: change one of them.'],
    [{ gender: { age_years: [25, 70] } }, 'gender.age_years: needs a date, and "gender" is none.'],
    [{ age: { greater: 70, less: 70 } }, 'age: min 70 is over max 70, so no lead passes: change one of them.'],
  ])('of auto insurance %j', (config, fault) => {
    const path = 'contracts.acme.filter.'
    expect(faultsOf(config, 'auto_insurance').map((one) => one.slice(path.length))).toEqual([fault])
  })

  test('a source that there is not, where the sources are known', () => {
    const scope = scopeOf(VERTICALS.get('solar')!, { sources: new Set(['web']) })
    const compiled = compileCondition({ source: ['web', 'wbe'] }, scope)
    expect('faults' in compiled && compiled.faults).toEqual([
      { path: 'filter.source[1]', message: '"wbe" is no value that "source" can have.' },
    ])
  })

  test('groups within groups within groups', () => {
    let deep: object = { state: 'TX' }
    for (let depth = 0; depth < 20; depth++) deep = { any: [deep] }
    expect(faultsOf(deep)).toEqual([expect.stringMatching(/any\[0\]\.any: nests deeper than 8 groups: flatten it\.$/)])
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
