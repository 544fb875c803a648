/** The leads that this process is working on: each one's state, and who waits for its answer. */
import type { WireLead } from '../buyers/adapter.ts'
import type { Timer } from '../buyers/wire.ts'
import type { AuctionCommand, AuctionTerms, Checked, Opening } from '../rules/auction.ts'
import type { PlaceGroup } from '../rules/caps.ts'
import type { AuctionState } from '../rules/step/state.ts'
import type { TraceRow } from '../rules/trace.ts'
import type { Micros, Ms, WallMs } from '../rules/units.ts'
import type { Campaign, Snapshot, Source } from '../rules/version.ts'
import type { LeadExchanges } from './exchanges/keeper.ts'

/** What a source hears of a decided (or pending) lead. */
export interface Answer {
  readonly leadId: string
  readonly status: 'sold' | 'unsold' | 'duplicate' | 'pending' | 'expired' | 'review'
  readonly payout: Micros
  readonly currency: string
  readonly copies: number
  readonly reasons: readonly string[]
  /** By `joinOnward`. */
  readonly redirectUrl: string | null
  readonly leadRef: string | null
  /** Copies that came back since, and what was taken off the payout for them. */
  readonly returned?: { readonly copies: number; readonly payout: Micros }
}

/** One hold of a lead, as long as its places may have to be committed or released. */
export interface Held {
  readonly token: string
  readonly groups: readonly PlaceGroup[]
  readonly heldAt: WallMs
  readonly epoch: number
}

/** What came with the lead and does not change. */
export interface LeadFacts {
  readonly leadId: string
  readonly term: number
  readonly snapshot: Snapshot
  readonly campaign: Campaign
  readonly source: Source
  readonly test: boolean
  readonly mode: 'sync' | 'async'
  readonly receivedAt: WallMs
  readonly fingerprints: readonly string[]
  readonly wire: WireLead
  /** It waited for a contract to open: its source was told that it is pending. */
  readonly waited?: boolean
  /** Records what is said to buyers about it: the witness of `wire`. */
  readonly exchanges?: LeadExchanges | undefined
  /** Resolves true once the ledger has the lead, false where it did not take it; absent where it has it already. */
  readonly stored?: Promise<boolean>
}

export interface LiveLead extends LeadFacts {
  /** With the outputs of its checks, once they have answered. */
  wire: WireLead
  readonly terms: AuctionTerms
  readonly opening: Opening
  readonly openedAt: Ms
  readonly state: AuctionState
  readonly rows: TraceRow[]
  /** By seat: its latest hold. */
  readonly held: Map<number, Held>
  readonly timers: Set<Timer>
  /** Told once: the answer, or null where the work here ends without one. */
  readonly waiters: ((answer: Answer | null) => void)[]
  /** Since when its open tier is pinged. */
  pingedAt: Ms | null
  /** How long it has waited for buyers: ping windows and posts. */
  waitedMs: number
  answer: Answer | null
  /** What its checks said; null: it has none, or they have not answered. */
  checked: Checked | null
  /** Where its auction only asked: what came of it. */
  offered: Extract<AuctionCommand, { do: 'offer' }> | null
  /** The lead is no longer ours to work on: settled, in doubt, given up, or another engine's. */
  over: boolean
}

/** Every lead under way here, bounded by `most`: intake refuses beyond it. */
export class LiveLeads {
  readonly most: number
  readonly #leads = new Map<string, LiveLead>()
  #emptied: (() => void)[] = []

  constructor(most: number) {
    this.most = most
  }

  get size(): number {
    return this.#leads.size
  }

  get full(): boolean {
    return this.#leads.size >= this.most
  }

  get(leadId: string): LiveLead | undefined {
    return this.#leads.get(leadId)
  }

  has(leadId: string): boolean {
    return this.#leads.has(leadId)
  }

  add(lead: LiveLead): void {
    this.#leads.set(lead.leadId, lead)
  }

  remove(leadId: string): void {
    this.#leads.delete(leadId)
    if (this.#leads.size > 0) return
    for (const wake of this.#emptied.splice(0)) wake()
  }

  /** Resolves when no lead is under way. */
  empty(): Promise<void> {
    return this.#leads.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#emptied.push(resolve))
  }
}
