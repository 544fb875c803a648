/** One record of what was said to buyers about a lead: what exchanges have in common is written once. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { HEARD_MOST, SENT_MOST, type Tape } from '../../buyers/tape.ts'
import { type HideBytes, hidingBytes } from '../masking.ts'

/**
 * `retry` and `status` ask about a post in doubt: the same post again, and the buyer's status address. `callback`: the buyer told
 * by itself.
 */
export type ExchangeKind = 'ping' | 'post' | 'retry' | 'status' | 'callback'

/** One exchange as it is kept. Texts are one byte a character, credentials starred out. */
export interface KeptExchange {
  readonly kind: ExchangeKind
  readonly contract: string
  readonly buyer: string
  /** Wall time of the first byte, in milliseconds. */
  readonly at: number
  readonly tookMs: number
  /** Null: it was under way when this was written. `whole`: a whole reply came. */
  readonly end: string | null
  readonly sent: string
  readonly heard: string
  /** Bytes that went over the wire, of which `sent` and `heard` are the beginning. */
  readonly sentBytes: number
  readonly heardBytes: number
}

/**
 * The format. A byte says whether the rest is deflated. Then, for each exchange, numbers: when it began (seconds, milliseconds), how long it
 * took, bytes sent and heard; and for each of its five texts (`TEXTS`) how much of its beginning and of its end is as in the exchange before, and
 * how long what lies between is. Then what lies between, one behind the other. Numbers are seven bits a byte, the lowest first; how
 * many bytes of numbers there are stands before them. Buyers of one campaign are told nearly the same: comparing costs a fifth of
 * deflating.
 */
const PLAIN = 0
const DEFLATED = 1
/** What is longer although it shares all that it can is deflated. */
const PLAIN_MOST = 4_096
/** A line that names the exchange; head and body of what was sent, and of what was heard. */
const TEXTS = 5
/** Where the texts begin, and where the last one ends. */
type Ends = readonly number[]
const NOTHING: Ends = [0, 0, 0, 0, 0, 0]

/** `postKind`: what posts are told as. */
export function writeRecord(tapes: readonly Tape[], postKind: ExchangeKind): Buffer {
  const { whole, view, out } = roomFor(tapes)
  const numbers: number[] = []
  let [end, written] = [0, 0]
  let before = NOTHING
  for (const tape of tapes) {
    const texts = lay(tape, postKind, whole, end)
    const seconds = Math.floor(tape.at / 1_000)
    numbers.push(seconds, tape.at - seconds * 1_000, Math.round(tape.tookMs), tape.sentBytes, tape.heardBytes)
    for (let text = 0; text < TEXTS; text++) {
      const [from, to, last, lastTo] = [texts[text]!, texts[text + 1]!, before[text]!, before[text + 1]!]
      const most = Math.min(to - from, lastTo - last)
      const start = sameStart(view, from, last, most)
      const finish = sameEnd(view, to, lastTo, most - start)
      numbers.push(start, finish, to - from - start - finish)
      written += whole.copy(out, written, from + start, to - finish)
    }
    before = texts
    end = texts[TEXTS]!
  }
  return packed(numbers, out.subarray(0, written))
}

const USUAL = 64 * 1024
const usual = room(USUAL)
/** At most, of the line that names an exchange. */
const LINE = 300

/** Nearly every lead fits into what is there already. Stars may be longer than what they hide. */
function roomFor(tapes: readonly Tape[]): ReturnType<typeof room> {
  let most = 0
  for (const { sentBytes, heardBytes } of tapes) {
    most += LINE + 2 * (Math.min(sentBytes, SENT_MOST) + Math.min(heardBytes, HEARD_MOST))
  }
  return most <= USUAL ? usual : room(most)
}

function room(bytes: number) {
  const whole = Buffer.allocUnsafe(bytes)
  const view = new DataView(whole.buffer, whole.byteOffset, bytes)
  return { whole, view, out: Buffer.allocUnsafe(bytes) }
}

/** Four bytes at a time: a view's words cost what a buffer's byte does. */
function sameStart(view: DataView, one: number, other: number, most: number): number {
  let same = 0
  while (same + 4 <= most && view.getInt32(one + same) === view.getInt32(other + same)) same += 4
  while (same < most && view.getUint8(one + same) === view.getUint8(other + same)) same++
  return same
}

/** Counted from where both end. */
function sameEnd(view: DataView, one: number, other: number, most: number): number {
  let same = 0
  while (same + 4 <= most && view.getInt32(one - same - 4) === view.getInt32(other - same - 4)) same += 4
  while (same < most && view.getUint8(one - same - 1) === view.getUint8(other - same - 1)) same++
  return same
}

