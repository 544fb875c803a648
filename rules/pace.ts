/** How much of a paced cap may be used by now: its day is spread over the time in which the contract is open. */
import type { CapWindowSpan } from './calendar.ts'
import { openTimes } from './schedule.ts'
import type { WallMs } from './units.ts'
import type { CapRule } from './version.ts'

/** A day of one rule: when it is open, and for how long altogether. */
interface PacedDay {
  readonly startsAt: WallMs
  readonly times: readonly (readonly [WallMs, WallMs])[]
  readonly openMs: number
}

const days = new WeakMap<CapRule, PacedDay>()

/**
 * A place is granted only while less than this is used: the limit times the share of the day's open time that has passed,
 * rounded up. At least one, so that the first lead of the day need not wait; all of it on a day that never opens.
 */
export function pacedAt(rule: CapRule, span: CapWindowSpan, at: WallMs): number {
  const day = dayOf(rule, span)
  if (day.openMs === 0) return rule.limit
  let passed = 0
  for (const [start, end] of day.times) if (at > start) passed += Math.min(at, end) - start
  return Math.max(1, Math.ceil((rule.limit * passed) / day.openMs))
}

function dayOf(rule: CapRule, { startsAt, endsAt }: CapWindowSpan): PacedDay {
  const known = days.get(rule)
  if (known?.startsAt === startsAt) return known
  const times = openTimes(rule.pace ?? [], startsAt, endsAt)
  const day = { startsAt, times, openMs: times.reduce((sum, [start, end]) => sum + end - start, 0) }
  days.set(rule, day)
  return day
}
