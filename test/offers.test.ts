/** Source ping-post through real engines: an offer outlives its engine, is used once, and is never undercut. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exampleLead } from '../engine/example.ts'
import { run } from './chaos/processes.ts'
import { until } from './chaos/until.ts'
import { type Door, House, houseConfig, look, send, sha256 } from './inbound-kit.ts'

let house: House
let one: Door
let two: Door
let n = 4_000_000

/** Who rejects the next posts; acme and bolt bid 20.00 and 16.00. */
const rejects = new Set<string>()
/** For how many seconds a buyer's bids stand. */
const lives = new Map<string, number>()
const bidThatLives = (seconds: number) => JSON.stringify({ accept: true, price: '16.00', expires_in: seconds })

beforeAll(async () => {
  house = await House.open(
    (url) =>
      houseConfig(url, (config) => {
        const { solar } = config.campaigns
        config.admin = { keys: [{ sha256: sha256('root'), label: 'root' }] }
        config.campaigns.choice = { ...solar, offers: { consumer_choice: true } }
        config.campaigns.strict = { ...solar, offers: { personal: 'refuse', shortfall: 'reoffer' } }
        for (const campaign of ['choice', 'strict']) {
          for (const buyer of ['acme', 'bolt'])
            config.contracts[`${buyer}-${campaign}`] = { ...config.contracts[buyer], campaign }
        }
        for (const source of Object.values<{ campaigns: string[] }>(config.sources))
          source.campaigns = ['solar', 'choice', 'strict']
        config.contracts.acme.bid_seconds = 120
      }),
    {
      buyers: {
        acme: { ping: { bid: { fixed: '20.00' } } },
        bolt: { ping: { bid: { fixed: '16.00' } } },
      },
      script: ({ kind, buyer }) =>
        kind === 'post' && rejects.has(buyer)
          ? { how: 'reply', afterMs: 0, status: 200, body: '{"accept":false,"reason":"no thanks"}' }
          : kind === 'ping' && lives.has(buyer)
            ? { how: 'reply', afterMs: 0, status: 200, body: bidThatLives(lives.get(buyer)!) }
            : undefined,
    },
  )
  one = await house.engine()
  two = await house.engine()
})
afterAll(() => house.close())

const PERSONAL = ['first_name', 'last_name', 'phone', 'email', 'address', 'city']
const person = () => ({ ...exampleLead(n++) })
const pinged = (lead: Record<string, string>) =>
  Object.fromEntries(Object.entries(lead).filter(([name]) => !PERSONAL.includes(name)))
const ping = (door: Door, lead: Record<string, unknown>, campaign = 'solar') =>
  send(`${door.origin}/v1/campaigns/${campaign}/pings`, lead)
const post = (door: Door, pingId: string, lead: object, key = 'mill') =>
  send(`${door.origin}/v1/pings/${pingId}/lead`, lead, { key })
const posts = () => house.buyers.counts.post

const ADMIN = { authorization: 'Bearer root' }
/** An advisory lock of the ledger's. */
const GATE = 4_711

/**
 * From now on no INTENT is written in one transaction with its lead, and those that come alone wait, until they are
 * forgotten: what a kill then leaves is a lead without one.
 */
async function intentsWait() {
  const client = new pg.Client({ connectionString: house.databaseUrl })
  client.on('error', () => {})
  await client.connect()
  const waits = `from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
    where locktype = 'advisory' and objid = ${GATE} and not granted`
  await client.query(`
    create function gate() returns trigger language plpgsql as $$
    begin
      if exists (select 1 from leads where id = new.lead_id and xmin = pg_current_xact_id()::xid) then
        raise data_exception using message = 'its lead comes first';
      end if;
      perform pg_advisory_xact_lock(${GATE});
      return new;
    end $$;
    create trigger gate before insert on intents for each row execute function gate();
    select pg_advisory_lock(${GATE})`)
  return {
    waiting: async () => Number((await client.query(`select count(*) as n ${waits}`)).rows[0].n),
    forget: async () => {
      await client.query(`select pg_terminate_backend(pid) ${waits}`)
      await client.query('drop trigger gate on intents; drop function gate()')
      await client.end()
    },
  }
}

