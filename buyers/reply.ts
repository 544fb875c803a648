/** Reads a buyer's reply in our own JSON shape: what it bids, and how a post ended. */
import { type Reason, reason } from '../rules/reason.ts'
import { type Micros, micros, parseMoney } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { PingAnswer, PostAnswer, WireReply } from './adapter.ts'

export type PingTerms = Pick<Contract, 'price' | 'priceFrom'>
export type PostTerms = Pick<Contract, 'serverError'>

/** No lead of this field costs more; a larger figure is a slip of the buyer's, such as cents sent as dollars. */
export const MAX_PRICE: Micros = micros(100_000_000_000)
export const MAX_WORDS = 120
/** A longer reference is dropped whole: a cut one would name something else. */
const MAX_REFERENCE = 512
const MAX_REDIRECT = 2048
/** Our shape is flat; a reply that nests deeper is not parsed: 256 KB of brackets would hold the loop for 15 ms. */
const MAX_DEPTH = 64

type Fields = Readonly<Record<string, unknown>>
type PriceRead =
  | { readonly kind: 'price'; readonly price: Micros }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable' }

/** What a complete reply to a ping says. A status other than 2xx is no bid with that status. */
export function readPing(terms: PingTerms, reply: WireReply): PingAnswer {
  if (reply.status === 204) return noBid('no_bid')
  if (!isSuccess(reply.status)) return noBid(httpReason(reply.status))
  const fields = parseFields(reply.body)
  if (fields === null) return noBid(reason('ping_error', 'unreadable'))
  if (!saysYes(fields['accept'])) return noBid(wordsReason('no_bid', fields['reason']))
  const buyerReference = readReference(fields['buyer_reference'])
  if (terms.priceFrom === 'contract' && terms.price !== null) return { kind: 'bid', price: terms.price, buyerReference }
  const read = readPrice(fields['price'])
  switch (read.kind) {
    case 'price':
      return { kind: 'bid', price: read.price, buyerReference }
    case 'none':
      return noBid(reason('no_bid', 'no_price'))
    case 'unreadable':
      return noBid(reason('ping_error', 'price'))
    default:
      return read satisfies never
  }
}

/**
 * What a complete reply to a post says. A doubt wherever the buyer may own the lead: a 5xx (unless the contract
 * declares it a rejection), 408, 409, 425, an acceptance under a status that is not 2xx, and a 2xx body that nothing
 * proves to be whole (it ended with the connection) and that does not parse.
 */
export function readPost(terms: PostTerms, reply: WireReply): PostAnswer {
  const fields = parseFields(reply.body)
  const accepted = fields !== null && saysYes(fields['accept'])
  if (!isSuccess(reply.status)) {
    if (accepted || isDoubtStatus(terms, reply.status)) return { kind: 'unknown', reason: httpReason(reply.status) }
    return rejected(wordsReason('rejected', fields?.['reason'], httpReason(reply.status)))
  }
  if (fields === null) {
    if (!isDelimited(reply)) return { kind: 'unknown', reason: 'truncated' }
    return rejected(httpReason(reply.status))
  }
  if (!accepted) {
    const silent = Object.hasOwn(fields, 'accept') ? 'rejected' : httpReason(reply.status)
    return rejected(wordsReason('rejected', fields['reason'], silent))
  }
  const read = readPrice(fields['price'])
  return {
    kind: 'accepted',
    price: read.kind === 'price' ? read.price : null,
    buyerReference: readReference(fields['buyer_reference']),
    redirectUrl: readRedirect(fields['redirect_url']),
  }
}

/**
 * A buyer's words as a reason may carry them: one line of at most 120 characters, without control characters, and
 * without anything that looks like an email address or a phone number, for traces and logs carry no lead values.
 */
export function cleanWords(text: string): string {
  const line = text
    .slice(0, 4 * MAX_WORDS)
    .replace(UNPRINTABLE, ' ')
    .replace(EMAIL, '[email]')
    .replace(LONG_NUMBER, '[number]')
    .replace(/\s+/g, ' ')
    .trim()
  return line.slice(0, MAX_WORDS).toWellFormed().trim()
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it removes
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/g
const EMAIL = /[^\s@]{1,64}@[^\s@]{1,255}/g
const LONG_NUMBER = /\+?\d(?:[ ().-]{0,3}\d){5,}/g
const DUPLICATE = /^dup(?:e|licate|licated)?(?:[ _-]lead)?$/i

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

function isDoubtStatus(terms: PostTerms, status: number): boolean {
  if (status >= 500) return terms.serverError === 'in_doubt'
  return status === 408 || status === 409 || status === 425
}

/** True where the reply's end was announced, so that a whole one can be told from a cut one. */
function isDelimited(reply: WireReply): boolean {
  return (
    reply.status === 204 ||
    reply.headers['content-length'] !== undefined ||
    reply.headers['transfer-encoding'] !== undefined
  )
}

function noBid(why: Reason): PingAnswer {
  return { kind: 'noBid', reason: why }
}

function rejected(why: Reason): PostAnswer {
  return { kind: 'rejected', reason: why }
}

function httpReason(status: number): Reason {
  return reason('http', String(status))
}

function wordsReason(name: 'no_bid' | 'rejected', words: unknown, silent: Reason = name): Reason {
  const text = typeof words === 'string' || typeof words === 'number' ? cleanWords(String(words)) : ''
  if (text === '') return silent
  return DUPLICATE.test(text) ? 'duplicate' : reason(name, text)
}

/** Some senders write booleans as words: an acceptance that is not recognised would be sold a second time. */
function saysYes(value: unknown): boolean {
  return value === true || value === 1 || value === '1' || (typeof value === 'string' && value.toLowerCase() === 'true')
}

function parseFields(body: string): Fields | null {
  if (nestsTooDeep(body)) return null
  try {
    const parsed: unknown = JSON.parse(body.charCodeAt(0) === 0xfeff ? body.slice(1) : body)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Fields) : null
  } catch {
    return null
  }
}

/** Counts every bracket, those inside strings too: no honest reply of this size is a tower of either. */
function nestsTooDeep(body: string): boolean {
  if (body.length < 4096) return false
  let depth = 0
  for (let at = 0; at < body.length; at++) {
    const code = body.charCodeAt(at)
    if (code === 0x5b || code === 0x7b) {
      depth++
      if (depth > MAX_DEPTH) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

/** A decimal string, or a number, whose float noise is rounded away at the sixth digit. None and 0 are no price. */
function readPrice(value: unknown): PriceRead {
  if (value === undefined || value === null || value === '') return { kind: 'none' }
  const text = typeof value === 'number' && Math.abs(value) < 1e9 ? value.toFixed(6) : value
  const price = typeof text === 'string' ? parseMoney(text) : null
  if (price === null || price > MAX_PRICE) return { kind: 'unreadable' }
  return price === 0 ? { kind: 'none' } : { kind: 'price', price }
}

function readReference(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null
  const text = String(value)
    .slice(0, MAX_REFERENCE * 2)
    .replace(UNPRINTABLE, '')
    .trim()
  return text === '' || text.length > MAX_REFERENCE ? null : text.toWellFormed()
}

function readRedirect(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > MAX_REDIRECT || !URL.canParse(value)) return null
  const url = new URL(value)
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null
}
