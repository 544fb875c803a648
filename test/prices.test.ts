/** Prices by rule: the last rule that holds counts, and only those of eligible seats are asked. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { answerReply } from '../engine/answer.ts'
import { type EligibilityHints, openingOf } from '../rules/eligibility.ts'
import type { Condition } from '../rules/filter.ts'
import type { Lead } from '../rules/lead.ts'
import { NO_REDIRECTS } from '../rules/onward.ts'
import { lastThatHolds, pricesOf, type Rule } from '../rules/prices.ts'
import { newAuction } from '../rules/step/state.ts'
import { seatEnds, step } from '../rules/step.ts'
import { auctionTerms } from '../rules/terms.ts'
import { type Micros, micros } from '../rules/units.ts'
import { compileVersion } from '../rules/version.ts'
import { castStory } from './world/cast.ts'
import type { Story } from './world/story.ts'

const NOBODY = {} as Lead
const always = (holds: boolean): Condition => ({ fallsOn: () => (holds ? null : 'state'), checks: [] })

test('of a list of rules the last that holds counts, with its number', () => {
  const rule = fc.record({ when: fc.option(fc.boolean().map(always)), is: fc.nat() })
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 8 }), (rules) => {
      const holding = rules.flatMap(({ when, is }, at) =>
        when === null || when.fallsOn(NOBODY, 'mill') === null ? [{ rule: at + 1, is }] : [],
      )
      expect(lastThatHolds(rules, NOBODY, 'mill')).toEqual(holding.at(-1) ?? null)
    }),
  )
})

const story = (contracts: Story['contracts'], terms: Partial<Story['terms']> = {}): Story => ({
  why: 'For what it is compiled to.',
  clock: '2026-03-02T14:00:00-06:00',
  dice: [],
  lead: { vertical: 'solar', state: 'TX', zip: '78701', ownership: 'own' },
  plan: [{ tier: 'main', strategy: 'auction', copies: 1 }],
  terms: { payout: { share: 0.7 }, ...terms },
  contracts,
  expect: { trace: [], outcomes: {}, caps: {} },
})

describe('an opening', () => {
  test('says nothing of prices where there are no rules, or none holds', () => {
    expect(castStory(story({ acme: { price: '9.00' } })).opening).not.toHaveProperty('prices')
    const rules = [{ when: { state: 'CA' }, price: '20.00' }]
    expect(castStory(story({ acme: { price: '9.00', priceRules: rules } })).opening).not.toHaveProperty('prices')
  })

  test('names seats by their place among the eligible ones', () => {
    const { opening } = castStory(
      story({
        acme: { price: '9.00', filter: { state: 'CA' }, priceRules: [{ price: '20.00' }] },
        bolt: { price: '9.00' },
        crane: { price: '9.00', priceRules: [{ price: '20.00' }], floorRules: [{ floor: '3.00' }] },
      }),
    )
    expect(opening.prices).toEqual({
      seats: [{ seat: 1, price: { rule: 1, is: 20_000_000 }, floor: { rule: 1, is: 3_000_000 } }],
    })
  })

  test('has no value of the lead', () => {
    const when = { zip: ['78701', '78702'], ownership: 'own' }
    const cast = castStory(story({ acme: { price: '9.00', priceRules: [{ when, price: '20.00' }] } }))
    expect(JSON.stringify(cast.opening)).not.toMatch(/78701|own/)
  })
})

test('of ten thousand contracts with rules only those that are eligible are asked', () => {
  let asked = 0
  const rule: Rule<never> = {
    when: {
      fallsOn: () => {
        asked++
        return 'state'
      },
      checks: [],
    },
    is: micros(1) as never,
  }
  const cast = castStory(story({ acme: { price: '9.00' } }))
  const rules = { checks: [], prices: [rule, rule], floors: [], adjustments: [rule] }
  const contracts = Array.from({ length: 10_000 }, () => ({ ...cast.campaign.contracts[0]!, rules }))
  const campaign = { ...cast.campaign, contracts, hasContractRules: true }
  expect(pricesOf(campaign, cast.source, cast.lead, [17, 4_000, 9_999])).toBeNull()
  expect(asked).toBe(9)
})

describe('a configuration with prices', () => {
  const warningsOf = (change: (config: Loose) => void): string[] => {
    const config = structuredClone(BASE) as Loose
    change(config)
    const compiled = compileVersion(config, 1)
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
    return compiled.warnings.map(({ path }) => path)
  }
  // biome-ignore lint/suspicious/noExplicitAny: bent by each case in its own way.
  type Loose = any
  const BASE = {
    admin: { keys: [{ sha256: 'a'.repeat(64) }] },
    sources: { mill: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [{ sha256: 'b'.repeat(64) }] } },
    campaigns: {
      solar: {
        vertical: 'solar',
        zone: 'America/Chicago',
        payout: { share: 0.7 },
        plan: [{ tier: 'open', strategy: 'auction' }],
      },
    },
    buyers: { acme: { zone: 'America/New_York' } },
    contracts: {
      acme: {
        buyer: 'acme',
        campaign: 'solar',
        status: 'active',
        delivery: {
          ping_url: 'https://acme.example/ping',
          post_url: 'https://acme.example/post',
          ping_fields: ['state'],
        },
      },
    },
  }

  test.each([
    ['nothing', () => {}, []],
    [
      'rules that no later rule lets count',
      (c: Loose) => (c.contracts.acme.adjust = [{ when: { state: 'TX' }, factor: 2 }, { factor: 1.5 }]),
      ['contracts.acme.adjust[1].when'],
    ],
    [
      'a most bid under the floor',
      (c: Loose) => Object.assign(c.contracts.acme, { max_bid: '4.00', floor: '5.00' }),
      ['contracts.acme.max_bid'],
    ],
    [
      'an adjustment and an early close where bids are not compared',
      (c: Loose) => {
        c.campaigns.solar.plan[0] = { tier: 'open', strategy: 'waterfall', early_close: true }
        c.contracts.acme.adjust = [{ factor: 1.5 }]
      },
      ['campaigns.solar.plan[0].early_close', 'contracts.acme.adjust'],
    ],
    [
      'a source that takes no less than more than it is paid',
      (c: Loose) => Object.assign(c.sources.mill, { payout: { fixed: '3.00' }, min_payout: '4.00' }),
      ['sources.mill.min_payout'],
    ],
  ])('warns of %s', (_why, change, paths) => {
    expect(warningsOf(change)).toEqual(paths)
  })
})

test('a lead that is kept from everybody, or that the campaign does not take, is owed nothing', () => {
  const paid = story({ acme: { price: '9.00' }, bolt: { price: '9.00', filter: { state: 'CA' } } })
  const terms = { payout: { fixed: '3.00', payout_on: 'accepted' } } as const
  const { campaign, source, lead, opensAt, opening } = castStory({ ...paid, terms })
  expect(opening.owed).toBe(3_000_000)
  const hints = { exhausted: () => null, doubts: () => false, unwell: () => false }
  const owed = (given: Partial<EligibilityHints>, of = campaign) =>
    openingOf(of, lead, source, opensAt, { ...hints, ...given }).owed
  expect(owed({ denied: () => 'blocked_source' })).toBeUndefined()
  expect(owed({ doubts: () => true })).toBe(3_000_000)
  expect(owed({}, { ...campaign, filter: always(false) })).toBeUndefined()
})

test('a seat that was never asked is not taken for one that was, whatever its price depends on', () => {
  const cast = castStory({
    ...story({
      acme: { price: '9.00', priceRules: [{ price: '8.00' }] },
      bolt: { price: '9.00', priceRules: [{ price: '8.00' }] },
    }),
    plan: [{ tier: 'main', strategy: 'waterfall', copies: 1 }],
  })
  const state = newAuction(auctionTerms(cast.campaign, cast.source))
  step(state, { on: 'open', at: 0, opening: cast.opening })
  expect(seatEnds(state).map(({ asked }) => asked)).toEqual([false, false])
})

test('an unsold lead tells its source what it earns, and nothing of money where it earns nothing', () => {
  const answer = { leadId: 'L1', status: 'unsold', payout: micros(3_000_000), currency: 'USD', copies: 0 } as const
  const more = { reasons: ['no_buyer'], redirectUrl: null, leadRef: null }
  const tell = (payout: Micros) => JSON.parse(answerReply({ ...answer, ...more, payout }, NO_REDIRECTS).body)
  const unsold = { lead_id: 'L1', status: 'unsold', reasons: ['no_buyer'] }
  expect(tell(micros(3_000_000))).toEqual({ ...unsold, payout: '3.00', currency: 'USD' })
  expect(tell(micros(0))).toEqual(unsold)
})
