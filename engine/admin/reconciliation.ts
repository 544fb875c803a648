/** The operation that compares a buyer's own list of what it bought with the ledger, and settles doubts by it. */
import Type from 'typebox'
import { formatMoney, parseMoney } from '../../rules/units.ts'
import { type FileReport, MOST_FILE_ROWS } from '../doubts/buyer-file.ts'
import * as problem from '../problem.ts'
import { type Call, json, type Operation, type Page } from './operation.ts'
import type { AdminPort } from './port.ts'
import { given, id, money, nullable, object, text, whole } from './shapes.ts'

const opt = Type.Optional
/** Lines of one call; a longer list is sent in parts of the time. */
const MOST_LINES = 5_000
const Line = object({
  lead_id: opt(Type.String({ maxLength: 36, description: 'Our id of the lead.' })),
  buyer_reference: opt(Type.String({ maxLength: 512, description: "Or the buyer's own id of it." })),
  price: opt(Type.String({ pattern: '^\\d{1,9}(\\.\\d{1,6})?$', description: 'What the buyer means to pay.' })),
})
const File = object({
  from: given('Posts from this moment on are what the list speaks of.'),
  to: given('And before this one.'),
  complete: opt(Type.Boolean({ description: 'True: what is missing in the list was not bought. Default false.' })),
  rows: Type.Array(Line, { maxItems: MOST_LINES, description: 'What the buyer says that it bought.' }),
})
const Ours = {
  lead_id: text('The lead.'),
  contract: text('The contract.'),
  state: text('accepted, in_doubt, rejected or not_sent, as it stood before.'),
  price: money('What the ledger has.'),
}
const Theirs = object({
  lead_id: nullable(text('As the list has it.')),
  buyer_reference: nullable(text('As the list has it.')),
  price: nullable(money('As the list has it.')),
})
const Report = object({
  matched: whole('Sold, and in the list for the same price or for none.'),
  price_differs: Type.Array(object({ ...Ours, their_price: money('What the list has.') })),
  settled: Type.Array(object(Ours), { description: 'In doubt, and in the list: sold by this call.' }),
  denied: Type.Array(object(Ours), { description: 'In the list, and not sold by us: kept as disputes.' }),
  ours_only: Type.Array(object(Ours), { description: 'Sold or in doubt, and not in the list.' }),
  theirs_only: Type.Array(Theirs),
  resolved: whole('Doubts that this call settled.'),
  disputed: whole('Posts that the list contradicts.'),
})

export function reconciliationOperations(data: AdminPort): readonly Operation[] {
  return [
    {
      ...{ id: 'reconcileBuyer', method: 'POST', path: '/admin/v1/buyers/{id}:reconcile', tag: 'buyers' },
      ...{ role: 'operator', params: { id: id('Whose list it is.') }, body: File },
      summary:
        "Compares a buyer's own list of what it bought with the ledger; settles its doubts, keeps contradictions.",
      answers: { 200: { description: 'What matches, and what only one side has.', schema: Report } },
      run: (call) => reconcile(data, call),
    },
  ]
}

interface Given {
  readonly from: string
  readonly to: string
  readonly complete?: boolean
  readonly rows: readonly { readonly lead_id?: string; readonly buyer_reference?: string; readonly price?: string }[]
}

async function reconcile(data: AdminPort, { params, body, actor }: Call): Promise<Page> {
  const { from, to, complete = false, rows } = body as Given
  const read = rows.map((row) => ({
    leadId: row.lead_id?.toLowerCase() ?? null,
    buyerReference: row.buyer_reference ?? null,
    price: row.price === undefined ? null : parseMoney(row.price),
  }))
  const file = { buyer: params['id']!, from: new Date(from), to: new Date(to), complete, rows: read }
  const report = await data.reconcileBuyer(file, `operator ${actor.label}`)
  if (report !== null) return json(page(report))
  return problem.conflict(`That time has more than ${MOST_FILE_ROWS} posts: compare a shorter one at once.`)
}

function page(report: FileReport): object {
  const ours = ({ leadId, contract, state, price }: FileReport['oursOnly'][number]) => ({
    ...{ lead_id: leadId, contract, state, price: formatMoney(price) },
  })
  return {
    matched: report.matched.length,
    price_differs: report.priceDiffers.map((pair) => ({
      ...ours(pair.ours),
      their_price: formatMoney(pair.theirs.price ?? pair.ours.price),
    })),
    settled: report.settled.map((pair) => ours(pair.ours)),
    denied: report.denied.map((pair) => ours(pair.ours)),
    ours_only: report.oursOnly.map(ours),
    theirs_only: report.theirsOnly.map(({ leadId, buyerReference, price }) => ({
      lead_id: leadId,
      buyer_reference: buyerReference,
      price: price === null ? null : formatMoney(price),
    })),
    resolved: report.resolved,
    disputed: report.disputed,
  }
}
