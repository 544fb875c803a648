/** Pacing: how much of a day's cap may be used by when. */
import { expect, test } from 'vitest'
import { windowOf } from '../rules/calendar.ts'
import { pacedAt } from '../rules/pace.ts'
import { openTimes, type Schedule, scheduleAt } from '../rules/schedule.ts'
import { wallMs } from '../rules/units.ts'
import type { CapRule } from '../rules/version.ts'
import { FROM, HOUR_MS, officeOf, randomSchedule, ZONES } from './world/calendars.ts'
import { pick, randomFrom, whole } from './world/conditions.ts'

const at = (iso: string) => wallMs(Date.parse(iso))
const ruleOf = (pace: readonly Schedule[], limit: number, more: Partial<CapRule> = {}): CapRule => ({
  ...{ scope: 'contract', owner: 'acme', window: 'day', kind: 'count', limit, zone: 'America/Chicago', pace },
  ...more,
})
const allowed = (rule: CapRule, moment: number) => pacedAt(rule, windowOf(rule, wallMs(moment)), wallMs(moment))

test('a place falls due with each part of the open time, on short and long days alike', () => {
  const rule = ruleOf([officeOf('America/Chicago', [{ start: 540, end: 1020 }])], 8)
  const due = (iso: string) => allowed(rule, at(iso))
  expect(
    ['08:00', '09:00', '10:00', '10:01', '13:00', '16:01', '17:00', '23:00'].map((time) =>
      due(`2026-03-02T${time}:00-06:00`),
    ),
  ).toEqual([1, 1, 1, 2, 4, 8, 8, 8])
  // The whole day, which spring makes an hour shorter: at noon 11 of 23 hours have passed.
  expect(allowed(ruleOf([], 23), at('2026-03-08T12:00:00-05:00'))).toBe(11)
  expect(allowed(ruleOf([], 25), at('2026-11-01T12:00:00-06:00'))).toBe(13)
})

test('on a day that never opens the pace holds nothing back', () => {
  expect(
    allowed(ruleOf([officeOf('America/Chicago', [{ start: 540, end: 1020 }])], 8), at('2026-03-01T12:00:00-06:00')),
  ).toBe(8)
})

test('whatever the schedules, the pace never falls within a day and has given everything at its end', () => {
  const random = randomFrom(3)
  for (let n = 0; n < 60; n++) {
    const zone = pick(random, ZONES)
    const limit = pick(random, [1, 7, 1_000, 50_000_000])
    const rule = ruleOf([randomSchedule(random), randomSchedule(random)].slice(whole(random, 0, 2)), limit, {
      zone,
      dayStart: pick(random, [0, 360]),
    })
    const { startsAt, endsAt } = windowOf(rule, wallMs(FROM + whole(random, 0, 1_800) * 24 * HOUR_MS))
    let before = 0
    for (let moment = Number(startsAt); moment < endsAt; moment += HOUR_MS / 3) {
      const now = allowed(rule, moment)
      expect(now).toBeGreaterThanOrEqual(Math.max(1, before))
      expect(now).toBeLessThanOrEqual(limit)
      before = now
    }
    expect(pacedAt(rule, windowOf(rule, startsAt), endsAt)).toBe(limit)
    const minutes = openTimes(rule.pace!, startsAt, endsAt).reduce(
      (sum, [start, end]) => sum + (end - start) / 60_000,
      0,
    )
    let open = 0
    for (let moment = Number(startsAt); moment < endsAt; moment += 60_000) {
      if (rule.pace!.every((one) => scheduleAt(one, wallMs(moment)).open)) open++
    }
    expect(open).toBe(minutes)
  }
})
