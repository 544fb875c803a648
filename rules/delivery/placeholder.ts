/** Texts with placeholders, such as `{first_name, name | title}`: read into data, with every fault in words. */
import { type Scalar, TRANSFORMS } from './transforms.ts'

/** What a request may say beside the lead's fields. */
export const FACTS = [
  'lead_id',
  'ping_id',
  'price',
  'buyer_reference',
  'source',
  'campaign',
  'contract',
  'timestamp',
  'test',
] as const
export type Fact = (typeof FACTS)[number]
/** Known only while a signature is made. */
export const SIGNED_FACTS = ['body', 'method', 'path', 'signature'] as const
export type SignedFact = (typeof SIGNED_FACTS)[number]

/** `part` is a component of the field, such as the area of a phone; `key` a key of the delivery itself. */
export type Name =
  | { readonly field: string; readonly part: string | null }
  /** Of a check, as `fraud.score`. */
  | { readonly output: string }
  | { readonly fact: Fact }
  | { readonly signed: SignedFact }
  | { readonly key: string }

export const HASHES = ['sha256', 'sha1', 'md5'] as const
export type Hash = (typeof HASHES)[number]

/** One stage of a chain. A hash with a key is an HMAC. */
export type Stage =
  | { readonly do: 'apply'; readonly transform: string; readonly args: readonly string[] }
  | { readonly do: 'default'; readonly value: string }
  | { readonly do: 'lookup'; readonly table: Readonly<Record<string, Scalar>> }
  | { readonly do: 'hash'; readonly hash: Hash; readonly key: string | null }

/** The first of its names that there is (or all that there are, joined), through its stages. `{name?}` asks for no such name. */
export interface Slot {
  readonly names: readonly Name[]
  readonly join: string | null
  readonly stages: readonly Stage[]
}

/** Literal texts and placeholders in turn. */
export type Text = readonly (string | Slot)[]

/** What a placeholder may refer to, and who hears of its faults. */
export interface Reader {
  /** Null where there is no such name; the reader has said so, unless it is optional. */
  readonly nameOf: (name: string, path: string, optional: boolean) => Name | null
  /** True where the field's normal form begins with the plus of a phone. */
  readonly isPhone: (name: Name) => boolean
  /** The fields that `...` stands for. */
  readonly spread: readonly string[]
  readonly tables: Readonly<Record<string, Readonly<Record<string, Scalar>> | undefined>>
  readonly keys: Readonly<Record<string, string | undefined>>
  readonly hint: (word: string, known: () => Iterable<string>) => string
  readonly fault: (path: string, message: string) => void
  /** Hears of every placeholder that was read. */
  readonly seen: (slot: Slot, path: string) => void
}

/** Every name of a transform, for the hint beside an unknown one. */
const KNOWN = [...TRANSFORMS.keys(), 'default', 'join', 'lookup', ...HASHES, ...HASHES.map((hash) => `hmac_${hash}`)]
/** `{{` and `}}` are braces; a placeholder may hold quoted texts. */
const PIECE = /\{\{|\}\}|\{((?:"(?:\\.|[^"\\])*"|[^{}"])*)\}|[{}]/g
const STAGE = /^([a-z][a-z0-9_]*)(?:\s*:([\s\S]*))?$/

/** Null where there is a fault, of which the reader has heard. Never quotes literal text, which may be a secret. */
export function readText(reader: Reader, path: string, text: string): Text | null {
  const parts: (string | Slot)[] = []
  let [literal, end, sound] = ['', 0, true]
  for (const match of text.matchAll(PIECE)) {
    literal += text.slice(end, match.index)
    end = match.index + match[0].length
    if (match[0] === '{{' || match[0] === '}}') literal += match[0][0]
    else if (match[1] === undefined) {
      const message = 'a brace stands alone: write {field} for a field, and {{ or }} for a brace itself.'
      reader.fault(path, message)
      return null
    } else {
      const slot = readSlot(reader, path, match[1])
      if (literal !== '') parts.push(literal)
      literal = ''
      if (slot) parts.push(slot)
      else sound = false
    }
  }
  literal += text.slice(end)
  if (literal !== '') parts.push(literal)
  return sound ? parts : null
}

