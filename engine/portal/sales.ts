/** The operation by which a buyer reads what it bought. */
import { sql } from 'kysely'
import Type from 'typebox'
import { formatMoney, micros } from '../../rules/units.ts'
import type { Call, Operation, Page } from '../admin/operation.ts'
import { id, moment, money, nullable, object, text } from '../admin/shapes.ts'
import type { PortalParts } from './operations.ts'
import { limitOf, listed, noSuchTime, Pages, pageOf, spanOf } from './pages.ts'

const PATH = '/v1/buyer/sales'
/** The moment in micros, the lead, its copy. */
const CURSOR = '^\\d{10,17}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_\\d{1,4}$'

const Sale = object({
  lead_id: text('Its id, as the post had it.'),
  contract: text('By which contract.'),
  campaign: text('Of which campaign.'),
  source: nullable(text('The stable name under which you know the source.')),
  price: money('What you pay.'),
  currency: text('USD'),
  sold_at: moment('When it was sold.'),
  buyer_reference: nullable(text('Your own id of it, from your reply.')),
  returned: Type.Boolean({ description: 'Whether you have your money back.' }),
  disposition: nullable(text('The latest that you said became of it.')),
})
const COLUMNS = Object.keys((Sale as unknown as { properties: object }).properties)

interface Row {
  readonly lead_id: string
  readonly copy: number
  readonly at: number
  readonly contract: string
  readonly campaign: string
  readonly source: string
  readonly price: number
  readonly currency: string
  readonly sold_at: Date
  readonly buyer_reference: string | null
  readonly returned: boolean
  readonly disposition: string | null
}

export function saleOperations(parts: PortalParts): readonly Operation[] {
  const after = Type.Optional(Type.String({ pattern: CURSOR, description: 'The "next" of the page before.' }))
  const contract = Type.Optional(id('Of this contract only.'))
  return [
    {
      ...{ id: 'listSales', method: 'GET', path: PATH, tag: 'buyers', role: 'buyer' },
      summary:
        'What you bought, in the order in which it was sold. Sales of the last seconds may still come in before.',
      query: Type.Object({ ...Pages, contract, after }),
      answers: listed(Sale, 'A page.'),
      run: (call) => sales(parts, call),
    },
  ]
}

async function sales({ db, clock, snapshot }: PortalParts, call: Call): Promise<Page> {
  const span = spanOf(call, clock.wall())
  if ('faults' in span) return noSuchTime(span.faults)
  const { contract, after } = call.query
  const [at, lead, copy] = (after ?? '0_00000000-0000-0000-0000-000000000000_0').split('_') as [string, string, string]
  // What is asked for is found by the account, the sale beside it by its lead. Clocks differ: a day more of leads is looked at.
  const { rows } = await sql<Row>`
    select e.lead_id, e.copy, (extract(epoch from e.entered_at) * 1000000)::bigint as at, s.contract, s.campaign,
      s.source, s.price, s.currency, s.sold_at, s.buyer_reference,
      exists (select 1 from entries r where r.lead_id = e.lead_id and r.copy = e.copy and r.cause = 'return') as returned,
      (select d.status from dispositions d where d.lead_id = e.lead_id and d.copy = e.copy
        order by d.at desc, d.heard_at desc limit 1) as disposition
    from entries e join sales s on s.lead_id = e.lead_id and s.copy = e.copy
    where e.account = ${`buyer:${call.actor.label}`} and e.account <> 'margin' and e.cause = 'sale'
      and e.entered_at >= ${span.from} and e.entered_at < ${span.to} and e.lead_id < uuid_at(${span.to}::timestamptz + interval '1 day')
      and (e.entered_at, e.lead_id, e.copy)
        > ('epoch'::timestamptz + ${at}::bigint * interval '1 microsecond', ${lead}::uuid, ${Number(copy)}::integer)
      and (${contract ?? null}::text is null or s.contract = ${contract ?? null})
    order by e.account, e.entered_at, e.lead_id, e.copy limit ${limitOf(call) + 1}`.execute(db)
  const { sources } = snapshot()
  return pageOf(
    call,
    PATH,
    rows,
    COLUMNS,
    ({ copy: _copy, at: _at, price, sold_at, source, ...row }) => ({
      ...row,
      source: sources.get(source)?.pseudonym ?? null,
      price: formatMoney(micros(price)),
      sold_at: sold_at.toISOString(),
    }),
    (row) => `${row.at}_${row.lead_id}_${row.copy}`,
  )
}
