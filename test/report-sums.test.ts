/** What reports are made of stays within its bounds: latencies are nearly exact, and what is told apart has a most. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Exclusions } from '../engine/reports/exclusions.ts'
import { type LeadKey, MOST_KEYS, MOST_VALUES, NO_SUB, OTHER, Sums } from '../engine/reports/sums.ts'
import { BUCKETS, bucketMs, bucketOf, percentile } from '../rules/latency.ts'
import type { Campaign } from '../rules/version.ts'

const time = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 131_071 }))

describe('latencies', () => {
  it('are within one part in sixteen, and exact below 16 ms', () => {
    let before = 0
    for (let ms = 0; ms < 131_072; ms++) {
      const bucket = bucketOf(ms)
      expect(bucket - before === 0 || bucket - before === 1).toBe(true)
      if (Math.abs(bucketMs(bucket) - ms) > (ms < 16 ? 0 : ms / 16))
        expect.fail(`${ms} ms is shown as ${bucketMs(bucket)}`)
      before = bucket
    }
    expect(before).toBe(BUCKETS - 1)
    expect([bucketOf(-1), bucketOf(1e9), bucketOf(7.9)]).toEqual([0, BUCKETS - 1, 7])
  })

  it('have the percentiles of what was counted, however it was put together', () => {
    fc.assert(
      fc.property(fc.array(time, { minLength: 1, maxLength: 200 }), fc.constantFrom(0.5, 0.9, 0.99), (times, share) => {
        const [here, there] = [new Array<number>(BUCKETS).fill(0), new Array<number>(BUCKETS).fill(0)]
        times.forEach((ms, n) => {
          const counts = n % 3 === 0 ? here : there
          counts[bucketOf(ms)]!++
        })
        const merged = here.map((n, bucket) => n + there[bucket]!)
        const exact = times.toSorted((a, b) => a - b)[Math.ceil(times.length * share) - 1]!
        expect(Math.abs(percentile(merged, share)! - exact)).toBeLessThanOrEqual(exact / 16)
      }),
    )
    expect(percentile(new Array(BUCKETS).fill(0), 0.5)).toBeNull()
  })
})

describe('sums', () => {
  const key = (given: Partial<LeadKey> = {}): LeadKey => ({
    ...{ campaign: 'solar', source: 'mill', vertical: 'solar', state: 'TX', currency: 'USD', ...NO_SUB },
    ...given,
  })
  const valid = (sums: Sums) => sums.end().get('report_leads')!

  it('tell so many values of a sub-id apart, and the rest together: nothing is lost, and other sub-ids stay', () => {
    const sums = new Sums()
    for (let n = 0; n < 1_000; n++) sums.lead(key({ sub1: `s${n % 3}`, sub5: `click-${n}` })).add('valid')
    const rows = valid(sums)
    expect(rows.length).toBe(MOST_VALUES + 3)
    expect(rows.reduce((sum, row) => sum + (row['valid'] as number), 0)).toBe(1_000)
    expect(rows.filter(({ sub5 }) => sub5 === OTHER).map(({ sub1 }) => sub1)).toEqual(['s2', 's0', 's1'])
  })

  it('tell so many kinds of leads apart: beyond, sub-ids are left out', () => {
    const sums = new Sums()
    for (let n = 0; n < 3 * MOST_KEYS; n++) {
      const lead = sums.lead(key({ sub1: `a${n % 120}`, sub2: `b${Math.floor(n / 120)}`, state: `S${n % 50}` }))
      lead.add('valid')
      lead.seat({ tier: 'open', buyer: 'acme', contract: 'acme' }).add('posts')
    }
    const rows = sums.end()
    expect(rows.get('report_leads')!.length).toBeLessThanOrEqual(MOST_KEYS + 50)
    expect(rows.get('report_joined')!.length).toBe(rows.get('report_leads')!.length)
    for (const table of ['report_leads', 'report_seats', 'report_joined'])
      expect(rows.get(table)!.reduce((sum, row) => sum + (row['posts'] as number), 0)).toBe(3 * MOST_KEYS)
  })

  it('tell so many words of a buyer apart, and then by the reason alone', () => {
    const sums = new Sums()
    for (let n = 0; n < 100; n++)
      sums.reason('solar', 'acme', 'acme', 'rejected', { full: `rejected:person ${n} is known`, name: 'rejected' })
    const rows = sums.end().get('report_reasons')!
    expect(rows.length).toBe(21)
    expect(rows.at(-1)).toMatchObject({ reason: 'rejected', n: 80 })
  })

  it('name the contracts that are left out most', () => {
    const contracts = Array.from({ length: 2_000 }, (_, n) => ({ id: `c${n}`, buyer: { id: `b${n}` } }))
    const campaign = { id: 'solar', contracts } as unknown as Campaign
    const exclusions = new Exclusions()
    const all = contracts.map((_, n) => n)
    exclusions.see(campaign, { excluded: { filter_state: all } })
    exclusions.see(campaign, { excluded: { filter_state: all.slice(0, 300), closed: all.slice(300, 400) } })
    const told = [...exclusions.told()]
    const named = told.flatMap(({ contract, reason, n }) =>
      contract === null ? [] : [`${contract.id} ${reason} ${n}`],
    )
    const once = all.slice(300, 500).map((n) => `c${n} filter_state 1`)
    expect(named).toEqual([...all.slice(0, 300).map((n) => `c${n} filter_state 2`), ...once])
    expect(told.filter(({ contract }) => contract === null).map(({ reason, n }) => [reason, n])).toEqual([
      ['filter_state', 1_500],
      ['closed', 100],
    ])
  })
})
