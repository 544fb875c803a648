/** What the admin plane shows, as its readers get it: the assembled engine fills it from the ledger and its own parts. */

import type { CapLine, Owner } from '../cap-lines.ts'
import type { BuyerFile, FileReport } from '../doubts/buyer-file.ts'
import type { ResolveAnswer, Verdict, Which } from '../doubts/resolve.ts'
import type { Erased, EvidencePage, ExchangesPage } from '../exchanges/proof.ts'
import type { PingPage } from '../offers/ping-page.ts'
import type { Returns } from '../returns/returns.ts'
import type { LeadQuery } from '../search.ts'
import type { HotDump } from '../store/port.ts'
import type { ReturnState } from '../store/tables.ts'

/** Rejects where a store that it needs is out of reach. */
export interface AdminPort {
  /** Null: no lead has this id. */
  leadPage(leadId: string): Promise<LeadPage | null>
  /** A source's ping by the id of its offer. Null: there is none. */
  pingPage(id: string): Promise<PingPage | null>
  /** Newest first. */
  search(query: LeadQuery): Promise<readonly object[]>
  explain(leadId: string): Promise<{ readonly seats: readonly object[] } | null>
  replay(leadId: string): Promise<ReplayPage | null>
  /** Null: that time has more posts than one call compares. */
  reconcileBuyer(file: BuyerFile, by: string): Promise<FileReport | null>
  /** Gives a verdict on a post in doubt. */
  resolve(leadId: string, which: Which, verdict: Verdict, by: string): Promise<ResolveAnswer>
  readonly returns: Returns
  /** What was said to buyers about it. Null: no lead has this id. */
  exchanges(leadId: string): Promise<ExchangesPage | null>
  /** What its consumer was shown and said. */
  evidence(leadId: string): Promise<EvidencePage | null>
  erase(leadId: string): Promise<Erased>
  hotDump(): Promise<HotDump>
  /** What is used of the caps, balances and throttles in force. */
  capLines(owner: Owner): Promise<readonly CapLine[]>
  status(): Promise<StatusPage>
  /** Prometheus's text format. */
  metrics(): Promise<string>
}

/** A lead as the operator reads it. Money is a decimal string, a moment ISO 8601; no lead value is in it. */
export interface LeadPage {
  readonly lead_id: string
  /** `received` where it is still under way. */
  readonly status: string
  readonly campaign: string
  readonly source: string
  /** Of the configuration that decides it. */
  readonly version: number
  readonly mode: 'sync' | 'async'
  readonly test: boolean
  readonly lead_ref: string | null
  readonly received_at: string
  readonly decided_at: string | null
  /** The engine that owns it, and how many have. */
  readonly owner: number
  readonly term: number
  readonly currency: string
  readonly payout: string
  readonly copies: number
  readonly reasons: readonly string[]
  /** In seat order; empty until the auction is decided. */
  readonly seats: readonly SeatPage[]
  readonly trace: readonly TraceLine[]
  readonly intents: readonly IntentPage[]
  readonly sales: readonly SalePage[]
  readonly entries: readonly EntryPage[]
  readonly resolutions: readonly ResolutionPage[]
  readonly returns: readonly ReturnPage[]
}

/** Whether a stored trace gives the same rows again. */
export interface ReplayPage {
  readonly same: boolean
  readonly rows: number
  readonly differs: { readonly at: number; readonly stored: string | null; readonly played: string | null } | null
}

export interface SeatPage {
  readonly contract: string
  readonly buyer: string
  readonly tier: string
  readonly outcome: 'sold' | 'rejected' | 'in_doubt' | 'lost' | 'not_asked'
  readonly reason: string
  readonly price: string | null
}

/** One event (`<`: heard) or command (`>`: done) of the auction. */
export interface TraceLine {
  /** Whole milliseconds since the lead opened. */
  readonly at: number
  readonly arrow: '<' | '>'
  readonly text: string
}

export interface IntentPage {
  readonly contract: string
  readonly buyer: string
  readonly copy: number
  readonly term: number
  readonly attempt: number
  readonly state: 'open' | 'in_doubt' | 'accepted' | 'rejected' | 'not_sent'
  readonly reason: string | null
  readonly price: string
  readonly payout: string
  readonly held_at: string
  readonly post_by: string
  readonly ended_at: string | null
  readonly buyer_reference: string | null
}

export interface SalePage {
  readonly copy: number
  readonly contract: string
  readonly buyer: string
  readonly price: string
  readonly payout: string
  readonly price_cut: boolean
  readonly sold_at: string
  readonly buyer_reference: string | null
}

/** A verdict on a post in doubt. */
export interface ResolutionPage {
  readonly copy: number
  readonly contract: string
  readonly verdict: string
  readonly reason: string
  /** False: it contradicted what stood, and changed nothing. */
  readonly applied: boolean
  readonly by: string
  readonly at: string
}

/** One line of double entry; the lines of a lead add up to nothing. */
export interface EntryPage {
  readonly copy: number
  readonly cause: string
  readonly account: string
  readonly amount: string
  readonly entered_at: string
}

/** A copy that its buyer gave back, or wanted to; what people wrote beside it is read apart. */
export interface ReturnPage {
  readonly id: string
  readonly copy: number
  readonly contract: string
  readonly buyer: string
  readonly reason_code: string
  readonly state: ReturnState
  readonly price: string
  /** What was taken back from the source. */
  readonly clawback: string
  readonly asked_by: string
  readonly asked_at: string
  readonly decided_by: string | null
  readonly decided_at: string | null
}

export interface StatusPage {
  readonly ready: boolean
  /** Number of the configuration in force. */
  readonly version: number
  /** Of the hot store. */
  readonly epoch: number
  readonly engines: readonly {
    readonly engine: number
    readonly host: string
    readonly pid: number
    readonly started_at: string
    readonly beat_at: string
    readonly fenced_at: string | null
  }[]
  /** What waits or is under way here, by name. */
  readonly queues: Readonly<Record<string, number>>
  /** How buyers' servers do, as each engine has found them: those that are left alone first. */
  readonly buyers: readonly BuyerPage[]
}

export interface BuyerPage {
  readonly engine: number
  /** Of a check: its id. */
  readonly buyer: string
  readonly kind: 'ping' | 'post' | 'check'
  readonly origin: string
  /** `open`: it is left alone; `half_open`: one request at a time probes it. */
  readonly state: 'closed' | 'open' | 'half_open'
  /** How often it was left alone since the engine started. */
  readonly trips: number
  readonly in_flight: number
  /** Requests that were not sent because too many were under way. */
  readonly refused: number
  /** Of its latest replies; null before the first. */
  readonly p50_ms: number | null
  readonly p95_ms: number | null
}

const TRACE_LINE = /^ *(\d+) ([<>]) (.*)$/s

/** Reads a line that the trace's rules wrote: `  40 < bid acme 22.00`. Throws on any other: that is a bug. */
export function traceLineOf(line: string): TraceLine {
  const [, at, arrow, text] = TRACE_LINE.exec(line) ?? []
  if (at === undefined) throw new Error(`"${line}" is no line of a trace`)
  return { at: Number(at), arrow: arrow as '<' | '>', text: text! }
}
