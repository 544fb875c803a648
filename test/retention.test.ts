/** Old days are dropped whole, once everything in them has ended, and what they came to stays. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dropOldDays } from '../engine/retention.ts'
import { wallMs } from '../rules/units.ts'
import { final, idAt, intent, LedgerKit, received, result, soldSighting, type TestEngine } from './ledger-kit.ts'

const DAY_MS = 86_400_000
const NOW = Date.now()

let kit: LedgerKit
let engine: TestEngine

beforeAll(async () => {
  kit = await LedgerKit.open()
  engine = await kit.engine()
  const day = (offset: number) => new Date(NOW + offset * DAY_MS).toISOString().slice(0, 10)
  await kit.ask('select make_partitions($1::date, $2::date)', [day(-50), day(-40)])
})
afterAll(() => kit.close())

async function lead(daysAgo: number, key: string) {
  const leadId = idAt(NOW - daysAgo * DAY_MS)
  const receivedAt = wallMs(NOW - daysAgo * DAY_MS)
  await engine.ledger.received(received({ leadId, receivedAt, idempotency: { key, bodyHash: 'h' } }))
  await engine.ledger.intent(intent(leadId), [])
  return leadId
}

const LONG_AGO = (leadId: string) => soldSighting(leadId, NOW - 93 * DAY_MS)
const sell = (leadId: string) =>
  engine.ledger.result(final(leadId, [result()], { status: 'sold', sighting: LONG_AGO(leadId), copies: 1 }))
const count = async (table: string) => (await kit.ask<{ n: number }>(`select count(*)::int as n from ${table}`))[0]!.n

test('a day goes when it is old and its leads have ended, and not a day before', async () => {
  const [oldest, undecided, recent] = [await lead(49, 'oldest'), await lead(45, 'undecided'), await lead(1, 'recent')]
  await sell(oldest)
  await sell(recent)
  const ask = `select ask_return(gen_random_uuid(), $1, 'acme', 'fraud', null, 'test', null, null, now(), now(), 'us')`
  for (const leadId of [oldest, recent]) await kit.ask(ask, [leadId])
  const first = await dropOldDays(kit.db, NOW, 41)
  expect(first[0]).toBe(new Date(NOW - 50 * DAY_MS).toISOString().slice(0, 10))
  expect(first).toHaveLength(5)
  expect(await engine.ledger.lead(oldest)).toBeNull()
  expect(await engine.ledger.bound('oldest')).toBeNull()
  expect(await engine.ledger.lead(undecided)).toMatchObject({ decided: false })

  expect(await dropOldDays(kit.db, NOW, 41)).toEqual([])
  await sell(undecided)
  expect(await dropOldDays(kit.db, NOW, 41)).toHaveLength(4)
  expect(await engine.ledger.lead(undecided)).toBeNull()

  expect(await engine.ledger.lead(recent)).toMatchObject({ status: 'sold' })
  expect(await engine.ledger.bound('recent')).not.toBeNull()
  expect(await kit.ask('select lead_id from returns')).toEqual([{ lead_id: recent }])
  expect(await count('sightings')).toBe(0)
  const sums = await kit.ask('select sum(n)::int as n, sum(price)::bigint as price from sold_sums')
  expect(sums).toEqual([{ n: 3, price: 60_000_000 }])
  const balances = await kit.ask<{ account: string; amount: number }>(
    `select account, sum(amount)::bigint as amount from (
      select account, amount from entries union all select account, amount from carried) as e group by 1 order by 1`,
  )
  expect(balances.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
  expect(balances.find(({ account }) => account === 'buyer:acme')!.amount).toBe(-3 * 20_000_000)
})