/** Lays an exchange's texts one behind the other. */
function lay(tape: Tape, postKind: ExchangeKind, whole: Buffer, from: number): Ends {
  const { contract, kind, end, sent, heard } = tape
  const hide = hidingBytes(contract)
  const line = `${kind === 'ping' ? kind : postKind}\t${contract.id}\t${contract.buyer.id}\t${end ?? ''}`
  const lineEnd = from + whole.write(line, from, LINE, 'latin1')
  const sentEnd = layOne(sent, hide, whole, lineEnd)
  const heardEnd = layOne(heard, hide, whole, sentEnd)
  return [from, lineEnd, headEnd(whole, lineEnd, sentEnd), sentEnd, headEnd(whole, sentEnd, heardEnd), heardEnd]
}

function layOne(chunks: readonly (string | Uint8Array)[], hide: HideBytes | null, whole: Buffer, from: number): number {
  let end = from
  for (const chunk of chunks) {
    if (typeof chunk === 'string') end += whole.write(chunk, end, 'latin1')
    else {
      whole.set(chunk, end)
      end += chunk.length
    }
  }
  return hide === null ? end : hide(whole, from, end)
}

const BLANK_LINE = '\r\n\r\n'

function headEnd(whole: Buffer, from: number, end: number): number {
  const blank = whole.subarray(from, end).indexOf(BLANK_LINE, 0, 'latin1')
  return blank < 0 ? end : from + blank + BLANK_LINE.length
}

function packed(numbers: readonly number[], texts: Buffer): Buffer {
  const most = numbers.length * 5
  const line = most <= USUAL ? usualLine : Buffer.allocUnsafe(most)
  let end = 0
  for (const number of numbers) end = writeNumber(line, end, number)
  const size = Buffer.allocUnsafe(5)
  const head = [size.subarray(0, writeNumber(size, 0, end)), line.subarray(0, end), texts]
  if (end + texts.length <= PLAIN_MOST) return Buffer.concat([FLAG_PLAIN, ...head])
  return Buffer.concat([FLAG_DEFLATED, deflateRawSync(Buffer.concat(head), { level: 1 })])
}

const usualLine = Buffer.allocUnsafe(USUAL)
const FLAG_PLAIN = Buffer.of(PLAIN)
const FLAG_DEFLATED = Buffer.of(DEFLATED)

/** Whole numbers below 2^32. */
function writeNumber(into: Buffer, at: number, number: number): number {
  let [end, rest] = [at, number]
  while (rest > 127) {
    into[end++] = (rest & 127) | 128
    rest >>>= 7
  }
  into[end++] = rest
  return end
}

/** Reads what `writeRecord` wrote. */
export function readRecord(record: Buffer): readonly KeptExchange[] {
  const rest = record.subarray(1)
  const plain = record[0] === DEFLATED ? inflateRawSync(rest) : rest
  let at = 0
  const next = (): number => {
    for (let number = 0, worth = 1; ; worth *= 128) {
      const byte = plain[at++]!
      number += (byte & 127) * worth
      if (byte < 128) return number
    }
  }
  const size = next()
  const textsAt = at + size
  let from = textsAt
  const found: KeptExchange[] = []
  let before: readonly string[] = ['', '', '', '', '']
  while (at < textsAt) {
    const began = next() * 1_000 + next()
    const [tookMs, sentBytes, heardBytes] = [next(), next(), next()]
    before = before.map((last) => {
      const [start, finish, length] = [next(), next(), next()]
      from += length
      const own = plain.toString('latin1', from - length, from)
      return last.slice(0, start) + own + last.slice(last.length - finish)
    })
    const [line, sentHead, sentBody, heardHead, heardBody] = before as [string, string, string, string, string]
    const [kind, contract, buyer, end] = line.split('\t') as [ExchangeKind, string, string, string]
    const [sent, heard] = [sentHead + sentBody, heardHead + heardBody]
    found.push({ kind, contract, buyer, at: began, tookMs, end: end || null, sent, heard, sentBytes, heardBytes })
  }
  return found
}

/** Which way less was kept than went over the wire. */
export const isCut = ({
  sentBytes,
  heardBytes,
}: KeptExchange): { readonly sent: boolean; readonly heard: boolean } => ({
  sent: sentBytes > SENT_MOST,
  heard: heardBytes > HEARD_MOST,
})
