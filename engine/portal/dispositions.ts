/** The operations by which a buyer says what became of leads that it bought. */
import { sql } from 'kysely'
import Type from 'typebox'
import { DISPOSITIONS } from '../../rules/dispositions.ts'
import { parseMoney } from '../../rules/units.ts'
import type { Fault } from '../../rules/version.ts'
import { type Call, json, type Operation, type Page } from '../admin/operation.ts'
import { given, object, text, uuid, words } from '../admin/shapes.ts'
import * as problem from '../problem.ts'
import type { PortalParts } from './operations.ts'
import { momentOf, NO_DAY } from './pages.ts'

/** A batch fits into a body of the data port. */
const MOST = 250
/** Clocks differ: so far ahead a moment is still taken. */
const AHEAD_MS = 300_000

const One = object({
  lead_id: uuid('A lead that you bought.'),
  status: words(...DISPOSITIONS),
  at: Type.Optional(given('When it happened. Now where it is not given, or when you said it first.')),
  value: Type.Optional(
    Type.String({
      pattern: '^\\d{1,9}(\\.\\d{1,6})?$',
      description: 'What it was worth to you, in the lead\'s currency: "1200.00".',
    }),
  ),
})
const Said = object({
  lead_id: text('The lead.'),
  status: words(...DISPOSITIONS),
  result: words('recorded', 'corrected', 'same', 'older', 'not_found'),
})

interface Given {
  readonly lead_id: string
  readonly status: string
  readonly at?: string
  readonly value?: string
}

export function dispositionOperations(parts: PortalParts): readonly Operation[] {
  const shared = { method: 'POST', tag: 'buyers', role: 'buyer' } as const
  return [
    {
      ...{ ...shared, id: 'dispose', path: '/v1/buyer/dispositions', body: One },
      summary:
        'Says what became of a lead: one moment and one value for each status. The same again changes nothing; a later word corrects the one before.',
      answers: { 200: { description: 'What it did.', schema: Said }, 404: { description: 'You bought no such lead.' } },
      run: async (call) => {
        const given = call.body as Given
        const faults = faultsOf(given, '', parts.clock.wall())
        if (faults.length > 0) return problem.faulty('Nothing was recorded.', faults)
        const [said] = await dispose(parts, call, [given])
        return said!.result === 'not_found' ? problem.noSuchLead() : json(said)
      },
    },
    {
      ...{ ...shared, id: 'disposeMany', path: '/v1/buyer/dispositions:batch' },
      summary: 'The same of many leads at once. A lead that you did not buy is told and holds up none of the others.',
      body: object({ dispositions: Type.Array(One, { minItems: 1, maxItems: MOST }) }),
      answers: {
        200: { description: 'What each did, in their order.', schema: object({ results: Type.Array(Said) }) },
      },
      run: (call) => many(parts, call),
    },
  ]
}

async function many(parts: PortalParts, call: Call): Promise<Page> {
  const { dispositions } = call.body as { readonly dispositions: readonly Given[] }
  const faults = dispositions.flatMap((one, n) => faultsOf(one, `.dispositions.${n}`, parts.clock.wall()))
  if (faults.length > 0) return problem.faulty('Nothing was recorded.', faults)
  return json({ results: await dispose(parts, call, dispositions) })
}

function faultsOf({ at }: Given, where: string, now: number): readonly Fault[] {
  if (at === undefined) return []
  const moment = momentOf(at)
  const path = `body${where}.at`
  if (!moment) return [{ path, message: NO_DAY }]
  return moment.getTime() > now + AHEAD_MS ? [{ path, message: 'is yet to come: say what has happened.' }] : []
}

async function dispose({ db }: PortalParts, { actor }: Call, given: readonly Given[]) {
  const rows = given.map(({ lead_id, status, at, value }) => ({
    ...{ lead_id, status, at: at ?? null },
    value: value === undefined ? null : parseMoney(value),
  }))
  const done = await sql<{ results: string[] }>`
    select dispose_leads(${actor.label}, ${JSON.stringify(rows)}::json) as results`.execute(db)
  return given.map(({ lead_id, status }, n) => ({ lead_id, status, result: done.rows[0]!.results[n]! }))
}
