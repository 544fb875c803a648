/** A return through a whole engine: the buyer's balance, the source's answer, the operator's pages, and the verifier agree. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { verifyProgram } from '../bench/verify/program.ts'
import { exampleLead } from '../engine/example.ts'
import { type Door, House, houseConfig, look, send, sha256 } from './inbound-kit.ts'

let house: House
let door: Door
beforeAll(async () => {
  const config = (buyers: string) =>
    houseConfig(buyers, (its) => {
      // Longer than any ping of a loaded machine takes: both must bid.
      Object.assign(its.campaigns.solar.plan[0], { copies: 2, ping_ms: 6_000 })
      its.contracts.acme.returns = { share: 1 }
      its.contracts.acme.caps = { day: 5 }
      its.buyers.acme.balance = { credit: '100.00' }
      its.sources.mill.postbacks = { solar: { url: 'http://127.0.0.1:1/told?p={payout}' } }
      its.admin = { keys: [{ sha256: sha256('root'), label: 'root' }] }
    })
  house = await House.open(config, { buyers: { '*': { ping: { bid: { fixed: '20.00' } } } } })
  door = await house.engine()
})
afterAll(() => house.close())

it('gives the money back and leaves everything else as it was', async () => {
  const root = { key: 'root' }
  const read = async (path: string) =>
    (await look(`${door.admin}/admin/v1/${path}`, { authorization: 'Bearer root' })).json
  const lines = async () => {
    const { caps } = await read('caps')
    const of = (window: string) => caps.find((one: Record<string, string>) => one['window'] === window)
    return { balance: of('balance'), day: of('day') }
  }
  const { json: sold } = await send(`${door.origin}/v1/campaigns/solar/leads`, exampleLead(7_000_001))
  expect(sold).toMatchObject({ status: 'sold', copies: 2, payout: '28.00' })
  const before = await lines()
  const asked = { contract: 'acme', reason_code: 'wrong_number', note: 'nobody of that name' }
  const { json: stands } = await send(`${door.admin}/admin/v1/leads/${sold.lead_id}:return`, asked, root)
  expect(stands).toMatchObject({ state: 'asked' })
  const decided = await send(`${door.admin}/admin/v1/returns/${stands.id}:decide`, { approve: true }, root)
  expect(decided.json).toMatchObject({ state: 'approved' })
  const { json: now } = await look(`${door.origin}/v1/leads/${sold.lead_id}`, { authorization: 'Bearer mill' })
  expect(now).toEqual({ ...sold, payout: '14.00', returned: { copies: 1, payout: '14.00' } })
  const { seats } = await read(`leads/${sold.lead_id}/explain`)
  const why = (contract: string) => seats.find((seat: { contract: string }) => seat.contract === contract).why
  expect(why('acme')).toMatch(/; returned on 20\d\d-\d\d-\d\d \(wrong_number\)$/)
  expect(why('bolt')).not.toContain('returned')
  const told = await house.ask('select event, payout from postbacks where lead_id = $1 order by happened_at', [
    sold.lead_id,
  ])
  expect(told).toEqual([
    { event: 'sold', payout: '28000000' },
    { event: 'returned', payout: '14000000' },
  ])
  await expect.poll(lines, { timeout: 20_000 }).not.toEqual(before)
  const after = await lines()
  expect(after.day).toEqual(before.day)
  expect(Number(after.balance.remaining) - Number(before.balance.remaining)).toBe(20)
  let said = ''
  const out = (text: string) => {
    said += `${text}\n`
  }
  const settings = { DATABASE_URL: house.databaseUrl, REDIS_URL: house.redisUrl }
  expect(await verifyProgram([], settings, { out, error: out }), said).toBe(0)
  expect(said).toMatch(/returns 1 +balances 1 /)
})