describe('a ping', () => {
  it('is answered with an offer, and nothing is held, claimed or received', async () => {
    const before = await house.ask('select count(*)::int as n from leads')
    const { status, json } = await ping(one, { ...pinged(person()), lead_ref: 'R-1', sub1: 'summer' })
    expect(status).toBe(200)
    expect(json).toMatchObject({ status: 'offer', payout: '14.00', currency: 'USD', lead_ref: 'R-1' })
    expect(json.ping_id).toMatch(/^pg_[0-9a-f-]{36}$/)
    expect(json).not.toHaveProperty('bids')
    const left = Date.parse(json.expires_at) - Date.now()
    expect(left).toBeGreaterThan(100_000)
    expect(left).toBeLessThan(121_000)
    expect(await house.ask('select count(*)::int as n from leads')).toEqual(before)
    const [kept] = await house.ask<{ version: number; bids: object[]; trace: string; source: string }>(
      'select * from offers where id = $1',
      [json.ping_id.slice(3)],
    )
    expect(kept).toMatchObject({ source: 'mill', campaign: 'solar', payout: '14000000', test: false })
    expect(kept!.bids).toMatchObject([
      { id: 'b1', contract: 'acme', price: 20_000_000, buyerReference: 'acme-b' },
      { id: 'b2', contract: 'bolt', price: 16_000_000 },
    ])
    expect(JSON.parse(kept!.trace).opening).toMatchObject({ asks: true })
  })

  it('stands no longer than the shortest of its bids', async () => {
    lives.set('bolt', 30)
    const { json } = await ping(one, pinged(person()))
    lives.delete('bolt')
    const left = Date.parse(json.expires_at) - Date.now()
    expect(left).toBeGreaterThan(10_000)
    expect(left).toBeLessThan(30_001)
    const [kept] = await house.ask<{ bids: { endsAt?: number }[] }>('select * from offers where id = $1', [
      json.ping_id.slice(3),
    ])
    const [acme, bolt] = kept!.bids.map(({ endsAt }) => Math.floor(endsAt! / 1_000))
    expect(bolt).toBe(Date.parse(json.expires_at) / 1_000)
    expect(acme! - bolt!).toBeGreaterThan(80)
  })

  it('that names the consumer goes on without the name, and says so', async () => {
    const { json } = await ping(one, person())
    expect(json.status).toBe('offer')
    expect(json.warnings).toEqual(PERSONAL.map((field) => ({ field, code: 'not_in_a_ping' })))
    const text = JSON.stringify(house.seen('ping').at(-1))
    for (const value of ['Jane', 'Doe', 'example.com', 'Congress']) expect(text).not.toContain(value)
  })

  it('that names the consumer is refused where the campaign says so', async () => {
    const { status, json } = await ping(one, person(), 'strict')
    expect(status).toBe(422)
    expect(json.issues).toEqual(PERSONAL.map((field) => ({ field, code: 'not_in_a_ping', value: null })))
  })

  it('needs what a ping may show, and only that', async () => {
    const { status, json } = await ping(one, { state: 'TX' })
    expect(status).toBe(422)
    expect(json.issues.map((issue: { field: string }) => issue.field)).toEqual(['zip', 'ownership'])
  })

  it('that nobody bids for has an id to ask about, and nothing to post to', async () => {
    const { status, json } = await send(`${one.origin}/v1/campaigns/solar/pings`, pinged(person()), {
      key: 'mill-test',
    })
    expect([status, json.status, json.reasons]).toEqual([200, 'no_offer', ['no_buyer']])
    expect(await post(one, json.ping_id, person())).toMatchObject({ status: 409, json: { title: 'nothing offered' } })
  })
})

