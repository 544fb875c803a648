/** Leads that wait for an opening, on a real Postgres: woken once, whoever dies, and never sold twice or too late. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf } from '../engine/answer.ts'
import type { Recovered } from '../engine/reauction.ts'
import { Recovery } from '../engine/recovery.ts'
import { MemoryStore } from '../engine/store/memory.ts'
import type { FinalStatus } from '../engine/store/port.ts'
import { afterWaiting, opensFor, wakeFor } from '../rules/queue.ts'
import { wallMs } from '../rules/units.ts'
import { compileVersion } from '../rules/version.ts'
import { clock, final, intended, intent, LedgerKit, received, result, type TestEngine } from './ledger-kit.ts'
import { HOUR_MS, officeOf } from './world/calendars.ts'

let kit: LedgerKit
let hot: MemoryStore

beforeAll(async () => {
  kit = await LedgerKit.open()
  hot = new MemoryStore('queue')
})
afterAll(() => kit?.close())

const EMPTY = { sources: {}, campaigns: {}, buyers: {}, contracts: {} }
const made = compileVersion(EMPTY, 1)
if (!made.ok) throw new Error(JSON.stringify(made.faults))
const { snapshot } = made

/** Notes what it would auction again, and works on it from then on. */
function recovery(engine: TestEngine, again: Recovered[] = [], live = new Set<string>()): Recovery {
  return new Recovery({
    ...{ db: kit.db, pool: kit.pool, hot, clock, ownership: engine.ownership, snapshot: () => snapshot, log: () => {} },
    isLive: (leadId) => live.has(leadId),
    auctionAgain: async (lead) => {
      again.push(lead)
      live.add(lead.leadId)
      return true
    },
    conceal: (_, text) => text,
    hotLater: (act) => void act().catch(() => {}),
  })
}

const queued = (wakeIn: number, untilIn = HOUR_MS): Partial<FinalStatus> => ({
  ...{ status: 'queued', payout: 0 as never, copies: 0, sighting: null, outcomes: {} },
  ...{ wakeAt: wallMs(Date.now() + wakeIn), queueUntil: wallMs(Date.now() + untilIn) },
})
const rowOf = async (leadId: string) => {
  const [row] = await kit.ask<{ owner: number; term: number; status: string | null; wake_at: Date | null }>(
    'select owner, term, status, wake_at from leads where id = $1',
    [leadId],
  )
  return row!
}

async function asleep(engine: TestEngine, wakeIn: number, untilIn?: number): Promise<string> {
  const row = received()
  await engine.ledger.received(row)
  await engine.ledger.result(final(row.leadId, [], queued(wakeIn, untilIn)))
  return row.leadId
}

