/** A contract's delivery as a snapshot has it: pure data, out of which `buyers` compiles what speaks to the buyer. */
import type { DeliveryFile } from './delivery-schema.ts'

/** Where and how one contract is asked. Everything here is data; `buyers/template` compiles it at publish. */
export interface Delivery {
  /** Null where the contract bids a fixed price and is never pinged. */
  readonly pingUrl: string | null
  readonly postUrl: string
  readonly headers: Readonly<Record<string, string>>
  /** Canonical lead fields that may leave in a ping. Nothing else does. */
  readonly pingFields: readonly string[]
  /** Canonical lead fields of the post; null: all that the lead has. */
  readonly postFields: readonly string[] | null
  /** Standard Webhooks signing secrets (base64 after `whsec_`); several during rotation. */
  readonly secrets: readonly string[]
}

/** The delivery must have passed every check. */
export function buildDelivery(delivery: DeliveryFile): Delivery {
  return {
    pingUrl: delivery.ping_url ?? null,
    postUrl: delivery.post_url,
    headers: delivery.headers ?? {},
    pingFields: delivery.ping_fields ?? [],
    postFields: delivery.post_fields ?? null,
    secrets: delivery.secrets ?? [],
  }
}