describe('the lead that comes for an offer', () => {
  it('is sold at the bids as they were made, by another engine, after the first one was killed', async () => {
    const third = await house.engine()
    const lead = person()
    const offer = (await ping(third, pinged(lead))).json
    await third.program.kill9()
    const pings = house.buyers.counts.ping
    const { status, json } = await post(two, offer.ping_id, lead)
    expect([status, json]).toMatchObject([200, { status: 'sold', payout: '14.00', copies: 1 }])
    expect(house.buyers.counts.ping).toBe(pings)
    expect(house.seen('post').at(-1)).toMatchObject({
      contract: 'acme',
      price: '20.00',
      buyer_reference: 'acme-b',
      lead_id: json.lead_id,
    })
  })

  it('uses it once: a repeat is told the same answer, another lead is refused, whichever engine it asks', async () => {
    const lead = person()
    const { ping_id } = (await ping(one, pinged(lead))).json
    const before = posts()
    const answers = await Promise.all([one, two, one, two].map((door) => post(door, ping_id, lead)))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers[0]!.json.status).toBe('sold')
    expect(posts()).toBe(before + 1)
    expect(await post(two, ping_id, person())).toMatchObject({ status: 409, json: { title: 'ping used' } })
    expect(posts()).toBe(before + 1)
    const { lead_id } = answers[0]!.json
    expect(await house.ask(`select offer_of_lead($1)->>'id' as id`, [lead_id])).toEqual([{ id: ping_id.slice(3) }])
  })

  it('does not use it up by being invalid', async () => {
    const lead = person()
    const { ping_id } = (await ping(one, pinged(lead))).json
    expect((await post(one, ping_id, { ...lead, phone: '555' })).status).toBe(422)
    expect((await post(one, ping_id, lead)).json.status).toBe('sold')
  })

  it('is asked about anew where a pinged field has changed', async () => {
    const lead = person()
    const { ping_id } = (await ping(one, pinged(lead))).json
    const pings = house.buyers.counts.ping
    const { json } = await post(two, ping_id, { ...lead, bill_band: '200-300' })
    expect(json).toMatchObject({ status: 'sold', payout: '14.00' })
    expect(house.buyers.counts.ping).toBe(pings + 2)
    expect(house.seen('ping').at(-1).fields.bill_band).toBe('200-300')
  })

  it('earns no less than was offered, where the best bidder rejects it', async () => {
    rejects.add('acme')
    const lead = person()
    const { ping_id } = (await ping(one, pinged(lead))).json
    const { json } = await post(one, ping_id, lead)
    rejects.clear()
    expect(json).toMatchObject({ status: 'sold', payout: '14.00' })
    expect(await house.ask('select price, payout from sales where lead_id = $1', [json.lead_id])).toEqual([
      { price: '16000000', payout: '14000000' },
    ])
  })

  it('is offered less in place of it, where the campaign says so, and may come for that', async () => {
    rejects.add('acme')
    const lead = person()
    const { ping_id } = (await ping(one, pinged(lead), 'strict')).json
    const { json } = await post(one, ping_id, lead)
    rejects.clear()
    expect(json).toMatchObject({ status: 'unsold', offer: { status: 'offer', payout: '11.20' } })
    expect((await post(two, ping_id, lead)).text).toBe(JSON.stringify(json))
    const second = await post(two, json.offer.ping_id, lead)
    expect(second.json).toMatchObject({ status: 'sold', payout: '11.20' })
    expect(second.json.lead_id).not.toBe(json.lead_id)
  })

  it('keeps its offer where the engine is killed after it received the lead and before anybody was offered it', async () => {
    const dying = await house.engine()
    const lead = person()
    const { ping_id } = (await ping(dying, pinged(lead))).json
    const before = posts()
    const gate = await intentsWait()
    const cut = post(dying, ping_id, lead).catch(() => null)
    await until('an INTENT that waits', 10_000, gate.waiting)
    await dying.program.kill9()
    await gate.forget()
    await cut
    const bound = `select i.lead_id, l.status from idempotency i join leads l on l.id = i.lead_id where i.key = $1`
    const [received] = await house.ask(bound, [`ping:mill:${ping_id.slice(3)}`])
    expect(received).toMatchObject({ status: null })
    expect(await house.ask('select * from intents where lead_id = $1', [received!['lead_id']])).toEqual([])
    rejects.add('acme')
    const answers = await Promise.all([post(one, ping_id, lead), post(two, ping_id, lead)])
    rejects.clear()
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers[0]!.json).toMatchObject({ status: 'sold', payout: '14.00', lead_id: received!['lead_id'] })
    expect(await house.ask('select price, payout from sales where lead_id = $1', [received!['lead_id']])).toEqual([
      { price: '16000000', payout: '14000000' },
    ])
    expect(posts()).toBe(before + 2)
    expect(await post(two, ping_id, person())).toMatchObject({ status: 409, json: { title: 'ping used' } })
  }, 60_000)

  it('is refused where the offer has ended, unless it came in time', async () => {
    const [used, late] = [person(), person()]
    const [usedId, lateId] = [
      (await ping(one, pinged(used))).json.ping_id,
      (await ping(one, pinged(late))).json.ping_id,
    ]
    const first = await post(one, usedId, used)
    await house.ask(`update offers set expires_at = now() - interval '1 s' where id = any($1)`, [
      [usedId.slice(3), lateId.slice(3)],
    ])
    expect(await post(one, lateId, late)).toMatchObject({ status: 409, json: { title: 'ping expired' } })
    expect((await post(two, usedId, used)).text).toBe(first.text)
  })

  it("of another source, or of nobody's ping, is told that there is none", async () => {
    const lead = person()
    const { ping_id } = (await ping(one, pinged(lead))).json
    for (const [id, key] of [
      [ping_id, 'other'],
      ['pg_0197a000-0000-7000-8000-000000000000', 'mill'],
      ['pg_nonsense', 'mill'],
    ])
      expect(await post(one, id!, lead, key)).toMatchObject({ status: 404, json: { title: 'no such ping' } })
    expect((await post(one, ping_id, lead, 'nobody')).status).toBe(401)
  })
})

