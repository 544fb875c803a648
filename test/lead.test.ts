/** Leads: read once, every issue at once, nothing lost, nothing dangerous let in; and the same after a seal was opened. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { idempotencyText, printsOf } from '../rules/duplicates.ts'
import { EXAMPLE_NOW, fieldType } from '../rules/fields.ts'
import {
  fieldOf,
  type Lead,
  leadFromJson,
  leadJson,
  MAX_UNKNOWN_FIELDS,
  MAX_UNKNOWN_LENGTH,
  maskLead,
  parseLead,
} from '../rules/lead.ts'
import { VERTICALS, type Vertical } from '../rules/verticals.ts'

const SOLAR = VERTICALS.get('solar')!
const JANE = {
  first_name: 'Jane',
  last_name: 'Doe',
  phone: '(512) 555-0123',
  email: 'Jane@Example.com',
  state: 'Texas',
  zip: '78701',
  ownership: 'Own',
}

const read = (raw: Record<string, unknown>, vertical = SOLAR) => parseLead(vertical, raw, EXAMPLE_NOW)

function leadOf(raw: Record<string, unknown>, vertical = SOLAR): Lead {
  const parsed = read(raw, vertical)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

function issuesOf(raw: Record<string, unknown>, vertical = SOLAR): string[] {
  const parsed = read(raw, vertical)
  return parsed.ok ? [] : parsed.issues.map(({ field, code }) => `${field} ${code}`)
}

const exampleOf = (vertical: Vertical) =>
  Object.fromEntries(vertical.fields.map(({ name, example }) => [name, example]))

describe.each([...VERTICALS.values()].map((vertical) => ({ id: vertical.id, vertical })))('$id', ({ vertical }) => {
  test('reads the examples of its fields, in its order', () => {
    const lead = leadOf(exampleOf(vertical), vertical)
    const own = vertical.fields.map(({ name }) => name).filter((name) => !/^(lead_ref|click_id|sub\d)$/.test(name))
    expect([...lead.values.keys()]).toEqual(own)
    expect(lead.unknown).toEqual({})
  })

  test('demands what is required, all at once', () => {
    const required = vertical.fields.filter((field) => field.required)
    expect(issuesOf({}, vertical)).toEqual(required.map(({ name }) => `${name} required`))
    const ping = parseLead(vertical, {}, EXAMPLE_NOW, 'ping')
    const shown = required.filter((field) => field.ping).map(({ name }) => name)
    expect(ping.ok ? [] : ping.issues.map(({ field }) => field)).toEqual(shown)
  })

  test('has no name twice, and only words of its options in synonyms', () => {
    const names = vertical.fields.flatMap(({ name, aliases }) => [name, ...aliases])
    const folded = names.map((name) => name.toLowerCase().replace(/[\s_.-]/g, ''))
    expect(folded.filter((name, at) => folded.indexOf(name) !== at)).toEqual([])
    for (const field of vertical.fields) {
      expect(() => fieldType(field.type)).not.toThrow()
      for (const word of Object.values(field.synonyms ?? {})) expect(field.options).toContain(word)
      expect(field.type === 'enum').toBe(field.options !== undefined)
    }
  })

  test('names nobody and no secret in a ping', () => {
    const shown = new Set(vertical.fields.filter((field) => field.ping).map(({ name }) => name))
    for (const name of ['first_name', 'last_name', 'phone', 'email', 'address', 'ssn', 'bank_account', 'lead_ref']) {
      expect(shown.has(name)).toBe(false)
    }
    expect(shown.has('dob')).toBe(['health_insurance', 'medicare'].includes(vertical.id))
    expect(shown.has('city')).toBe(vertical.id === 'legal')
    for (const field of vertical.fields) if (fieldType(field.type).mask) expect(field.ping).toBe(false)
  })

  test('comes back from its sealed form as it was', () => {
    const lead = leadOf({ ...exampleOf(vertical), color: 'blue' }, vertical)
    expect(leadFromJson(leadJson(lead))).toEqual(lead)
    expect(leadJson(leadFromJson(leadJson(lead)))).toBe(leadJson(lead))
  })
})

describe('values', () => {
  test('keep their raw form beside the normal one', () => {
    const { values } = leadOf(JANE)
    expect(values.get('state')).toEqual({ raw: 'Texas', normal: 'TX' })
    expect(values.get('phone')?.raw).toBe('(512) 555-0123')
  })

  test('numbers, booleans, lists of one, null and blank', () => {
    const lead = leadOf({
      ...JANE,
      zip: 78701,
      tcpa_consent: true,
      city: null,
      address: '  ',
      utility: ['Austin Energy'],
    })
    expect(fieldOf(lead, 'zip')).toBe('78701')
    expect(fieldOf(lead, 'tcpa_consent')).toBe(true)
    expect(fieldOf(lead, 'utility')).toBe('Austin Energy')
    expect(lead.values.has('city') || lead.values.has('address')).toBe(false)
  })

  test('a list field takes a list; another field with several values is not flat', () => {
    expect(fieldOf(leadOf({ ...JANE, consented_sellers: ['Acme, Inc.', 'Bolt'] }), 'consented_sellers')).toBe(
      'Acme, Inc.|Bolt',
    )
    expect(issuesOf({ ...JANE, state: ['TX', 'CA'], city: { name: 'Austin' } })).toEqual([
      'city not_flat',
      'state not_flat',
    ])
  })

  test('every issue at once, with the raw value, cut and storable', () => {
    const parsed = read({ ...JANE, phone: '555', email: 'x'.repeat(900), state: 'Q\0\ud800', last_name: '' })
    expect(parsed.ok ? [] : parsed.issues).toEqual([
      { field: 'last_name', code: 'required', value: null },
      { field: 'phone', code: 'not_a_number', value: '555' },
      { field: 'email', code: 'too_long', value: 'x'.repeat(200) },
      { field: 'state', code: 'bad_characters', value: 'Q\ufffd\ufffd' },
    ])
  })

  test('a zip of another state is an issue of the lead', () => {
    expect(issuesOf({ ...JANE, zip: '90210' })).toEqual(['zip zip_not_in_state'])
    expect(issuesOf({ ...JANE, zip: '90210', state: 'XX' })).toEqual(['state not_a_state'])
  })

  test('a secret is not repeated in its issue', () => {
    const loan = VERTICALS.get('personal_loan')!
    const parsed = read({ ...exampleOf(loan), ssn: '000-12-3456' }, loan)
    expect(parsed.ok ? [] : parsed.issues).toEqual([{ field: 'ssn', code: 'not_an_ssn', value: null }])
  })
})

test('a lead that is shown has the last digits of its secrets only, and nothing of their second names', () => {
  const loan = VERTICALS.get('personal_loan')!
  const lead = leadOf({ ...exampleOf(loan), social: '234-56-7890', account_number: '99123456789' }, loan)
  const shown = maskLead(lead, loan)
  expect([fieldOf(shown, 'ssn'), fieldOf(shown, 'bank_account')]).toEqual(['*****6789', '*****6789'])
  expect({ ...shown.unknown }).toEqual({ social: '*****', account_number: '*****' })
  expect(leadJson(shown)).not.toMatch(/123456789|123-45-6789|234-56-7890/)
  expect(leadJson(lead)).toMatch(/123-45-6789/)
})

describe('names', () => {
  test('aliases, in any case and with any separator', () => {
    const { first_name, last_name, zip, ...rest } = JANE
    const lead = leadOf({ ...rest, firstName: first_name, 'Last Name': last_name, 'ZIP-Code': zip })
    expect(fieldOf(lead, 'first_name')).toBe('Jane')
    expect(fieldOf(lead, 'zip')).toBe('78701')
    expect(lead.unknown).toEqual({})
  })

  test('the canonical name wins, and what it beats is kept', () => {
    for (const raw of [
      { ...JANE, mobile: '512-555-0199' },
      { mobile: '512-555-0199', ...JANE },
    ]) {
      const lead = leadOf(raw)
      expect(fieldOf(lead, 'phone')).toBe('+15125550123')
      expect(lead.unknown).toEqual({ mobile: '512-555-0199' })
    }
  })

  test('the tracking of the source stands apart from the values', () => {
    const lead = leadOf({ ...JANE, lead_ref: 'S-1', sub1: 'summer', click_id: 'c-9' })
    expect([lead.leadRef, { ...lead.subs }, lead.values.has('sub1')]).toEqual([
      'S-1',
      { sub1: 'summer', click_id: 'c-9' },
      false,
    ])
    expect([fieldOf(lead, 'lead_ref'), fieldOf(lead, 'sub1'), fieldOf(lead, 'sub2')]).toEqual(['S-1', 'summer', null])
  })

  test('unknown fields are kept as they came, objects as JSON, and what steers the engine is not', () => {
    const lead = leadOf({
      ...JANE,
      Color: ' blue ',
      score: 7,
      extra: { a: [1, null] },
      api_key: 'k',
      test: '1',
      gone: null,
    })
    expect({ ...lead.unknown }).toEqual({ Color: ' blue ', score: '7', extra: '{"a":[1,null]}' })
  })

  test('names of an object machinery are refused', () => {
    const raw = JSON.parse(`{"__proto__":"x","constructor":{"prototype":1},"prototype":"y"}`)
    expect(issuesOf(Object.assign(raw, JANE))).toEqual([
      '__proto__ forbidden_name',
      'constructor forbidden_name',
      'prototype forbidden_name',
    ])
    expect(Object.getPrototypeOf(leadOf(JANE).unknown)).toBe(null)
    expect(Object.getPrototypeOf(leadFromJson(leadJson(leadOf(JANE))).subs)).toBe(null)
  })
})

describe('bounds', () => {
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x${n}`, 'v']))

  test('so many unknown fields and no more', () => {
    expect(Object.keys(leadOf({ ...JANE, ...many(MAX_UNKNOWN_FIELDS) }).unknown).length).toBe(MAX_UNKNOWN_FIELDS)
    expect(issuesOf({ ...JANE, ...many(MAX_UNKNOWN_FIELDS + 1) })).toEqual(['* too_many_fields'])
    expect(issuesOf({ ...many(50_000), ...JANE })).toEqual(['* too_many_fields'])
  })

  test('long, deep and unstorable unknown fields', () => {
    let deep: unknown = 1
    for (let n = 0; n < 50_000; n++) deep = [deep]
    expect(
      issuesOf({
        ...JANE,
        long: 'v'.repeat(MAX_UNKNOWN_LENGTH + 1),
        ['n'.repeat(500)]: '1',
        deep,
        nul: 'a\0',
        'half\ud800': '1',
      }),
    ).toEqual([
      'long too_long',
      `${'n'.repeat(100)} too_long`,
      'deep not_flat',
      'nul bad_characters',
      'half\ufffd bad_characters',
    ])
  })

  test('whatever comes, there is an answer, and a lead survives its seal', () => {
    const names = fc.oneof(
      fc.constantFrom(...SOLAR.fields.map(({ name }) => name)),
      fc.string({ unit: 'binary', maxLength: 9 }),
    )
    const values = fc.oneof(fc.jsonValue(), fc.string({ unit: 'binary' }), fc.constant(undefined))
    fc.assert(
      fc.property(fc.array(fc.tuple(names, values), { maxLength: 30 }), fc.boolean(), (entries, whole) => {
        const raw = { ...(whole ? JANE : {}), ...Object.fromEntries(entries) }
        const parsed = read(raw)
        if (parsed.ok) expect(leadFromJson(leadJson(parsed.lead))).toEqual(parsed.lead)
        else {
          expect(parsed.issues.length).toBeGreaterThan(0)
          const text = JSON.stringify(parsed.issues)
          expect(text.includes('\\u0000') || /\\ud[89a-f]/.test(text)).toBe(false)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('duplicates', () => {
  const fingerprints = (raw: Record<string, unknown>, fields = ['phone', 'email']) =>
    printsOf(fields, leadOf({ ...JANE, ...raw })).map(({ text }) => text)

  test('are told by canonical texts, in the order of the rule', () => {
    expect(fingerprints({})).toEqual(['phone:+15125550123', 'email:jane@example.com'])
    expect(fingerprints({ phone: '+1 512 555 0123', email: 'JANE@example.com' })).toEqual(fingerprints({}))
  })

  test('know one mailbox under its spellings', () => {
    expect(fingerprints({ email: 'J.Doe+solar@gmail.com' }, ['email'])).toEqual(['email:jdoe@gmail.com'])
    expect(fingerprints({ email: 'jdoe@googlemail.com' }, ['email'])).toEqual(['email:jdoe@gmail.com'])
    expect(fingerprints({ email: 'j.doe@example.com' }, ['email'])).toEqual(['email:j.doe@example.com'])
  })

  test('leave out what the lead does not have, and compare texts without case', () => {
    expect(fingerprints({}, ['city', 'last_name'])).toEqual(['last_name:doe'])
  })

  test('the key of a source is its own', () => {
    expect(idempotencyText('acme', 'S-1')).toBe('key:acme:S-1')
  })
})
