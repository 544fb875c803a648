/** Checks of leads: services asked over real sockets, with their faults; answers kept and shared; and a whole engine. */
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { type MockAction, reply } from '../bench/mock-temper.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import { Answers } from '../engine/checks/answers.ts'
import { Checks } from '../engine/checks/checks.ts'
import { exampleLead } from '../engine/example.ts'
import { createMetrics } from '../engine/metrics.ts'
import type { CheckSaid } from '../rules/auction.ts'
import { costsOf, type LeadCheck } from '../rules/checks.ts'
import { formatMoney, micros, ms } from '../rules/units.ts'
import { type Campaign, compileVersion } from '../rules/version.ts'
import { LOOPBACK, wireLead } from './buyers-kit.ts'
import { run } from './chaos/processes.ts'
import { type Door, House, houseConfig, look, send, sha256 } from './inbound-kit.ts'
import { clock, sealer } from './ledger-kit.ts'
import { VirtualClock } from './world/clock.ts'

const SERVICE = {
  ...{ body: { phone: '{phone | digits10}', ip: '{ip_address?}' }, timeout_ms: 5_000, cost: '0.02' },
  outputs: { score: { number: 'score' }, line: { text: 'line' }, risky: { boolean: ['risky', 'flags[0]'] } },
}

/** The campaign solar, and the check as its leads meet it. */
function compiled(url: string, more: object = {}, base: object = SERVICE): { campaign: Campaign; check: LeadCheck } {
  const config = houseConfig('http://127.0.0.1:1', (one) => {
    one.checks = { fraud: { url: `${url}/fraud/check`, ...base, ...more } }
    one.campaigns.solar.checks = ['fraud']
  })
  const made = compileVersion(config, 1)
  if (!made.ok) throw new Error(made.faults.map(({ path, message }) => `${path} ${message}`).join('\n'))
  const campaign = made.snapshot.campaigns.get('solar')!
  return { campaign, check: campaign.checks!.all.get('fraud')! }
}

const money = (amount: number): string => formatMoney(micros(amount))
const say = (body: unknown, status = 200): MockAction =>
  reply(0, typeof body === 'string' ? body : JSON.stringify(body), status)

