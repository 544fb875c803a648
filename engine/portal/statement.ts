/** The operations by which buyers and sources read their accounts, as the ledger has them. */
import { sql } from 'kysely'
import Type from 'typebox'
import { writeCsv } from '../../rules/csv.ts'
import { formatMoney, micros } from '../../rules/units.ts'
import { type Call, json, type Operation, type Page, page } from '../admin/operation.ts'
import { given, money, object, text, whole, words } from '../admin/shapes.ts'
import * as problem from '../problem.ts'
import type { PortalParts } from './operations.ts'
import { noSuchTime, type Span, spanOf } from './pages.ts'

/** What each cause is called on a statement; any other is an adjustment. */
const LINES = {
  buyer: { sale: 'sales', return: 'returns', deposit: 'deposits', withdrawal: 'withdrawals' },
  source: { sale: 'sales', accepted: 'accepted', return: 'returns' },
} as const satisfies Readonly<Record<string, Readonly<Record<string, string>>>>
type Side = keyof typeof LINES

const linesOf = (side: Side): readonly string[] => [...Object.values(LINES[side]), 'adjustments']

const Line = object({ count: whole('How many entries.'), amount: money('What they come to.') })
const accountOf = (side: Side) =>
  object({
    currency: text('USD'),
    opening: money('The balance at the beginning.'),
    ...Object.fromEntries(linesOf(side).map((name) => [name, Line])),
    closing: money('The balance at the end: the opening and all of these.'),
  })

interface Sum {
  readonly currency: string
  readonly cause: string
  /** Entered before the time that is asked for. */
  readonly before: boolean
  readonly n: number
  readonly amount: number
}

export function statementOperations(parts: PortalParts): readonly Operation[] {
  const shared = { method: 'GET', heavy: true, query: statementQuery() } as const
  return [
    {
      ...{ ...shared, id: 'buyerStatement', path: '/v1/buyer/statement', tag: 'buyers', role: 'buyer' },
      summary: 'Your account: what you bought is taken off, what you paid in and had back is added.',
      answers: answersOf('buyer'),
      run: (call) => statement(parts, call, 'buyer'),
    },
    {
      ...{ ...shared, id: 'sourceStatement', path: '/v1/source/statement', tag: 'sources', role: 'source' },
      summary: 'Your account: what your leads have earned, less what was taken back.',
      answers: answersOf('source'),
      run: async (call) => (call.actor.test ? problem.liveKeyNeeded() : statement(parts, call, 'source')),
    },
  ]
}

const statementQuery = () =>
  Type.Object({
    from: given('The first moment of the period: 2026-03-01T00:00:00Z.'),
    to: given('The moment after its last.'),
    format: Type.Optional(words('json', 'csv')),
  })

const answersOf = (side: Side) => ({
  200: {
    description: 'One account for each currency.',
    schema: object({ accounts: Type.Array(accountOf(side)) }),
    orText: 'text/csv',
  },
})

async function statement({ db, clock }: PortalParts, call: Call, side: Side): Promise<Page> {
  const span = spanOf(call, clock.wall())
  if ('faults' in span) return noSuchTime(span.faults)
  const kept = await db.selectFrom('retention').select('kept_from').executeTakeFirst()
  if (kept?.kept_from && span.from < new Date(kept.kept_from))
    return noSuchTime([{ path: 'query.from', message: 'lies before the oldest day that is kept.' }])
  const sums = await sumsOf(db, side, call.actor.label, span)
  const accounts = [...Map.groupBy(sums, ({ currency }) => currency)].map(([currency, its]) =>
    accountWith(side, currency, its),
  )
  return call.query['format'] === 'csv'
    ? page(csvOf(side, accounts), 'text/csv; charset=utf-8')
    : json({ accounts: accounts.map(accountPage) })
}

/**
 * All in one statement, so that it is of one moment. What is entered for a lead stands in `entries`; in a prepaid balance
 * it is told a second time, which is left out here.
 */
async function sumsOf(db: PortalParts['db'], side: Side, id: string, { from, to }: Span): Promise<readonly Sum[]> {
  const account = `${side}:${id}`
  const paidIn = sql`
    union all
    select currency, cause, at < ${from}, count(*), sum(amount) from balance_entries
    where buyer = ${id} and at < ${to} and lead_id is null and cause <> 'price_cut' group by 1, 2, 3`
  const { rows } = await sql<Sum>`
    select currency, cause, entered_at < ${from} as before, count(*) as n, sum(amount) as amount from entries
    where account = ${account} and account <> 'margin' and entered_at < ${to} group by 1, 2, 3
    union all
    select currency, 'carried', true, 0, amount from carried where account = ${account}
    ${side === 'buyer' ? paidIn : sql``}
    order by 1`.execute(db)
  return rows
}

type Account = ReturnType<typeof accountWith>

function accountWith(side: Side, currency: string, sums: readonly Sum[]) {
  const names: Readonly<Record<string, string>> = LINES[side]
  const within = sums.filter(({ before }) => !before)
  const lines = linesOf(side).map((name) => {
    const its = within.filter(({ cause }) => (names[cause] ?? 'adjustments') === name)
    return [name, { count: its.reduce((n, one) => n + one.n, 0), amount: total(its) }] as const
  })
  const opening = total(sums.filter(({ before }) => before))
  return { currency, opening, lines: new Map(lines), closing: total(sums) }
}

const total = (sums: readonly Sum[]): number => sums.reduce((all, { amount }) => all + amount, 0)
const shown = (amount: number): string => formatMoney(micros(amount))

function accountPage({ currency, opening, lines, closing }: Account): object {
  const told = [...lines].map(([name, { count, amount }]) => [name, { count, amount: shown(amount) }])
  return { currency, opening: shown(opening), ...Object.fromEntries(told), closing: shown(closing) }
}

function csvOf(side: Side, accounts: readonly Account[]): string {
  const rows = accounts.flatMap(({ currency, opening, lines, closing }) => [
    [currency, 'opening', '', shown(opening)],
    ...linesOf(side).map((name) => [currency, name, lines.get(name)!.count, shown(lines.get(name)!.amount)]),
    [currency, 'closing', '', shown(closing)],
  ])
  return writeCsv([['currency', 'line', 'count', 'amount'], ...rows])
}
