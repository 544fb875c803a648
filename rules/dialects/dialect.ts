/** What another platform's wire is to us: how its requests are read, and how our answers sound in its words. */
import type { Issue } from '../lead.ts'
import { formatMoney, type Micros } from '../units.ts'

/** Fields as they arrived; a nested value is its JSON text. */
export type Raw = Readonly<Record<string, unknown>>

/** What a request asks for, in our words. */
export interface Heard {
  readonly kind: 'lead' | 'ping' | 'offered'
  /** The API key, where the dialect carries it among the fields. */
  readonly key: string | null
  readonly test: boolean
  /** What the ping's answer named, where the lead comes for an offer. */
  readonly pingId: string | null
  /** What is left: the lead's own fields, sub-ids by our names. */
  readonly fields: Raw
  readonly format: Format
}

export type Format = 'json' | 'xml'

/** What we have to say. `pending` is said as the source's `pending_as` wants it. */
export type Said =
  | {
      readonly kind: 'offer'
      readonly pingId: string
      readonly payout: Micros
      readonly bids: readonly { readonly id: string; readonly payout: Micros; readonly seller: string | null }[]
    }
  | { readonly kind: 'noOffer'; readonly pingId: string }
  | { readonly kind: 'sold'; readonly leadId: string; readonly payout: Micros; readonly redirectUrl: string | null }
  | { readonly kind: 'unsold' | 'duplicate' | 'pending'; readonly leadId: string }
  | { readonly kind: 'invalid'; readonly issues: readonly Issue[] }
  /** `status` as our own wire would answer it. */
  | { readonly kind: 'refused'; readonly status: number; readonly title: string; readonly detail: string }

export interface Spoken {
  readonly status: number
  readonly type: 'application/json' | 'application/xml'
  readonly body: string
}

export interface Dialect {
  /** Last segments of its addresses. */
  readonly calls: readonly string[]
  readonly hear: (call: string, raw: Raw, accept: string) => Heard
  readonly say: (said: Said, call: string, format: Format) => Spoken
}

/** Takes fields out by name, in any case, and hands over the rest. */
export class Taker {
  readonly #fields: Record<string, unknown>

  constructor(raw: Raw) {
    this.#fields = Object.assign(Object.create(null), raw)
  }

  take(name: string): string | null {
    const found = Object.keys(this.#fields).find((one) => one.toLowerCase() === name.toLowerCase())
    if (found === undefined) return null
    const value = this.#fields[found]
    delete this.#fields[found]
    const text = value === null || value === undefined ? '' : String(value).trim()
    return text === '' ? null : text
  }

  /** Gives a field our own name, unless that came too. */
  rename(from: string, to: string): void {
    const value = this.take(from)
    if (value !== null && this.#fields[to] === undefined) this.#fields[to] = value
  }

  rest(): Raw {
    return this.#fields
  }
}

export const isFlag = (value: string | null): boolean => value !== null && /^(?:1|true|yes|on)$/i.test(value)

/** Money as these platforms write it: a JSON number. Exact to the cent and far beyond. */
export const amount = (payout: Micros): number => Number(formatMoney(payout))

/** `phone: not_a_number; zip: required`. */
export const issueWords = (issues: readonly Issue[]): string =>
  issues.map(({ field, code }) => `${field}: ${code}`).join('; ')

/** They answer 200 to whatever was decided or is wrong; what may be sent again keeps its status, so that it is. */
export const statusOf = (said: Said): number =>
  said.kind === 'refused' && (said.status === 429 || said.status >= 500) ? said.status : 200

export const json = (status: number, value: object): Spoken => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
})

export const xml = (status: number, root: string, value: object): Spoken => ({
  status,
  type: 'application/xml',
  body: `<?xml version="1.0" encoding="UTF-8"?>\n${element(root, value)}`,
})

/** A list is its elements one after the other, each under the name of the list. */
function element(name: string, value: unknown): string {
  if (Array.isArray(value)) return value.map((item) => element(name, item)).join('')
  if (typeof value !== 'object' || value === null) return `<${name}>${escaped(String(value ?? ''))}</${name}>`
  const inner = Object.entries(value).map(([key, one]) => element(key, one))
  return `<${name}>${inner.join('')}</${name}>`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
const escaped = (text: string): string => text.replace(/[&<>"]/g, (one) => ESCAPES[one]!)

/** An id as digits alone, for clients that keep it as a number: a UUID's 128 bits in decimal. */
export const digitsOf = (id: string): string => BigInt(`0x${id.replace('pg_', '').replaceAll('-', '')}`).toString()

/** The UUID behind such digits; null where they are none. */
export function uuidOf(digits: string): string | null {
  if (!/^\d{1,39}$/.test(digits)) return null
  const hex = BigInt(digits).toString(16).padStart(32, '0')
  return hex.length === 32 ? hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5') : null
}
