/** Checks a contract's delivery, with every fault at once, so that nothing unsendable is ever published. */
import type { Delivery, Fault } from '../rules/version.ts'
import { readSecret } from './sign.ts'

/** Where a request goes, as a pool is keyed and a request line is written. */
export interface Endpoint {
  readonly origin: string
  readonly path: string
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** What frames a message, or what the wire itself sets on every request. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'expect',
  'te',
  'trailer',
  'content-type',
  'accept',
  'idempotency-key',
  'webhook-id',
  'webhook-timestamp',
  'webhook-signature',
  'traceparent',
])

/** Reads an absolute http or https URL without credentials; null where it is anything else. */
export function readEndpoint(url: string): Endpoint | null {
  if (!URL.canParse(url)) return null
  const parsed = new URL(url)
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') return null
  if (parsed.username !== '' || parsed.password !== '') return null
  return { origin: parsed.origin, path: parsed.pathname + parsed.search }
}

/** Every fault of a delivery, with paths relative to it; none where it can be compiled. */
export function deliveryFaults(delivery: Delivery): readonly Fault[] {
  const faults: Fault[] = []
  for (const path of ['pingUrl', 'postUrl'] as const) {
    const url = delivery[path]
    if (url !== null && readEndpoint(url) === null) {
      faults.push({
        path,
        message: 'must be an absolute http or https URL; credentials belong in a header, not in the URL',
      })
    }
  }
  for (const [name, value] of Object.entries(delivery.headers)) {
    const message = headerFault(name, value)
    if (message !== null) faults.push({ path: `headers.${name}`, message })
  }
  delivery.secrets.forEach((secret, index) => {
    if (readSecret(secret) !== null) return
    faults.push({ path: `secrets.${index}`, message: 'must be whsec_ and then at least 16 bytes in base64' })
  })
  return faults
}

function headerFault(name: string, value: string): string | null {
  if (!HEADER_NAME.test(name)) return 'is not a header name'
  if (RESERVED_HEADERS.has(name.toLowerCase())) return 'is set by the engine on every request; remove it'
  if (!HEADER_VALUE.test(value)) return 'must be one line of Latin-1 text without control characters'
  return null
}
