/** The two stores as the engine sees them: the hot store (caps, claims, rates) and the ledger (the truth). */
import type { PostResult } from '../../rules/auction.ts'
import type {
  CommitAnswer,
  HoldAnswer,
  PlaceGroup,
  PostingAnswer,
  ReleaseAnswer,
  TokenState,
  Usage,
} from '../../rules/caps.ts'
import type { ClaimAnswer, ClaimRequest, HeldLock, KeptSighting } from '../../rules/claims.ts'
import type { Level, Sighting } from '../../rules/sightings.ts'
import type { Lent } from '../../rules/throttle.ts'
import type { TurnCandidate } from '../../rules/turns.ts'
import type { Micros, WallMs } from '../../rules/units.ts'

export type { ClaimAnswer, ClaimRequest } from '../../rules/claims.ts'

/** What a rebuild installs: committed sums and open tokens of live windows, locks of undecided leads, and who was seen. */
export interface Restoration {
  readonly epoch: number
  readonly committed: readonly PlaceGroup[]
  /** What was paid into balances. */
  readonly paid?: readonly {
    readonly tag: string
    readonly key: string
    readonly seq: number
    readonly total: number
  }[]
  readonly tokens: readonly {
    readonly token: string
    readonly state: 'posting'
    readonly groups: readonly PlaceGroup[]
  }[]
  /** Every tag that may be asked for; those without places are opened empty. */
  readonly tags: readonly string[]
  /** Verticals whose claims are opened. */
  readonly scopes: readonly string[]
  readonly locks: readonly HeldLock[]
  /** Page by page: there may be millions. */
  readonly sightings: AsyncIterable<readonly KeptSighting[]> | Iterable<readonly KeptSighting[]>
}

