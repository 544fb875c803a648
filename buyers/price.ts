/** Reads a price as buyers write it: a number, or a text with a currency and separators of either custom. */
import { type Micros, micros } from '../rules/units.ts'

/** No lead of this field costs more; a larger figure is a slip of the buyer's, such as cents sent as dollars. */
export const MAX_PRICE: Micros = micros(100_000_000_000)

export type PriceRead =
  | { readonly kind: 'price'; readonly price: Micros }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable' }

const NONE: PriceRead = { kind: 'none' }
const UNREADABLE: PriceRead = { kind: 'unreadable' }
const CURRENCY = String.raw`(?:[A-Za-z]{0,3}\s?[$€£¥]|[A-Za-z]{3})`
const AMOUNT = new RegExp(String.raw`^${CURRENCY}?\s*(\d[\d.,'\s\u00a0\u202f]*|[.,]\d+)\s*${CURRENCY}?$`, 'u')
const GROUPS = /^\d{1,3}(?:\D\d{3})+$/
const MAX_LENGTH = 40

/** None and 0 are no price. `$1,234.50`, `12,50`, `1.234,50 EUR`, `USD 7`, `1,234` (1234) and `1.234` (under two units) are. */
export function readPrice(value: unknown): PriceRead {
  if (value === undefined || value === null) return NONE
  if (typeof value === 'number') return Math.abs(value) < 1e9 ? priceOf(value.toFixed(6)) : UNREADABLE
  if (typeof value !== 'string' || value.length > MAX_LENGTH) return UNREADABLE
  const text = value.trim()
  if (text === '') return NONE
  const found = AMOUNT.exec(text)
  const plain = found && decimalOf(found[1]!.trim())
  return plain === null ? UNREADABLE : priceOf(plain)
}

/** With a point for the decimals and nothing for the thousands; null where the separators make no sense. */
function decimalOf(text: string): string | null {
  const marks = [...text.replace(/\d/g, '')].map((mark) => (/\s/.test(mark) ? ' ' : mark))
  const last = marks.at(-1)
  if (last === undefined) return text
  const at = lastMark(text)
  const alone = marks.filter((mark) => mark === last).length === 1
  const decimals = text.length - at - 1
  const isPoint = alone && (last === '.' || (last === ',' && (marks.length > 1 || decimals !== 3)))
  const whole = isPoint ? text.slice(0, at) : text
  const between = new Set(isPoint ? marks.slice(0, -1) : marks)
  if (between.size > 1 || (between.size === 1 && !GROUPS.test(whole))) return null
  const digits = whole.replace(/\D/g, '')
  return isPoint ? `${digits}.${text.slice(at + 1)}` : digits
}

const lastMark = (text: string): number => text.search(/\D\d*$/)

function priceOf(text: string): PriceRead {
  const parts = /^(\d{0,9})(?:\.(\d{0,30}))?$/.exec(text)
  if (!parts) return UNREADABLE
  const price = micros(Number(parts[1]) * 1_000_000 + Number((parts[2] ?? '').slice(0, 6).padEnd(6, '0')))
  if (price > MAX_PRICE) return UNREADABLE
  return price === 0 ? NONE : { kind: 'price', price }
}
