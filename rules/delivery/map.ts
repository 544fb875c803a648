/** A field map: the shape of a body as it is configured, read into data whose leaves are texts with placeholders. */
import { type Reader, readText, type Text } from './placeholder.ts'

export type MapNode =
  | { readonly kind: 'text'; readonly text: Text }
  | { readonly kind: 'literal'; readonly value: number | boolean | null }
  | { readonly kind: 'group'; readonly members: readonly (readonly [name: string, node: MapNode])[] }
  | { readonly kind: 'list'; readonly items: readonly MapNode[] }

export const FORMATS = ['json', 'form', 'query', 'xml', 'soap', 'text'] as const
export type Format = (typeof FORMATS)[number]

const XML_NAME = /^[A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?$/
const MAX_NODES = 1_000

/** Null where there is a fault, of which the reader has heard. */
export function readMap(reader: Reader, path: string, format: Format, map: unknown): MapNode | null {
  let nodes = 0
  let sound = true
  const refuse = (here: string, message: string): MapNode => {
    sound = false
    reader.fault(here, message)
    return { kind: 'literal', value: null }
  }
  const read = (here: string, value: unknown): MapNode => {
    if (++nodes === MAX_NODES + 1) refuse(path, `has more than ${MAX_NODES} parts: no buyer reads so many.`)
    if (nodes > MAX_NODES) return { kind: 'literal', value: null }
    if (typeof value === 'string') {
      const text = readText(reader, here, value)
      if (text === null) sound = false
      return { kind: 'text', text: text ?? [] }
    }
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) return { kind: 'literal', value }
    if (Array.isArray(value)) return { kind: 'list', items: value.map((item, at) => read(`${here}[${at}]`, item)) }
    const members = spreadIn(Object.entries(value as object), reader.spread)
    const lost = lostQuotes(members)
    if (lost) return refuse(here, `lost its quotes: YAML reads {${lost}} as a group, so write "{${lost}}".`)
    return {
      kind: 'group',
      members: members.map(([name, member]) => {
        if ((format === 'xml' || format === 'soap') && !isXmlName(name, member))
          refuse(
            below(here, name),
            'is no XML name: use letters, digits, - and _; @name with a plain value is an attribute, #text the text.',
          )
        return [name, read(below(here, name), member)] as const
      }),
    }
  }
  const node = read(path, map)
  if (sound) checkForm(path, format, node, refuse)
  return sound ? node : null
}

/** Stands in a group for every field that our own shape would send, under its own name, but for those that the group names itself. */
export const SPREAD = '...'

function spreadIn(
  members: readonly (readonly [string, unknown])[],
  fields: readonly string[],
): readonly (readonly [string, unknown])[] {
  const named = new Set(members.map(([name]) => name))
  const unnamed = fields.filter((name) => !named.has(name)).map((name): [string, unknown] => [name, `{${name}}`])
  return members.flatMap((member) => (member[0] === SPREAD ? unnamed : [member]))
}

/** What `{zip}` without its quotes becomes in YAML. */
function lostQuotes(members: readonly (readonly [string, unknown])[]): string | null {
  const [only] = members
  return members.length === 1 && only![1] === null && /^[a-z]/.test(only![0]) ? only![0] : null
}

function isXmlName(name: string, value: unknown): boolean {
  const flat = typeof value !== 'object' || value === null
  if (name === '#text') return flat
  return name.startsWith('@') ? flat && XML_NAME.test(name.slice(1)) : XML_NAME.test(name)
}

const below = (path: string, name: string): string =>
  /^[\w-]+$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`

/** Each format can say only so much. */
function checkForm(
  path: string,
  format: Format,
  node: MapNode,
  refuse: (path: string, message: string) => unknown,
): void {
  const group = node.kind === 'group' ? node.members : null
  switch (format) {
    case 'json':
      if (!group && node.kind !== 'list') refuse(path, 'must be a group or a list: that is what a JSON body is.')
      return
    case 'form':
    case 'query': {
      if (!group) return void refuse(path, `must be a group of names and values: that is what a ${format} is.`)
      for (const [name, member] of group) {
        const nested = member.kind === 'list' ? member.items.some(isNested) : isNested(member)
        if (nested)
          refuse(below(path, name), `is nested, and a ${format} is flat: write the whole name, such as "lead[zip]".`)
      }
      return
    }
    case 'xml':
      if (
        group?.length !== 1 ||
        group[0]![0].startsWith('@') ||
        group[0]![0] === '#text' ||
        group[0]![1].kind === 'list'
      )
        refuse(path, 'must be a group of one element, the root, in which the others lie.')
      return
    case 'soap':
      if (!group?.length || group.some(([name]) => name.startsWith('@') || name === '#text'))
        refuse(path, 'must be a group of elements: what lies in the body of the envelope.')
      return
    case 'text':
      if (node.kind !== 'text') refuse(path, 'must be one text: the body as it is sent.')
      return
    default:
      format satisfies never
  }
}

const isNested = (node: MapNode): boolean => node.kind === 'group' || node.kind === 'list'
