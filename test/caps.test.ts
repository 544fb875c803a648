/** The pure model of caps: its table of cases, its bounds, and what is due when. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Caps, COMMITTED_MS, HOLD_LEASE_MS, type PlaceGroup, TOMBSTONE_MS } from '../rules/caps.ts'
import { DueQueue } from '../rules/due.ts'
import { Buckets } from '../rules/rates.ts'
import { wallMs } from '../rules/units.ts'
import { CAPS_CASES, FRESH_START, modelStore, play } from './hot-cases.ts'

describe('the model', () => {
  test.each(CAPS_CASES)('$why', (story) =>
    play(story, modelStore(), (step, got, wanted) => expect(got, step).toEqual(wanted)),
  )

  test('memory stays bounded: counters, tokens and tombstones of before are swept by the holds of now', () => {
    const caps = new Caps()
    caps.restore(FRESH_START)
    const dayMs = 86_400_000
    const stepMs = 10_000
    const group = (now: number): PlaceGroup => ({
      tag: 'acme',
      places: [
        {
          key: `contract:acme:hour:count:${Math.floor(now / 3_600_000)}`,
          amount: 1,
          limit: 1e9,
          version: 1,
          transient: false,
          forgetAt: wallMs((Math.floor(now / 3_600_000) + 48) * 3_600_000),
        },
      ],
    })
    let remembered = 0
    for (let now = 0; now < 5 * dayMs; now += stepMs) {
      const groups = [group(now)]
      const token = `t${now}`
      expect(caps.hold(1, token, groups, wallMs(now))).toEqual({ code: 'HELD' })
      if (now % 3 === 0) caps.release(1, `never held ${now}`, groups, wallMs(now))
      if (now % 2 === 0) caps.commit(1, token, groups, wallMs(now))
      if (now > dayMs) remembered = Math.max(remembered, sizeOf(caps, groups, now))
    }
    expect(Object.keys(caps.dump().counters).length).toBeLessThanOrEqual(49)
    expect(remembered).toBeLessThanOrEqual(3 * (Math.max(COMMITTED_MS, TOMBSTONE_MS, HOLD_LEASE_MS) / stepMs + 1))
  })
})

/** How many tokens of the last two days the model still knows. */
function sizeOf(caps: Caps, groups: readonly PlaceGroup[], now: number): number {
  if (now % 3_600_000 !== 0) return 0
  let known = 0
  for (let at = Math.max(0, now - 172_800_000); at <= now; at += 10_000) {
    if (caps.tokenState(`t${at}`, groups)) known++
    if (caps.tokenState(`never held ${at}`, groups)) known++
  }
  return known
}

test('what is due comes in the order of moment and name, however often it was moved', () => {
  const change = fc.record({ member: fc.constantFrom(...'abcdefgh'), at: fc.option(fc.nat(20)), take: fc.nat(24) })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const queue = new DueQueue()
      const plain = new Map<string, number>()
      for (const { member, at, take } of changes) {
        if (at === null) {
          queue.delete(member)
          plain.delete(member)
        } else {
          queue.set(member, at)
          plain.set(member, at)
        }
        if (take > 20) continue
        const due = [...plain].filter(([, moment]) => moment <= take)
        due.sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
        const first = due.slice(0, 3).map(([name]) => name)
        expect(queue.take(take, 3)).toEqual(first)
        for (const name of first) plain.delete(name)
      }
      expect(queue.size).toBe(plain.size)
    }),
  )
})

test('a queue whose members only ever move stays small', () => {
  const queue = new DueQueue()
  for (let i = 0; i < 50_000; i++) queue.set(`m${i % 10}`, 1e9 + i)
  expect(queue.size).toBe(10)
  expect(queue.take(2e9, 100)).toHaveLength(10)
})

describe('rates', () => {
  const at = (now: number) => wallMs(now)

  test('a bucket starts full, refills at its rate, and never holds more than fits', () => {
    const buckets = new Buckets()
    expect(buckets.take('demo', 10, 5, 7, at(0))).toBe(7)
    expect(buckets.take('demo', 10, 5, 7, at(199))).toBe(0)
    expect(buckets.take('demo', 10, 5, 7, at(200))).toBe(1)
    expect(buckets.take('demo', 2, 5, 7, at(60_000))).toBe(2)
    expect(buckets.take('demo', 10, 5, 7, at(60_000))).toBe(5)
  })

  test('a clock that is behind gains nothing', () => {
    const buckets = new Buckets()
    expect(buckets.take('demo', 5, 1, 5, at(10_000))).toBe(5)
    expect(buckets.take('demo', 5, 1, 5, at(5_000))).toBe(0)
    expect(buckets.take('demo', 5, 1, 5, at(10_999))).toBe(0)
    expect(buckets.take('demo', 5, 1, 5, at(11_000))).toBe(1)
  })
})
