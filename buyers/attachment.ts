/** The file beside a letter: one lead as a table with a head, or as JSON. */
import { writeCsv } from '../rules/csv.ts'
import type { MapNode } from '../rules/delivery/map.ts'
import { type MailTable, PLAIN } from '../rules/delivery.ts'
import type { WireLead } from './adapter.ts'
import { compileBody } from './body.ts'
import { AS_TEXT, compileText, type Rendered, type Said } from './slot.ts'

export interface Attachment {
  readonly name: string
  readonly type: string
  readonly content: string
}

const MAX_NAME = 100
const UNFIT = /[^\w.() -]+/g

export function compileAttachment(table: MailTable, contract: string): (wire: WireLead, said: Said) => Attachment {
  const { format, body } = table
  const name = compileText(table.name, contract, AS_TEXT)
  const nameOf = (wire: WireLead, said: Said) =>
    (name(wire, said) ?? `lead.${format}`).replace(UNFIT, '_').slice(-MAX_NAME)
  if (format === 'json') {
    const render = compileBody(PLAIN, body, contract)
    return (wire, said) => ({ name: nameOf(wire, said), type: 'application/json', content: render(wire, said) ?? '' })
  }
  const cells =
    body.kind === 'group' ? body.members.map(([head, node]) => ({ head, cell: cellOf(node, contract) })) : []
  const heads = cells.map(({ head }) => head)
  return (wire, said) => ({
    name: nameOf(wire, said),
    type: 'text/csv; charset=utf-8; header=present',
    content: writeCsv([heads, cells.map(({ cell }) => cell(wire, said) ?? '')]),
  })
}

/** What a lead does not have leaves its cell empty: columns stay in their places. */
function cellOf(node: MapNode, contract: string): Rendered {
  if (node.kind === 'text') return compileText(node.text, contract, AS_TEXT)
  const constant = node.kind === 'literal' && node.value !== null ? String(node.value) : ''
  return () => constant
}
