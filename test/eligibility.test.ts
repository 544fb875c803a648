/** Eligibility: every seat takes part or has the first reason that keeps it out, in seat order. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuctionTerms } from '../rules/auction.ts'
import { type EligibilityHints, openingByLoop, openingOf } from '../rules/eligibility.ts'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { type Condition, compileCondition, scopeOf } from '../rules/filter.ts'
import { type Lead, parseLead } from '../rules/lead.ts'
import { reasonName } from '../rules/reason.ts'
import type { Schedule } from '../rules/schedule.ts'
import { excludedSeats } from '../rules/seats.ts'
import { newAuction } from '../rules/step/state.ts'
import { outcomes, step } from '../rules/step.ts'
import { wallMs } from '../rules/units.ts'
import type { Campaign, Contract, Source } from '../rules/version.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { randomSchedule } from './world/calendars.ts'
import { CONDITIONED, pick, randomCondition, randomFrom, randomLead, SOURCES, whole } from './world/conditions.ts'

const SOLAR = VERTICALS.get('solar')!
const SOURCE = { id: 'web', filters: new Map(), rules: new Map(), payout: { share: 0 } } as unknown as Source
/** Monday noon in Chicago. */
const NOW = wallMs(Date.UTC(2026, 2, 2, 18))
const HOUR_MS = 3_600_000
const OPEN: EligibilityHints = { exhausted: () => null, doubts: () => false, unwell: () => false }

interface Terms {
  readonly active?: boolean
  readonly sources?: readonly string[]
  readonly filter?: object
  readonly legalEntity?: string
  readonly schedules?: readonly Schedule[]
  readonly pausedUntil?: number
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
    schedules: terms.schedules ?? [],
    pausedUntil: wallMs(terms.pausedUntil ?? 0),
    queueForMs: 0,
    buyer: { id: `b${seat}`, legalEntity },
    delivery: { testUrl: null, testPingUrl: null },
  } as Contract
}

const campaignOf = (contracts: readonly Terms[]) =>
  ({ contracts: contracts.map(contractOf), rules: null, hasContractRules: false }) as unknown as Campaign

function leadOf(raw: Record<string, unknown> = {}): Lead {
  const parsed = parseLead(SOLAR, { state: 'TX', zip: '78701', ownership: 'own', ...raw }, EXAMPLE_NOW, 'ping')
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return parsed.lead
}

test('seats without a reason against them are eligible, in seat order', () => {
  const campaign = campaignOf([{}, { sources: ['web'] }, { filter: { state: ['TX', 'CA'] } }])
  expect(openingOf(campaign, leadOf(), SOURCE, NOW, OPEN)).toEqual({ eligible: [0, 1, 2], excluded: {} })
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
    {},
  ])
  const hints: EligibilityHints = {
    exhausted: (id) => (id === 'c6' ? 'day' : null),
    doubts: (id) => id === 'c5',
    unwell: (id) => id === 'c9',
  }
  expect(openingOf(campaign, leadOf(), SOURCE, NOW, hints)).toEqual({
    eligible: [7],
    excluded: {
      inactive: [0, 8],
      source_not_allowed: [1],
      filter_state: [2, 4],
      filter_ownership: [3],
      doubts: [5],
      cap_day: [6],
      breaker: [9],
    },
  })
})

test('the first reason is the one: what the contract is, then where the lead comes from, then the lead, then the caps', () => {
  const full: EligibilityHints = { exhausted: () => 'day', doubts: () => true, unwell: () => true }
  const reasonOf = (terms: Terms, raw = {}, hints = full) =>
    Object.keys(openingOf(campaignOf([terms]), leadOf(raw), SOURCE, NOW, hints).excluded)
  const everything = { active: false, sources: ['other'], filter: { state: 'CA' } }
  const named = { consented_sellers: 'Bolt LLC' }
  expect(reasonOf(everything, named)).toEqual(['inactive'])
  expect(reasonOf({ ...everything, active: true }, named)).toEqual(['source_not_allowed'])
  expect(reasonOf({ filter: { state: 'CA' } }, named)).toEqual(['filter_state'])
  expect(reasonOf({}, named)).toEqual(['no_consent'])
  expect(reasonOf({})).toEqual(['breaker'])
  expect(reasonOf({}, {}, { ...full, unwell: () => false })).toEqual(['doubts'])
})

