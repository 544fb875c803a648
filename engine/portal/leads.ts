/** The operation by which a source reads what became of its leads. */
import { sql } from 'kysely'
import Type from 'typebox'
import { DISPOSITIONS } from '../../rules/dispositions.ts'
import { formatMoney, micros } from '../../rules/units.ts'
import type { Call, Operation, Page } from '../admin/operation.ts'
import { id, moment, money, nullable, object, text, uuid, whole, words } from '../admin/shapes.ts'
import type { PortalParts } from './operations.ts'
import { limitOf, listed, noSuchTime, Pages, pageOf, spanOf } from './pages.ts'

const PATH = '/v1/source/leads'

const Lead = object({
  lead_id: text('Its id.'),
  lead_ref: nullable(text('Your own id of it.')),
  campaign: text('To which campaign you sent it.'),
  status: text('sold, unsold, duplicate, expired, pending, review.'),
  reasons: Type.Array(text('Why it was not sold.')),
  copies: whole('How often it was sold.'),
  payout: money('What it earned when it was decided.'),
  earned: money('What it comes to now: returns are taken off.'),
  currency: text('USD'),
  returned: Type.Boolean({ description: 'Whether a copy of it was given back.' }),
  dispositions: Type.Array(words(...DISPOSITIONS), { description: 'What was said to have become of it.' }),
  received_at: moment('When it came.'),
  decided_at: nullable(moment('When it was decided.')),
})
const COLUMNS = Object.keys((Lead as unknown as { properties: object }).properties)

interface Row {
  readonly lead_id: string
  readonly lead_ref: string | null
  readonly campaign: string
  readonly status: string
  readonly reasons: readonly string[]
  readonly copies: number
  readonly payout: number
  readonly earned: number
  readonly currency: string
  readonly returned: boolean
  readonly dispositions: readonly string[]
  readonly received_at: Date
  readonly decided_at: Date | null
}

export function leadOperations(parts: PortalParts): readonly Operation[] {
  const query = Type.Object({
    ...Pages,
    campaign: Type.Optional(id('Of this campaign only.')),
    status: Type.Optional(words('sold', 'unsold', 'duplicate', 'expired', 'pending', 'review')),
    lead_ref: Type.Optional(Type.String({ minLength: 1, maxLength: 255, description: 'With this id of yours only.' })),
    after: Type.Optional(uuid('The "next" of the page before.')),
  })
  return [
    {
      ...{ id: 'listLeads', method: 'GET', path: PATH, tag: 'sources', role: 'source', query, heavy: true },
      summary: 'Your leads and what became of them, in the order in which they came. A test key reads test leads.',
      answers: listed(Lead, 'A page.'),
      run: (call) => leads(parts, call),
    },
  ]
}

async function leads({ db, clock }: PortalParts, call: Call): Promise<Page> {
  const span = spanOf(call, clock.wall())
  if ('faults' in span) return noSuchTime(span.faults)
  const { label, test = false } = call.actor
  const { campaign = null, status = null, lead_ref: ref = null, after = null } = call.query
  const { rows } = await sql<Row>`
    select l.id as lead_id, l.lead_ref, l.campaign, coalesce(l.status, 'pending') as status, l.reasons, l.copies,
      l.payout + l.clawed_back as payout, l.currency, l.received_at, l.decided_at,
      coalesce((select sum(e.amount) from entries e where e.lead_id = l.id and e.account = ${`source:${label}`}), 0)
        as earned,
      exists (select 1 from entries r where r.lead_id = l.id and r.cause = 'return') as returned,
      array(select d.status from dispositions d where d.lead_id = l.id group by 1 order by min(d.at), 1) as dispositions
    from leads l
    where l.source = ${label} and l.test = ${test} and l.id >= uuid_at(${span.from}) and l.id < uuid_at(${span.to})
      and (${after}::uuid is null or l.id > ${after}::uuid)
      and (${campaign}::text is null or l.campaign = ${campaign}) and (${ref}::text is null or l.lead_ref = ${ref})
      and (${status}::text is null or coalesce(l.status, 'pending') = ${status})
    order by l.source, l.id limit ${limitOf(call) + 1}`.execute(db)
  return pageOf(
    call,
    PATH,
    rows,
    COLUMNS,
    ({ payout, earned, received_at, decided_at, ...row }) => ({
      ...row,
      payout: formatMoney(micros(payout)),
      earned: formatMoney(micros(earned)),
      received_at: received_at.toISOString(),
      decided_at: decided_at?.toISOString() ?? null,
    }),
    (row) => row.lead_id,
  )
}
