/** Alerts on a real ledger: whatever happens is told once each time that it happens, however many processes watch. */
import fc from 'fast-check'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LineHealth } from '../buyers/health.ts'
import type { BalanceLine } from '../engine/balances.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import { wordsOf } from '../rules/alert-words.ts'
import { ALERT_KINDS, type Alert, hasRejectRateRisen, isSilenceOdd } from '../rules/alerts.ts'
import { capsOf, placesOf } from '../rules/calendar.ts'
import { micros, ms, wallMs } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import { alertConfig, eventsOf, LeapClock, passAll, type WatchedWorld, watcher } from './alerts-kit.ts'
import { intended, LedgerKit, received, type TestEngine } from './ledger-kit.ts'

let kit: LedgerKit
let engines: readonly TestEngine[]
beforeAll(async () => {
  kit = await LedgerKit.open()
  engines = [await kit.engine(), await kit.engine()]
})
afterAll(() => kit.close())
beforeEach(() => kit.ask('truncate events, alert_letters, breakers, rollups, postbacks'))

const to = { recipients: { ops: { webhook: { url: 'https://ops.example/hook' } } } }
const alerting = (alert: object, more: object = {}) =>
  alertConfig({ ...to, alerts: { it: { to: ['ops'], ...alert } }, ...more })
const letters = () =>
  kit.ask<{ alert: string; recipient: string; events: number[] }>('select * from alert_letters order by queued_at')
const line = (balance: number): BalanceLine => ({
  ...{ buyer: 'acme', currency: 'USD', paidIn: micros(0), used: micros(0), credit: micros(0), low: micros(20_000_000) },
  balance: micros(balance),
})

/** Two watchers of one world, and what they have found so far. */
function watching(snapshot: Snapshot, world: Partial<WatchedWorld> = {}) {
  const all = { kit, snapshot: () => snapshot, ...world }
  const watchers = [watcher({ ...all, engine: engines[0]!.id }), watcher({ ...all, engine: engines[1]!.id })]
  return {
    pass: () => passAll(watchers),
    found: async () => (await eventsOf(kit, 'it')).map(({ subject, episode, open }) => [subject, episode, open]),
    facts: async () => (await eventsOf(kit, 'it')).at(-1)?.data,
  }
}

