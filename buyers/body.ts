/** Bodies out of a field map: JSON, form, query, XML, SOAP and text, each compiled into one function that writes it. */
import type { Format, MapNode } from '../rules/delivery/map.ts'
import type { Message } from '../rules/delivery.ts'
import { AS_TEXT, compileText, type Encoding, type Rendered } from './slot.ts'

type Group = Extract<MapNode, { kind: 'group' }>

/** Most values need no escape at all, and to see that costs half of making sure, in any format. */
const PLAIN_JSON = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const PLAIN_XML = /^[\t\n\r !#-%(-;=?-~]*$/

const JSON_VALUE: Encoding = {
  name: 'json',
  write: (value) => {
    if (typeof value !== 'string') return String(value)
    return PLAIN_JSON.test(value) ? `"${value}"` : JSON.stringify(value)
  },
}
const ASCII = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))
const IN_QUERY = ASCII.map(encodeURIComponent)
const IN_FORM = IN_QUERY.map((written) => written.replace('%20', '+'))
const FORM_VALUE: Encoding = { name: 'form', write: (value) => percent(String(value), IN_FORM) }
export const QUERY_VALUE: Encoding = { name: 'query', write: (value) => percent(String(value), IN_QUERY) }
const XML_VALUE: Encoding = { name: 'xml', write: (value) => xmlText(String(value)) }

/** Writes the body; for a query, what stands behind the question mark. */
export function compileBody(message: Message, body: MapNode, contract: string): Rendered {
  switch (message.format) {
    case 'json':
      return orEmpty(body, jsonNode(body, contract))
    case 'form':
      return pairs(body as Group, contract, FORM_VALUE)
    case 'query':
      return pairs(body as Group, contract, QUERY_VALUE)
    case 'xml':
      return document(children(body as Group, contract))
    case 'soap':
      return document(envelope(message.soap.version, children(body as Group, contract)))
    case 'text':
      return leaf(body, contract, AS_TEXT)
    default:
      return message.format satisfies never
  }
}

const CONTENT_TYPES: Readonly<Record<Exclude<Format, 'soap' | 'query'>, string>> = {
  json: 'application/json',
  form: 'application/x-www-form-urlencoded',
  xml: 'application/xml; charset=utf-8',
  text: 'text/plain; charset=utf-8',
}

/** The headers that the format asks for, as names and values in turn. */
export function formatHeaders({ format, soap }: Message): readonly string[] {
  if (format === 'query') return []
  if (format !== 'soap') return ['content-type', CONTENT_TYPES[format]]
  const action = (soap.action ?? '').replace(/[^\x21-\x7e]|["\\]/g, '')
  if (soap.version === '1.1') return ['content-type', 'text/xml; charset=utf-8', 'soapaction', `"${action}"`]
  return ['content-type', `application/soap+xml; charset=utf-8${action && `; action="${action}"`}`]
}

/** The body itself is there even where nothing is left of it. */
function orEmpty(body: MapNode, render: Rendered): Rendered {
  const empty = body.kind === 'list' ? '[]' : '{}'
  return (wire, said) => render(wire, said) ?? empty
}

/** As `encodeURIComponent`, which costs two to six times as much for the short texts and the sentences of leads. */
function percent(text: string, written: readonly string[]): string {
  let [whole, from] = ['', 0]
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > 127) return encodeURIComponent(text.toWellFormed()).replace(/%20/g, written[0x20]!)
    const mark = written[code]!
    if (mark.length === 1 && code !== 0x20) continue
    whole += text.slice(from, at) + mark
    from = at + 1
  }
  return from === 0 ? text : whole + text.slice(from)
}

function leaf(node: MapNode, contract: string, encoding: Encoding): Rendered {
  if (node.kind === 'text') return compileText(node.text, contract, encoding)
  const constant = node.kind === 'literal' && node.value !== null ? encoding.write(node.value) : ''
  return () => constant
}

/** A group or a list of which nothing is left is left out itself. */
function jsonNode(node: MapNode, contract: string): Rendered {
  switch (node.kind) {
    case 'text':
      return compileText(node.text, contract, JSON_VALUE)
    case 'literal': {
      const constant = String(node.value)
      return () => constant
    }
    case 'group': {
      const members = node.members.map(([name, value]) => member(`${JSON.stringify(name)}:`, jsonNode(value, contract)))
      return enclosed('{', members, '}')
    }
    case 'list': {
      const items = node.items.map((item) => member('', jsonNode(item, contract)))
      return enclosed('[', items, ']')
    }
    default:
      return node satisfies never
  }
}

