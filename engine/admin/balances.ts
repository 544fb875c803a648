/** The operation that enters money into a buyer's prepaid balance. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { formatMoney, type Micros, micros, parseMoney } from '../../rules/units.ts'
import { enterBalance } from '../balances.ts'
import * as problem from '../problem.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, type Operation, type Page } from './operation.ts'
import { id, money, object, words } from './shapes.ts'
import { isThere } from './switches.ts'

const Entry = object({
  cause: words('deposit', 'withdrawal', 'return'),
  amount: Type.String({ pattern: '^\\d{1,9}(\\.\\d{1,6})?$', description: 'How much, without a sign: "500.00".' }),
  currency: Type.String({ pattern: '^[A-Z]{3}$', description: 'Of the campaigns that it pays for, such as USD.' }),
  reference: Type.String({
    minLength: 1,
    maxLength: 200,
    pattern: '^[\\x21-\\x7e]+$',
    description: 'Of the payment: the same one is entered once, however often it is sent.',
  }),
  note: Type.Optional(Type.String({ maxLength: 500, pattern: '^[^\\u0000]*$', description: 'For people.' })),
})
const Entered = object({
  paid_in: money('What was paid in by all entries up to now, withdrawals taken off.'),
  entered: Type.Boolean({ description: 'False where this reference was entered before: nothing changed.' }),
})

interface Given {
  readonly cause: 'deposit' | 'withdrawal' | 'return'
  readonly amount: string
  readonly currency: string
  readonly reference: string
  readonly note?: string
}

export function balanceOperations(db: Kysely<LedgerTables>): readonly Operation[] {
  return [
    {
      ...{ id: 'enterBalance', method: 'POST', path: '/admin/v1/buyers/{id}:enter', tag: 'buyers' },
      ...{ role: 'operator', params: { id: id('Whose balance it is.') }, body: Entry },
      summary: "Enters money into a buyer's prepaid balance; every engine counts with it within some seconds.",
      answers: { 200: { description: 'What it comes to.', schema: Entered } },
      run: (call) => enter(db, call),
    },
  ]
}

async function enter(db: Kysely<LedgerTables>, { params, body, actor }: Call): Promise<Page> {
  const { cause, amount, currency, reference, note = null } = body as Given
  if (!(await isThere(db, 'buyers', params['id']!))) return problem.nothingHere()
  const { total, entered } = await enterBalance(db, {
    ...{ buyer: params['id']!, currency, cause, reference, note, by: `operator ${actor.label}` },
    amount: signed(cause, parseMoney(amount)!),
  })
  return json({ paid_in: formatMoney(total), entered })
}

const signed = (cause: Given['cause'], amount: Micros): Micros => micros(cause === 'withdrawal' ? -amount : amount)