describe('an event', () => {
  test('begins once, ends, and begins anew; a restart tells nothing again', async () => {
    let lines = [line(15_000_000)]
    const snapshot = alerting({ on: 'low_balance' })
    const world = { balances: async () => lines }
    const { pass, found, facts } = watching(snapshot, world)
    await pass()
    await pass()
    expect(await found()).toEqual([['buyer acme', 'USD', true]])
    expect(await facts()).toEqual({ balance: '15.00', threshold: '20.00', currency: 'USD' })
    const restarted = watching(snapshot, world)
    await restarted.pass()
    expect(await found()).toHaveLength(1)
    lines = [line(20_000_000)]
    await restarted.pass()
    lines = [line(19_999_999)]
    await pass()
    expect((await found()).map(([, , open]) => open)).toEqual([false, true])
    expect((await letters()).map(({ alert, recipient }) => [alert, recipient])).toEqual([
      ['it', 'ops'],
      ['it', 'ops'],
    ])
  })

  test('is told to each recipient in one letter with all that began at once', async () => {
    const snapshot = alertConfig({
      recipients: { ...to.recipients, ceo: to.recipients.ops },
      alerts: { it: { on: 'low_balance', below: '30.00', to: ['ops', 'ceo'] } },
    })
    const balances = async () => [line(1), { ...line(2), buyer: 'bolt' }]
    await watching(snapshot, { balances }).pass()
    const [one, two, ...rest] = await letters()
    expect(rest).toEqual([])
    expect(one!.events).toHaveLength(2)
    expect(two!.events).toEqual(one!.events)
  })

  test('of an alert that was taken out, or is of another kind now, has ended', async () => {
    let snapshot = alerting({ on: 'low_balance' })
    const { pass, found } = watching(snapshot, { balances: async () => [line(1)], snapshot: () => snapshot })
    const older = watching(snapshot, { balances: async () => [line(1)] })
    await pass()
    snapshot = alertConfig({})
    await pass()
    expect(await found()).toEqual([['buyer acme', 'USD', false]])
    // A process that has not heard of the new version yet must not begin it again.
    await older.pass()
    expect(await found()).toHaveLength(1)
    snapshot = alerting({ on: 'low_balance' })
    await pass()
    snapshot = alerting({ on: 'doubts_open' })
    await pass()
    expect((await found()).map(([, , open]) => open)).toEqual([false, false])
  })

  test('stays as it is while it cannot be looked for, and the others are', async () => {
    const said: string[] = []
    let away = false
    const snapshot = alertConfig({
      ...to,
      alerts: { it: { on: 'low_balance', to: [] }, two: { on: 'outbox_stuck', to: [] } },
    })
    const balances = async () => {
      if (away) throw new Error('the hot store is away')
      return [line(1)]
    }
    const one = watcher({ kit, snapshot: () => snapshot, balances }, (text) => said.push(text))
    await passAll([one])
    away = true
    await kit.ask(
      `insert into alert_letters (alert, recipient, events, queued_at) values ('x', 'ops', '{}', now() - interval '1 hour')`,
    )
    await passAll([one])
    await passAll([one])
    expect(said).toEqual(['alerts wait for what it looks for: the hot store is away'])
    expect([...one.open]).toEqual([
      ['it', 1],
      ['two', 1],
    ])
  })

  const MINUTES = 5
  const op = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), low: fc.subarray(['a', 'b', 'c']), by: fc.constantFrom(0, 1, 2) }),
    fc.record({ kind: fc.constant('wait' as const), minutes: fc.constantFrom(1, 3, 7) }),
  )
  test('begins and ends as its condition does, whatever the order of things', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { maxLength: 14 }), fc.constantFrom(0, MINUTES), async (ops, quiet) => {
        await kit.ask('truncate events, alert_letters')
        let low: readonly string[] = []
        const snapshot = alerting({ on: 'low_balance', quiet_minutes: quiet })
        const world = {
          kit,
          snapshot: () => snapshot,
          balances: async () => low.map((buyer) => ({ ...line(1), buyer })),
        }
        const [one, two] = [watcher(world), watcher(world)]
        /** By buyer: minutes since it was seen last. */
        const open = new Map<string, number>()
        const begun: string[] = []
        for (const step of ops) {
          if (step.kind === 'wait') {
            for (const [buyer, ago] of open) open.set(buyer, ago + step.minutes)
            await kit.ask(`update events set seen_at = seen_at - $1 * interval '1 minute'`, [step.minutes])
            continue
          }
          low = step.low
          for (const buyer of low) if (!open.has(buyer)) begun.push(buyer)
          for (const buyer of low) open.set(buyer, 0)
          for (const [buyer, ago] of open) if (!low.includes(buyer) && ago >= quiet) open.delete(buyer)
          await passAll([[one], [two], [one, two]][step.by]!)
        }
        const rows = await eventsOf(kit, 'it')
        expect(rows.map(({ subject }) => subject).sort()).toEqual(begun.map((buyer) => `buyer ${buyer}`).sort())
        expect(
          rows
            .filter((row) => row.open)
            .map(({ subject }) => subject)
            .sort(),
        ).toEqual([...open.keys()].map((buyer) => `buyer ${buyer}`).sort())
        const told = (await letters()).flatMap(({ events }) => events)
        expect(new Set(told).size).toBe(told.length)
        expect(told).toHaveLength(rows.length)
      }),
      { numRuns: 40 },
    )
  })
})

