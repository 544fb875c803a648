/** The stream of leads: reproducible, consistent in place and phone, and each lead as good or as bad as it says. */
import areaCodes from 'us-area-codes/data/codes.json' with { type: 'json' }
import { describe, expect, test } from 'vitest'
import zipcodes from 'zipcodes'
import { type LeadStreamOptions, leadStream, type StreamedLead } from '../bench/leads.ts'
import { printsOf } from '../rules/duplicates.ts'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { fieldOf, type Lead, parseLead } from '../rules/lead.ts'
import { VERTICALS } from '../rules/verticals.ts'

const COUNT = 4000

function take(count: number, options: LeadStreamOptions): StreamedLead[] {
  const stream = leadStream(options)
  return Array.from({ length: count }, () => stream.next().value)
}

const CONSENT = [
  'trustedform_cert_url',
  'jornaya_leadid',
  'tcpa_consent',
  'tcpa_text',
  'landing_page_url',
  'ip_address',
  'user_agent',
]
const KEYS = ['phone', 'email']

describe.each([...VERTICALS.keys()])('%s', (vertical) => {
  const leads = take(COUNT, { seed: 20260302, vertical, duplicateRate: 0.1, badRate: 0.05 })
  const parsed = leads.map(({ lead }) => parseLead(VERTICALS.get(vertical)!, lead, EXAMPLE_NOW))
  const valid = (kind: StreamedLead['kind']): Lead[] =>
    parsed.flatMap((one, at) => (one.ok && leads[at]!.kind === kind ? one.lead : []))

  test('the rates are as asked', () => {
    const share = (kind: string) => leads.filter((one) => one.kind === kind).length / COUNT
    expect(Math.abs(share('duplicate') - 0.1)).toBeLessThan(0.02)
    expect(Math.abs(share('bad') - 0.05)).toBeLessThan(0.02)
  })

  test('every lead that is not bad is valid, down to its phone', () => {
    const refused = parsed.flatMap((one, at) => (one.ok || leads[at]!.kind === 'bad' ? [] : one.issues))
    expect(refused).toEqual([])
  })

  test('every bad lead has the one issue that it says', () => {
    leads.forEach((streamed, at) => {
      const one = parsed[at]!
      if (streamed.kind !== 'bad') return
      const issues = one.ok ? [] : one.issues.map(({ field, code }) => ({ field, code }))
      expect(issues).toEqual([{ field: streamed.field, code: streamed.code }])
    })
  })

  test('zip, city, state and area code agree', () => {
    for (const lead of valid('good')) {
      const place = zipcodes.codes[fieldOf(lead, 'zip') as string]!
      expect([fieldOf(lead, 'city'), fieldOf(lead, 'state')]).toEqual([place.city, place.state])
      const area = lead.values.get('phone')!.parts!.area as keyof typeof areaCodes
      expect(zipcodes.states.full[areaCodes[area].toUpperCase()]).toBe(place.state)
    }
  })

  test('good leads share no phone and no email; a duplicate shares one with the lead that it names', () => {
    const texts = valid('good').flatMap((lead) => printsOf(KEYS, lead).map(({ text }) => text))
    expect(new Set(texts).size).toBe(texts.length)
    const byRef = new Map(valid('good').map((lead) => [lead.leadRef, lead]))
    leads.forEach((streamed, at) => {
      const one = parsed[at]!
      if (streamed.kind !== 'duplicate' || !one.ok) return
      const original = new Set(printsOf(KEYS, byRef.get(streamed.of)!).map(({ text }) => text))
      expect(printsOf(KEYS, one.lead).filter(({ text }) => original.has(text)).length).toBe(1)
    })
  })

  test('the consent fields are there, and every reference is new', () => {
    for (const lead of valid('good')) for (const name of CONSENT) expect(fieldOf(lead, name)).not.toBe(null)
    expect(new Set(leads.map(({ lead }) => lead.lead_ref)).size).toBe(COUNT)
  })

  test('equal options give equal leads, and another seed gives others', () => {
    const options = { seed: 20260302, vertical, duplicateRate: 0.1, badRate: 0.05 }
    expect(take(200, options)).toEqual(leads.slice(0, 200))
    expect(take(1, { ...options, seed: 1 })).not.toEqual(leads.slice(0, 1))
    expect(leads.slice(0, 200).map(({ lead }) => JSON.parse(JSON.stringify(lead)))).toEqual(
      leads.slice(0, 200).map(({ lead }) => lead),
    )
  })
})

test('names sellers where asked, and refuses a vertical that nobody knows', () => {
  const [only] = take(1, { seed: 1, vertical: 'solar', sellers: ['Acme Solar, LLC', 'Bolt Inc'] })
  expect(only!.lead.consented_sellers).toBe('Acme Solar, LLC|Bolt Inc')
  expect(() => take(1, { seed: 1, vertical: 'boats' })).toThrow('there is no vertical "boats"')
})

test('makes thousands of leads a second', () => {
  const stream = leadStream({ seed: 3, vertical: 'solar' })
  for (let n = 0; n < 1000; n++) stream.next()
  const before = process.cpuUsage().user
  for (let n = 0; n < 5000; n++) stream.next()
  expect(process.cpuUsage().user - before).toBeLessThan(2_500_000)
})