function readSlot(reader: Reader, path: string, inside: string): Slot | null {
  const [head = '', ...chain] = splitOutside(inside, '|')
  const names: Name[] = []
  let sound = true
  for (const word of splitOutside(head, ',')) {
    const optional = word.endsWith('?')
    const name = reader.nameOf(optional ? word.slice(0, -1) : word, path, optional)
    if (name) names.push(name)
    else if (!optional) sound = false
  }
  let join: string | null = null
  const stages: Stage[] = []
  chain.forEach((text, at) => {
    const match = STAGE.exec(text)
    const args = match?.[2] === undefined ? [] : splitOutside(match[2], ',').map(unquoted)
    if (match?.[1] === 'join' && at === 0 && args.length === 1) {
      join = args[0]!
      return
    }
    const stage = match && readStage(reader, path, match[1]!, args)
    if (stage) stages.push(stage)
    else sound = false
    if (!match) reader.fault(path, `"${text.slice(0, 40)}" is no transform: write a name, such as {phone | digits10}.`)
  })
  if (!sound) return null
  const slot = { names, join, stages: formed(reader, names, stages) }
  reader.seen(slot, path)
  return slot
}

/** A phone is hashed as its digits, unless its map names another form. */
function formed(reader: Reader, names: readonly Name[], stages: readonly Stage[]): readonly Stage[] {
  if (stages[0]?.do !== 'hash' || !names.some(reader.isPhone)) return stages
  return [{ do: 'apply', transform: 'digits', args: [] }, ...stages]
}

function readStage(reader: Reader, path: string, name: string, args: readonly string[]): Stage | null {
  const refuse = (message: string): null => {
    reader.fault(path, message)
    return null
  }
  const [first = ''] = args
  const hash = HASHES.find((one) => name === one || name === `hmac_${one}`)
  if (hash !== undefined && name === hash)
    return args.length === 0 ? { do: 'hash', hash, key: null } : refuse(`${name} takes no argument.`)
  if (hash !== undefined) {
    const key = Object.hasOwn(reader.keys, first) ? reader.keys[first] : undefined
    if (key !== undefined && args.length === 1) return { do: 'hash', hash, key }
    return refuse(`${name} takes the name of a key of delivery.keys, such as ${name}:mine.`)
  }
  if (name === 'default')
    return args.length === 1
      ? { do: 'default', value: first }
      : refuse('default takes one value, such as default:Other.')
  if (name === 'lookup') {
    const table = Object.hasOwn(reader.tables, first) ? reader.tables[first] : undefined
    if (table && args.length === 1) return { do: 'lookup', table }
    return refuse(`there is no table "${first}".${reader.hint(first, () => Object.keys(reader.tables))}`)
  }
  if (name === 'join')
    return refuse('join stands first, and takes what is put between, such as {city, state | join:", "}.')
  const transform = TRANSFORMS.get(name)
  if (!transform) return refuse(`there is no transform "${name}".${reader.hint(name, () => KNOWN)}`)
  const fault = transform.fault(args)
  return fault === null ? { do: 'apply', transform: name, args } : refuse(`${name} ${fault}.`)
}

/** Splits where the mark stands outside of quotes, and trims. */
function splitOutside(text: string, mark: string): string[] {
  const parts: string[] = []
  let [part, quoted] = ['', false]
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!
    if (quoted && letter === '\\') part += letter + (text[++at] ?? '')
    else if (letter === mark && !quoted) {
      parts.push(part.trim())
      part = ''
    } else {
      if (letter === '"') quoted = !quoted
      part += letter
    }
  }
  return [...parts, part.trim()]
}

function unquoted(text: string): string {
  return text.length > 1 && text.startsWith('"') && text.endsWith('"')
    ? text.slice(1, -1).replace(/\\(.)/g, '$1')
    : text
}
