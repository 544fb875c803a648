/** Bodies out of a field map: JSON, form, query, XML, SOAP and text, each compiled into one function that writes it. */
import type { Format, MapNode } from '../rules/delivery/map.ts'
import type { Message } from '../rules/delivery.ts'
import { AS_TEXT, compileText, type Encoding, type Rendered } from './slot.ts'

type Group = Extract<MapNode, { kind: 'group' }>

/** Most values need no escape at all, and to see that costs half of making sure, in any format. */
const PLAIN_JSON = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const PLAIN_URL = /^[\w.~-]*$/
const PLAIN_XML = /^[\w .,:/@+-]*$/

const JSON_VALUE: Encoding = {
  name: 'json',
  write: (value) => {
    if (typeof value !== 'string') return String(value)
    return PLAIN_JSON.test(value) ? `"${value}"` : JSON.stringify(value)
  },
}
const SPACES = /%20/g
const FORM_VALUE: Encoding = { name: 'form', write: (value) => percent(String(value)).replace(SPACES, '+') }
export const QUERY_VALUE: Encoding = { name: 'query', write: (value) => percent(String(value)) }
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

function percent(text: string): string {
  return PLAIN_URL.test(text) ? text : encodeURIComponent(text.toWellFormed())
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
      const members = node.members.map(([name, member]) =>
        before(`${JSON.stringify(name)}:`, jsonNode(member, contract)),
      )
      return enclosed('{', members, '}')
    }
    case 'list': {
      const items = node.items.map((item) => jsonNode(item, contract))
      return enclosed('[', items, ']')
    }
    default:
      return node satisfies never
  }
}

interface Member {
  readonly prefix: string
  readonly render: Rendered
}

function before(prefix: string, render: Rendered): Member {
  return { prefix, render }
}

function enclosed(open: string, parts: readonly (Member | Rendered)[], close: string): Rendered {
  const members = parts.map((part) => (typeof part === 'function' ? before('', part) : part))
  if (members.length === 0) return () => open + close
  return (wire, said) => {
    const inside = listed(members, ',', wire, said)
    return inside === '' ? null : open + inside + close
  }
}

function listed(members: readonly Member[], between: string, ...[wire, said]: Parameters<Rendered>): string {
  let whole = ''
  for (const { prefix, render } of members) {
    const value = render(wire, said)
    if (value === null) continue
    whole += whole === '' ? prefix + value : between + prefix + value
  }
  return whole
}

/** A list repeats its name. */
function pairs({ members }: Group, contract: string, encoding: Encoding): Rendered {
  const all = members.flatMap(([name, node]) =>
    (node.kind === 'list' ? node.items : [node]).map((item) =>
      before(`${encoding.write(name)}=`, leaf(item, contract, encoding)),
    ),
  )
  return (wire, said) => listed(all, '&', wire, said)
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
  const elements = members
    .filter(([name]) => !name.startsWith('@'))
    .map(([name, node]) => element(name, node, contract))
  return (wire, said) => {
    let [whole, found] = ['', false]
    for (const render of elements) {
      const value = render(wire, said)
      if (value === null) continue
      whole += value
      found = true
    }
    return found ? whole : null
  }
}

/** A list repeats its element; a group of which nothing is left is left out. */
function element(name: string, node: MapNode, contract: string): Rendered {
  if (name === '#text') return leaf(node, contract, XML_VALUE)
  if (node.kind === 'list') {
    const items = node.items.map((item) => element(name, item, contract))
    return (wire, said) => {
      const made = items.flatMap((item) => item(wire, said) ?? [])
      return made.length === 0 ? null : made.join('')
    }
  }
  if (node.kind !== 'group') {
    const inside = leaf(node, contract, XML_VALUE)
    const [open, close] = [`<${name}>`, `</${name}>`]
    return (wire, said) => {
      const text = inside(wire, said)
      return text === null ? null : open + text + close
    }
  }
  const inside = node.members.length === 0 ? () => '' : children(node, contract)
  const attributes = node.members
    .filter(([attribute]) => attribute.startsWith('@'))
    .map(([attribute, value]) => before(` ${attribute.slice(1)}="`, leaf(value, contract, XML_VALUE)))
  if (attributes.length === 0) return (wire, said) => tagged(name, '', inside(wire, said))
  return (wire, said) => {
    const own = attributes.flatMap(({ prefix, render }) => {
      const value = render(wire, said)
      return value === null ? [] : [`${prefix}${value}"`]
    })
    const within = inside(wire, said)
    return within === null && own.length === 0 ? null : tagged(name, own.join(''), within ?? '')
  }
}

function tagged(name: string, attributes: string, inside: string | null): string | null {
  return inside === null ? null : `<${name}${attributes}>${inside}</${name}>`
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
