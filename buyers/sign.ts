/** Signs a post by the Standard Webhooks scheme, with every live secret, so that a buyer can verify it while keys rotate. */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'

const SECRET_PREFIX = 'whsec_'
const MIN_SECRET_BYTES = 24
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/

/** The key behind `whsec_<base64>`, or null where the text is not one of at least 24 bytes. */
export function readSecret(secret: string): KeyObject | null {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : ''
  if (!BASE64.test(encoded)) return null
  const bytes = Buffer.from(encoded, 'base64')
  return bytes.length >= MIN_SECRET_BYTES ? createSecretKey(bytes) : null
}

/** A signature is believed for so long: an older one may have been overheard. */
const FRESH_S = 300

/** True where one of the signatures is by one of the keys, over exactly this message, and fresh. `now` in milliseconds. */
export function isSigned(
  keys: readonly KeyObject[],
  [id, timestamp, given]: readonly [id: string, timestamp: string, signature: string],
  body: string,
  now: number,
): boolean {
  if (id === '' || !/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > FRESH_S) return false
  const bytesOf = (text: string): Buffer[] => text.split(' ', 16).map((one) => Buffer.from(one))
  const made = bytesOf(signature(keys, id, Number(timestamp), body))
  return bytesOf(given).some((one) => made.some((two) => one.length === two.length && timingSafeEqual(one, two)))
}

/** `v1,<base64 of HMAC-SHA256 over id.timestamp.body>`, one per key, separated by a space. `timestamp` is in seconds. */
export function signature(keys: readonly KeyObject[], id: string, timestamp: number, body: string): string {
  const signed = `${id}.${timestamp}.${body}`
  return keys.map((key) => `v1,${createHmac('sha256', key).update(signed).digest('base64')}`).join(' ')
}
