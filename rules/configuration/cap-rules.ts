/** Caps as the configuration file has them: checked, and made into rules. */

import type { Schedule } from '../schedule.ts'
import { COUNT_CAPS, SPEND_CAPS } from '../self-service.ts'
import { parseMoney } from '../units.ts'
import type { CapKind, CapRule, CapScope, CapWindow } from '../version.ts'
import type { Check } from './check.ts'
import type { CapsFile, Draft } from './schema.ts'

/**
 * Counts first, then spends, each from the shortest window on, then the rolling ones: the order in which a full one is
 * named. `schedules`: the open time over which a paced day is spread.
 */
export function capRules(
  scope: CapScope,
  owner: string,
  zone: string,
  caps: CapsFile | undefined,
  schedules: readonly Schedule[] = [],
): readonly CapRule[] {
  const rules: CapRule[] = []
  const dayStart = (caps?.day_starts === undefined ? null : dayStartOf(caps.day_starts)) ?? 0
  const pace = caps?.pace === true ? schedules : null
  const add = (window: CapWindow, kind: CapKind, limit: number, minutes = 0) => {
    const ofDay = window === 'day' ? { dayStart, pace } : { dayStart: 0, pace: null }
    rules.push({ scope, owner, window, kind, limit, zone, minutes, ...ofDay })
  }
  for (const window of COUNT_CAPS) {
    const limit = caps?.[window]
    if (limit !== undefined) add(window, 'count', limit)
  }
  for (const window of SPEND_CAPS) {
    const limit = caps?.spend?.[window]
    if (limit !== undefined) add(window, 'spend', parseMoney(limit)!)
  }
  for (const { minutes, count, spend } of caps?.rolling ?? []) {
    if (count !== undefined) add('rolling', 'count', count, minutes)
    if (spend !== undefined) add('rolling', 'spend', parseMoney(spend)!, minutes)
  }
  return rules
}

/** A prepaid balance as a cap: what is bought may exceed what was paid in by the credit. */
export function balanceRule(buyer: string, zone: string, currency: string, credit: string): CapRule {
  const never = { dayStart: 0, minutes: 0, pace: null }
  return {
    ...{ scope: 'buyer', owner: buyer, window: 'balance', kind: 'spend', limit: parseMoney(credit)!, zone, currency },
    ...never,
  }
}

/** Minutes after midnight, at a quarter of an hour, for that is how finely the ledger sums up; null where it is no such time. */
function dayStartOf(text: string): number | null {
  const [, hour, minute] = /^(\d{1,2}):(00|15|30|45)$/.exec(text) ?? []
  return hour === undefined || Number(hour) > 23 ? null : Number(hour) * 60 + Number(minute)
}

/** `currencies`: those in which the owner buys or sells. */
export function checkCaps(
  check: Check,
  path: string,
  caps: Draft<CapsFile> | undefined,
  currencies: ReadonlySet<string>,
): void {
  if (caps === undefined) return
  checkSpend(check, path, caps, currencies)
  const { day_starts: dayStarts, rolling } = caps
  if (dayStarts !== undefined && dayStartOf(dayStarts) === null) {
    check.fault(
      `${path}.day_starts`,
      `"${dayStarts}" is no time at which a day can begin: write a quarter of an hour, such as "6:00".`,
    )
  }
  if (dayStarts !== undefined && caps.day === undefined && caps.spend?.day === undefined && !check.broken(path)) {
    check.fault(
      `${path}.day_starts`,
      'says when the day begins, and there is no cap of a day: add one, or remove the key.',
    )
  }
  if (caps.pace === true && caps.day === undefined && caps.spend?.day === undefined && !check.broken(path)) {
    check.fault(`${path}.pace`, 'spreads the cap of a day, and there is none: add one, or remove the key.')
  }
  const known = new Set<number>()
  rolling?.forEach((window, at) => {
    const here = `${path}.rolling[${at}]`
    if (window === undefined) return
    if (window.count === undefined && window.spend === undefined && !check.broken(here)) {
      check.fault(here, 'limits nothing: give it a count, a spend, or both.')
    }
    if (window.minutes === undefined) return
    if (known.has(window.minutes)) {
      check.fault(
        `${here}.minutes`,
        `there is a window of ${window.minutes} minutes already: put both limits into one.`,
      )
    }
    known.add(window.minutes)
  })
}

function checkSpend(check: Check, path: string, caps: Draft<CapsFile>, currencies: ReadonlySet<string>): void {
  if (currencies.size < 2) return
  const mixed = [...currencies].sort().join(' and ')
  const message = `adds up ${mixed}: cap spending on each contract instead, where there is one currency.`
  if (caps.spend !== undefined) check.fault(`${path}.spend`, message)
  caps.rolling?.forEach((window, at) => {
    if (window?.spend !== undefined) check.fault(`${path}.rolling[${at}].spend`, message)
  })
}
