/** What a buyer's reply means: what it bids, and how a post ended, by the table of outcomes. Reads our own JSON shape itself. */
import { joinOnward } from '../rules/onward.ts'
import { type Reason, reason } from '../rules/reason.ts'
import type { Micros } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { PingAnswer, PostAnswer, WireReply } from './adapter.ts'
import { readBidEnd } from './bid-end.ts'
import { readPrice } from './price.ts'
import { parseJson } from './reply-body.ts'

export type PingTerms = Pick<Contract, 'price' | 'priceFrom'>
export type PostTerms = Pick<Contract, 'serverError'>

export const MAX_WORDS = 120
/** A longer reference is dropped whole: a cut one would name something else. */
const MAX_REFERENCE = 512
const MAX_REDIRECT = 2048
/** What was read of a reply, whatever its shape. Values are as the buyer wrote them, undefined or null where there are none. */
export interface Reading {
  readonly accepted: boolean
  /** Why it refuses, where a rule of the contract knows. */
  readonly refusal: 'duplicate' | 'capped' | null
  /** It proves by itself that its end is not missing. */
  readonly whole: boolean
  /** It says whether it accepts, in a form that is understood. */
  readonly answers: boolean
  readonly price: unknown
  /** Until when the bid stands. */
  readonly expires: unknown
  readonly reason: unknown
  readonly buyerReference: unknown
  readonly redirectUrl: unknown
  readonly transferPhone: unknown
}

export type ReadBody = (reply: WireReply) => Reading

/** What a complete reply to a ping says. A status other than 2xx is no bid with that status. */
export function readPing(terms: PingTerms, reply: WireReply, read: ReadBody = readOwnShape): PingAnswer {
  if (!isSuccess(reply.status)) return noBid(httpReason(reply.status))
  const said = read(reply.status === 204 ? { ...reply, body: '' } : reply)
  if (!said.accepted) {
    if (said.refusal !== null) return noBid(said.refusal)
    if (reply.status === 204) return noBid('no_bid')
    return noBid(said.whole || said.answers ? wordsReason('no_bid', said.reason) : reason('ping_error', 'unreadable'))
  }
  const buyerReference = readReference(said.buyerReference)
  const end = said.expires == null ? null : readBidEnd(said.expires)
  const bid = (price: Micros): PingAnswer => ({ kind: 'bid', price, buyerReference, ...(end && { ends: end }) })
  if (terms.priceFrom === 'contract' && terms.price !== null) return bid(terms.price)
  const price = readPrice(said.price)
  switch (price.kind) {
    case 'price':
      return bid(price.price)
    case 'none':
      return noBid(reason('no_bid', 'no_price'))
    case 'unreadable':
      return noBid(reason('ping_error', 'price'))
    default:
      return price satisfies never
  }
}

/**
 * What a complete reply to a post says. A doubt wherever the buyer may own the lead: a 5xx (unless the contract
 * declares it a rejection), 408, 409, 425, an acceptance under a status that is not 2xx, and a 2xx body that nothing
 * proves to be whole (it ended with the connection, and its form does not tell).
 */
export function readPost(terms: PostTerms, reply: WireReply, read: ReadBody = readOwnShape): PostAnswer {
  const said = read(reply)
  const silent = httpReason(reply.status)
  if (!isSuccess(reply.status)) {
    if (said.accepted || isDoubtStatus(terms, reply.status)) return { kind: 'unknown', reason: silent }
    return rejected(said.refusal ?? wordsReason('rejected', said.reason, silent))
  }
  if (!said.accepted) {
    if (!said.whole && !isDelimited(reply)) return { kind: 'unknown', reason: 'truncated' }
    return rejected(said.refusal ?? wordsReason('rejected', said.reason, said.answers ? 'rejected' : silent))
  }
  const price = readPrice(said.price)
  return {
    kind: 'accepted',
    price: price.kind === 'price' ? price.price : null,
    buyerReference: readReference(said.buyerReference),
    redirectUrl: joinOnward(readRedirect(said.redirectUrl), readPhone(said.transferPhone)),
  }
}

/** `{"accept":true,"price":"18.50","buyer_reference":"B-77","reason":null,"expires_in":39,"redirect_url":null}` */
function readOwnShape({ body }: WireReply): Reading {
  const parsed = parseJson(body.charCodeAt(0) === 0xfeff ? body.slice(1) : body)
  const whole = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
  const fields = (whole ? parsed : {}) as Readonly<Record<string, unknown>>
  return {
    accepted: saysYes(fields['accept']),
    refusal: null,
    whole,
    answers: Object.hasOwn(fields, 'accept'),
    price: fields['price'],
    expires: fields['expires_in'],
    reason: fields['reason'],
    buyerReference: fields['buyer_reference'],
    redirectUrl: fields['redirect_url'],
    transferPhone: fields['transfer_phone'],
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
export function saysYes(value: unknown): boolean {
  return value === true || value === 1 || value === '1' || (typeof value === 'string' && value.toLowerCase() === 'true')
}

function readReference(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null
  const text = String(value)
    .slice(0, MAX_REFERENCE * 2)
    .replace(UNPRINTABLE, '')
    .trim()
  return text === '' || text.length > MAX_REFERENCE ? null : text.toWellFormed()
}

/** A number that can be dialled, without what stands between its digits. */
function readPhone(value: unknown): string | null {
  if (typeof value !== 'string' && typeof value !== 'number') return null
  const digits = String(value)
    .slice(0, 40)
    .replace(/[\s().-]/g, '')
  return /^\+?\d{7,15}$/.test(digits) ? digits : null
}

function readRedirect(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > MAX_REDIRECT || !URL.canParse(value)) return null
  const url = new URL(value)
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null
}
