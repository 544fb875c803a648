/** Windows of caps against the clock that Intl shows, on the days on which clocks change. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { placesOf, windowOf } from '../rules/calendar.ts'
import { micros, type WallMs, wallMs } from '../rules/units.ts'
import type { CapRule, CapWindow } from '../rules/version.ts'

const at = (iso: string): WallMs => wallMs(Date.parse(iso))
const HOUR_MS = 3_600_000

/** Independent of the code under test: names read off Intl's clock, week numbers by the Thursday rule. */
const formats = new Map<string, Intl.DateTimeFormat>()
function clockOf(zone: string, moment: number): { date: string; hour: string; offset: string } {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-CA', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      timeZoneName: 'longOffset',
    })
    formats.set(zone, format)
  }
  const parts: Record<string, string> = {}
  for (const { type, value } of format.formatToParts(moment)) parts[type] = value
  const offset = parts['timeZoneName']!.slice(3) || '+00:00'
  return { date: `${parts['year']}-${parts['month']}-${parts['day']}`, hour: parts['hour']!, offset }
}

function expectedName(window: CapWindow, zone: string, moment: number): string {
  const { date, hour, offset } = clockOf(zone, moment)
  if (window === 'hour') return `${date}T${hour}${offset}`
  if (window === 'day') return date
  if (window === 'month') return date.slice(0, 7)
  const day = new Date(`${date}T00:00:00Z`)
  const thursday = new Date(day.getTime() + (4 - (day.getUTCDay() || 7)) * 24 * HOUR_MS)
  const newYear = Date.UTC(thursday.getUTCFullYear(), 0, 1)
  const week = 1 + Math.floor((thursday.getTime() - newYear) / (7 * 24 * HOUR_MS))
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`
}

const ZONES = [
  'America/Chicago',
  'America/New_York',
  'America/Havana', // autumn repeats midnight itself
  'America/Santiago', // spring skips midnight
  'Asia/Beirut', // spring skips midnight
  'Africa/Cairo', // spring skips midnight
  'Australia/Lord_Howe', // clocks move by half an hour
  'America/St_Johns', // half-hour offset
  'Asia/Kathmandu', // quarter-hour offset, no summer time
  'Africa/Casablanca', // two changes within weeks
  'Pacific/Chatham',
  'Pacific/Kiritimati',
  'Europe/London',
  'UTC',
]
const WINDOWS = ['hour', 'day', 'week', 'month'] as const

function expectWindow(window: (typeof WINDOWS)[number], zone: string, moment: number): void {
  const span = windowOf(window, zone, wallMs(moment))
  const name = expectedName(window, zone, moment)
  const shown = `${window} of ${zone} at ${new Date(moment).toISOString()}`
  expect(span.name, shown).toBe(name)
  expect(span.startsAt <= moment && moment < span.endsAt, shown).toBe(true)
  expect(expectedName(window, zone, span.startsAt), `start of ${shown}`).toBe(name)
  expect(expectedName(window, zone, span.endsAt - 1), `end of ${shown}`).toBe(name)
  expect(expectedName(window, zone, span.startsAt - 1), `before ${shown}`).not.toBe(name)
  expect(expectedName(window, zone, span.endsAt), `after ${shown}`).not.toBe(name)
}

describe('windows', () => {
  test.each([
    ['hour', '2026-03-02T20:15:00Z', '2026-03-02T14-06:00', '2026-03-02T21:00:00Z'],
    ['day', '2026-03-02T20:15:00Z', '2026-03-02', '2026-03-03T06:00:00Z'],
    ['week', '2026-03-02T20:15:00Z', '2026-W10', '2026-03-09T05:00:00Z'],
    ['month', '2026-03-02T20:15:00Z', '2026-03', '2026-04-01T05:00:00Z'],
    // The last Sunday of the year belongs to the last week, the Monday after it to the first of the next.
    ['week', '2027-01-03T18:00:00Z', '2026-W53', '2027-01-04T06:00:00Z'],
    // Autumn repeats the hour from one to two: two windows, two names.
    ['hour', '2026-11-01T06:30:00Z', '2026-11-01T01-05:00', '2026-11-01T07:00:00Z'],
    ['hour', '2026-11-01T07:30:00Z', '2026-11-01T01-06:00', '2026-11-01T08:00:00Z'],
  ] as const)('%s at %s is %s until %s', (window, moment, name, endsAt) => {
    expect(windowOf(window, 'America/Chicago', at(moment))).toMatchObject({ name, endsAt: at(endsAt) })
  })

  test.each([
    ['America/Chicago', '2026-03-08T18:00:00Z', 23],
    ['America/Chicago', '2026-03-09T18:00:00Z', 24],
    ['America/Chicago', '2026-11-01T18:00:00Z', 25],
    ['America/Havana', '2026-11-01T04:30:00Z', 25],
    ['America/Havana', '2026-11-01T20:00:00Z', 25],
    ['America/Santiago', '2026-09-06T18:00:00Z', 23],
    ['Australia/Lord_Howe', '2026-04-05T01:00:00Z', 24.5],
    ['Australia/Lord_Howe', '2026-10-04T01:00:00Z', 23.5],
  ])('the day of %s at %s has %d hours', (zone, moment, hours) => {
    const { startsAt, endsAt } = windowOf('day', zone, at(moment))
    expect((endsAt - startsAt) / HOUR_MS).toBe(hours)
  })

  test('total and concurrency never end', () => {
    expect(windowOf('total', 'UTC', at('2026-03-02T00:00:00Z'))).toMatchObject({ name: 'total', endsAt: Infinity })
    expect(windowOf('concurrency', 'UTC', at('2026-03-02T00:00:00Z'))).toMatchObject({ name: 'now' })
  })

  test('a zone that does not exist is a bug of its caller', () => {
    expect(() => windowOf('day', 'America/Gotham', at('2026-03-02T00:00:00Z'))).toThrow(/America\/Gotham/)
  })

  test.each(ZONES)('%s: every quarter of an hour around each change of 2026', (zone) => {
    const changes: number[] = []
    for (let t = Date.UTC(2026, 0, 1); t < Date.UTC(2027, 0, 1); t += 6 * HOUR_MS) {
      if (clockOf(zone, t).offset !== clockOf(zone, t + 6 * HOUR_MS).offset) changes.push(t)
    }
    for (const change of [Date.UTC(2026, 11, 31, 12), ...changes]) {
      for (let t = change - 30 * HOUR_MS; t < change + 30 * HOUR_MS; t += HOUR_MS / 4) {
        for (const window of ['hour', 'day'] as const) expectWindow(window, zone, t + 1)
      }
      for (const window of ['week', 'month'] as const) expectWindow(window, zone, change)
    }
  })

  test('any window of any zone at any moment', () => {
    const moment = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) })
    fc.assert(fc.property(fc.constantFrom(...WINDOWS), fc.constantFrom(...ZONES), moment, expectWindow), {
      numRuns: 2_000,
    })
  })

  test('a remembered window costs less than 0.3 us', () => {
    const start = at('2026-03-02T14:00:00Z')
    const perCall: number[] = []
    for (let round = 0; round < 5; round++) {
      const startedAt = performance.now()
      for (let i = 0; i < 100_000; i++) windowOf('day', 'America/Chicago', wallMs(start + i))
      perCall.push((performance.now() - startedAt) / 100)
    }
    expect(Math.min(...perCall)).toBeLessThan(0.3)
  })
})

describe('places', () => {
  const rule = (
    scope: CapRule['scope'],
    owner: string,
    window: CapWindow,
    kind: CapRule['kind'],
    limit: number,
  ): CapRule => ({
    scope,
    owner,
    window,
    kind,
    limit,
    zone: scope === 'contract' || scope === 'buyer' ? 'America/Chicago' : 'UTC',
  })

  test('are grouped source, campaign, buyer, whatever the order of the rules', () => {
    const rules = [
      rule('contract', 'acme-solar', 'day', 'count', 10),
      rule('campaign', 'solar', 'hour', 'count', 100),
      rule('buyer', 'acme', 'concurrency', 'count', 3),
      rule('source', 'demo', 'total', 'spend', 5_000_000),
    ]
    const moment = at('2026-03-03T02:30:00Z')
    expect(placesOf(rules, 'acme', micros(18_500_000), 7, moment)).toEqual([
      {
        tag: 's:demo',
        places: [
          {
            key: 'source:demo:total:spend:total',
            amount: 18_500_000,
            limit: 5_000_000,
            version: 7,
            transient: false,
            forgetAt: 0,
          },
        ],
      },
      {
        tag: 'c:solar',
        places: [
          {
            key: 'campaign:solar:hour:count:2026-03-03T02+00:00',
            amount: 1,
            limit: 100,
            version: 7,
            transient: false,
            forgetAt: at('2026-03-05T03:00:00Z'),
          },
        ],
      },
      {
        tag: 'b:acme',
        places: [
          {
            key: 'contract:acme-solar:day:count:2026-03-02',
            amount: 1,
            limit: 10,
            version: 7,
            transient: false,
            forgetAt: at('2026-03-05T06:00:00Z'),
          },
          { key: 'buyer:acme:concurrency:count:now', amount: 1, limit: 3, version: 7, transient: true, forgetAt: 0 },
        ],
      },
    ])
  })

  test('no rules, no groups', () => {
    expect(placesOf([], 'acme', micros(0), 1, at('2026-03-02T00:00:00Z'))).toEqual([])
  })

  test('an owner with white space is a bug of its caller', () => {
    const rules = [rule('buyer', 'acme solar', 'day', 'count', 1)]
    expect(() => placesOf(rules, 'acme solar', micros(0), 1, at('2026-03-02T00:00:00Z'))).toThrow(/white space/)
  })
})
