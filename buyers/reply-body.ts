/** Parses a reply's body by its format into a tree to walk; a body that is of another format stays a text to search. */
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import type { Path, ReplyFormat } from '../rules/delivery/reply.ts'

export interface ParsedBody {
  /** Undefined: a text, or no body of its format. */
  readonly tree: unknown
  readonly text: string
  /** Its own form proves that nothing is missing at its end. */
  readonly whole: boolean
}

/** Patterns cost tens of nanoseconds a character: who answers more than this says nothing new behind it. */
const MAX_TEXT = 64 * 1024
const MAX_DEPTH = 64
const MAX_MARKS = 20_000
const TEXT = '#text'

const PARSER = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  allowBooleanAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
  processEntities: false,
  textNodeName: TEXT,
  maxNestedTags: MAX_DEPTH,
})

export function parseBody(format: ReplyFormat, body: string): ParsedBody {
  const text = body.charCodeAt(0) === 0xfeff ? body.slice(1) : body
  const searched = text.slice(0, MAX_TEXT)
  switch (format) {
    case 'json': {
      const tree = parseJson(text)
      return { tree, text: searched, whole: tree !== undefined }
    }
    case 'xml':
      return { ...parseXml(text), text: searched }
    case 'form':
      return { tree: parseForm(searched), text: searched, whole: false }
    case 'html':
      return { tree: undefined, text: htmlText(searched), whole: /<\/html>\s*$/i.test(text.slice(-200)) }
    case 'text':
      return { tree: undefined, text: searched, whole: false }
    default:
      return format satisfies never
  }
}

/** Undefined where it is none, or nests too deep. A JSON text within a JSON string is parsed too, as old servers send it. */
export function parseJson(text: string): unknown {
  if (nestsTooDeep(text)) return undefined
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed !== 'string' || !/^\s*[{[]/.test(parsed) || nestsTooDeep(parsed)) return parsed
    return JSON.parse(parsed)
  } catch {
    return undefined
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

/** XML that is not quite valid is still walked, but proves nothing of its end. */
function parseXml(text: string): Omit<ParsedBody, 'text'> {
  const none = { tree: undefined, whole: false }
  if (!/^\s*</.test(text) || /<!(?:DOCTYPE|ENTITY)/i.test(text)) return none
  if (text.split('<', MAX_MARKS + 1).length > MAX_MARKS) return none
  try {
    const tree: unknown = PARSER.parse(text)
    if (!isGroup(tree) || Object.keys(tree).length === 0) return none
    return { tree: unwrapped(tree), whole: XMLValidator.validate(text) === true }
  } catch {
    return none
  }
}

/** Old servers send a whole document as the escaped text of one element. */
function unwrapped(tree: object): unknown {
  const [inner] = Object.values(tree)
  const text = isGroup(inner) ? inner[TEXT] : inner
  if (Object.keys(tree).length !== 1 || typeof text !== 'string') return tree
  const document = unescaped(text)
  if (/^\s*[{[]/.test(document)) return parseJson(document) ?? tree
  if (!/^\s*<[?\w]/.test(document) || /<!(?:DOCTYPE|ENTITY)/i.test(document)) return tree
  const parsed: unknown = PARSER.parse(document)
  return isGroup(parsed) && Object.keys(parsed).length > 0 ? parsed : tree
}

/** `name=value` behind one another, or one a line; the last of a name counts. */
function parseForm(text: string): unknown {
  if (!text.includes('=')) return undefined
  return Object.fromEntries(new URLSearchParams(text.trim().replace(/\r?\n/g, '&')))
}

/** What a person would read. Its own tags stay searchable where no person reads anything. */
function htmlText(text: string): string {
  const read = text.replace(/<(?:script|style)\b[^<>]{0,1000}>[^<]*/gi, ' ').replace(/<[^<>]*>/g, ' ')
  return unescaped(read).replace(/\s+/g, ' ').trim() || text
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }
const REFERENCE = /&(?:(amp|lt|gt|quot|apos|nbsp)|#([0-9]{1,7})|#x([0-9a-f]{1,6}));/gi

/** The entities that replies use; anything else stays as it is. */
export function unescaped(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(REFERENCE, (whole, name, decimal, hex) => {
    if (name) return NAMED[name.toLowerCase()] ?? whole
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

const isGroup = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * What stands at the path: undefined where nothing does. Names match in any case; where a name is asked of a list, its
 * first item answers; XML's root may be left out; an element with attributes answers with its text.
 */
export function valueAt(tree: unknown, path: Path): unknown {
  const found = walk(tree, path)
  if (found !== undefined || !isGroup(tree)) return found
  const roots = Object.values(tree)
  return roots.length === 1 && isGroup(roots[0]) ? walk(roots[0], path) : undefined
}

function walk(tree: unknown, path: Path): unknown {
  let value = tree
  for (const step of path) {
    if (typeof step === 'number') value = Array.isArray(value) ? value[step] : step === 0 ? value : undefined
    else value = memberOf(Array.isArray(value) ? value[0] : value, step)
    if (value === undefined) return undefined
  }
  return isGroup(value) && Object.hasOwn(value, TEXT) ? value[TEXT] : value
}

function memberOf(value: unknown, name: string): unknown {
  if (!isGroup(value)) return undefined
  if (Object.hasOwn(value, name)) return value[name]
  const wanted = name.toLowerCase()
  const key = Object.keys(value).find((one) => one.toLowerCase() === wanted)
  return key === undefined ? undefined : value[key]
}
