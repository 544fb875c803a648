/** Random histories of two engines over the same leads: whatever they try, no copy is sold twice and the money adds up. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { FinalStatus } from '../engine/store/port.ts'
import { micros } from '../rules/units.ts'
import { final, intent, LedgerKit, received, result, type TestEngine } from './ledger-kit.ts'

const CONTRACTS = ['acme', 'bolt', 'casa'] as const
const ENDS = ['accepted', 'rejected', 'not_sent', 'in_doubt'] as const

let kit: LedgerKit

beforeAll(async () => {
  kit = await LedgerKit.open()
})
afterAll(() => kit.close())

const lead = fc.nat({ max: 2 })
const engine = fc.nat({ max: 1 })
const post = {
  lead,
  engine,
  contract: fc.constantFrom(...CONTRACTS),
  copy: fc.nat({ max: 1 }),
  attempt: fc.nat({ max: 1 }),
}
const deed = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('intend' as const), ...post }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('end' as const), ...post, state: fc.constantFrom(...ENDS) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('finish' as const), lead, engine }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('conclude' as const), lead, engine }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('resolve' as const),
      lead,
      engine,
      copy: fc.nat({ max: 1 }),
      state: fc.constantFrom('accepted', 'rejected'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('takeOver' as const), engine }) },
)
type Deed = typeof deed extends fc.Arbitrary<infer D> ? D : never

it('keeps its laws', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { minLength: 10, maxLength: 40 }), async (deeds) => {
      const engines = [await kit.engine(), await kit.engine()] as const
      try {
        const leads = [received(), received(), received({ test: true })]
        await Promise.all(leads.map((row) => engines[0].ledger.received(row)))
        const ids = leads.map(({ leadId }) => leadId)
        // Neighbours run at once: the laws must not depend on who comes first.
        for (let i = 0; i < deeds.length; i += 3) {
          await Promise.all(deeds.slice(i, i + 3).map((one) => perform(one, ids, engines)))
        }
        await expectLaws(ids)
      } finally {
        // A history that fails must not keep its connections from those that shrink it.
        await Promise.all(engines.flatMap(({ ledger, ownership }) => [ledger.close(), ownership.stop()]))
      }
    }),
    { numRuns: 40 },
  )
})

async function perform(one: Deed, ids: readonly string[], engines: readonly [TestEngine, TestEngine]): Promise<void> {
  const actor = engines[one.engine as 0 | 1]
  if (one.do === 'takeOver') {
    await kit.ask('select fence_self($1)', [engines[1 - one.engine]!.id])
    await kit.ask('select take_over($1, 100)', [actor.id])
    return
  }
  const leadId = ids[one.lead]!
  const test = one.lead === 2
  const term = one.engine + 1
  switch (one.do) {
    case 'intend': {
      const { contract, copy, attempt } = one
      await actor.ledger.intent(intent(leadId, { contract, copy, attempt, term }), [])
      return
    }
    case 'end': {
      const { contract, copy, attempt, state } = one
      const ended = result({ contract, copy, attempt, state, price: micros(15_000_000 + one.lead) })
      return actor.ledger.result(final(leadId, [ended], null, { term, test }))
    }
    case 'finish': {
      const [sold] = await kit.ask<FinalStatus>(
        `select count(*)::int as copies, coalesce(sum(payout), 0)::bigint as payout from intents
         where lead_id = $1 and state = 'accepted'`,
        [leadId],
      )
      const status = sold!.copies > 0 ? 'sold' : 'unsold'
      return actor.ledger.result(final(leadId, [], { ...sold!, status, outcomes: {} }, { term, test }))
    }
    case 'conclude':
      await kit.ask('select conclude_lead($1, $2, $3)', [actor.id, leadId, term])
      return
    case 'resolve': {
      const reason = one.state === 'accepted' ? 'won' : 'unresolved'
      await kit.ask(`select resolve_doubt($1, $2, $3, null, $4, $5, $5, null, null, null, 'test')`, [
        actor.id,
        leadId,
        one.copy,
        one.state,
        reason,
      ])
      return
    }
    default:
      one satisfies never
  }
}

async function expectLaws(ids: readonly string[]): Promise<void> {
  const twice = await kit.ask(
    `select lead_id from intents where state in ('open', 'in_doubt', 'accepted') and lead_id = any($1)
     group by lead_id, copy having count(*) > 1`,
    [ids],
  )
  expect(twice).toEqual([])
  const apart = await kit.ask(
    `select i.lead_id, i.contract, s.contract as sold from (
       select i.* from intents i join leads l on l.id = i.lead_id where i.state = 'accepted' and not l.test
     ) as i full join sales s on s.lead_id = i.lead_id and s.copy = i.copy and s.contract = i.contract
       and s.price = i.price and s.payout = i.payout
     where (i.lead_id is null or s.lead_id is null) and coalesce(i.lead_id, s.lead_id) = any($1)`,
    [ids],
  )
  expect(apart).toEqual([])
  const unbalanced = await kit.ask(
    `select lead_id, copy from entries where lead_id = any($1) group by 1, 2 having sum(amount) <> 0 or count(*) <> 3`,
    [ids],
  )
  expect(unbalanced).toEqual([])
  const sums = await kit.ask(
    `select (select coalesce(sum(n), 0) from sold_sums) - (select count(*) from sales) as n,
       (select coalesce(sum(price), 0) from sold_sums) - (select coalesce(sum(price), 0) from sales) as price,
       (select coalesce(sum(payout), 0) from sold_sums) - (select coalesce(sum(payout), 0) from sales) as payout`,
  )
  expect(sums).toEqual([{ n: 0, price: 0, payout: 0 }])
  const counted = await kit.ask(
    `select coalesce(l.status, r.reason) as status, coalesce(l.n, 0) as leads, coalesce(r.n, 0) as counted
     from (select status, count(*) as n from leads where status is not null and not test group by 1) as l
     full join (select reason, sum(n) as n from rollups where kind = 'lead' group by 1) as r on r.reason = l.status
     where coalesce(l.n, 0) <> coalesce(r.n, 0)`,
  )
  expect(counted).toEqual([])
}
