/** Reads a flat XML document: the root's children are the fields, whatever the root is called. */
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { checkName, type Fields, MAX_DEPTH, MAX_FIELDS, nestedText, Unreadable } from './bounds.ts'

const TEXT = '#text'
const CDATA = '#cdata'

/** In document order; no entity is expanded here, so that none can be defined and CDATA stays as it is. */
const PARSER = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  textNodeName: TEXT,
  cdataPropName: CDATA,
  maxNestedTags: MAX_DEPTH,
})

/** Tags, comments and CDATA sections together: enough for every field to be an open and a close tag, twice over. */
const MAX_MARKS = 4 * MAX_FIELDS

/** One key each: the element's name, `#text` or `#cdata`. */
type Node = Readonly<Record<string, readonly Node[] | string>>

/** An element that repeats is a list, kept as JSON text like every nested value; attributes are ignored. */
export function readXml(text: string): Fields {
  const root = rootOf(text)
  const fields: Record<string, string> = Object.create(null)
  let count = 0
  for (const [name, value] of members(root)) {
    checkName(name, ++count)
    fields[name] = typeof value === 'string' ? value : nestedText(name, value)
  }
  return fields
}

function rootOf(text: string): readonly Node[] {
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text)) throw new Unreadable('XML with a DOCTYPE is not read.')
  if (text.split('<', MAX_MARKS + 2).length > MAX_MARKS + 1) throw new Unreadable('The body has too many XML tags.')
  const valid = XMLValidator.validate(text)
  if (valid !== true)
    throw new Unreadable(`The body is not valid XML (line ${valid.err.line}, column ${valid.err.col}).`)
  const roots = elements(parse(text))
  if (roots.length !== 1) throw new Unreadable('The body must be one XML element whose children are the fields.')
  return roots[0]![1]
}

function parse(text: string): readonly Node[] {
  try {
    return PARSER.parse(text)
  } catch {
    // The parser's own message may quote the body.
    throw new Unreadable(`The body is not valid XML, or is nested deeper than ${MAX_DEPTH} levels.`)
  }
}

function elements(nodes: readonly Node[]): [name: string, children: readonly Node[]][] {
  const found: [string, readonly Node[]][] = []
  for (const node of nodes) {
    const name = Object.keys(node)[0]!
    if (name !== TEXT && name !== CDATA) found.push([name, node[name] as readonly Node[]])
  }
  return found
}

type Value = string | object

function members(nodes: readonly Node[]): Map<string, Value> {
  const byName = new Map<string, Value[]>()
  for (const [name, children] of elements(nodes)) {
    const values = byName.get(name)
    if (values) values.push(fieldOf(children))
    else byName.set(name, [fieldOf(children)])
  }
  return new Map([...byName].map(([name, values]) => [name, values.length === 1 ? values[0]! : values]))
}

function fieldOf(children: readonly Node[]): Value {
  return elements(children).length > 0 ? objectOf(members(children)) : textOf(children)
}

/** `Object.fromEntries` would take `__proto__` as a name like any other: the bounds refuse it. */
const objectOf = (values: Map<string, Value>): object => Object.fromEntries(values)

function textOf(children: readonly Node[]): string {
  let text = ''
  for (const node of children) {
    const plain = node[TEXT]
    if (typeof plain === 'string') text += unescaped(plain)
    else for (const part of (node[CDATA] ?? []) as readonly Node[]) text += part[TEXT]
  }
  return text.trim()
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const REFERENCE = /&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9a-f]{1,6}));/gi

/** The five entities of XML and character references; anything else stays as it is. */
function unescaped(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(REFERENCE, (whole, name, decimal, hex) => {
    if (name) return NAMED[name] ?? whole
    const code = decimal ? Number(decimal) : Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}
