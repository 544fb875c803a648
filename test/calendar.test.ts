/** Windows of caps against the clock that Intl shows, on the days on which clocks change. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { placesOf, type Windows, windowOf } from '../rules/calendar.ts'
import { micros, type WallMs, wallMs } from '../rules/units.ts'
import type { CapRule, CapWindow } from '../rules/version.ts'
import { changesOf, clockOf, FROM, HOUR_MS, TO, ZONES } from './world/calendars.ts'

const at = (iso: string): WallMs => wallMs(Date.parse(iso))
/** Independent of the code under test: names read off Intl's clock, week numbers by the Thursday rule. */
function expectedName({ window, zone, dayStart = 0 }: Windows, moment: number): string {
  const { date, hour, offset } = clockOf(zone, moment)
  if (window === 'hour') return `${date}T${hour}${offset}`
  if (window === 'day') return dayStart === 0 ? date : lateDay(zone, dayStart, moment)
  if (window === 'month') return date.slice(0, 7)
  const day = new Date(`${date}T00:00:00Z`)
  const thursday = new Date(day.getTime() + (4 - (day.getUTCDay() || 7)) * 24 * HOUR_MS)
  const newYear = Date.UTC(thursday.getUTCFullYear(), 0, 1)
  const week = 1 + Math.floor((thursday.getTime() - newYear) / (7 * 24 * HOUR_MS))
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`
}

/** A day has begun once its clock has shown its start or more, and goes on although the clock is set back. */
function lateDay(zone: string, dayStart: number, moment: number): string {
  const shows = (at: number) => Date.parse(`${clockOf(zone, at).date}T00:00:00Z`) + clockOf(zone, at).minute * 60_000
  let most = shows(moment)
  // Before a change the clock may have shown more: none sets it back by more than three hours.
  if (clockOf(zone, moment - 4 * HOUR_MS).offset !== clockOf(zone, moment).offset)
    for (let at = moment; at > moment - 4 * HOUR_MS; at -= 60_000) most = Math.max(most, shows(at - 2))
  const day = new Date(Math.floor((most - dayStart * 60_000) / (24 * HOUR_MS)) * 24 * HOUR_MS)
    .toISOString()
    .slice(0, 10)
  return `${day}T${String(Math.floor(dayStart / 60)).padStart(2, '0')}:${String(dayStart % 60).padStart(2, '0')}`
}

const WINDOWS = ['hour', 'day', 'week', 'month'] as const

function expectWindow(rule: Windows, moment: number): void {
  const span = windowOf(rule, wallMs(moment))
  const name = expectedName(rule, moment)
  const shown = `${rule.window} of ${rule.zone} at ${new Date(moment).toISOString()}, from ${rule.dayStart ?? 0}`
  if (span.name !== name) expect.fail(`${shown} is ${name}, not ${span.name}`)
  expect(span.startsAt <= moment && moment < span.endsAt, shown).toBe(true)
  expect(expectedName(rule, span.startsAt), `start of ${shown}`).toBe(name)
  expect(expectedName(rule, span.endsAt - 1), `end of ${shown}`).toBe(name)
  expect(expectedName(rule, span.startsAt - 1), `before ${shown}`).not.toBe(name)
  expect(expectedName(rule, span.endsAt), `after ${shown}`).not.toBe(name)
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
    expect(windowOf({ window, zone: 'America/Chicago' }, at(moment))).toMatchObject({ name, endsAt: at(endsAt) })
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
    const { startsAt, endsAt } = windowOf({ window: 'day', zone }, at(moment))
    expect((endsAt - startsAt) / HOUR_MS).toBe(hours)
  })

  test('total and concurrency never end', () => {
    expect(windowOf({ window: 'total', zone: 'UTC' }, at('2026-03-02T00:00:00Z'))).toMatchObject({
      name: 'total',
      endsAt: Infinity,
    })
    expect(windowOf({ window: 'concurrency', zone: 'UTC' }, at('2026-03-02T00:00:00Z'))).toMatchObject({ name: 'now' })
  })

  test('a zone that does not exist is a bug of its caller', () => {
    expect(() => windowOf({ window: 'day', zone: 'America/Gotham' }, at('2026-03-02T00:00:00Z'))).toThrow(
      /America\/Gotham/,
    )
  })

  test.each(ZONES)('%s: every quarter of an hour around each change of 2024 to 2028', (zone) => {
    for (const change of [Date.UTC(2026, 11, 31, 12), ...changesOf(zone)]) {
      for (let t = change - 4 * HOUR_MS; t < change + 12 * HOUR_MS; t += HOUR_MS / 4) {
        for (const window of ['hour', 'day'] as const) expectWindow({ window, zone }, t + 1)
      }
      for (const window of ['week', 'month'] as const) expectWindow({ window, zone }, change)
    }
  })

  test.each(ZONES)('%s: days, weeks and months lie side by side from 2024 to 2028', (zone) => {
    for (const window of ['day', 'week', 'month'] as const) {
      for (let moment = FROM; moment < TO; ) {
        const { name, startsAt, endsAt } = windowOf({ window, zone }, wallMs(moment))
        expect(startsAt).toBeLessThanOrEqual(moment)
        for (const inside of [startsAt, endsAt - 1]) {
          if (expectedName({ window, zone }, inside) !== name) expect.fail(`${name} of ${zone} is not at ${inside}`)
        }
        moment = endsAt
      }
    }
  })

  test.each(ZONES)('%s: days that begin at another time than midnight', (zone) => {
    const changes = changesOf(zone)
    for (const dayStart of [90, 150, 360]) {
      const rule = { window: 'day', zone, dayStart } as const
      for (const change of [Date.UTC(2026, 5, 15), changes.at(-1), changes.at(-2)]) {
        for (let t = (change ?? FROM) - HOUR_MS; t < (change ?? FROM) + 8 * HOUR_MS; t += 1.5 * HOUR_MS)
          expectWindow(rule, t + 1)
      }
    }
    const rule = { window: 'day', zone, dayStart: 150 } as const
    for (let { endsAt: end } = windowOf(rule, wallMs(FROM)); end < TO; ) {
      const { startsAt, endsAt } = windowOf(rule, end)
      if (startsAt !== end || endsAt - end > 27 * HOUR_MS || endsAt - end < 21 * HOUR_MS)
        expect.fail(`${zone} at ${end}`)
      end = endsAt
    }
  })

  test('any window of any zone at any moment', () => {
    const moment = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) })
    const rule = fc.record({ window: fc.constantFrom(...WINDOWS), zone: fc.constantFrom(...ZONES) })
    fc.assert(fc.property(rule, moment, expectWindow), { numRuns: 2_000 })
  })

  test('a remembered window costs less than 0.3 us', () => {
    const start = at('2026-03-02T14:00:00Z')
    const day = { window: 'day', zone: 'America/Chicago' } as const
    const perCall: number[] = []
    for (let round = 0; round < 5; round++) {
      const startedAt = performance.now()
      for (let i = 0; i < 100_000; i++) windowOf(day, wallMs(start + i))
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

  test('of a rolling window lie in buckets, and count with those before', () => {
    const rolling = (minutes: number) => ({ ...rule('contract', 'acme', 'rolling', 'count', 5), minutes })
    const moment = at('2026-03-02T12:00:37.500Z')
    const [hour, minute] = [60, 1].map(
      (minutes) => placesOf([rolling(minutes)], 'acme', micros(0), 1, moment)[0]!.places[0],
    )
    expect(hour).toMatchObject({
      key: `contract:acme:60m:count:${moment / 60_000 - 0.625}`,
      behind: 60,
      forgetAt: at('2026-03-02T13:01:00Z'),
    })
    expect(minute).toMatchObject({ behind: 12, forgetAt: at('2026-03-02T12:01:40Z') })
  })

  test('no rules, no groups', () => {
    expect(placesOf([], 'acme', micros(0), 1, at('2026-03-02T00:00:00Z'))).toEqual([])
  })

  test('an owner with white space is a bug of its caller', () => {
    const rules = [rule('buyer', 'acme solar', 'day', 'count', 1)]
    expect(() => placesOf(rules, 'acme solar', micros(0), 1, at('2026-03-02T00:00:00Z'))).toThrow(/white space/)
  })
})