describe('a service', () => {
  let mock: MockBuyers
  let wire: OpenBuyersWire
  let script: Script

  beforeEach(async () => {
    mock = await startMockBuyers({ script: (request) => script(request), keep: true })
    wire = createBuyersWire({ clock, allowedCidrs: LOOPBACK })
  })
  afterEach(async () => {
    await wire.close()
    await mock.close()
  })

  const desk = (answers?: Answers) =>
    new Checks({ clock, wire, seal: sealer, metrics: createMetrics(), listed: () => true }, answers)
  const ask = (checks: Checks, { campaign, check }: ReturnType<typeof compiled>, wireOf = wireLead()) =>
    new Promise<CheckSaid>((told) => checks.ask(check, { campaign, wire: wireOf }, told))

  it('is told what its map names and nothing more, and its outputs are read by their kind', async () => {
    script = () => say({ score: '91', line: ' VOIP of +1 512-555-0142 ', risky: 'yes', more: 1 })
    expect(await ask(desk(), compiled(mock.url))).toEqual({
      ...{ check: 'fraud', via: 'asked', cost: 20_000 },
      outputs: { score: 91, line: 'VOIP of [number]', risky: true },
    })
    expect(JSON.parse(mock.requests[0]!.body.toString())).toEqual({ phone: '5125550143' })
    expect(wire.health()).toMatchObject([{ buyer: 'fraud', kind: 'check', state: 'closed' }])
  })

  it('says what it knows; a value of another kind is none', async () => {
    script = () => say({ score: 'high', line: null, flags: [0] })
    expect((await ask(desk(), compiled(mock.url))).outputs).toEqual({ risky: false })
  })

  const FAULTS: [Fault, string][] = [
    ['garbage', 'unreadable'],
    ['empty', 'unreadable'],
    ['wrong_type', 'unreadable'],
    ['500', 'http_500'],
    ['404', 'http_404'],
    ['redirect', 'http_302'],
    ['reset', 'reset'],
    ['half_body', 'truncated'],
    ['not_http', 'truncated'],
    ['huge', 'truncated'],
    ['never', 'timeout'],
    ['drip', 'timeout'],
    ['drip_head', 'timeout'],
  ]
  it.each(FAULTS)('with the fault %s has failed: %s, and is paid, for it was asked', async (fault, why) => {
    script = () => faulty(fault, say({ score: 1 }))
    const timeout = why === 'timeout' ? { timeout_ms: 1_000 } : {}
    const said = await ask(desk(), compiled(mock.url, timeout))
    expect(said).toEqual({ check: 'fraud', via: 'asked', outputs: null, failed: why, cost: 20_000 })
  })

  it('that cannot be reached, or may not, costs nothing', async () => {
    const gone = await startMockBuyers({})
    await gone.close()
    expect(await ask(desk(), compiled(gone.url))).toMatchObject({ outputs: null, failed: 'connect' })
    const inside = compiled('http://localtest.invalid')
    expect(costsOf([await ask(desk(), inside)])).toBeNull()
    await wire.close()
    wire = createBuyersWire({ clock, allowedCidrs: [] })
    script = () => say({ score: 1 })
    const said = await ask(desk(), compiled(mock.url))
    expect(said).toEqual({ check: 'fraud', via: 'asked', outputs: null, failed: 'guard' })
    expect(mock.requests).toEqual([])
  })

  it('that fails again and again is left alone, and answers at once that it is', async () => {
    script = () => say('no', 503)
    const sick = compiled(mock.url, { health: { failures: 2 } })
    const checks = desk()
    for (let n = 0; n < 2; n++) await ask(checks, sick)
    expect(await ask(checks, sick)).toEqual({ check: 'fraud', via: 'asked', outputs: null, failed: 'breaker' })
    expect(mock.requests).toHaveLength(2)
    expect(wire.health()).toMatchObject([{ buyer: 'fraud', kind: 'check', state: 'open' }])
  })

  it('is asked once for leads that ask alike at the same time, and the first of them pays', async () => {
    script = () => ({ ...say({ score: 7 }), afterMs: 30 })
    const checks = desk()
    const one = compiled(mock.url)
    const said = await Promise.all([ask(checks, one), ask(checks, one), ask(checks, one)])
    expect(said.map(({ via, cost, outputs }) => [via, cost, outputs?.['score']])).toEqual([
      ['asked', 20_000, 7],
      ['shared', undefined, 7],
      ['shared', undefined, 7],
    ])
    expect(mock.requests).toHaveLength(1)
    expect((await ask(checks, one)).via).toBe('asked')
  })

  it('is not asked again while its answer holds, but for another person or after another map', async () => {
    script = () => say({ score: mock.requests.length })
    const checks = desk()
    const keeping = compiled(mock.url, { keep_seconds: 60 })
    expect(await ask(checks, keeping)).toMatchObject({ via: 'asked', outputs: { score: 1 } })
    expect(await ask(checks, keeping)).toEqual({ check: 'fraud', via: 'kept', outputs: { score: 1 } })
    expect(await ask(checks, keeping, wireLead({ phone: '+15125550144' }))).toMatchObject({ via: 'asked' })
    const other = compiled(mock.url, { keep_seconds: 60, body: { phone: '{phone}' } })
    expect(await ask(checks, other)).toMatchObject({ via: 'asked', outputs: { score: 3 } })
    // What it costs, and for how long one waits, makes no other question of it.
    expect(await ask(checks, compiled(mock.url, { keep_seconds: 60, cost: '0.50', timeout_ms: 1_000 }))).toMatchObject({
      via: 'kept',
    })
  })

  it('that answered too late for one lead has answered for the next', async () => {
    let release = (): void => {}
    const released = new Promise<void>((done) => {
      release = done
    })
    script = () => ({ ...say({ score: 5 }), afterMs: 120 })
    const answers = new Answers()
    const keep = vi.spyOn(answers, 'keep').mockImplementation((...args) => {
      Answers.prototype.keep.apply(answers, args)
      release()
    })
    const checks = desk(answers)
    const hasty = compiled(mock.url, { timeout_ms: 50, keep_seconds: 60 })
    expect(await ask(checks, hasty)).toMatchObject({ outputs: null, failed: 'timeout', cost: 20_000 })
    await released
    expect(await ask(checks, hasty)).toEqual({ check: 'fraud', via: 'kept', outputs: { score: 5 } })
    keep.mockRestore()
  })

  it('is never asked about a test lead, which is told what the check says to tests', async () => {
    script = () => say({ score: 1 })
    const told = compiled(mock.url, { test_outputs: { score: 12 } })
    const said = await ask(desk(), told, { ...wireLead(), test: true })
    expect(said).toEqual({ check: 'fraud', via: 'test', outputs: { score: 12 } })
    expect(mock.requests).toEqual([])
  })
})