test('where the consumer named sellers, only they may buy, whatever the spelling of their names', () => {
  const campaign = campaignOf([
    { legalEntity: 'Acme Solar LLC' },
    { legalEntity: 'ACME SOLAR, L.L.C.' },
    { legalEntity: 'Acme Solar West LLC' },
    { legalEntity: 'Acme' },
    { legalEntity: '' },
  ])
  const opened = openingOf(campaign, leadOf({ consented_sellers: 'Bolt Inc.; acme  solar, llc' }), SOURCE, NOW, OPEN)
  expect(opened).toEqual({ eligible: [0, 1], excluded: { no_consent: [2, 3, 4] } })
})

test('a test lead reaches no real buyer: only contracts with a test delivery, whatever is full or switched off', () => {
  const { eligible, excluded } = openingOf(campaignOf([{}]), leadOf(), SOURCE, NOW, OPEN, true)
  expect({ eligible, excluded }).toEqual({ eligible: [], excluded: { inactive: [0] } })
  const { contracts, ...rest } = campaignOf([{}, {}, {}, {}])
  const urls = [
    [null, null],
    [null, 'https://a.example/test'],
    ['https://a.example/ping', 'https://a.example/test'],
    [null, 'https://a.example/test'],
  ] as const
  const tested = contracts.map((contract, seat) => ({
    ...contract,
    active: seat !== 3,
    pinged: seat === 1 || seat === 2,
    delivery: { ...contract.delivery, testPingUrl: urls[seat]![0], testUrl: urls[seat]![1] },
  }))
  const shut = { exhausted: () => 'day', doubts: () => true, unwell: () => true, denied: () => 'blocked' }
  const opened = openingOf({ ...rest, contracts: tested }, leadOf(), SOURCE, NOW, shut, true)
  expect(opened).toMatchObject({ eligible: [2, 3], excluded: { inactive: [0, 1] } })
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
    fc.property(fc.array(terms, { maxLength: 200 }), fc.integer(), (contracts, salt) => {
      const hints = {
        exhausted: (id: string) => ((id.length * 7 + salt) % 3 === 0 ? 'month' : null),
        doubts: (id: string) => (id.charCodeAt(1) + salt) % 5 === 0,
        unwell: (id: string) => (id.charCodeAt(1) + salt) % 7 === 0,
      }
      const opened = openingOf(campaignOf(contracts), lead, SOURCE, NOW, hints)
      const excluded = excludedSeats(opened, contracts.length)
      const seats = [opened.eligible, ...excluded.values()].flat().sort((a, b) => a - b)
      expect(seats).toEqual(contracts.map((_, seat) => seat))
      for (const [why, at] of [['won', opened.eligible] as const, ...excluded]) {
        expect(reasonName(why)).toBeTruthy()
        expect([...at].sort((a, b) => a - b)).toEqual(at)
      }
    }),
  )
})

describe('the filter of the campaign, or of the source there', () => {
  const conditionOf = (config: object) => {
    const compiled = compileCondition(config, SOLAR)
    if ('faults' in compiled) throw new Error(JSON.stringify(compiled.faults))
    return compiled.condition
  }
  const campaign = { ...campaignOf([{}, { active: false }]), id: 'solar' } as Campaign

  test('turns a lead away as a whole', () => {
    const strict = { ...campaign, filter: conditionOf({ state: 'CA' }) }
    expect(openingOf(strict, leadOf(), SOURCE, NOW, OPEN)).toEqual({
      eligible: [],
      excluded: { campaign_filter_state: [0, 1] },
    })
    const source = { ...SOURCE, filters: new Map([['solar', conditionOf({ sub1: { not: 'bad' } })]]) }
    expect(openingOf(campaign, leadOf({ sub1: 'bad' }), source, NOW, OPEN).excluded).toEqual({
      source_filter_sub1: [0, 1],
    })
    expect(openingOf(campaign, leadOf({ sub1: 'good' }), source, NOW, OPEN).eligible).toEqual([0])
  })

  test('of a source counts in its campaign only', () => {
    const source = { ...SOURCE, filters: new Map([['other', conditionOf({ state: 'CA' })]]) }
    expect(openingOf(campaign, leadOf(), source, NOW, OPEN).eligible).toEqual([0])
  })
})

