/** A buyer's wire as four pure functions: build the ping, read its reply, build the post, read its reply. Nothing here sends. */
import type { Scalar } from '../rules/delivery/transforms.ts'
import type { Lead } from '../rules/lead.ts'
import type { Reason } from '../rules/reason.ts'
import type { Micros, WallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { BidEnd } from './bid-end.ts'
import type { TlsIdentity } from './identity.ts'
import type { Witness } from './tape.ts'

export interface WireRequest {
  readonly method: 'POST' | 'GET' | 'PUT'
  /** Scheme, host and port, as a pool is keyed. */
  readonly origin: string
  readonly path: string
  /** Alternating names and values, as undici takes them. */
  readonly headers: readonly string[]
  readonly body: string
  /** Certificates of the contract's own. */
  readonly tls?: TlsIdentity
}

export interface WireReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** What a ping's reply says. */
export type PingAnswer =
  | {
      readonly kind: 'bid'
      readonly price: Micros
      readonly buyerReference: string | null
      /** How long the buyer keeps its word; absent where it does not say. */
      readonly ends?: BidEnd
    }
  | { readonly kind: 'noBid'; readonly reason: Reason }

/** What a post's whole reply says. `price` is null where the reply names none. */
export type PostAnswer =
  | {
      readonly kind: 'accepted'
      readonly price: Micros | null
      readonly buyerReference: string | null
      /** By `joinOnward`: a page, a number to transfer the call to, or both. */
      readonly redirectUrl: string | null
    }
  | { readonly kind: 'rejected'; readonly reason: Reason }
  | { readonly kind: 'unknown'; readonly reason: Reason }

/** What the four functions may know of the lead beside its values. */
export interface WireLead {
  readonly id: string
  readonly campaign: string
  readonly sourcePseudonym: string
  readonly lead: Lead
  /** Rendered JSON fragments by field name, shared by all seats of the lead. */
  readonly fragments: Map<string, string>
  readonly test: boolean
  /** Values and how maps render them, shared by all seats; made with the first. Null: the lead does not have it. */
  shared?: (Scalar | null)[]
  /** Who records what is said to buyers about it; absent: nobody does. */
  readonly witness?: Witness | undefined
}

export interface PostFacts {
  readonly price: Micros
  /** The buyer's own id from its ping reply. */
  readonly buyerReference: string | null
  /** `lead:contract`, stable over terms. */
  readonly idempotencyKey: string
  readonly at: WallMs
  readonly traceparent: string
}

export interface Adapter {
  readonly pingRequest: (lead: WireLead, at: WallMs) => WireRequest
  readonly pingReply: (reply: WireReply) => PingAnswer
  readonly postRequest: (lead: WireLead, facts: PostFacts) => WireRequest
  readonly postReply: (reply: WireReply) => PostAnswer
}

/** Compiles one contract's delivery. Called once per contract and version. */
export type CompileAdapter = (contract: Contract) => Adapter