describe('kept answers', () => {
  /** What they must do, written down without care for time or space. */
  class Model {
    #entries: { key: string; score: number; until: number }[] = []
    readonly #most: number

    constructor(most: number) {
      this.#most = most
    }

    find(key: string, now: number): number | null {
      const at = this.#entries.findIndex((one) => one.key === key)
      if (at < 0) return null
      const [found] = this.#entries.splice(at, 1)
      if (found!.until <= now) return null
      this.#entries.push(found!)
      return found!.score
    }

    keep(key: string, score: number, keepMs: number, now: number): void {
      if (keepMs === 0) return
      this.#entries = this.#entries.filter((one) => one.key !== key)
      this.#entries.push({ key, score, until: now + keepMs })
      if (this.#entries.length > this.#most) this.#entries.shift()
    }
  }

  it('are those of the model, whatever is kept, found and forgotten', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const act = fc.oneof(
      fc.record({ do: fc.constant('find' as const), key, wait: fc.nat(40) }),
      fc.record({ do: fc.constant('keep' as const), key, wait: fc.nat(40), score: fc.nat(9), keepMs: fc.nat(100) }),
    )
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (acts, most) => {
        const [answers, model] = [new Answers(most), new Model(most)]
        let now = 0
        for (const one of acts) {
          now += one.wait
          if (one.do === 'keep') {
            answers.keep(one.key, { score: one.score }, one.keepMs, ms(now))
            model.keep(one.key, one.score, one.keepMs, now)
          } else expect(answers.find(one.key, ms(now))?.['score'] ?? null).toBe(model.find(one.key, now))
          expect(answers.size).toBeLessThanOrEqual(most)
        }
      }),
    )
  })
})

it('a lead waits for its own time, whoever asked before it and however long that takes', () => {
  const virtual = new VirtualClock(0 as never)
  const answered: ((answer: never) => void)[] = []
  const wire = {
    check: (_check: unknown, _service: unknown, _lead: unknown, done: (answer: never) => void) => {
      answered.push(done)
      return { left: () => true }
    },
  }
  const { campaign, check } = compiled('https://fraud.example', { timeout_ms: 100 })
  const checks = new Checks({ clock: virtual, wire, seal: sealer, metrics: createMetrics(), listed: () => false })
  const told: (string | undefined)[] = []
  const ask = (name: string) =>
    checks.ask(check, { campaign, wire: wireLead() }, (said) =>
      told.push(`${virtual.mono()} ${name} ${said.failed ?? said.outputs?.['score']} ${said.cost ?? 'free'}`),
    )
  ask('first')
  virtual.at(60, () => ask('second'))
  virtual.at(130, () => answered[0]!({ outputs: { score: 3 }, failed: null } as never))
  while (virtual.goOn());
  expect(told).toEqual(['100 first timeout 20000', '130 second 3 free'])
  expect(answered).toHaveLength(1)
})

