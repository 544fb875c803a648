/** Reads a request's body (JSON, form or XML) into flat raw fields, or says why it cannot be read. */
import { isUtf8 } from 'node:buffer'
import { checkName, checkTexts, type Fields, nestedText, Unreadable } from './bounds.ts'
import { type Refusal, unknownType, unreadable } from './problem.ts'
import { readXml } from './xml.ts'

export type { Fields } from './bounds.ts'

export type BodyRead =
  | { readonly ok: true; readonly fields: Fields }
  | { readonly ok: false; readonly refusal: Refusal }

type Format = 'json' | 'form' | 'xml'

const READERS: Readonly<Record<Format, (text: string) => Fields>> = { json: readJson, form: readForm, xml: readXml }

/** `contentType` as the header has it; where it is empty, the body's first character decides. */
export function readBody(contentType: string, body: Uint8Array): BodyRead {
  try {
    const type = typeOf(contentType, body)
    const text = type && decode(body, type.charset)
    if (text === null) return { ok: false, refusal: unknownType(contentType) }
    if (text.trim() === '') throw new Unreadable('The body is empty.')
    const fields = READERS[type!.format](text)
    // In valid UTF-8, JSON can hold a lone surrogate or U+0000 only as an escape.
    if (type!.format !== 'json' || text.includes('\\u')) checkTexts(fields)
    return { ok: true, fields }
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, refusal: unreadable(error.message) }
    throw error
  }
}

interface BodyType {
  readonly format: Format
  readonly charset: string
}

function typeOf(contentType: string, body: Uint8Array): BodyType | null {
  if (contentType === 'application/json') return PLAIN_JSON
  const [media = '', ...parameters] = contentType.toLowerCase().split(';')
  const format = contentType === '' ? sniff(body) : formatOf(media.trim())
  if (format === null) return null
  const named = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='))
  const charset = named?.slice(8).replaceAll('"', '').trim()
  return { format, charset: charset ?? (format === 'xml' ? declaredCharset(body) : 'utf-8') }
}

const PLAIN_JSON: BodyType = { format: 'json', charset: 'utf-8' }

function formatOf(media: string): Format | null {
  if (media === 'application/json' || media === 'text/json' || media.endsWith('+json')) return 'json'
  if (media === 'application/x-www-form-urlencoded') return 'form'
  if (media === 'application/xml' || media === 'text/xml' || media.endsWith('+xml')) return 'xml'
  return null
}

const startOf = (body: Uint8Array): string =>
  Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, 200))
    .toString('latin1')
    .replace('\xEF\xBB\xBF', '')
    .trimStart()

function sniff(body: Uint8Array): Format {
  const first = startOf(body)[0]
  return first === '{' || first === '[' ? 'json' : first === '<' ? 'xml' : 'form'
}

const declaredCharset = (body: Uint8Array): string =>
  /^<\?xml[^>]*?encoding=["']([\w.-]+)["']/.exec(startOf(body))?.[1]?.toLowerCase() ?? 'utf-8'

/** ISO-8859-1 as the web means it. */
const LATIN = new TextDecoder('windows-1252')
const LATIN_NAMES: ReadonlySet<string> = new Set(['iso-8859-1', 'latin1', 'windows-1252', 'cp1252'])
const UTF8_NAMES: ReadonlySet<string> = new Set(['utf-8', 'utf8', 'us-ascii', 'ascii'])

/** Null where the charset is not one that is read here. */
function decode(body: Uint8Array, charset: string): string | null {
  if (LATIN_NAMES.has(charset)) return LATIN.decode(body)
  if (!UTF8_NAMES.has(charset)) return null
  if (!isUtf8(body)) throw new Unreadable('The body is not valid UTF-8. Name its charset in Content-Type.')
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString()
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

function readJson(text: string): Fields {
  let value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Unreadable('The body must be one JSON object whose members are the fields.')
  if (Object.values(value).some(isLong)) value = parseJson(text, sourceOfLong)
  const fields = Object.setPrototypeOf(value, null) as Record<string, unknown>
  let count = 0
  for (const name in fields) {
    checkName(name, ++count)
    const one = fields[name]
    if (typeof one === 'object' && one !== null) fields[name] = nestedText(name, one)
  }
  return fields as Fields
}

type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown

function parseJson(text: string, reviver?: Reviver): unknown {
  try {
    return JSON.parse(text, reviver as (key: string, value: unknown) => unknown)
  } catch (error) {
    // The message of JSON.parse quotes the body; only the place is repeated.
    const place = /position (\d+)/.exec((error as Error).message)?.[1]
    throw new Unreadable(`The body is not valid JSON${place === undefined ? '.' : ` (at character ${place}).`}`)
  }
}

const isLong = (value: unknown): boolean => typeof value === 'number' && !(Math.abs(value) <= Number.MAX_SAFE_INTEGER)
const sourceOfLong: Reviver = (_key, value, { source }) => (isLong(value) ? source : value)

/** The last one of several equal names counts, as in JSON: hidden inputs before checkboxes rely on it. */
function readForm(text: string): Fields {
  const fields: Record<string, string> = Object.create(null)
  let count = 0
  for (let start = 0; start <= text.length; ) {
    const found = text.indexOf('&', start)
    const end = found < 0 ? text.length : found
    if (end > start) {
      const equals = text.indexOf('=', start)
      const split = equals < 0 || equals > end ? end : equals
      const name = formText(text.slice(start, split))
      checkName(name, ++count)
      fields[name] = formText(text.slice(split + 1, end))
    }
    start = end + 1
  }
  if (count === 1 && text[0] === '{')
    throw new Unreadable(
      'The body looks like JSON, but its Content-Type says form. Send Content-Type: application/json.',
    )
  return fields
}

const ESCAPE = /%([0-9a-f]{2})/gi

/** Escapes that are not UTF-8 are read as ISO-8859-1, as old form handlers send them; a lone % stands for itself. */
function formText(raw: string): string {
  const text = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    const escaped = Buffer.from(text).toString('latin1')
    const bytes = Buffer.from(
      escaped.replace(ESCAPE, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    )
    return isUtf8(bytes) ? bytes.toString() : LATIN.decode(bytes)
  }
}