describe('it tells of', () => {
  test('a cap that is used up, once for each window', async () => {
    const snapshot = alerting({ on: 'cap_reached', contracts: ['acme'], quiet_minutes: 0 })
    const hot = new MemoryStore('caps')
    await hot.restore({
      committed: [],
      tokens: [],
      scopes: [],
      locks: [],
      sightings: (async function* () {})(),
      epoch: 1,
      tags: ['b:acme', 'b:bolt'],
    })
    hot.setEpoch(1)
    await hot.warm()
    const clock = new LeapClock()
    const { pass, found, facts } = watching(snapshot, { hot, clock })
    const campaign = snapshot.campaigns.get('solar')!
    const sell = async (contract: number, token: string) => {
      const rules = capsOf(snapshot.sources.get('demo')!, campaign, campaign.contracts[contract]!).filter(
        ({ window }) => window === 'day',
      )
      const groups = placesOf(
        rules,
        campaign.contracts[contract]!.buyer.id,
        micros(9_000_000),
        snapshot.version,
        clock.wall(),
      )
      expect(await hot.hold(token, groups, clock.wall())).toEqual({ code: 'HELD' })
    }
    clock.wallAt = Date.parse('2026-03-02T12:00:00Z')
    for (const token of ['a', 'b']) await sell(1, `${token}:bolt:1.1`)
    await sell(0, 'a:acme:1.1')
    await pass()
    expect(await found()).toEqual([])
    await sell(0, 'b:acme:1.1')
    await pass()
    await pass()
    expect(await found()).toEqual([['contract acme', 'day count 2026-03-03T00:00:00.000Z', true]])
    expect(await facts()).toMatchObject({ used: '2', limit: '2' })
    clock.wallAt = Date.parse('2026-03-03T12:00:00Z')
    for (const token of ['c', 'd']) await sell(0, `${token}:acme:1.1`)
    await pass()
    expect(await found()).toEqual([
      ['contract acme', 'day count 2026-03-03T00:00:00.000Z', false],
      ['contract acme', 'day count 2026-03-04T00:00:00.000Z', true],
    ])
  })

  test('a breaker that opened in any process, for as long as one is open', async () => {
    const snapshot = alerting({ on: 'breaker_open', quiet_minutes: 0 })
    const health = new Map<number, LineHealth[]>()
    const shut = (state: LineHealth['state'], trips: number): LineHealth => ({
      ...{ buyer: 'acme', kind: 'ping', origin: 'https://acme.example', state, trips },
      ...{ inFlight: 0, refused: 0, latency: null },
    })
    const processes = engines.map(({ id }) =>
      watcher({ kit, snapshot: () => snapshot, engine: id, health: () => health.get(id) ?? [] }),
    )
    const pass = () => passAll(processes)
    const open = async () => (await eventsOf(kit, 'it')).map((event) => event.open)
    await pass()
    expect(await open()).toEqual([])
    for (const { id } of engines) health.set(id, [shut('open', 1)])
    await pass()
    await pass()
    expect(await open()).toEqual([true])
    health.set(engines[0]!.id, [shut('closed', 1)])
    await pass()
    await pass()
    expect(await open()).toEqual([true])
    health.set(engines[1]!.id, [shut('half_open', 1)])
    await pass()
    health.set(engines[1]!.id, [shut('closed', 1)])
    await pass()
    await pass()
    expect(await open()).toEqual([false])
    // It opened and closed again while nobody looked.
    health.set(engines[0]!.id, [shut('closed', 2)])
    await pass()
    await pass()
    expect(await open()).toHaveLength(2)
    await Promise.all(processes.map((one) => one.stop()))
    expect(await kit.ask('select * from breakers')).toEqual([])
  })

  test('a contract that refuses more than it used to', async () => {
    const { pass, found, facts } = watching(alerting({ on: 'reject_rate_doubled', quiet_minutes: 0 }))
    const count = (contract: string, kind: string, n: number, hours: number) =>
      kit.ask(
        `insert into rollups (hour, engine, campaign, source, contract, kind, reason, n)
         values (date_trunc('hour', now(), 'UTC') - $4 * interval '1 hour', 0, 'solar', '', $1, $2, 'x', $3)
         on conflict (hour, engine, campaign, source, contract, kind, reason) do update set n = rollups.n + excluded.n`,
        [contract, kind, n, hours],
      )
    for (const contract of ['acme', 'bolt']) {
      await count(contract, 'sold', 80, 24)
      await count(contract, 'rejected', 20, 24)
    }
    await count('bolt', 'sold', 14, 0)
    await count('bolt', 'rejected', 6, 0)
    await count('acme', 'sold', 12, 0)
    await count('acme', 'rejected', 7, 0)
    await pass()
    expect(await found()).toEqual([])
    await count('acme', 'rejected', 1, 0)
    await pass()
    await pass()
    expect(await found()).toEqual([['contract acme', '', true]])
    expect(await facts()).toEqual({ posts: 20, rejected: 8, rate: '40 %', before: '20 %' })
    await count('acme', 'sold', 20, 0)
    await pass()
    expect(await found()).toEqual([['contract acme', '', false]])
  })

  test('a source that falls silent when it usually sends', async () => {
    const clock = new LeapClock()
    const lead = async (at: number) => {
      const row = received({ leadId: uuidv7({ msecs: at }), receivedAt: wallMs(at) })
      await engines[0]!.ledger.received(row)
    }
    const { pass, found, facts } = watching(alerting({ on: 'source_silent', minutes: 30 }), { clock })
    await kit.ask('delete from leads')
    await pass()
    expect(await found()).toEqual([])
    await kit.ask(
      `insert into rollups (hour, engine, campaign, source, contract, kind, reason, n)
       select date_trunc('hour', now(), 'UTC') - w * interval '7 days' + h * interval '1 hour', 0, 'solar', 'demo', '',
         'lead', 'sold', 20
       from generate_series(1, 4) as w, generate_series(-1, 2) as h`,
    )
    await lead(clock.wallAt - 20 * 60_000)
    const again = watching(alerting({ on: 'source_silent', minutes: 30 }), { clock })
    await again.pass()
    expect(await found()).toEqual([])
    clock.wallAt += 11 * 60_000
    await again.pass()
    await again.pass()
    expect(await found()).toEqual([['source demo', '', true]])
    expect(await facts()).toMatchObject({ minutes: 30 })
    await lead(clock.wallAt)
    await again.pass()
    expect(await found()).toEqual([['source demo', '', false]])
    expect(await pass()).toBeDefined()
  })

  test('doubts, by their number or their age', async () => {
    const { pass, found, facts } = watching(alerting({ on: 'doubts_open', count: 2, minutes: 30 }))
    const doubt = async (minutes: number) => {
      const leadId = await intended(engines[0]!)
      await kit.ask(
        `update intents set state = 'in_doubt', doubted_at = now() - $2 * interval '1 minute' where lead_id = $1`,
        [leadId, minutes],
      )
      return leadId
    }
    const settle = () => kit.ask(`update intents set state = 'rejected' where state = 'in_doubt'`)
    await doubt(5)
    await pass()
    expect(await found()).toEqual([])
    await doubt(5)
    await pass()
    await pass()
    expect(await facts()).toMatchObject({ count: 2 })
    await settle()
    await pass()
    await doubt(31)
    await pass()
    expect(await found()).toEqual([
      ['contract acme', '', false],
      ['contract acme', '', true],
    ])
    await settle()
  })

  test('postbacks and letters that nobody hears', async () => {
    const { pass, found, facts } = watching(alerting({ on: 'outbox_stuck', to: [] }))
    await kit.ask(
      `insert into postbacks (lead_id, event, campaign, source, status, payout, currency, queued_at, failure)
       select gen_random_uuid(), 'sold', 'solar', 'demo', 'sold', 1, 'USD', now() - m * interval '1 minute', 'http_500'
       from unnest(array[1, 14, 16, 20]) as m`,
    )
    await kit.ask(
      `insert into alert_letters (alert, recipient, events, queued_at) values ('x', 'ops', '{}', now() - interval '1 hour')`,
    )
    await pass()
    await pass()
    expect(await found()).toEqual([
      ['alerts to ops', '', true],
      ['postbacks of source demo', '', true],
    ])
    expect(await facts()).toMatchObject({ count: 2, failure: 'http_500' })
    await kit.ask('update postbacks set sent_at = now()')
    await pass()
    expect((await found()).map(([, , open]) => open)).toEqual([true, false])
  })

  test('a buyer that pays less than it bid', async () => {
    const { pass, found, facts } = watching(alerting({ on: 'price_cuts', quiet_minutes: 0 }))
    const sales = (buyer: string, n: number, cut: boolean) =>
      kit.ask(
        `insert into sales (lead_id, copy, contract, buyer, campaign, source, price, payout, currency, price_cut, held_at)
         select overlay(gen_random_uuid()::text placing substr(uuid_at(now())::text, 1, 14) from 1)::uuid, 0, $1, $1,
           'solar', 'demo', 1, 1, 'USD', $3, now() from generate_series(1, $2)`,
        [buyer, n, cut],
      )
    await sales('acme', 98, false)
    await sales('acme', 2, true)
    await sales('bolt', 19, true)
    await pass()
    expect(await found()).toEqual([])
    await sales('acme', 1, true)
    await pass()
    await pass()
    expect(await found()).toEqual([['buyer acme', '', true]])
    expect(await facts()).toEqual({ sales: 101, cuts: 3, share: '3 %' })
    await kit.ask('delete from sales')
    await pass()
    expect(await found()).toEqual([['buyer acme', '', false]])
  })
})

