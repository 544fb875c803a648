/** What leaves in a ping and in a post: exactly the named fields, as JSON, rendered once per lead. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileAdapter } from '../buyers/compile.ts'
import { AT, contractAt, factsOf, headed, LEAD_ID, SOLAR_VALUES, wireLead } from './buyers-kit.ts'

const URL = 'http://127.0.0.1:1'
const HARD_TEXT = fc.string({ unit: 'grapheme', maxLength: 30 })

describe('a ping', () => {
  it('carries the named fields that the lead has, and nothing else', () => {
    const contract = contractAt(URL, { delivery: { pingFields: ['zip', 'state', 'roof_shade'] } })
    const request = compileAdapter(contract).pingRequest(wireLead(), AT)
    expect(JSON.parse(request.body)).toEqual({
      ping_id: `${LEAD_ID}:acme`,
      campaign: 'solar',
      source: 's-7f3a',
      contract: 'acme',
      test: false,
      fields: { state: 'TX', zip: '78701' },
    })
  })

  it('shows consent and sub-ids apart, only where they are named', () => {
    const lead = wireLead(SOLAR_VALUES, { sub1: 'a-1', click_id: 'c"9' })
    const plain = compileAdapter(contractAt(URL, { delivery: { pingFields: ['state'] } })).pingRequest(lead, AT)
    expect(JSON.parse(plain.body)).not.toHaveProperty('consent')
    expect(JSON.parse(plain.body)).not.toHaveProperty('subs')
    const named = contractAt(URL, { delivery: { pingFields: ['state', 'tcpa_consent', 'sub1', 'sub2', 'click_id'] } })
    expect(JSON.parse(compileAdapter(named).pingRequest(lead, AT).body)).toMatchObject({
      fields: { state: 'TX' },
      consent: { tcpa_consent: true },
      subs: { sub1: 'a-1', click_id: 'c"9' },
    })
  })

  it('never shows what its contract does not name, whatever the lead and the names are', () => {
    const name = fc.stringMatching(/^[a-z_]{1,12}$/).filter((drawn) => drawn !== 'constructor' && drawn !== '__proto__')
    const names = fc.uniqueArray(name, { minLength: 1, maxLength: 12 })
    const value = fc.oneof(HARD_TEXT, fc.integer(), fc.boolean())
    fc.assert(
      fc.property(names, fc.array(value, { minLength: 12, maxLength: 12 }), fc.nat(12), (all, values, share) => {
        const lead = wireLead(Object.fromEntries(all.map((name, at) => [name, values[at]!])))
        const named = all.slice(0, share)
        const contract = contractAt(URL, { delivery: { pingFields: [...named, '__proto__', 'constructor'] } })
        const body = JSON.parse(compileAdapter(contract).pingRequest(lead, AT).body)
        const shown = { ...body.fields, ...body.consent, ...body.subs }
        expect(shown).toEqual(Object.fromEntries(named.map((name) => [name, lead.lead.values.get(name)!.normal])))
      }),
      { numRuns: 300 },
    )
  })

  it('shares one rendering among contracts that name the same fields in any order', () => {
    const lead = wireLead()
    const one = contractAt(URL, { id: 'one', delivery: { pingFields: ['zip', 'state'] } })
    const two = contractAt(URL, { id: 'two', delivery: { pingFields: ['state', 'zip', 'zip'] } })
    compileAdapter(one).pingRequest(lead, AT)
    const rendered = new Map(lead.fragments)
    const body = compileAdapter(two).pingRequest(lead, AT).body
    expect(lead.fragments).toEqual(rendered)
    expect(JSON.parse(body)).toMatchObject({ contract: 'two', fields: { state: 'TX', zip: '78701' } })
  })
})

describe('a post', () => {
  it('carries all fields of the lead where none are named, its consent, the price and the reference of the bid', () => {
    const contract = contractAt(URL)
    const request = compileAdapter(contract).postRequest(wireLead(SOLAR_VALUES, { sub1: 'a' }), factsOf(contract))
    const { tcpa_consent, tcpa_text, ...fields } = SOLAR_VALUES
    expect(JSON.parse(request.body)).toEqual({
      lead_id: LEAD_ID,
      contract: 'acme',
      campaign: 'solar',
      source: 's-7f3a',
      test: false,
      price: '18.50',
      buyer_reference: 'B-77',
      fields,
      consent: { tcpa_consent, tcpa_text },
    })
  })

  it('carries only the named fields and sub-ids where some are named', () => {
    const contract = contractAt(URL, { delivery: { postFields: ['phone', 'sub1'] } })
    const facts = factsOf(contract, { buyerReference: null })
    const request = compileAdapter(contract).postRequest(wireLead(SOLAR_VALUES, { sub1: 'a', sub2: 'b' }), facts)
    expect(JSON.parse(request.body)).toMatchObject({
      buyer_reference: null,
      fields: { phone: '+15125550143' },
      subs: { sub1: 'a' },
    })
    expect(request.body).not.toContain('zoe@example.com')
    expect(request.body).not.toContain('sub2')
  })

  it('stays JSON whatever the values and the reference hold', () => {
    fc.assert(
      fc.property(HARD_TEXT, HARD_TEXT, (value, reference) => {
        const contract = contractAt(URL)
        const facts = factsOf(contract, { buyerReference: reference })
        const body = JSON.parse(compileAdapter(contract).postRequest(wireLead({ note: value }), facts).body)
        expect(body).toMatchObject({ buyer_reference: reference, fields: { note: value } })
      }),
    )
  })
})

describe('a delivery', () => {
  it('adds its own headers, and sends to its own path and query', () => {
    const contract = contractAt(URL, {
      delivery: { post: headed({ 'x-account': '42' }), postUrl: 'https://buyer.example/in/leads?v=2#x' },
    })
    const request = compileAdapter(contract).postRequest(wireLead(), factsOf(contract))
    expect(request).toMatchObject({ origin: 'https://buyer.example', path: '/in/leads?v=2', method: 'POST' })
    expect(request.headers[request.headers.indexOf('x-account') + 1]).toBe('42')
  })

  it('that cannot be sent is a bug of whoever published it', () => {
    const bad = contractAt(URL, { delivery: { postUrl: 'ftp://buyer.example/leads?key=secret' } })
    expect(() => compileAdapter(bad)).toThrow('acme: "ftp://buyer.example/leads" is no http or https URL')
    expect(() => compileAdapter(contractAt(URL, { delivery: { secrets: ['whsec_short'] } }))).toThrow('signing secret')
  })
})
