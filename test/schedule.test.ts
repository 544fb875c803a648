/** Opening hours against the clock that Intl shows: every edge of five years in 18 zones, and every minute around each change. */
import { describe, expect, test } from 'vitest'
import { dayNumber, opensAt, type Schedule, scheduleAt } from '../rules/schedule.ts'
import { wallMs } from '../rules/units.ts'
import { compileVersion } from '../rules/version.ts'
import { changesOf, FROM, HOUR_MS, isOpenBy, officeOf, randomSchedule, TO, ZONES } from './world/calendars.ts'
import { randomFrom } from './world/conditions.ts'

const at = (iso: string) => wallMs(Date.parse(iso))
const shown = ({ zone }: Schedule, moment: number) => `${zone} at ${new Date(moment).toISOString()}`

describe.each(ZONES)('%s', (zone) => {
  const random = randomFrom(ZONES.indexOf(zone) + 1)

  test('from edge to edge through five years', () => {
    const schedule = randomSchedule(random, zone)
    for (let moment = FROM; moment < TO; ) {
      const { open, until } = scheduleAt(schedule, wallMs(moment))
      expect(until, shown(schedule, moment)).toBeGreaterThan(moment)
      for (const inside of [moment, moment + Math.floor((until - moment) * 0.37), until - 1]) {
        if (isOpenBy(schedule, inside) !== open) expect.fail(`${shown(schedule, inside)} is not ${open}`)
      }
      moment = until
    }
  })

  test('every minute around each change of the clock', () => {
    for (const change of changesOf(zone)) {
      const schedule = randomSchedule(random, zone)
      for (let moment = change - 4 * HOUR_MS; moment < change + 10 * HOUR_MS; moment += 60_000) {
        const { open } = scheduleAt(schedule, wallMs(moment + 17))
        if (isOpenBy(schedule, moment + 17) !== open) expect.fail(`${shown(schedule, moment)} is not ${open}`)
      }
    }
  })
})

describe('an opening', () => {
  const nights = officeOf('America/Chicago', [{ start: 22 * 60, end: 26 * 60 }])

  test('is the first moment at which all are open', () => {
    const days = officeOf('America/New_York', [{ start: 9 * 60, end: 17 * 60 }])
    expect(opensAt([days], at('2026-03-07T18:00:00Z'), at('2026-03-20T00:00:00Z'))).toBe(at('2026-03-09T13:00:00Z'))
    const late = officeOf('America/Los_Angeles', [{ start: 8 * 60, end: 12 * 60 }])
    expect(opensAt([days, late], at('2026-03-07T18:00:00Z'), at('2026-03-20T00:00:00Z'))).toBe(
      at('2026-03-09T15:00:00Z'),
    )
    expect(opensAt([days, nights], at('2026-03-07T18:00:00Z'), at('2027-03-07T18:00:00Z'))).toBeNull()
    expect(opensAt([days], at('2026-03-09T14:00:00Z'), at('2026-03-20T00:00:00Z'))).toBe(at('2026-03-09T14:00:00Z'))
    expect(opensAt([days], at('2026-03-07T18:00:00Z'), at('2026-03-09T13:00:00Z'))).toBeNull()
  })

  test('at an hour that spring skips comes with the first minute after it', () => {
    const early = { ...nights, hours: Array.from({ length: 7 }, () => [{ start: 150, end: 240 }]) }
    expect(opensAt([early], at('2026-03-08T07:00:00Z'), at('2026-03-09T00:00:00Z'))).toBe(at('2026-03-08T08:00:00Z'))
  })

  test('a holiday ends the night before it, and the night that would have begun on it does not come', () => {
    const christmas = dayNumber('2026-12-25')!
    const every = {
      ...nights,
      hours: Array.from({ length: 7 }, () => [{ start: 1320, end: 1560 }]),
      closed: new Set([christmas]),
    }
    const open = (iso: string) => scheduleAt(every, at(iso)).open
    expect(open('2026-12-24T23:59:00-06:00')).toBe(true)
    expect(open('2026-12-25T00:30:00-06:00')).toBe(false)
    expect(open('2026-12-25T23:00:00-06:00')).toBe(false)
    expect(open('2026-12-26T01:00:00-06:00')).toBe(false)
    expect(open('2026-12-26T22:00:00-06:00')).toBe(true)
  })
})

test('costs less than 2 us, on the day of a change too', () => {
  const schedule = officeOf('America/Chicago', [{ start: 540, end: 1020 }])
  const start = at('2026-03-08T06:00:00Z')
  const perCall: number[] = []
  for (let round = 0; round < 5; round++) {
    const startedAt = performance.now()
    for (let i = 0; i < 10_000; i++) scheduleAt(schedule, wallMs(start + i))
    perCall.push((performance.now() - startedAt) / 10)
  }
  expect(Math.min(...perCall)).toBeLessThan(2)
})

describe('a configuration', () => {
  const configured = (more: { buyer?: object; contracts?: Record<string, object> }) => {
    const contract = { buyer: 'acme', campaign: 'solar', status: 'active', price: '9.00' }
    const delivery = { post_url: 'https://acme.example/leads' }
    const compiled = compileVersion(
      {
        sources: {},
        campaigns: {
          solar: {
            vertical: 'solar',
            zone: 'UTC',
            payout: { share: 0.7 },
            plan: [{ tier: 'open', strategy: 'auction' }],
          },
        },
        buyers: { acme: { zone: 'America/Chicago', ...more.buyer } },
        contracts: Object.fromEntries(
          Object.entries(more.contracts ?? {}).map(([id, one]) => [id, { ...contract, delivery, ...one }]),
        ),
      },
      1,
    )
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
    return compiled.snapshot.campaigns.get('solar')!.contracts
  }

  test("gives each contract its buyer's schedule and its own, equal ones as one object", () => {
    const schedule = { hours: { 'sat-mon': ['9:00-17:30', '20:00-2:00'], fri: ['0:00-24:00'] }, closed: ['2026-12-25'] }
    const [a, b, c] = configured({
      buyer: { schedule: { from: '2026-01-01', to: '2026-12-31' } },
      contracts: { a: { schedule }, b: { schedule: structuredClone(schedule) }, c: {} },
    })
    expect(a!.schedules).toHaveLength(2)
    expect(a!.schedules[1]).toBe(b!.schedules[1])
    expect(c!.schedules).toEqual([a!.schedules[0]])
    const office = [
      { start: 540, end: 1050 },
      { start: 1200, end: 1560 },
    ]
    expect(a!.schedules[1]).toMatchObject({
      zone: 'America/Chicago',
      hours: [office, office, [], [], [], [{ start: 0, end: 1440 }], office],
    })
  })

  test("pauses a contract until the later of its pause and its buyer's, on the buyer's clock where no offset is given", () => {
    const [a, b, c] = configured({
      buyer: { pause: { until: '2026-03-08T02:30', reason: 'new site' } },
      contracts: {
        a: { pause: { until: '2026-03-09T00:00:00+01:00' } },
        b: { pause: { until: '2026-03-01T00:00Z' } },
        c: {},
      },
    })
    // Half past two is skipped on that day: it resumes with the first minute after the gap.
    const gap = at('2026-03-08T08:00:00Z')
    expect([a, b, c].map((one) => one!.pausedUntil)).toEqual([at('2026-03-08T23:00:00Z'), gap, gap])
  })
})
