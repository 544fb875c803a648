/** What is told by webhook as a request, signed by the Standard Webhooks scheme where there is a secret. */
import type { WallMs } from '../rules/units.ts'
import type { WireRequest } from './adapter.ts'
import { readSecret, signature } from './sign.ts'

export interface Webhook {
  readonly method: 'GET' | 'POST'
  readonly url: string
  /** Several while they rotate; none: unsigned. */
  readonly secrets: readonly string[]
  /** The same however often it is sent, so that whoever hears it knows a repeat. */
  readonly id: string
  /** JSON, or nothing. */
  readonly body: string
}

/** `now`: when it is sent. */
export function webhookRequest({ method, url, secrets, id, body }: Webhook, now: WallMs): WireRequest {
  const { origin, pathname, search } = new URL(url)
  const timestamp = Math.floor(now / 1000)
  const headers = ['webhook-id', id, 'webhook-timestamp', String(timestamp)]
  const keys = secrets.flatMap((secret) => readSecret(secret) ?? [])
  if (keys.length > 0) headers.push('webhook-signature', signature(keys, id, timestamp, body))
  if (body !== '') headers.push('content-type', 'application/json')
  return { method, origin, path: pathname + search, headers, body }
}