test('10,000 seats are a few kilobytes of a trace, and come out of it as they went in', () => {
  const random = randomFrom(7)
  const states = ['TX', 'CA', 'NY', 'FL']
  const filters = Array.from({ length: 10_000 }, () => ({
    state: pick(random, states),
    ownership: pick(random, ['own', 'rent']),
  }))
  const campaign = campaignOf(filters.map((filter) => ({ filter, active: random() < 0.9 })))
  const opened = openingOf(campaign, leadOf(), SOURCE, NOW, OPEN)
  const stored = JSON.stringify(opened)
  expect(stored.length - JSON.stringify(opened.eligible).length).toBeLessThan(5200)
  const loop = openingByLoop(campaign, leadOf(), SOURCE, NOW)
  const read = JSON.parse(stored) as typeof opened
  expect(Object.fromEntries(excludedSeats(read, 10_000))).toEqual(Object.fromEntries(loop.excluded))
  expect(read.eligible).toEqual(loop.eligible)
})

test('a lead that nobody may buy ends with an outcome for each of its seats', () => {
  const contracts = Array.from({ length: 90 }, (_, seat) =>
    seat % 3 === 0 ? { active: false } : { filter: { state: 'CA' } },
  )
  const opened = openingOf(campaignOf(contracts), leadOf(), SOURCE, NOW, OPEN)
  expect(opened.excluded).toEqual({ inactive: contracts.flatMap((_, seat) => (seat % 3 === 0 ? seat : [])) })
  expect(opened.crowd?.reasons).toEqual(['filter_state'])
  const terms = { tiers: [], seats: contracts.map((_, seat) => ({ contract: `c${seat}` })) } as unknown as AuctionTerms
  const state = newAuction(terms)
  step(state, { on: 'open', at: 0, opening: { ...opened, dice: [] } })
  const ends = outcomes(state)
  expect(ends.size).toBe(90)
  expect([ends.get('c0')?.reason, ends.get('c1')?.reason, ends.get('c89')?.reason]).toEqual([
    'inactive',
    'filter_state',
    'filter_state',
  ])
})

/** `GAVEL_ELIGIBILITY=full` plays 100,000 leads against 2,000 campaigns. */
const CAMPAIGNS = process.env['GAVEL_ELIGIBILITY'] === 'full' ? 2000 : 100
const LEADS_EACH = 50

test('the index says of every seat what asking contract by contract says', { timeout: 600_000 }, () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 32)
  const random = randomFrom(seed)
  const scope = scopeOf(CONDITIONED)
  const condition = (): Condition => {
    for (;;) {
      const compiled = compileCondition(randomCondition(random), scope)
      if ('condition' in compiled) return compiled.condition
    }
  }
  for (let n = 0; n < CAMPAIGNS; n++) {
    const schedules = Array.from({ length: whole(random, 1, 20) }, () => randomSchedule(random))
    let at = NOW + whole(random, 0, 400 * 24 * HOUR_MS)
    const contracts = Array.from({ length: whole(random, 1, pick(random, [8, 40, 150])) }, (_, seat) => ({
      id: `c${seat}`,
      seat,
      active: random() < 0.95,
      sources: random() < 0.3 ? new Set([pick(random, SOURCES), pick(random, SOURCES)]) : null,
      filter: random() < 0.95 ? condition() : null,
      buyer: { id: `b${seat}`, legalEntity: pick(random, ['Acme LLC', 'Bolt', 'Zeta']) },
      schedules: random() < 0.5 ? [pick(random, schedules), pick(random, schedules)].slice(whole(random, 0, 1)) : [],
      queueForMs: random() < 0.3 ? whole(random, 1, 200) * HOUR_MS : 0,
      pausedUntil: random() < 0.1 ? wallMs(NOW + whole(random, 0, 20 * HOUR_MS)) : wallMs(0),
    }))
    const campaign = {
      id: 'auto',
      contracts,
      filter: null,
      rules: null,
      hasContractRules: false,
    } as unknown as Campaign
    for (let lead = 0; lead < LEADS_EACH; lead++) {
      const source = { ...SOURCE, id: pick(random, SOURCES) }
      const one = randomLead(random)
      // Now and then a clock that was ahead is set back.
      at += random() < 0.05 ? -HOUR_MS : whole(random, 0, pick(random, [60_000, HOUR_MS, 20 * HOUR_MS]))
      const opened = openingOf(campaign, one, source, wallMs(at), OPEN)
      const loop = openingByLoop(campaign, one, source, wallMs(at))
      const indexed = {
        eligible: opened.eligible,
        excluded: Object.fromEntries(excludedSeats(opened, contracts.length)),
      }
      const looped = { eligible: loop.eligible, excluded: Object.fromEntries(loop.excluded) }
      expect(indexed, `SEED=${seed}, campaign ${n}, lead ${lead}`).toEqual(looped)
    }
  }
})
