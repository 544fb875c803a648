/** The operations by which a buyer gives leads back, and reads what became of that. */
import Type from 'typebox'
import { formatMoney, micros } from '../../rules/units.ts'
import { type Call, json, type Operation, type Page } from '../admin/operation.ts'
import { id, moment, money, nullable, numeral, object, text, uuid, words } from '../admin/shapes.ts'
import * as problem from '../problem.ts'
import { MOST_NOTE, MOST_RETURNS_PAGE, type ReturnEntry, type Returns } from '../returns/returns.ts'
import type { ReturnState } from '../store/tables.ts'

const opt = Type.Optional
const STATES = ['asked', 'approved', 'refused'] as const
const PAGE = 50

const Ask = object({
  lead_id: uuid('A lead that you bought.'),
  contract: opt(id('By which contract; needed where it is not clear.')),
  reason_code: id('One of the reasons that your contract agreed on.'),
  note: opt(
    Type.String({
      minLength: 1,
      maxLength: MOST_NOTE,
      pattern: '^[^\\u0000]*$',
      description: 'More about it. Sealed.',
    }),
  ),
})
const Stands = object({
  id: text('Its id.'),
  state: words(...STATES),
  why: nullable(Type.String({ description: 'What whoever decided wrote.' })),
})
const ENTRY = {
  id: text('Its id.'),
  lead_id: text('The lead.'),
  contract: text('By which contract it was bought.'),
  campaign: text('Of which campaign.'),
  reason_code: text('Why it is given back.'),
  state: words(...STATES),
  price: money('What you paid, and get back where it is approved.'),
  currency: text('USD'),
  sold_at: moment('When it was sold.'),
  asked_at: moment('When it was given back.'),
  decided_at: nullable(moment('When it was decided.')),
}

export function returnOperations(returns: Returns): readonly Operation[] {
  const shared = { path: '/v1/buyer/returns', tag: 'buyers', role: 'buyer' } as const
  const after = opt(uuid('The "next" of the page before.'))
  const limit = opt(numeral(`At most so many, up to ${MOST_RETURNS_PAGE}; ${PAGE} where it is not given.`))
  return [
    {
      ...{ ...shared, id: 'askReturn', method: 'POST', body: Ask, heavy: true },
      summary: 'Gives a lead back by the terms under which you bought it. Asked for twice, it is one return.',
      answers: {
        200: { description: 'How it stands.', schema: Stands },
        404: { description: 'You bought no such lead.' },
        409: { description: 'The terms do not allow it: the answer says why.' },
      },
      run: (call) => ask(returns, call),
    },
    {
      ...{ ...shared, id: 'listReturns', method: 'GET' },
      query: Type.Object({ state: opt(words(...STATES)), after, limit }),
      summary: 'What you gave back, the latest first.',
      answers: {
        200: {
          description: 'A page.',
          schema: object({ items: Type.Array(object(ENTRY)), next: nullable(text('What "after" takes to go on.')) }),
        },
      },
      run: (call) => list(returns, call),
    },
    {
      ...{ ...shared, id: 'readReturn', method: 'GET', path: `${shared.path}/{return}` },
      ...{ params: { return: uuid('Its id.') }, summary: 'One of your returns, with what was written beside it.' },
      answers: {
        200: {
          description: 'The return.',
          schema: object({
            ...ENTRY,
            note: nullable(Type.String({ description: 'What you wrote.' })),
            why: nullable(Type.String({ description: 'What whoever decided wrote.' })),
          }),
        },
      },
      run: (call) => read(returns, call),
    },
  ]
}

async function ask(returns: Returns, { body, actor }: Call): Promise<Page> {
  const given = body as { lead_id: string; contract?: string; reason_code: string; note?: string }
  const { lead_id: leadId, contract, reason_code: reasonCode, note = null } = given
  const of = contract === undefined ? {} : { contract }
  const answer = await returns.ask({ leadId, buyer: actor.label, ...of, reasonCode, note, by: actor })
  if (answer.ok) return json({ id: answer.id, state: answer.state, why: answer.why })
  return answer.code === 'not_found' ? problem.noSuchLead() : problem.conflict(answer.detail)
}

async function list(returns: Returns, { query, actor }: Call): Promise<Page> {
  const { state, after, limit = PAGE } = query
  const most = Math.min(Math.max(Number(limit), 1), MOST_RETURNS_PAGE)
  const items = await returns.list({
    ...{ buyer: actor.label, limit: most },
    ...(state === undefined ? {} : { state: state as ReturnState }),
    ...(after === undefined ? {} : { after }),
  })
  return json({ items: items.map(shown), next: items.length < most ? null : items.at(-1)!.id })
}

async function read(returns: Returns, { params, actor }: Call): Promise<Page> {
  const found = await returns.read(params['return']!)
  if (found?.buyer !== actor.label) return problem.nothingHere()
  return json({ ...shown(found), note: found.note, why: found.verdictNote })
}

/** Without who decided, the source, and what it gives back. */
const shown = ({
  id: one,
  lead_id,
  contract,
  campaign,
  reason_code,
  state,
  currency,
  ...entry
}: ReturnEntry): object => ({
  ...{ id: one, lead_id, contract, campaign, reason_code, state, currency },
  price: formatMoney(micros(entry.price)),
  sold_at: entry.sold_at.toISOString(),
  asked_at: entry.asked_at.toISOString(),
  decided_at: entry.decided_at?.toISOString() ?? null,
})
