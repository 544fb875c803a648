/** Operations on leads: found, explained, replayed, and a post in doubt resolved by hand. */
import Type from 'typebox'
import { validate } from 'uuid'
import { parseMoney } from '../../rules/units.ts'
import * as problem from '../problem.ts'
import { PAGE_MOST } from '../search.ts'
import { type Call, json, type Operation, type Page } from './operation.ts'
import type { AdminPort } from './port.ts'
import { given, id, moment, money, nullable, object, text, uuid, whole, words } from './shapes.ts'

const opt = Type.Optional
const value = (description: string) => Type.String({ minLength: 1, maxLength: 300, description })
const amount = (description: string) => Type.String({ description, pattern: '^\\d{1,9}(\\.\\d{1,6})?$' })

const Query = object({
  phone: opt(value('In any spelling. It is never stored or logged in the clear.')),
  email: opt(value('The same.')),
  lead_id: opt(uuid('The id of the lead.')),
  lead_ref: opt(value("The source's own id.")),
  buyer_reference: opt(value("The buyer's own id.")),
  from: opt(given('Received at or after.')),
  to: opt(given('Received before.')),
  status: opt(words('received', 'sold', 'unsold', 'duplicate', 'expired', 'pending', 'review')),
  campaign: opt(id('Its campaign.')),
  source: opt(id('Its source.')),
  buyer: opt(id('Offered to this buyer.')),
  contract: opt(id('Offered to this contract.')),
  before: opt(uuid('The last id of the page before.')),
  limit: opt(Type.Integer({ minimum: 1, maximum: PAGE_MOST })),
})
const Found = object({
  lead_id: text('Its id.'),
  status: text('received while it is under way.'),
  campaign: text('Its campaign.'),
  source: text('Its source.'),
  received_at: moment('When it came.'),
  lead_ref: nullable(text("The source's own id.")),
  test: Type.Boolean(),
  payout: money('What the source earns.'),
  currency: text('ISO 4217.'),
  buyers: Type.Array(text('Who bought a copy.')),
})
const Why = object({
  contract: text('The contract.'),
  buyer: text('Its buyer.'),
  tier: text('Its tier.'),
  outcome: words('sold', 'rejected', 'in_doubt', 'lost', 'not_asked'),
  reason: text('The reason, as listed.'),
  bid: nullable(money('What it bid in time.')),
  why: Type.String({ description: 'What happened, in words.' }),
  to_win: nullable(Type.String({ description: 'What would have won: "22.01 or more", "open at 08:00".' })),
})
const Replayed = object({
  same: Type.Boolean({ description: 'True: the machine commands the same, byte for byte.' }),
  rows: whole('Events and commands that were replayed.'),
  differs: nullable(
    object({
      at: whole('The first row that differs.'),
      stored: nullable(Type.String()),
      played: nullable(Type.String()),
    }),
  ),
})
const Verdict = object({
  contract: id('Whose post it was.'),
  verdict: words('sold', 'no_sale'),
  price: opt(amount('What the buyer pays, where it is less than its bid.')),
  buyer_reference: opt(value("The buyer's own id of the lead.")),
})
const Resolved = object({
  code: words('RESOLVED', 'SETTLED'),
  state: text('How the post stands now.'),
  status: nullable(text('How the lead stands now.')),
})

const LEAD = { lead_id: Type.String({ description: "A lead's id." }) }

export function leadOperations(data: AdminPort): readonly Operation[] {
  const shared = { tag: 'leads', params: LEAD } as const
  return [
    {
      ...{
        id: 'searchLeads',
        method: 'POST',
        path: '/admin/v1/leads:search',
        tag: 'leads',
        role: 'viewer',
        body: Query,
      },
      summary:
        'Finds leads, newest first: all that is given must hold. Without an id, a reference or a person, and without `from`, the last 24 hours are searched.',
      answers: {
        200: {
          description: 'At most `limit` leads, 20 where that is not given.',
          schema: object({ items: Type.Array(Found) }),
        },
      },
      run: async ({ body }) => json({ items: await data.search(body as object) }),
    },
    {
      ...{ ...shared, id: 'explainLead', method: 'GET', path: '/admin/v1/leads/{lead_id}/explain', role: 'viewer' },
      summary: 'Why each seat ended as it did, and what would have won.',
      answers: {
        200: { description: 'In seat order; empty while it is under way.', schema: object({ seats: Type.Array(Why) }) },
      },
      run: (call) => shown(call, (leadId) => data.explain(leadId)),
    },
    {
      ...{
        ...shared,
        id: 'replayLead',
        method: 'POST',
        path: '/admin/v1/leads/{lead_id}:replay',
        role: 'viewer',
        body: object({}),
      },
      summary: "Runs the lead's stored trace through the machine again.",
      answers: { 200: { description: 'Whether it is the same.', schema: Replayed } },
      run: (call) => shown(call, (leadId) => data.replay(leadId)),
    },
    {
      ...{
        ...shared,
        id: 'resolveDoubt',
        method: 'POST',
        path: '/admin/v1/leads/{lead_id}:resolve',
        role: 'operator',
        body: Verdict,
      },
      summary:
        'Settles a post in doubt by hand. The first verdict stands; a later one that contradicts it is kept as a dispute.',
      answers: { 200: { description: 'How it stands now.', schema: Resolved } },
      run: (call) => resolve(data, call),
    },
  ]
}

async function shown({ params }: Call, look: (leadId: string) => Promise<object | null>): Promise<Page> {
  const leadId = params['lead_id']!
  const found = validate(leadId) ? await look(leadId) : null
  return found === null ? problem.noSuchLead() : json(found)
}

async function resolve(data: AdminPort, { params, body, actor }: Call): Promise<Page> {
  const leadId = params['lead_id']!
  const { contract, verdict, price, buyer_reference } = body as Record<string, string | undefined>
  const said =
    verdict === 'sold'
      ? ({
          kind: 'sold',
          price: price === undefined ? null : parseMoney(price),
          buyerReference: buyer_reference ?? null,
          redirectUrl: null,
        } as const)
      : ({ kind: 'no_sale', reason: 'rejected:by_hand' } as const)
  const answer = validate(leadId)
    ? await data.resolve(leadId, { contract: contract! }, said, `operator ${actor.label}`)
    : null
  if (answer === null || answer.code === 'UNKNOWN') return problem.noSuchLead()
  if (answer.code === 'OPEN') return problem.conflict('Its post is still under way: ask again when it has ended.')
  return json(answer)
}