/** Caps, claims and rates. Every call is idempotent by its token or lead and may be repeated after a lost reply. Rejects (throws) only when the store is out of reach. */
export interface HotStore {
  /** Epoch that this process works under; 0 until the ledger's is known. */
  epoch(): number
  setEpoch(epoch: number): void
  /** Takes a place in every cap of every group, in the order given, or in none. */
  hold(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<HoldAnswer>
  /** Turns a live hold into a posting entry, which has no lease. After any other answer the caller releases. */
  posting(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<PostingAnswer>
  commit(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<CommitAnswer>
  release(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<ReleaseAnswer>
  /** What was paid into a balance in all, by the ledger's entry of that number: the highest number counts. A cold store is told by its rebuild. */
  paidIn(tag: string, key: string, seq: number, total: number): Promise<void>
  /** What is used of places, in their order; 0 of one that nobody used. */
  usage(wanted: readonly { readonly tag: string; readonly key: string }[]): Promise<readonly Usage[]>
  /** State of a token under its first group's tag; null where unknown or forgotten. */
  tokenState(token: string, groups: readonly PlaceGroup[]): Promise<TokenState | null>
  claim(request: ClaimRequest): Promise<ClaimAnswer>
  /** Ends the in-flight claim of a decided lead. `sighting`: what is kept of it from now on; null: nothing. */
  unclaim(leadId: string, fingerprints: readonly string[], sighting: Sighting | null): Promise<void>
  /** Frees the locks and the bound key of a lead that was never stored, where `leadId` still holds them. The fingerprints say where the key is kept: give them with it. */
  breakClaim(leadId: string, fingerprints: readonly string[], idempotency: string | null): Promise<void>
  /** Lends up to `want` of what a window of a throttle still has. `keepMs`: for how long its counter is needed. */
  allow(window: string, want: number, limit: number, keepMs: number, now: WallMs): Promise<Lent>
  /** What was lent of these windows. */
  lent(windows: readonly string[]): Promise<readonly number[]>
  /** Takes up to `want` tokens of a source's bucket; answers how many it got. */
  rate(source: string, want: number, perSecond: number, burst: number, now: WallMs): Promise<number>
  /** Whose turn it is in a round-robin tier: places of the 1 to 1,000 `candidates`, at most `copies`. Asks for no epoch: a store that forgot begins anew. A repeated call takes another turn. */
  turn(tier: string, candidates: readonly TurnCandidate[], copies: number): Promise<readonly number[]>
  /** Empties the store's caps, then installs the restoration, and opens under its epoch. Claims stay, joined by `locks` and `sightings`: what came after the ledger was read must not be lost. */
  restore(restoration: Restoration): Promise<void>
  /** True where the store answers, bears the epoch, and is the instance that was restored. */
  warm(): Promise<boolean>
  /** Identity of the running store (Redis `run_id`; `in-process:<engine>` for the in-process one). */
  runId(): Promise<string>
  /** Called whenever the store may have lost its memory: a new connection, a changed run id, a COLD answer. */
  onCold(listener: () => void): void
  /** Every counter and every live token, for the verifier. */
  dump(): Promise<HotDump>
  close(): Promise<void>
}

export interface HotDump {
  readonly epoch: number
  /** Place key -> used (committed + held). */
  readonly counters: Readonly<Record<string, number>>
  /** Place key of a balance -> what was paid in, and by the ledger's entry of which number. */
  readonly paid: Readonly<Record<string, { readonly seq: number; readonly total: number }>>
  readonly tokens: readonly {
    readonly token: string
    readonly state: TokenState
    readonly places: Readonly<Record<string, number>>
  }[]
}

/** A lead as RECEIVED writes it. Values are sealed before they come here. */
export interface ReceivedRow {
  readonly leadId: string
  readonly campaign: string
  readonly source: string
  readonly version: number
  readonly mode: 'sync' | 'async'
  readonly test: boolean
  readonly receivedAt: WallMs
  readonly leadRef: string | null
  /** HMAC of the idempotency key, and the hash of the body. Null: the source sent no key. */
  readonly idempotency: { readonly key: string; readonly bodyHash: string } | null
  /** `<vertical>:<hmac>`. */
  readonly fingerprints: readonly string[]
  /** Hot-store epoch under which they were claimed; null: nothing was claimed. */
  readonly claimEpoch: number | null
  /** The least level of a sighting of this lead that is kept, and for how long. */
  readonly remembers: Level
  readonly keepMs: number
  readonly currency: string
  /** What the source earns for it although nobody buys it. */
  readonly owed: Micros
  /** Sealed lead (base64 of nonce, ciphertext, tag) and its wrapped key (base64). */
  readonly sealed: string
  readonly wrappedKey: string
  readonly keyVersion: number
}

export type ReceivedAnswer =
  | { readonly code: 'STORED' }
  /** The idempotency key is bound to another lead: nothing was written. */
  | { readonly code: 'BOUND'; readonly leadId: string; readonly bodyHash: string }
  /** The hot store was rebuilt after the fingerprints were claimed: nothing was written; claim again. */
  | { readonly code: 'STALE' }

export interface IntentRow {
  readonly leadId: string
  readonly term: number
  readonly contract: string
  readonly buyer: string
  readonly copy: number
  readonly attempt: number
  readonly price: Micros
  readonly payout: Micros
  readonly heldAt: WallMs
  readonly postBy: WallMs
  readonly postMs: number
  readonly inDoubt: 'hold_unbilled' | 'assume_sold' | 'timeout_is_no_sale'
  readonly groups: readonly PlaceGroup[]
  /** Hot-store epoch under which the hold was taken. */
  readonly epoch: number
}

/** `FENCED`: this engine or this term no longer owns the lead. `STALE`: the hold is of an older epoch. `CONFLICT`: the index on intents forbids it. */
export type IntentAnswer = 'INTENDED' | 'FENCED' | 'STALE' | 'CONFLICT'

export interface ResultRow extends PostResult {
  readonly contract: string
  readonly buyer: string
}

export interface FinalRow {
  readonly leadId: string
  readonly term: number
  readonly campaign: string
  readonly source: string
  readonly test: boolean
  readonly currency: string
  readonly results: readonly ResultRow[]
  /** Null while other copies are on their way: only `results` are written. */
  readonly final: FinalStatus | null
}

export interface FinalStatus {
  /** `queued`: it stays undecided, and sleeps until `wakeAt`. */
  readonly status: 'sold' | 'unsold' | 'pending' | 'queued' | 'duplicate' | 'expired'
  readonly payout: Micros
  readonly copies: number
  readonly reasons: readonly string[]
  readonly redirectUrl: string | null
  /** Stored trace (engine/live): JSON text without lead values. */
  readonly trace: string
  /** What is kept of it for later leads of the person; null: nothing. */
  readonly sighting: Sighting | null
  /** Seats' outcomes for the rollups: `contract|kind|reason name` -> count. */
  readonly outcomes: Readonly<Record<string, number>>
  /** The source was told that the lead is pending, and waits to hear of it. */
  readonly awaited: boolean
  /** What calls of checks cost, by check. */
  readonly costs?: Readonly<Record<string, Micros>>
  readonly wakeAt?: WallMs
  /** Nobody may buy it after that. */
  readonly queueUntil?: WallMs
}

/** A lead as its own source, the waiters and recovery see it. */
export interface LeadRecord {
  readonly leadId: string
  readonly campaign: string
  readonly source: string
  readonly status: string
  readonly payout: Micros
  readonly copies: number
  readonly reasons: readonly string[]
  readonly redirectUrl: string | null
  readonly leadRef: string | null
  readonly currency: string
  /** True once there is an answer that a waiter may give: terminal, or pending in doubt. */
  readonly decided: boolean
  readonly test: boolean
  /** Copies that came back, and what was taken off the payout for them. */
  readonly returned: { readonly copies: number; readonly payout: Micros }
}

/** The record of everything. Writes are group commits; a promise resolves when its row is durable. Rejects only where the ledger is out of reach or full. */
export interface Ledger {
  received(row: ReceivedRow): Promise<ReceivedAnswer>
  intent(row: IntentRow, results: readonly ResultRow[]): Promise<IntentAnswer>
  result(row: FinalRow): Promise<void>
  /** An invalid attempt, kept under an id that is never returned (a UUIDv7: what it was sealed for). */
  invalid(row: {
    readonly id: string
    readonly campaign: string
    readonly source: string
    readonly at: WallMs
    readonly issues: string
    readonly sealed: string
    readonly wrappedKey: string
    readonly keyVersion: number
  }): Promise<void>
  lead(leadId: string): Promise<LeadRecord | null>
  /** What is kept of a decided lead; null where it is nothing. */
  sighting(leadId: string): Promise<KeptSighting | null>
  bound(idempotencyKey: string): Promise<{ readonly leadId: string; readonly bodyHash: string } | null>
}