const alertOf = (more: Partial<Alert>): Alert => ({ ...alerting({ on: 'source_silent' }).alerts.get('it')!, ...more })

test('silence is odd only where enough leads were to come, or the hours say so', () => {
  const hour = Date.parse('2026-03-02T12:00:00Z')
  const usual = (at: number) => (at === hour ? 12 : 0)
  const odd = (minutes: number, after: number, more: Partial<Alert> = {}) =>
    isSilenceOdd(alertOf({ minutes, least: 5, quietMs: ms(0), ...more }), wallMs(hour + after * 60_000), usual)
  expect([odd(30, 30), odd(20, 30), odd(30, 10), odd(60, 60)]).toEqual([true, false, false, true])
  const { hours } = alerting({ on: 'source_silent', zone: 'UTC', hours: { mon: ['12:00-13:00'] } }).alerts.get('it')!
  expect([odd(30, 30, { hours }), odd(30, 29, { hours }), odd(30, 61, { hours })]).toEqual([true, false, false])
})

test('a rate has risen only among enough posts, before and now', () => {
  const risen = (rejected: number, posts: number, before: number, of: number) =>
    hasRejectRateRisen(
      alertOf({ factor: 2, share: 0.1, least: 20 }),
      { posts, rejected },
      { posts: of, rejected: before },
    )
  expect([risen(8, 20, 20, 100), risen(7, 20, 20, 100), risen(8, 19, 20, 100), risen(8, 20, 2, 19)]).toEqual([
    true,
    false,
    false,
    false,
  ])
  expect([risen(2, 20, 0, 100), risen(1, 20, 0, 100)]).toEqual([true, false])
})

test('every kind has words, and a kind that is no more has some', () => {
  const facts = new Proxy({}, { get: (_, name) => String(name) })
  for (const kind of [...ALERT_KINDS, 'test']) {
    const { what, todo, see } = wordsOf(kind, { subject: 'contract acme', facts })
    expect(what).toContain('contract acme')
    expect(todo).toMatch(/\.$/)
    for (const path of see) expect(path).toMatch(/^\/admin\/v1\//)
  }
  expect(wordsOf('balance_low', { subject: 'buyer acme', facts: {} }).what).toBe('buyer acme: balance_low')
})
