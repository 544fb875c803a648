/** Random histories of shared leads: copies sold, doubts settled, returns asked for and decided, several at once. The money always adds up. */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { dossiers } from '../bench/verify/dossiers.ts'
import { MoneyCheck } from '../bench/verify/money.ts'
import { leadFile } from '../engine/store/queries.ts'
import { earnedFor } from '../rules/money.ts'
import { type Micros, micros } from '../rules/units.ts'
import { fuzzRuns } from './fuzz.ts'
import { campaign, contract, ReturnsKit } from './returns-kit.ts'

const PAYOUTS = { share: { share: 0.7 }, fixed: { fixed: '5.00' }, owed: { fixed: '5.00', payout_on: 'accepted' } }
const BUYERS = ['acme', 'bolt', 'casa'] as const
type Terms = keyof typeof PAYOUTS

/** Bolt's returns are approved by nobody; casa's are borne by our margin. */
const RETURNS = {
  acme: { share: 1 },
  bolt: { share: 1, approval: 'automatic' },
  casa: { share: 1, clawback: 'us' },
} as const
const TERMS = Object.keys(PAYOUTS) as Terms[]
const CONFIG = {
  sources: { demo: { pseudonym: 'S-1', status: 'active', campaigns: TERMS, keys: [] } },
  campaigns: Object.fromEntries(TERMS.map((id) => [id, campaign(PAYOUTS[id])])),
  buyers: Object.fromEntries(BUYERS.map((id) => [id, { zone: 'UTC' }])),
  contracts: Object.fromEntries(
    TERMS.flatMap((of) => BUYERS.map((buyer) => [`${buyer}-${of}`, contract(buyer, RETURNS[buyer], of)])),
  ),
}

let kit: ReturnsKit
beforeAll(async () => {
  kit = await ReturnsKit.open(CONFIG)
})
afterAll(() => kit.close())

const copy = fc.record({
  cents: fc.integer({ min: 500, max: 5_000 }),
  end: fc.constantFrom('accepted' as const, 'accepted' as const, 'in_doubt' as const, null),
})
const deed = fc.record({
  buyer: fc.nat(2),
  do: fc.constantFrom('return', 'return', 'approve', 'refuse', 'sold', 'unsold'),
})
const history = fc.record({
  terms: fc.constantFrom(...TERMS),
  promise: fc.option(fc.integer({ min: 100, max: 2_000 })),
  copies: fc.tuple(copy, copy, copy),
  deeds: fc.array(deed, { minLength: 3, maxLength: 14 }),
})
type History = typeof history extends fc.Arbitrary<infer H> ? H : never

it('no more is reversed than was sold, and the source has what its copies that stay earn', {
  timeout: 900_000,
}, async () => {
  await fc.assert(fc.asyncProperty(history, play), { numRuns: fuzzRuns(60, 600) })
  await verified()
})

async function play({ terms, promise, copies, deeds }: History): Promise<void> {
  const of = kit.snapshot.campaigns.get(terms)!
  const promised = promise === null || terms !== 'share' ? null : { payout: micros(promise * 1e4), marginGives: true }
  const earned = (bids: readonly Micros[]) => earnedFor(of, promised, bids)
  const posted = BUYERS.flatMap((buyer, at) => {
    const { cents, end } = copies[at]!
    return end === null ? [] : [{ buyer, contract: `${buyer}-${terms}`, bid: micros(cents * 1e4), end }]
  }).sort((a, b) => Number(a.end === 'in_doubt') - Number(b.end === 'in_doubt'))
  if (posted.length === 0) return
  const bids = posted.map(({ bid }) => bid)
  const sold = posted.map(({ contract: id, bid, end }, at) => {
    const payout = earned(bids.slice(0, at + 1)) - earned(bids.slice(0, at))
    return { contract: id, price: bid / 1e6, payout: payout / 1e6, state: end }
  })
  const opening = promised === null ? {} : { promise: promised }
  const leadId = await kit.lead(sold, { opening, ...(terms === 'owed' ? { owed: 5_000_000 } : {}) })
  // Neighbours act at once: the laws must not depend on who comes first.
  for (let i = 0; i < deeds.length; i += 3) {
    await Promise.all(deeds.slice(i, i + 3).map((one) => act(leadId, `${BUYERS[one.buyer]}-${terms}`, one.do)))
    await expectLaws(leadId, earned)
  }
}

async function act(leadId: string, contractId: string, what: string): Promise<void> {
  const by = { role: 'operator', label: 'ann' }
  const { returns } = kit
  if (what === 'return') {
    await returns.ask({ leadId, contract: contractId, reasonCode: 'fraud', note: null, by })
  } else if (what === 'sold' || what === 'unsold') {
    await kit.settle(leadId, contractId, what === 'sold')
  } else {
    const one = (await returns.list({ leadId, limit: 9 })).find((asked) => asked.contract === contractId)
    if (one) await returns.decide({ id: one.id, approve: what === 'approve', note: null, by })
  }
}

async function expectLaws(leadId: string, earned: (bids: readonly Micros[]) => Micros): Promise<void> {
  const { lead, intents, entries, returns, sales } = (await leadFile(kit.kit.db, leadId))!
  const sumOf = (which: (entry: (typeof entries)[number]) => boolean) =>
    entries.filter(which).reduce((sum, { amount }) => sum + amount, 0)
  const back = returns.filter(({ state }) => state === 'approved')
  for (const { copy: nth, contract: id, price, buyer } of sales) {
    const returned = back.some((one) => one.contract === id)
    const paid = sumOf(({ copy: one, account }) => one === nth && account === `buyer:${buyer}`)
    expect(paid).toBe(returned ? 0 : -price)
  }
  for (const [, rows] of Map.groupBy(entries, ({ copy: nth, cause }) => `${nth} ${cause}`))
    expect(rows.reduce((sum, { amount }) => sum + amount, 0)).toBe(0)
  const accepted = intents.filter(({ state }) => state === 'accepted')
  const stay = accepted.filter(({ contract: id }) => !back.some((one) => one.contract === id))
  const bidsOf = (rows: typeof intents) => rows.map(({ bid }) => micros(bid))
  const inDoubt = intents.some(({ state }) => state === 'in_doubt')
  const least = Math.max(earned(bidsOf(stay)), accepted.length > 0 || !inDoubt ? lead.owed : 0)
  const most = Math.max(earned(bidsOf(accepted)), least)
  const has = sumOf(({ account }) => account === 'source:demo')
  if (lead.status !== 'pending') expect(lead.payout).toBe(has)
  expect(has).toBeGreaterThanOrEqual(least)
  expect(has).toBeLessThanOrEqual(most)
  if (back.every(({ clawback_from: from }) => from === 'source')) expect(has).toBe(least)
}

/** What the verifier says of all of it. */
async function verified(): Promise<void> {
  const client = await kit.kit.pool.connect()
  try {
    await client.query('begin read only')
    const money = new MoneyCheck()
    for await (const dossier of dossiers(client, (orphan) => money.orphan(orphan))) money.see(dossier, null)
    const { examples, counts } = await money.end(client)
    expect(examples).toEqual([])
    expect(counts['returns']).toBeGreaterThan(0)
    await client.query('commit')
  } finally {
    client.release()
  }
}
