/** What of its contracts a buyer may change by itself: whether it may pause them, and how far each of its caps may go. */
import { type Micros, micros, parseMoney } from './units.ts'
import type { Fault } from './version.ts'

/** Null: there is no such bound. Counts of leads, or micros. */
export interface Bounds {
  readonly min: number | null
  readonly max: number | null
}

export interface SelfService {
  readonly pause: boolean
  /** By the cap's name: `day`, `spend.day`. A cap that is not named is the operator's. */
  readonly caps: ReadonlyMap<string, Bounds>
}

/** A bound as the configuration has it: a number of leads, or money as text. */
interface BoundsFile {
  readonly min?: number | string | undefined
  readonly max?: number | string | undefined
}
export interface SelfServiceFile {
  readonly pause?: boolean | undefined
  readonly caps?: Readonly<Record<string, BoundsFile | Readonly<Record<string, BoundsFile | undefined>> | undefined>>
}

export const COUNT_CAPS = ['hour', 'day', 'week', 'month', 'total', 'concurrency'] as const
export const SPEND_CAPS = ['hour', 'day', 'week', 'month', 'total'] as const

/** Shared: most contracts have none. */
export const NO_SELF_SERVICE: SelfService = { pause: false, caps: new Map() }

/** What the contract says, and where it is silent what its buyer does. */
export function selfServiceOf(buyer: SelfServiceFile = {}, contract: SelfServiceFile = {}): SelfService {
  if (Object.keys(buyer).length + Object.keys(contract).length === 0) return NO_SELF_SERVICE
  const caps = contract.caps ?? buyer.caps ?? {}
  const bounds = new Map<string, Bounds>()
  for (const name of COUNT_CAPS) if (caps[name]) bounds.set(name, boundsOf(caps[name] as BoundsFile))
  const spend = (caps['spend'] ?? {}) as Readonly<Record<string, BoundsFile | undefined>>
  for (const name of SPEND_CAPS) if (spend[name]) bounds.set(`spend.${name}`, boundsOf(spend[name]))
  return { pause: contract.pause ?? buyer.pause ?? false, caps: bounds }
}

export const boundsOf = ({ min, max }: BoundsFile): Bounds => ({ min: amountOf(min), max: amountOf(max) })

const amountOf = (given: number | string | undefined): number | null =>
  given === undefined ? null : typeof given === 'number' ? given : (parseMoney(given) ?? null)

/** Caps as a buyer gives them: null takes one away. */
export type CapsGiven = Readonly<Record<string, number | null | Readonly<Record<string, string | null>>>>

/** Why these caps may not be set, each with its path below `caps`. */
export function capFaults(given: CapsGiven, { caps }: SelfService, show: (amount: Micros) => string): readonly Fault[] {
  const { spend, ...counts } = given
  const named: [string, number | null][] = Object.entries(counts).map(([name, n]) => [name, n as number | null])
  for (const [name, amount] of Object.entries((spend ?? {}) as Readonly<Record<string, string | null>>))
    named.push([`spend.${name}`, amount === null ? null : (parseMoney(amount) ?? null)])
  return named.flatMap(([name, value]) => {
    const bounds = caps.get(name)
    const shown = (amount: number) => (name.startsWith('spend.') ? show(micros(amount)) : String(amount))
    const message = bounds ? outside(value, bounds, shown) : 'is for your operator to change.'
    return message === null ? [] : [{ path: `caps.${name}`, message }]
  })
}

function outside(value: number | null, { min, max }: Bounds, shown: (amount: number) => string): string | null {
  if (value === null) return max === null ? null : `may not be taken away: give at most ${shown(max)}.`
  if (min !== null && value < min) return `may not be under ${shown(min)}.`
  if (max !== null && value > max) return `may not be over ${shown(max)}.`
  return null
}