describe('where the consumer chooses', () => {
  it('bids have their sellers, and only those who were chosen may buy', async () => {
    const lead = person()
    const { json } = await ping(one, pinged(lead), 'choice')
    expect(json.bids).toEqual([
      { bid_id: 'b1', payout: '14.00', seller: 'Acme Solar LLC', tcpa_text: 'I agree that Acme may call me.' },
      { bid_id: 'b2', payout: '11.20', seller: 'Bolt Energy Inc' },
    ])
    for (const [consent_bids, code] of [
      [undefined, 'required'],
      [['b9'], 'not_an_option'],
    ] as const)
      expect((await post(one, json.ping_id, { ...lead, consent_bids })).json.issues).toEqual([
        { field: 'consent_bids', code, value: consent_bids?.[0] ?? null },
      ])
    const sold = await post(two, json.ping_id, { ...lead, consent_bids: ['b2'] })
    expect(sold.json).toMatchObject({ status: 'sold', payout: '11.20' })
    expect(house.seen('post').at(-1)).toMatchObject({ contract: 'bolt-choice' })
    const [trace] = await house.ask<{ trace: string }>('select trace from leads where id = $1', [sold.json.lead_id])
    expect(JSON.parse(trace!.trace).opening.excluded).toEqual({ not_chosen: [0] })
  })

  it('their order is the consumer’s, whatever the bids', async () => {
    const lead = person()
    const { json } = await ping(one, pinged(lead), 'choice')
    const sold = await post(two, json.ping_id, { ...lead, consent_bids: 'b2, b1' })
    expect(sold.json).toMatchObject({ status: 'sold', payout: '11.20' })
    expect(house.seen('post').at(-1)).toMatchObject({ contract: 'bolt-choice' })
  })
})

describe('what operators see', () => {
  const count = async (end: string) => {
    const { text } = await look(`${one.admin}/metrics`)
    return Number(new RegExp(`^gavelpost_offers_total\\{end="${end}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0)
  }
  const page = async (pingId: string) => (await look(`${one.admin}/admin/v1/pings/${pingId}`, ADMIN)).json

  it('offers are counted, and each shows what became of it', async () => {
    const [made, used, reoffered, expired] = await Promise.all(['made', 'used', 'reoffered', 'expired'].map(count))
    const lead = person()
    rejects.add('acme')
    const { ping_id } = (await ping(one, pinged(lead), 'strict')).json
    expect(await page(ping_id)).toMatchObject({
      ...{ ping_id, status: 'open', campaign: 'strict', source: 'mill', payout: '14.00', lead_id: null },
      bids: [
        { bid_id: 'b1', contract: 'acme-strict', price: '20.00', payout: '14.00', buyer_reference: 'acme-b' },
        { bid_id: 'b2', contract: 'bolt-strict', price: '16.00' },
      ],
    })
    const { json } = await post(one, ping_id, lead)
    rejects.clear()
    expect(await page(ping_id.slice(3))).toMatchObject({ status: 'used', lead_id: json.lead_id })
    const second = await page(json.offer.ping_id)
    expect(second).toMatchObject({ status: 'open', after_lead: json.lead_id, trace: [] })
    expect((await page(ping_id)).trace.at(-2)).toMatch(
      /> offer payout 14\.00 of acme-strict 20\.00, bolt-strict 16\.00$/,
    )
    await house.ask(`update offers set expires_at = now() - interval '1 s' where id = $1`, [
      json.offer.ping_id.slice(3),
    ])
    expect((await post(one, json.offer.ping_id, lead)).status).toBe(409)
    expect((await page(json.offer.ping_id)).status).toBe('expired')
    expect(await Promise.all(['made', 'used', 'reoffered', 'expired'].map(count))).toEqual([
      ...[made! + 1, used! + 1, reoffered! + 1, expired! + 1],
    ])
    expect((await look(`${one.admin}/admin/v1/pings/pg_nonsense`, ADMIN)).status).toBe(404)
  })
})

it('the verifier finds nothing wrong', async () => {
  const env = { DATABASE_URL: house.databaseUrl, REDIS_URL: house.redisUrl }
  const { code, out, error } = await run('bench/verify.ts', ['--drained'], env)
  expect([code, code === 0 ? '' : out + error]).toEqual([0, ''])
})
