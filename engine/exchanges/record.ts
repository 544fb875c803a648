/** One record of what was said to buyers about a lead: what exchanges have in common is written once. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { HEARD_MOST, SENT_MOST, type Tape } from '../../buyers/tape.ts'
import { type Hide, hidingBytes } from '../masking.ts'

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

/** `postKind`: what posts are told as. */
export function writeRecord(tapes: readonly Tape[], postKind: ExchangeKind): Buffer {
  const rows: Row[] = []
  const { whole, out } = roomFor(tapes)
  let [end, written] = [0, 0]
  let before: Ends = [0, 0, 0, 0, 0]
  for (const tape of tapes) {
    const texts = lay(tape, whole, end)
    const parts: number[] = []
    for (let text = 0; text < TEXTS; text++) {
      const [from, to, last, lastTo] = [texts[text]!, texts[text + 1]!, before[text]!, before[text + 1]!]
      const most = Math.min(to - from, lastTo - last)
      let start = 0
      while (start < most && whole[from + start] === whole[last + start]) start++
      let finish = 0
      while (finish < most - start && whole[to - 1 - finish] === whole[lastTo - 1 - finish]) finish++
      parts.push(start, finish, to - from - start - finish)
      written += whole.copy(out, written, from + start, to - finish)
    }
    before = texts
    end = texts[TEXTS]!
    rows.push(rowOf(tape, postKind, parts))
  }
  return packed(Buffer.from(`${JSON.stringify(rows)}\n`, 'latin1'), out.subarray(0, written))
}

function rowOf(
  { kind, contract, at, tookMs, end, sentBytes, heardBytes }: Tape,
  postKind: ExchangeKind,
  parts: number[],
): Row {
  const name = kind === 'ping' ? 'ping' : postKind
  return [name, contract.id, contract.buyer.id, at, Math.round(tookMs), end, sentBytes, heardBytes, parts]
}

function packed(line: Buffer, texts: Buffer): Buffer {
  if (line.length + texts.length <= PLAIN_MOST) return Buffer.concat([Buffer.of(PLAIN), line, texts])
  return Buffer.concat([Buffer.of(DEFLATED), deflateRawSync(Buffer.concat([line, texts]), { level: 1 })])
}

/** Head and body of what was sent, and of what was heard: where they begin, and where the last one ends. */
type Ends = readonly [number, number, number, number, number]
const TEXTS = 4
const NOTHING = ['', '', '', ''] as const

const USUAL = 64 * 1024
const usual = { whole: Buffer.allocUnsafe(USUAL), out: Buffer.allocUnsafe(USUAL) }

/** Nearly every lead fits into what is there already. Stars may be longer than what they hide. */
function roomFor(tapes: readonly Tape[]): { readonly whole: Buffer; readonly out: Buffer } {
  let most = 0
  for (const { sentBytes, heardBytes } of tapes)
    most += Math.min(sentBytes, SENT_MOST) + Math.min(heardBytes, HEARD_MOST)
  most *= 2
  return most <= USUAL ? usual : { whole: Buffer.allocUnsafe(most), out: Buffer.allocUnsafe(most) }
}

/** Lays an exchange's four texts one behind the other. */
function lay({ contract, sent, heard }: Tape, whole: Buffer, from: number): Ends {
  const hide = hidingBytes(contract)
  const [sentBody, sentEnd] = layOne(sent, hide, whole, from)
  const [heardBody, heardEnd] = layOne(heard, hide, whole, sentEnd)
  return [from, sentBody, sentEnd, heardBody, heardEnd]
}

function layOne(
  chunks: readonly (string | Uint8Array)[],
  hide: Hide | null,
  whole: Buffer,
  from: number,
): readonly [body: number, end: number] {
  let end = from
  for (const chunk of chunks) {
    if (typeof chunk === 'string') end += whole.write(chunk, end, 'latin1')
    else {
      whole.set(chunk, end)
      end += chunk.length
    }
  }
  if (hide !== null) end = from + whole.write(hide(whole.toString('latin1', from, end)), from, 'latin1')
  const blank = whole.indexOf(BLANK_LINE, from, 'latin1')
  const body = blank >= 0 && blank + BLANK_LINE.length <= end ? blank + BLANK_LINE.length : end
  return [body, end]
}

const BLANK_LINE = '\r\n\r\n'

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

/** True where less was kept than went over the wire. */
export const isCut = ({
  sentBytes,
  heardBytes,
}: KeptExchange): { readonly sent: boolean; readonly heard: boolean } => ({
  sent: sentBytes > SENT_MOST,
  heard: heardBytes > HEARD_MOST,
})
