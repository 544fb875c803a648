/** One record of what was said to buyers about a lead: what exchanges have in common is written once. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { HEARD_MOST, SENT_MOST, type Tape } from '../../buyers/tape.ts'
import { hidingBytes } from '../masking.ts'

/** `retry` and `status` ask about a post in doubt: the same post again, and the buyer's status address. */
export type ExchangeKind = 'ping' | 'post' | 'retry' | 'status'

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
 * A JSON line that says how long everything is, then the texts. Of four texts of each exchange (head and body, out and in) only what
 * differs from the exchange before is there: buyers of one campaign are told nearly the same, and comparing costs a tenth of deflating.
 */
type Row = readonly [
  kind: ExchangeKind,
  contract: string,
  buyer: string,
  at: number,
  tookMs: number,
  end: string | null,
  sentBytes: number,
  heardBytes: number,
  /** Four times: characters at the beginning as before, characters at the end as before, characters written. */
  parts: readonly number[],
]

/** What is longer although it shares all that it can is deflated. */
const PLAIN_MOST = 4_096
const PLAIN = 0
const DEFLATED = 1
const NOTHING = ['', '', '', ''] as const

/** `postKind`: what posts are told as. */
export function writeRecord(tapes: readonly Tape[], postKind: ExchangeKind): Buffer {
  const rows: Row[] = []
  let written = ''
  let before: readonly string[] = NOTHING
  for (const tape of tapes) {
    const { contract, at, tookMs, end, sentBytes, heardBytes } = tape
    const texts = textsOf(tape)
    const parts: number[] = []
    for (let at = 0; at < texts.length; at++) {
      const [text, last] = [texts[at]!, before[at]!]
      const start = sameStart(text, last)
      const finish = sameEnd(text, last, start)
      parts.push(start, finish, text.length - start - finish)
      written += text.slice(start, text.length - finish)
    }
    before = texts
    const kind = tape.kind === 'ping' ? 'ping' : postKind
    rows.push([kind, contract.id, contract.buyer.id, at, Math.round(tookMs), end, sentBytes, heardBytes, parts])
  }
  const plain = Buffer.from(`${JSON.stringify(rows)}\n${written}`, 'latin1')
  if (plain.length <= PLAIN_MOST) return Buffer.concat([Buffer.of(PLAIN), plain])
  return Buffer.concat([Buffer.of(DEFLATED), deflateRawSync(plain, { level: 1 })])
}

/** Reads what `writeRecord` wrote. */
export function readRecord(record: Buffer): readonly KeptExchange[] {
  const rest = record.subarray(1)
  const text = (record[0] === DEFLATED ? inflateRawSync(rest) : rest).toString('latin1')
  const line = text.indexOf('\n')
  const rows: Row[] = JSON.parse(text.slice(0, line))
  let from = line + 1
  let before: readonly string[] = NOTHING
  return rows.map(([kind, contract, buyer, at, tookMs, end, sentBytes, heardBytes, parts]) => {
    const texts = before.map((last, at) => {
      const [start, finish, length] = parts.slice(at * 3, at * 3 + 3) as [number, number, number]
      from += length
      return last.slice(0, start) + text.slice(from - length, from) + last.slice(last.length - finish)
    })
    before = texts
    const [sent, heard] = [texts[0]! + texts[1]!, texts[2]! + texts[3]!]
    return { kind, contract, buyer, at, tookMs, end, sent, heard, sentBytes, heardBytes }
  })
}

/** Head and body of what was sent, and of what was heard. */
function textsOf({ contract, sent, heard }: Tape): readonly string[] {
  const hide = hidingBytes(contract)
  return [...headAndBody(sent), ...headAndBody(heard)].map(hide)
}

function headAndBody(chunks: readonly (string | Uint8Array)[]): readonly [head: string, body: string] {
  let text = ''
  for (const chunk of chunks) text += typeof chunk === 'string' ? chunk : latin1(chunk)
  const end = text.indexOf(BLANK_LINE)
  return end < 0 ? [text, ''] : [text.slice(0, end + BLANK_LINE.length), text.slice(end + BLANK_LINE.length)]
}

const BLANK_LINE = '\r\n\r\n'

const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')

function sameStart(text: string, last: string): number {
  const most = Math.min(text.length, last.length)
  let same = 0
  while (same < most && text.charCodeAt(same) === last.charCodeAt(same)) same++
  return same
}

/** Of what lies behind the same start. */
function sameEnd(text: string, last: string, start: number): number {
  const most = Math.min(text.length, last.length) - start
  let same = 0
  while (same < most && text.charCodeAt(text.length - 1 - same) === last.charCodeAt(last.length - 1 - same)) same++
  return same
}

/** True where less was kept than went over the wire. */
export const isCut = ({
  sentBytes,
  heardBytes,
}: KeptExchange): { readonly sent: boolean; readonly heard: boolean } => ({
  sent: sentBytes > SENT_MOST,
  heard: heardBytes > HEARD_MOST,
})
