/** Operations on returns: seen, asked for on behalf of a buyer, approved or refused. */
import Type from 'typebox'
import { validate } from 'uuid'
import { formatMoney, micros } from '../../rules/units.ts'
import * as problem from '../problem.ts'
import { MOST_NOTE, MOST_RETURNS_PAGE, type ReturnEntry, type Returns } from '../returns/returns.ts'
import type { ReturnState } from '../store/tables.ts'
import { type Call, json, type Operation, type Page } from './operation.ts'
import { id, moment, money, nullable, numeral, object, text, uuid, words } from './shapes.ts'

const opt = Type.Optional
const STATES = ['asked', 'approved', 'refused'] as const
const note = (description: string) =>
  opt(Type.String({ minLength: 1, maxLength: MOST_NOTE, pattern: '^[^\\u0000]*$', description }))
const ENTRY = {
  id: text('Its id.'),
  lead_id: text('The lead, which stays sold.'),
  contract: text('Under which contract the copy was sold.'),
  buyer: text('To whom.'),
  campaign: text('The campaign of the lead.'),
  source: text('Its source.'),
  reason_code: text('Why it is returned.'),
  state: words(...STATES),
  price: money('What the buyer paid, and gets back where it is approved.'),
  clawback: money('What was taken back from the source.'),
  currency: text('ISO 4217.'),
  clawback_from: words('source', 'us'),
  beyond_terms: Type.Boolean({ description: 'An operator asked for it although the terms do not allow it.' }),
  sold_at: moment('When the copy was sold.'),
  asked_by: text('Who asked.'),
  asked_at: moment('When.'),
  decided_by: nullable(text('Who decided.')),
  decided_at: nullable(moment('When.')),
}
const Entry = object(ENTRY)
const WithNotes = object({
  ...ENTRY,
  note: nullable(Type.String({ description: 'What whoever asked wrote.' })),
  verdict_note: nullable(Type.String({ description: 'What whoever decided wrote.' })),
})
const Query = Type.Object({
  state: opt(words(...STATES)),
  buyer: opt(id('Returns of this buyer.')),
  after: opt(uuid('The last id of the page before.')),
  limit: opt(numeral(`At most ${MOST_RETURNS_PAGE}; default 50.`)),
})
const Ask = object({
  contract: id('Under which contract the copy was sold.'),
  reason_code: id('One of the reason codes that the contract agreed on.'),
  note: note('What the buyer says. It is sealed.'),
  beyond_terms: opt(
    Type.Boolean({ description: "True: goodwill. Age, share and reasons of the contract's terms do not count." }),
  ),
})
const Verdict = object({ approve: Type.Boolean(), note: note('Why, for the buyer. It is sealed.') })
const Stands = object({
  id: text('Its id.'),
  state: words(...STATES),
  why: nullable(Type.String({ description: 'What whoever decided wrote.' })),
})

const ONE = { return: uuid('The id of the return.') }
const PAGE = 50

export function returnOperations(returns: Returns): readonly Operation[] {
  const shared = { tag: 'returns' } as const
  return [
    {
      ...{ ...shared, id: 'listReturns', method: 'GET', path: '/admin/v1/returns', role: 'viewer', query: Query },
      summary: 'Returns, the latest first. Notes are read one by one.',
      answers: { 200: { description: 'At most `limit`.', schema: object({ items: Type.Array(Entry) }) } },
      run: (call) => list(returns, call),
    },
    {
      ...{ ...shared, id: 'readReturn', method: 'GET', path: '/admin/v1/returns/{return}', role: 'operator' },
      ...{ params: ONE, summary: 'One return, with what was written beside it.' },
      answers: { 200: { description: 'The return.', schema: WithNotes } },
      run: (call) => read(returns, call),
    },
    {
      ...{ ...shared, id: 'askReturn', method: 'POST', path: '/admin/v1/leads/{lead_id}:return', role: 'operator' },
      ...{ params: { lead_id: Type.String({ description: "A lead's id." }) }, body: Ask },
      summary:
        'Asks for the return of a copy on behalf of its buyer, by the terms under which it was sold. The lead stays sold.',
      answers: { 200: { description: 'How it stands; asked for twice, it is one return.', schema: Stands } },
      run: (call) => ask(returns, call),
    },
    {
      ...{ ...shared, id: 'decideReturn', method: 'POST', path: '/admin/v1/returns/{return}:decide', role: 'operator' },
      ...{ params: ONE, body: Verdict },
      summary: 'Approves a return, which gives the money back, or refuses it. The first decision stands.',
      answers: { 200: { description: 'How it stands.', schema: Stands } },
      run: (call) => decide(returns, call),
    },
  ]
}

async function list(returns: Returns, { query }: Call): Promise<Page> {
  const { state, limit, ...of } = query as { state?: ReturnState; buyer?: string; after?: string; limit?: string }
  const rows = await returns.list({ ...of, ...(state ? { state } : {}), limit: Number(limit ?? PAGE) })
  return json({ items: rows.map(shown) })
}

async function read(returns: Returns, { params }: Call): Promise<Page> {
  const found = await returns.read(params['return']!)
  if (found === null) return problem.nothingHere()
  const { note, verdictNote, ...entry } = found
  return json({ ...shown(entry), note, verdict_note: verdictNote })
}

async function ask(returns: Returns, { params, body, actor }: Call): Promise<Page> {
  const leadId = params['lead_id']!
  const given = body as { contract: string; reason_code: string; note?: string; beyond_terms?: boolean }
  if (!validate(leadId)) return problem.noSuchLead()
  const { contract, reason_code: reasonCode, note = null, beyond_terms: beyondTerms = false } = given
  const answer = await returns.ask({ leadId, contract, reasonCode, note, beyondTerms, by: actor })
  if (answer.ok) return json({ id: answer.id, state: answer.state, why: answer.why })
  return answer.code === 'not_found' ? problem.noSuchLead() : problem.conflict(answer.detail)
}

async function decide(returns: Returns, { params, body, actor }: Call): Promise<Page> {
  const { approve, note = null } = body as { approve: boolean; note?: string }
  const answer = await returns.decide({ id: params['return']!, approve, note, by: actor })
  if (answer.ok) return json({ id: answer.id, state: answer.state, why: answer.why })
  if (answer.code === 'not_found') return problem.nothingHere()
  return problem.conflict(`It was ${answer.state} before, and the first decision stands.`)
}

const shown = (entry: ReturnEntry): object => ({
  ...entry,
  price: formatMoney(micros(entry.price)),
  clawback: formatMoney(micros(entry.clawback)),
  sold_at: entry.sold_at.toISOString(),
  asked_at: entry.asked_at.toISOString(),
  decided_at: entry.decided_at?.toISOString() ?? null,
})