describe('a whole engine', () => {
  let house: House
  let door: Door
  /** What the services say next; by name. */
  const says: Record<string, MockAction> = {}
  const bids = { acme: true }
  let n = 9_100_000

  beforeAll(async () => {
    house = await House.open(
      (url) =>
        houseConfig(url, (config) => {
          const service = (name: string, more: object) => ({
            ...{ url: `${url}/${name}/check`, timeout_ms: 2_000, body: { phone: '{phone}' } },
            ...more,
          })
          config.checks = {
            dnc: service('dnc', { outputs: { listed: { boolean: 'listed' } }, refuse: { listed: true }, cost: '0.01' }),
            fraud: service('fraud', {
              ...{ outputs: { score: { number: 'score' } }, cost: '0.004', keep_seconds: 600 },
              ...{ refuse: { score: { min: 85 } }, fail: 'closed' },
            }),
          }
          config.admin = { keys: [{ sha256: sha256('root') }] }
          config.campaigns.solar.checks = ['dnc']
          config.contracts.acme.checks = ['fraud']
          config.contracts.bolt.filter = { 'fraud.score': { max: 30 } }
          config.contracts.bolt.delivery.post = { body: { zip: '{zip}', risk: '{fraud.score}' } }
        }),
      {
        buyers: { acme: { ping: { bid: { fixed: '20.00' } } }, bolt: { ping: { bid: { fixed: '11.00' } } } },
        script: ({ kind, buyer }) =>
          kind === 'check'
            ? says[buyer]
            : kind === 'ping' && buyer === 'acme' && !bids.acme
              ? say({ accept: false })
              : undefined,
      },
    )
    door = await house.engine()
  })
  beforeEach(() => {
    says['dnc'] = say({ listed: false })
    says['fraud'] = say({ score: 20 })
  })
  afterAll(() => house.close())

  const post = async (lead: object = exampleLead(n++)) =>
    (await send(`${door.origin}/v1/campaigns/solar/leads`, lead)).json
  const admin = async (path: string) =>
    (await look(`${door.admin}/admin/v1/${path}`, { authorization: 'Bearer root' })).json
  const entries = (leadId: string) =>
    house.ask(`select account, amount::int from entries where lead_id = $1 and cause = 'check' order by account`, [
      leadId,
    ])

  it('sells to whom the checks leave, hands on what they found, and enters what they cost', async () => {
    says['fraud'] = say({ score: 20 })
    const lead = exampleLead(n++)
    const sold = await post(lead)
    expect(sold).toMatchObject({ status: 'sold', payout: '14.00' })
    expect(await entries(sold.lead_id)).toEqual([
      { account: 'check:dnc', amount: 10_000 },
      { account: 'check:fraud', amount: 4_000 },
      { account: 'margin', amount: -14_000 },
    ])
    says['fraud'] = say({ score: 90 })
    const kept = await post({ ...lead, email: 'other@example.com', phone: lead['phone'] })
    expect(kept.status).toBe('duplicate')
  })

  it('leaves out the seat whose check refuses, and the one whose filter falls on a score', async () => {
    says['fraud'] = say({ score: 60 })
    const first = await post()
    expect(first).toMatchObject({ status: 'sold', payout: '14.00' })
    says['fraud'] = say({ score: 85 })
    const second = await post()
    expect(second).toEqual({ lead_id: second.lead_id, status: 'unsold', reasons: ['no_buyer'] })
    const page = await admin(`leads/${second.lead_id}`)
    const seats = page.seats.map((seat: { contract: string; reason: string }) => `${seat.contract} ${seat.reason}`)
    expect(seats).toEqual(['acme check_fraud', 'bolt filter_fraud.score'])
    expect(JSON.stringify(page.trace)).toContain('check fraud: score 85')
    const why = await admin(`leads/${second.lead_id}/explain`)
    expect(why.seats.map((seat: { why: string; to_win: string }) => [seat.why, seat.to_win])).toEqual([
      ['the check fraud turned the lead away: score 85', 'a lead that fraud does not refuse: score min 85'],
      ['its filter fell on fraud.score', 'fraud.score max 30'],
    ])
  })

  it('hands a score on where a map names it', async () => {
    says['fraud'] = say({ score: 12 })
    bids.acme = false
    const sold = await post()
    bids.acme = true
    expect(sold).toMatchObject({ status: 'sold', payout: '7.70' })
    expect(house.seen('post', 'bolt').at(-1)).toMatchObject({ risk: 12 })
  })

  it('keeps everybody out where a check of the campaign refuses', async () => {
    says['dnc'] = say({ listed: true })
    const pings = house.seen('ping').length
    const refused = await post()
    expect(refused).toMatchObject({ status: 'unsold', reasons: ['no_buyer'] })
    expect(house.seen('ping')).toHaveLength(pings)
    const page = await admin(`leads/${refused.lead_id}`)
    expect(page.seats.map(({ reason }: { reason: string }) => reason)).toEqual(['check_dnc', 'check_dnc'])
  })

  it('goes by fail where a service is away: open lets pass, closed keeps out', async () => {
    says['dnc'] = say('', 500)
    says['fraud'] = { how: 'reset', afterMs: 0 }
    const lead = await post()
    expect(lead.status).toBe('unsold')
    const { trace } = await admin(`leads/${lead.lead_id}`)
    expect(JSON.stringify(trace)).toMatch(/check dnc failed: http_500.*check fraud failed: reset/)
  })

  it('checks the lead that comes for an offer, and no ping', async () => {
    const asked = house.seen('check').length
    const { state, zip, ownership } = exampleLead(0) as Record<string, string>
    const offer = (await send(`${door.origin}/v1/campaigns/solar/pings`, { state, zip, ownership })).json
    expect(offer).toMatchObject({ status: 'offer', payout: '14.00' })
    expect(house.seen('check')).toHaveLength(asked)
    says['dnc'] = say({ listed: true })
    const lead = { ...exampleLead(n++), state, zip, ownership }
    const taken = (await send(`${door.origin}/v1/pings/${offer.ping_id}/lead`, lead)).json
    expect(taken.status).toBe('unsold')
    expect(house.seen('check')).toHaveLength(asked + 2)
  })

  it('is tried by an operator with a made-up lead, and shows what was said', async () => {
    says['fraud'] = say({ score: 88 })
    const test = (id: string) => send(`${door.admin}/admin/v1/checks/${id}:test`, {}, { key: 'root' })
    const { status, json } = await test('fraud')
    expect([status, json.check, json.refuses]).toEqual([200, 'fraud', true])
    expect(json.asked.sent.url).toMatch(/\/fraud\/check$/)
    expect(JSON.parse(json.asked.sent.body)).toHaveProperty('phone')
    expect(json.asked).toMatchObject({ reply: { status: 200 }, read: { outputs: { score: 88 } } })
    says['fraud'] = say('busy', 503)
    expect((await test('fraud')).json).toMatchObject({ refuses: true, asked: { read: { failed: 'http_503' } } })
    expect((await test('nobody')).status).toBe(404)
  })

  it('checks a lead anew whose engine died while it was checked', async () => {
    says['dnc'] = { how: 'never', afterMs: 0 }
    const asked = house.seen('check', 'dnc').length
    const other = await house.engine()
    const lead = exampleLead(n++)
    const { status, json } = await send(`${other.origin}/v1/campaigns/solar/leads?mode=async`, lead)
    expect(status).toBe(202)
    await vi.waitFor(() => expect(house.seen('check', 'dnc')).toHaveLength(asked + 1))
    other.program.signal('SIGKILL')
    await other.program.gone()
    says['dnc'] = say({ listed: false })
    await vi.waitFor(async () => expect(await admin(`leads/${json.lead_id}`)).toMatchObject({ status: 'sold' }), {
      timeout: 50_000,
      interval: 200,
    })
    const { trace } = await admin(`leads/${json.lead_id}`)
    expect(JSON.stringify(trace)).toMatch(/recovered.*check dnc, fraud.*check dnc: listed false/)
    expect(house.seen('check', 'dnc')).toHaveLength(asked + 2)
    expect(await entries(json.lead_id)).toContainEqual({ account: 'check:dnc', amount: 10_000 })
  }, 90_000)

  it('reports what they cost, as the ledger has it', async () => {
    const [entered] = await house.ask<{ cost: number; margin: number }>(`
      select sum(amount) filter (where account like 'check:%')::int as cost,
        sum(amount) filter (where account = 'margin')::int as margin from entries`)
    const day = 86_400_000
    const [from, to] = [0, 2].map((n) =>
      new Date((Math.floor(Date.now() / day) + n) * day - (n === 0 ? day : 0)).toISOString(),
    )
    await vi.waitFor(
      async () => {
        const { rows } = await admin(`reports?by=campaign&from=${from}&to=${to}`)
        expect(rows).toMatchObject([{ check_cost: money(entered!.cost), margin: money(entered!.margin) }])
      },
      { timeout: 100_000, interval: 500 },
    )
  }, 120_000)

  it('tells how its checks do, and proves its money and its traces', async () => {
    const page = (await look(`${door.admin}/metrics`)).text
    expect(page).toMatch(/gavelpost_checks_total\{check="dnc",end="http_500"\} 1/)
    expect(page).toContain('gavelpost_buyer_latency_p50_ms{buyer="fraud",kind="check"}')
    const env = { DATABASE_URL: house.databaseUrl, REDIS_URL: house.redisUrl }
    const { code, out, error } = await run('bench/verify.ts', ['--drained'], env)
    expect([code, error], out).toEqual([0, ''])
    expect(out).toMatch(/\+ checks 0\.\d+/)
  })
})
