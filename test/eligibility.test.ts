/** Eligibility: every seat takes part or has the first reason that keeps it out, in seat order. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type EligibilityHints, openingOf } from '../rules/eligibility.ts'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { compileCondition } from '../rules/filter.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { reasonName } from '../rules/reason.ts'
import type { Campaign, Contract, Source } from '../rules/version.ts'
import { VERTICALS } from '../rules/verticals.ts'

const SOLAR = VERTICALS.get('solar')!
const SOURCE = { id: 'web' } as Source
const OPEN: EligibilityHints = { exhausted: () => null, doubts: () => false }

interface Terms {
  readonly active?: boolean
  readonly sources?: readonly string[]
  readonly filter?: object
  readonly legalEntity?: string
}

function contractOf(terms: Terms, seat: number): Contract {
  const compiled = compileCondition(terms.filter ?? {}, SOLAR)
  if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults))
  const { active = true, sources, legalEntity = 'Acme Solar LLC' } = terms
  return {
    id: `c${seat}`,
    seat,
    active,
    sources: sources ? new Set(sources) : null,
    filter: terms.filter ? compiled.condition : null,
    buyer: { id: `b${seat}`, legalEntity },
  } as Contract
}

const campaignOf = (contracts: readonly Terms[]) => ({ contracts: contracts.map(contractOf) }) as unknown as Campaign

function leadOf(raw: Record<string, unknown> = {}): Lead {
  const parsed = parseLead(SOLAR, { state: 'TX', zip: '78701', ownership: 'own', ...raw }, EXAMPLE_NOW, 'ping')
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

test('seats without a reason against them are eligible, in seat order', () => {
  const campaign = campaignOf([{}, { sources: ['web'] }, { filter: { state: ['TX', 'CA'] } }])
  expect(openingOf(campaign, leadOf(), SOURCE, OPEN)).toEqual({ eligible: [0, 1, 2], excluded: {} })
})

test('every other seat has its reason', () => {
  const campaign = campaignOf([
    { active: false },
    { sources: ['other'] },
    { filter: { state: 'CA' } },
    { filter: { ownership: 'rent' } },
    { filter: { state: 'NY', ownership: 'rent' } },
    {},
    {},
    {},
    { active: false },
  ])
  const hints = { exhausted: (id: string) => (id === 'c6' ? 'day' : null), doubts: (id: string) => id === 'c5' }
  expect(openingOf(campaign, leadOf(), SOURCE, hints)).toEqual({
    eligible: [7],
    excluded: {
      inactive: [0, 8],
      source_not_allowed: [1],
      filter_state: [2, 4],
      filter_ownership: [3],
      doubts: [5],
      cap_day: [6],
    },
  })
})

test('the first reason is the one: what the contract is, then where the lead comes from, then the lead, then the caps', () => {
  const full: EligibilityHints = { exhausted: () => 'day', doubts: () => true }
  const reasonOf = (terms: Terms, raw = {}) =>
    Object.keys(openingOf(campaignOf([terms]), leadOf(raw), SOURCE, full).excluded)
  const everything = { active: false, sources: ['other'], filter: { state: 'CA' } }
  const named = { consented_sellers: 'Bolt LLC' }
  expect(reasonOf(everything, named)).toEqual(['inactive'])
  expect(reasonOf({ ...everything, active: true }, named)).toEqual(['source_not_allowed'])
  expect(reasonOf({ filter: { state: 'CA' } }, named)).toEqual(['filter_state'])
  expect(reasonOf({}, named)).toEqual(['no_consent'])
  expect(reasonOf({})).toEqual(['doubts'])
})

test('where the consumer named sellers, only they may buy, whatever the spelling of their names', () => {
  const campaign = campaignOf([
    { legalEntity: 'Acme Solar LLC' },
    { legalEntity: 'ACME SOLAR, L.L.C.' },
    { legalEntity: 'Acme Solar West LLC' },
    { legalEntity: 'Acme' },
    { legalEntity: '' },
  ])
  const opened = openingOf(campaign, leadOf({ consented_sellers: 'Bolt Inc.; acme  solar, llc' }), SOURCE, OPEN)
  expect(opened).toEqual({ eligible: [0, 1], excluded: { no_consent: [2, 3, 4] } })
})

test('a test lead is kept out by no cap and no doubt', () => {
  const full: EligibilityHints = { exhausted: () => 'day', doubts: () => true }
  expect(openingOf(campaignOf([{}]), leadOf(), SOURCE, full, true).eligible).toEqual([0])
})

test('whatever the contracts, every seat stands in exactly one place, under a listed reason', () => {
  const terms = fc.record<Terms>({
    active: fc.boolean(),
    sources: fc.constantFrom(['web'], ['other'], undefined),
    filter: fc.constantFrom(undefined, {}, { state: 'TX' }, { state: 'CA' }, { ownership: { not: 'own' } }),
    legalEntity: fc.constantFrom('Acme', 'Bolt'),
  } as never)
  const lead = leadOf({ consented_sellers: 'Acme' })
  fc.assert(
    fc.property(fc.array(terms, { maxLength: 40 }), fc.integer(), (contracts, salt) => {
      const hints = {
        exhausted: (id: string) => ((id.length * 7 + salt) % 3 === 0 ? 'month' : null),
        doubts: (id: string) => (id.charCodeAt(1) + salt) % 5 === 0,
      }
      const { eligible, excluded } = openingOf(campaignOf(contracts), lead, SOURCE, hints)
      const seats = [...eligible, ...Object.values(excluded).flat()].sort((a, b) => a - b)
      expect(seats).toEqual(contracts.map((_, seat) => seat))
      for (const [why, at] of [['won', eligible] as const, ...Object.entries(excluded)]) {
        expect(reasonName(why)).toBeTruthy()
        expect([...at].sort((a, b) => a - b)).toEqual(at)
      }
    }),
  )
})