describe('a lead that waits', () => {
  test('has no owner, is told as pending, and outlives the engine that put it to sleep', async () => {
    const [first, second] = [await kit.engine(), await kit.engine()]
    const leadId = await asleep(first, HOUR_MS)
    await kit.ask('select fence_self($1)', [first.id])
    const again: Recovered[] = []
    await recovery(second, again).pass()
    expect(again).toEqual([])
    expect(await rowOf(leadId)).toMatchObject({ owner: 0, term: 1, status: null })
    const record = (await second.ledger.lead(leadId))!
    expect(record.decided).toBe(true)
    expect(answerOf(record, (_, text) => text).status).toBe('pending')
    // The engine that put it to sleep can sell it no more.
    expect(await first.ledger.intent(intent(leadId), [])).toBe('FENCED')
    expect(await second.ledger.intent(intent(leadId), [])).toBe('FENCED')
  })

  test('is woken at its time by one engine of several, under a new term, and sold once', async () => {
    const engines = await Promise.all([kit.engine(), kit.engine(), kit.engine()])
    const leadId = await asleep(engines[0]!, -1)
    const again: Recovered[][] = [[], [], []]
    await Promise.all(engines.map((engine, at) => recovery(engine, again[at]).pass()))
    const woken = again.flat().filter((lead) => lead.leadId === leadId)
    expect(woken).toMatchObject([{ term: 2, waited: true }])
    const at = again.findIndex((leads) => leads.some((lead) => lead.leadId === leadId))
    const [winner, other] = [engines[at]!, engines[(at + 1) % 3]!]
    expect(await rowOf(leadId)).toMatchObject({ owner: winner.id, term: 2, wake_at: null })
    expect(await other.ledger.intent(intent(leadId, { term: 2 }), [])).toBe('FENCED')
    expect(await winner.ledger.intent(intent(leadId, { term: 2 }), [])).toBe('INTENDED')
    await winner.ledger.result(final(leadId, [result()], { status: 'sold' }, { term: 2 }))
    expect(await rowOf(leadId)).toMatchObject({ status: 'sold' })
    await recovery(other).pass()
    expect(await kit.ask('select count(*)::int as n from sales where lead_id = $1', [leadId])).toEqual([{ n: 1 }])
  })

  test('is auctioned again by another engine where the one that woke it is killed', async () => {
    const [first, killed, heir] = [await kit.engine(), await kit.engine(), await kit.engine()]
    const leadId = await asleep(first, -1)
    await recovery(killed).pass()
    expect(await rowOf(leadId)).toMatchObject({ owner: killed.id, term: 2 })
    await kit.ask('select fence_self($1)', [killed.id])
    const again: Recovered[] = []
    await recovery(heir, again).pass()
    expect(again.find((lead) => lead.leadId === leadId)).toMatchObject({ term: 3, waited: true })
    expect(await killed.ledger.intent(intent(leadId, { term: 2 }), [])).toBe('FENCED')
    expect(await heir.ledger.intent(intent(leadId, { term: 3 }), [])).toBe('INTENDED')
    await heir.ledger.result(final(leadId, [result()], { status: 'sold' }, { term: 3 }))
  })

  test('is not offered to another where a post of its second auction may have arrived', async () => {
    const [first, killed, heir] = [await kit.engine(), await kit.engine(), await kit.engine()]
    const leadId = await asleep(first, -1)
    await recovery(killed).pass()
    const gone = { term: 2, postBy: wallMs(Date.now() - 120_000), postMs: 1 }
    expect(await killed.ledger.intent(intent(leadId, gone), [])).toBe('INTENDED')
    await kit.ask('select fence_self($1)', [killed.id])
    const again: Recovered[] = []
    await recovery(heir, again).pass()
    expect(again.filter((lead) => lead.leadId === leadId)).toEqual([])
    expect(await rowOf(leadId)).toMatchObject({ status: 'pending' })
  })

  test('waits although a buyer has refused it, and may sleep a second time', async () => {
    const [first, second] = [await kit.engine(), await kit.engine()]
    const leadId = await intended(first)
    const refused = result({ state: 'rejected' })
    await first.ledger.result(final(leadId, [refused], queued(-1)))
    const again: Recovered[] = []
    const live = new Set<string>()
    const woken = recovery(second, again, live)
    await woken.pass()
    expect(again).toMatchObject([{ leadId, term: 2 }])
    await second.ledger.result(final(leadId, [], queued(HOUR_MS), { term: 2 }))
    live.delete(leadId)
    await woken.pass()
    expect(await rowOf(leadId)).toMatchObject({ owner: 0, term: 2, status: null })
    expect(again).toHaveLength(1)
  })

  test('ends unsold where it is found too late, and nobody is asked', async () => {
    const [first, second] = [await kit.engine(), await kit.engine()]
    const leadId = await asleep(first, -HOUR_MS, -1)
    const again: Recovered[] = []
    await recovery(second, again).pass()
    expect(again).toEqual([])
    expect(await rowOf(leadId)).toMatchObject({ status: 'unsold', owner: second.id })
  })
})

describe('who waits, and for how long', () => {
  const office = officeOf('America/Chicago', [{ start: 540, end: 1020 }])
  const night = wallMs(Date.parse('2026-03-02T03:00:00-06:00'))
  const nine = Date.parse('2026-03-02T09:00:00-06:00')
  const contract = (hours: number, schedules = [office]) => ({ schedules, queueForMs: hours * HOUR_MS })

  test('the first opening wakes it, the most patient contract keeps it', () => {
    expect(opensFor(contract(0), night, night)).toBeNull()
    expect(opensFor(contract(6), night, night)).toBeNull()
    expect(opensFor(contract(7), night, night)).toBe(nine)
    const west = officeOf('America/Los_Angeles', [{ start: 540, end: 1020 }])
    expect(wakeFor([contract(48, [west]), contract(7), contract(1)], night, night)).toEqual({
      wakeAt: nine,
      queueUntil: night + 48 * HOUR_MS,
    })
    expect(wakeFor([contract(1)], night, night)).toBeNull()
  })

  test('afterwards those alone take part that let leads wait, each up to its own age', () => {
    const hints = { exhausted: () => null, doubts: () => false, unwell: () => false, denied: () => 'blocked_source' }
    const whyOut = (hours: number, queueForMs: number) =>
      afterWaiting(hints, night, wallMs(night + hours * HOUR_MS)).denied!(
        { queueForMs } as never,
        'solar',
        'mill',
        {} as never,
      )
    expect(whyOut(6, 0)).toBe('closed')
    expect(whyOut(6, 6 * HOUR_MS)).toBe('closed')
    expect(whyOut(6, 7 * HOUR_MS)).toBe('blocked_source')
  })
})