/** What stands in a row with others, between marks of its own. */
interface Member {
  readonly open: string
  readonly render: Rendered
  readonly close: string
}

function member(open: string, render: Rendered, close = ''): Member {
  return { open, render, close }
}

/**
 * Null where no member has anything to show. Members that follow each other are most often all there, so what stands
 * between two of them is put together once, and a value costs two concatenations.
 */
function inRow(members: readonly Member[], between: string): Rendered {
  const seams = members.map(({ open }, at) => (at === 0 ? open : members[at - 1]!.close + between + open))
  return (wire, said) => {
    let whole = ''
    let last = -1
    for (let at = 0; at < members.length; at++) {
      const value = members[at]!.render(wire, said)
      if (value === null) continue
      whole += last === at - 1 ? seams[at]! : (last < 0 ? '' : members[last]!.close + between) + members[at]!.open
      whole += value
      last = at
    }
    return last < 0 ? null : whole + members[last]!.close
  }
}

function enclosed(open: string, members: readonly Member[], close: string): Rendered {
  if (members.length === 0) return () => open + close
  const row = inRow(members, ',')
  return (wire, said) => {
    const inside = row(wire, said)
    return inside === null ? null : open + inside + close
  }
}

/** A list repeats its name. */
function pairs({ members }: Group, contract: string, encoding: Encoding): Rendered {
  const all = members.flatMap(([name, node]) =>
    (node.kind === 'list' ? node.items : [node]).map((item) =>
      member(`${encoding.write(name)}=`, leaf(item, contract, encoding)),
    ),
  )
  return inRow(all, '&')
}

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'

function document(inside: Rendered): Rendered {
  return (wire, said) => DECLARATION + (inside(wire, said) ?? '')
}

const ENVELOPES = {
  '1.1': 'http://schemas.xmlsoap.org/soap/envelope/',
  '1.2': 'http://www.w3.org/2003/05/soap-envelope',
} as const

function envelope(version: keyof typeof ENVELOPES, inside: Rendered): Rendered {
  const open = `<soap:Envelope xmlns:soap="${ENVELOPES[version]}"><soap:Body>`
  return (wire, said) => `${open}${inside(wire, said) ?? ''}</soap:Body></soap:Envelope>`
}

/** What lies in an element, without its attributes. */
function children({ members }: Group, contract: string): Rendered {
  const elements = members.filter(([name]) => !name.startsWith('@'))
  return inRow(
    elements.flatMap(([name, node]) => element(name, node, contract)),
    '',
  )
}

/** A list repeats its element; a group of which nothing is left is left out. */
function element(name: string, node: MapNode, contract: string): readonly Member[] {
  if (name === '#text') return [member('', leaf(node, contract, XML_VALUE))]
  if (node.kind === 'list') return node.items.flatMap((item) => element(name, item, contract))
  if (node.kind !== 'group') return [member(`<${name}>`, leaf(node, contract, XML_VALUE), `</${name}>`)]
  const inside = node.members.length === 0 ? () => '' : children(node, contract)
  const attributes = node.members
    .filter(([attribute]) => attribute.startsWith('@'))
    .map(([attribute, value]) => member(` ${attribute.slice(1)}="`, leaf(value, contract, XML_VALUE), '"'))
  if (attributes.length === 0) return [member(`<${name}>`, inside, `</${name}>`)]
  const row = inRow(attributes, '')
  const within: Rendered = (wire, said) => {
    const [own, content] = [row(wire, said), inside(wire, said)]
    return own === null && content === null ? null : `${own ?? ''}>${content ?? ''}`
  }
  return [member(`<${name}`, within, `</${name}>`)]
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}
// biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 has no way to write these, so they are left out
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

/** Line breaks stay in text and would be lost in an attribute, where they are rare. */
function xmlText(text: string): string {
  if (PLAIN_XML.test(text)) return text
  return text
    .toWellFormed()
    .replace(NOT_XML, '')
    .replace(/[&<>"']/g, (mark) => ESCAPES[mark]!)
}
