/** What eligibility may know beforehand: what is switched off, caps that were just full, contracts with too many doubts, buyers that are unwell. The hold decides. */
import type { Clock } from '../buyers/wire.ts'
import type { Lead } from '../rules/lead.ts'
import type { Reason } from '../rules/reason.ts'
import type { Switches } from '../rules/switches.ts'
import type { Contract } from '../rules/version.ts'

/** A full cap is believed for so long: short, for a release or a new window opens it again. */
const FULL_FOR_MS = 250
/** So many posts in doubt, and a contract is not asked until one resolves. */
const DOUBTS_MAX = 3

export class Hints {
  /** True where the contract's buyer is left alone because its server is unwell. */
  readonly unwell: (contract: string) => boolean
  /** The window in which the contract may not be pinged any more, or null. */
  readonly throttled: (contract: Contract) => string | null
  readonly #clock: Clock
  /** By contract, so it never grows beyond the configuration's contracts. */
  readonly #full = new Map<string, { readonly window: string; readonly until: number }>()
  #doubts: ReadonlyMap<string, number> = new Map()
  readonly #switches: () => Switches

  constructor(
    clock: Clock,
    unwell: (contract: string) => boolean,
    switches: () => Switches,
    throttled: (contract: Contract) => string | null,
  ) {
    this.throttled = throttled
    this.#clock = clock
    this.unwell = unwell
    this.#switches = switches
  }

  /** A hold of this contract was just refused for this window. */
  sawFull(contract: string, window: string): void {
    this.#full.set(contract, { window, until: this.#clock.mono() + FULL_FOR_MS })
  }

  /** Unresolved doubts by contract, as the ledger counts them. */
  sawDoubts(doubts: ReadonlyMap<string, number>): void {
    this.#doubts = doubts
  }

  /** The window that was full a moment ago, or null. */
  exhausted(contract: string): string | null {
    const seen = this.#full.get(contract)
    if (!seen) return null
    if (seen.until > this.#clock.mono()) return seen.window
    this.#full.delete(contract)
    return null
  }

  /** Why an operator keeps the lead from the contract now, or null. */
  denied(contract: Contract, campaign: string, source: string, lead: Lead): Reason | null {
    return this.#switches().deny(contract, campaign, source, lead, this.#clock.wall())
  }

  doubts(contract: string): boolean {
    return (this.#doubts.get(contract) ?? 0) >= DOUBTS_MAX
  }
}
