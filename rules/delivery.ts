/** A contract's delivery as a snapshot has it: pure data, out of which `buyers` compiles what speaks to the buyer. */

import type { SIGNATURE_HASHES } from './configuration/delivery-schema.ts'
import type { Format, MapNode } from './delivery/map.ts'
import type { Text } from './delivery/placeholder.ts'
import type { ReplyRules } from './delivery/reply.ts'

export interface Hmac {
  readonly secret: string
  readonly algorithm: (typeof SIGNATURE_HASHES)[number]
  readonly signs: Text
  readonly encoding: 'hex' | 'base64'
  readonly header: string
  readonly value: Text
}

/** How a request says who sends it. */
export type Auth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'query'; readonly name: string; readonly value: string }
  | { readonly kind: 'hmac'; readonly hmac: Hmac }

/** A letter about a lead: its body is the message's text. */
export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  readonly replyTo: string | null
  readonly subject: Text
  readonly attach: MailTable | null
}

/** The lead as a file beside the letter: what a buyer's program imports. */
export interface MailTable {
  readonly format: 'csv' | 'json'
  readonly name: Text
  /** A group: of a table its columns, each a text; of JSON what the file holds. */
  readonly body: MapNode
}

/** What a contract trusts instead of the usual authorities, and what it shows of itself. PEM. */
export interface Tls {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** One kind of request to one buyer, and how its reply is read. */
export interface Message {
  readonly method: 'POST' | 'PUT' | 'GET'
  readonly query: readonly (readonly [name: string, value: Text])[]
  readonly headers: readonly (readonly [name: string, value: Text])[]
  readonly auth: Auth | null
  readonly format: Format
  readonly soap: { readonly version: '1.1' | '1.2'; readonly action: string | null }
  /** Null: our own shape. */
  readonly body: MapNode | null
  /** A post that goes by mail, to the server that its address names. */
  readonly mail: Mail | null
  /** Null: our own shape. */
  readonly reply: ReplyRules | null
}

/** Where and how one contract is asked. Everything here is data; `buyers/delivery` compiles it. */
export interface Delivery {
  /** Null where the contract bids a fixed price and is never pinged. */
  readonly pingUrl: string | null
  /** `smtp:` or `smtps:` where the lead goes by mail. */
  readonly postUrl: string
  /** Where a trial asks and posts instead; null: at the same addresses, with the test flag. */
  readonly testPingUrl: string | null
  readonly testUrl: string | null
  readonly tls: Tls | null
  readonly ping: Message
  readonly post: Message
  /** How the buyer is asked what became of a post in doubt; its answer is read as a post's. */
  readonly status: { readonly url: string; readonly message: Message } | null
  /** Checks whose outputs its messages name. */
  readonly checks: readonly string[]
  /** Canonical lead fields that may leave in a ping. Nothing else does. */
  readonly pingFields: readonly string[]
  /** Canonical lead fields of a post in our own shape; null: all that the lead has. */
  readonly postFields: readonly string[] | null
  /** Standard Webhooks signing secrets (base64 after `whsec_`); several during rotation. */
  readonly secrets: readonly string[]
}

/** A request in our own shape, and nothing more. */
export const PLAIN: Message = {
  method: 'POST',
  query: [],
  headers: [],
  auth: null,
  format: 'json',
  soap: { version: '1.1', action: null },
  body: null,
  mail: null,
  reply: null,
}
