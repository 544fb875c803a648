/** Leads that wait for a closed contract to open: until when, and for whom they are then. */
import type { EligibilityHints } from './eligibility.ts'
import { opensAt } from './schedule.ts'
import { type WallMs, wallMs } from './units.ts'
import type { Contract } from './version.ts'

/** When a lead that waits is woken, and the moment after which nobody may buy it any more. */
export interface Wake {
  readonly wakeAt: WallMs
  readonly queueUntil: WallMs
}

type Waited = Pick<Contract, 'schedules' | 'queueForMs'>

/** When a closed contract opens for a lead of that age; null where it does not wait, or not for so long. */
export function opensFor({ schedules, queueForMs }: Waited, receivedAt: number, now: WallMs): WallMs | null {
  return queueForMs === 0 ? null : opensAt(schedules, now, wallMs(receivedAt + queueForMs))
}

/** The first opening of these contracts, and the age up to which the most patient of them buys; null where none opens in time. */
export function wakeFor(contracts: readonly Waited[], receivedAt: number, now: WallMs): Wake | null {
  let wakeAt = Number.POSITIVE_INFINITY
  let queueUntil = 0
  for (const contract of contracts) {
    const opens = opensFor(contract, receivedAt, now)
    if (opens === null) continue
    wakeAt = Math.min(wakeAt, opens)
    queueUntil = Math.max(queueUntil, receivedAt + contract.queueForMs)
  }
  return queueUntil === 0 ? null : { wakeAt: wallMs(wakeAt), queueUntil: wallMs(queueUntil) }
}

/** A lead that waited is for those alone that queue, and not for longer than each of them says. */
export function afterWaiting(hints: EligibilityHints, receivedAt: WallMs, now: WallMs): EligibilityHints {
  return {
    exhausted: (contract) => hints.exhausted(contract),
    doubts: (contract) => hints.doubts(contract),
    unwell: (contract) => hints.unwell(contract),
    throttled: (contract) => hints.throttled?.(contract) ?? null,
    denied: (contract, campaign, source, lead) =>
      now < receivedAt + contract.queueForMs ? (hints.denied?.(contract, campaign, source, lead) ?? null) : 'closed',
  }
}
