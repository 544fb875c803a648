/** What can go wrong with a buyer's reply: every fault by name, and what it makes of an untroubled one. */
import type { MockAction } from './mock-temper.ts'

/** By name, in the words of `npm run buyer-sim -- --help`. Any status by its number is one more. */
export const FAULTS = {
  never: 'no reply at all',
  drip: 'the body byte by byte',
  drip_head: 'the head byte by byte',
  half_body: 'cut in the middle of the body',
  reset: 'reset before the reply',
  reset_at_accept: 'takes the lead, then resets instead of saying so',
  reset_after_head: 'reset after the head',
  not_http: 'bytes of no protocol',
  garbage: 'a 200 whose JSON is cut',
  empty: 'a 200 without a body',
  huge: '100 MB of body',
  endless: 'a chunked body without an end',
  tower: 'brackets nested 100,000 deep',
  header_flood: '100,000 headers',
  hints_flood: 'informational replies without an end',
  duplicate_headers: 'every header twice',
  two_lengths: 'two lengths that contradict each other',
  redirect: 'a redirect into the cloud that it runs in',
  wrong_type: 'HTML',
  price_text: 'a price in words',
  accept_500: 'an acceptance under status 500',
} as const

export type Fault = keyof typeof FAULTS | `${number}`

const HUGE_BYTES = 100 * 1024 * 1024
const PADDING = 'x'.repeat(64 * 1024)
const ENDLESS = { bytes: Number.POSITIVE_INFINITY }
const TOWER = '['.repeat(100_000)
const HEADER_FLOOD = `HTTP/1.1 200 OK\r\n${'x-padding: xxxxxxxxxxxxxxxx\r\n'.repeat(100_000)}\r\n`
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n'.repeat(1_000)
const NOT_HTTP = '\u0000\u0001 no protocol at all\r\n\r\n'

/** What becomes of an untroubled reply under a fault. */
export function faulty(fault: Fault, plain: MockAction): MockAction {
  switch (fault) {
    case 'never':
      return { ...plain, how: 'never' }
    case 'drip':
      return { ...plain, how: 'drip' }
    case 'half_body':
      return { ...plain, how: 'half' }
    case 'drip_head':
    case 'reset_after_head':
      return { ...plain, how: fault }
    case 'reset':
    case 'reset_at_accept':
      return { ...plain, how: 'reset' }
    case 'not_http':
      return { ...plain, how: 'raw', body: NOT_HTTP }
    case 'garbage':
      return { ...plain, body: '{"accept":tru' }
    case 'empty':
      return { ...plain, body: '' }
    case 'tower':
      return { ...plain, body: TOWER }
    case 'huge':
      return flood(plain, `content-length: ${HUGE_BYTES}`, { piece: PADDING, bytes: HUGE_BYTES })
    case 'endless':
      return flood(plain, 'transfer-encoding: chunked', { piece: `10000\r\n${PADDING}\r\n`, ...ENDLESS })
    case 'hints_flood':
      return { ...plain, how: 'flood', body: '', flood: { piece: HINTS, ...ENDLESS } }
    case 'header_flood':
      return { ...plain, how: 'raw', body: HEADER_FLOOD }
    case 'duplicate_headers':
      return { ...plain, how: 'raw', body: headed(plain.body ?? '', DUPLICATE_HEADERS) }
    case 'two_lengths':
      return { ...plain, how: 'raw', body: headed(plain.body ?? '', 'content-length: 3') }
    case 'price_text':
      return { ...plain, body: (plain.body ?? '').replace(/"price":(?:"[^"]*"|null)/, '"price":"twenty dollars"') }
    case 'accept_500':
      return { ...plain, status: 500 }
    case 'redirect':
      return { ...plain, status: 302, headers: { location: 'http://169.254.169.254/' }, body: '' }
    case 'wrong_type':
      return { ...plain, headers: { 'content-type': 'text/html' }, body: '<html><body>OK</body></html>' }
    default:
      return { ...plain, status: Number(fault), body: '' }
  }
}

const DUPLICATE_HEADERS = [
  'content-type: text/html',
  'content-type: application/json',
  'x-twice: 1',
  'x-twice: 2',
].join('\r\n')

/** A whole reply with more headers; its connection ends with it. */
function headed(body: string, headers: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n\r\n${body}`
}

function flood(plain: MockAction, header: string, more: NonNullable<MockAction['flood']>): MockAction {
  const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${header}\r\n\r\n`
  return { ...plain, how: 'flood', body: head, flood: more }
}
