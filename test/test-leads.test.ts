/** Test leads run the whole plan against test deliveries, and touch no cap, claim, report, money or buyer. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { exampleLead } from '../engine/example.ts'
import { openPool, queriesOver } from '../engine/store/postgres.ts'
import { doubtsByContract } from '../engine/store/queries.ts'
import { run } from './chaos/processes.ts'
import { type Door, House, houseConfig, look, send } from './inbound-kit.ts'

let house: House
let door: Door
let n = 8_000_000
/** What the test server of acme answers to posts. */
let unsure = false

beforeAll(async () => {
  house = await House.open(
    (url) =>
      houseConfig(url, (config) => {
        const { acme } = config.contracts
        acme.delivery.test_ping_url = `${url}/acmetest/ping`
        acme.delivery.test_url = `${url}/acmetest/post`
        acme.caps = { day: 1 }
        config.contracts.bolt.status = 'paused'
        config.sources.mill.postbacks = { solar: { url: `${url}/mill/post?lead={lead_id}` } }
      }),
    {
      buyers: { acme: { ping: { bid: { fixed: '20.00' } } }, acmetest: { ping: { bid: { fixed: '11.00' } } } },
      script: ({ kind, buyer }) =>
        unsure && kind === 'post' && buyer === 'acmetest'
          ? { how: 'reply', afterMs: 0, status: 503, body: '' }
          : undefined,
    },
  )
  door = await house.engine()
})
afterAll(() => house.close())

const post = (body: object, query = '', key = 'mill') =>
  send(`${door.origin}/v1/campaigns/solar/leads${query}`, body, { key })
const count = async (table: string) => (await house.ask<{ n: number }>(`select count(*)::int as n from ${table}`))[0]!.n

it('are sold to the test delivery, as often as they come, and read again', async () => {
  const body = { ...exampleLead(n++), lead_ref: 'T-1' }
  const answers = [await post(body, '?test=1'), await post({ ...body, test: 1 }), await post(body, '', 'mill-test')]
  for (const { json } of answers) expect(json).toMatchObject({ status: 'sold', payout: '7.70', copies: 1 })
  expect(new Set(answers.map(({ json }) => json.lead_id)).size).toBe(3)
  expect(house.seen('ping', 'acme')).toEqual([])
  expect(house.seen('post', 'acme')).toEqual([])
  expect(house.seen('post', 'acmetest')[0]).toMatchObject({ test: true, price: '11.00', contract: 'acme' })
  const again = await look(`${door.origin}/v1/leads/${answers[0]!.json.lead_id}`, { 'x-api-key': 'mill' })
  expect(again.json).toEqual(answers[0]!.json)
})

it('may be pinged first', async () => {
  const { state, zip, ownership } = exampleLead(0)
  const url = `${door.origin}/v1/campaigns/solar/pings`
  const offer = await send(url, { state, zip, ownership, test: 1 })
  expect(offer.json).toMatchObject({ status: 'offer', payout: '7.70' })
  // A lead that comes for a test's offer is a test, whether it says so or not.
  const taken = await send(`${door.origin}/v1/pings/${offer.json.ping_id}/lead`, exampleLead(n++))
  expect(taken.json).toMatchObject({ status: 'sold', payout: '7.70' })
  expect(house.seen('post', 'acme')).toEqual([])
})

it('in doubt keep nobody from buying', async () => {
  unsure = true
  for (let i = 0; i < 3; i++) expect((await post(exampleLead(n++), '?test=1')).json.status).toBe('pending')
  unsure = false
  const pool = openPool({ url: house.databaseUrl })
  expect(await doubtsByContract(queriesOver(pool))).toEqual(new Map())
  await pool.end()
})

it('leave no sale, money, sum, rollup, claim, postback or used cap behind', async () => {
  for (const table of ['sales', 'entries', 'sold_sums', 'rollups', 'idempotency', 'sightings', 'postbacks'])
    expect([table, await count(table)]).toEqual([table, 0])
  expect(await count('leads')).toBe(7)
  expect((await post(exampleLead(8_000_000))).json).toMatchObject({ status: 'sold', payout: '14.00' })
  expect((await post(exampleLead(n++))).json).toMatchObject({ status: 'unsold' })
  expect(await count('sales')).toBe(1)
})

it('the verifier finds nothing wrong', async () => {
  const env = { DATABASE_URL: house.databaseUrl, REDIS_URL: house.redisUrl }
  const { code, out, error } = await run('bench/verify.ts', ['--drained'], env)
  expect([code, code === 0 ? '' : out + error]).toEqual([0, ''])
})
