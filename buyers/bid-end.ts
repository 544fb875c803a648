/** Reads until when a bid stands as buyers write it: for so many seconds, or until a moment. */
import { type Ms, ms, type WallMs, wallMs } from '../rules/units.ts'

export type BidEnd = { readonly afterMs: Ms } | { readonly at: WallMs }

/** On an auction's clock, of a reply that came at `at` of it. */
export const endsAtOf = (end: BidEnd, at: number, wall: WallMs): number =>
  at + ('at' in end ? end.at - wall : end.afterMs)

const NUMBER = /^\d{1,16}(?:\.\d{1,9})?$/
/** With a zone, or without one: then it is UTC. */
const MOMENT = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:\s?(?:Z|[+-]\d{2}:?\d{2}))?$/i
const HAS_ZONE = /(?:Z|[+-]\d{2}:?\d{2})$/i
/** No bid lives for 30 years: so large a number is a moment, in seconds since 1970, or one more thousandfold in milliseconds. */
const SECONDS_SINCE_1970 = 1e9
const MS_SINCE_1970 = 1e12

/** Null where it says nothing, or nothing that can be read: the bid then stands as long as its contract says. */
export function readBidEnd(value: unknown): BidEnd | null {
  if (typeof value === 'number') return ofNumber(value)
  if (typeof value !== 'string' || value.length > 40) return null
  const text = value.trim()
  if (NUMBER.test(text)) return ofNumber(Number(text))
  if (!MOMENT.test(text)) return null
  const at = Date.parse(HAS_ZONE.test(text) ? text : `${text}Z`)
  return Number.isNaN(at) ? null : { at: wallMs(at) }
}

function ofNumber(value: number): BidEnd | null {
  if (!(value >= 0) || value >= MS_SINCE_1970 * 10) return null
  if (value >= MS_SINCE_1970) return { at: wallMs(Math.floor(value)) }
  if (value >= SECONDS_SINCE_1970) return { at: wallMs(Math.floor(value * 1_000)) }
  return { afterMs: ms(Math.floor(value * 1_000)) }
}
