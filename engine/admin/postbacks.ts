/** Operations on postbacks: what sources were told, what they did not hear, and telling it again. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { type PostbackState, postbacksOf, replayPostbacks } from '../postbacks.ts'
import * as problem from '../problem.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, type Operation, type Page } from './operation.ts'
import { id, moment, nullable, numeral, object, text, uuid, whole, words } from './shapes.ts'

type Db = Kysely<LedgerTables>

const opt = Type.Optional
const STATES = ['waiting', 'sent', 'dead'] as const
const PAGE = 50
const MOST_SHOWN = 500
/** So many are told again by one call. */
const MOST_REPLAYED = 1_000
const Entry = object({
  id: text('Its id, which is also {event_id} and webhook-id.'),
  lead_id: text('The lead.'),
  event: words('sold', 'resolved', 'returned', 'adjusted'),
  campaign: text('The campaign of the lead.'),
  source: text('Who is told.'),
  state: words(...STATES),
  attempts: whole('How often it was sent since it was queued.'),
  failure: nullable(text('Why it was not heard the last time.')),
  happened_at: moment('When it happened.'),
})
const Query = Type.Object({
  state: opt(words(...STATES)),
  source: opt(id('Of this source.')),
  lead_id: opt(uuid('Of this lead.')),
  limit: opt(numeral(`At most ${MOST_SHOWN}; default ${PAGE}.`)),
})
const Again = object({
  ids: opt(Type.Array(uuid('One of them.'), { minItems: 1, maxItems: MOST_REPLAYED, description: 'These.' })),
  source: opt(id('Or those of this source that were given up, the latest first.')),
})

export function postbackOperations(db: Db): readonly Operation[] {
  const shared = { tag: 'postbacks' } as const
  return [
    {
      ...{ ...shared, id: 'listPostbacks', method: 'GET', path: '/admin/v1/postbacks', role: 'viewer', query: Query },
      summary: 'Postbacks of one state, by default those that were given up, or of one lead; the latest first.',
      answers: { 200: { description: 'At most `limit`.', schema: object({ items: Type.Array(Entry) }) } },
      run: (call) => list(db, call),
    },
    {
      ...{ ...shared, id: 'replayPostbacks', method: 'POST', path: '/admin/v1/postbacks:replay', role: 'operator' },
      body: Again,
      summary: 'Tells sources again, whether they had heard it or not, under the same ids.',
      answers: {
        200: {
          description: `How many are told again: at most ${MOST_REPLAYED} by one call.`,
          schema: object({ replayed: whole('How many.') }),
        },
      },
      run: (call) => replay(db, call),
    },
  ]
}

async function list(db: Db, { query }: Call): Promise<Page> {
  const { state, source, lead_id: leadId, limit } = query as Record<string, string | undefined>
  const of = { state: state as PostbackState | undefined, source, leadId }
  return json({ items: (await postbacksOf(db, of, Math.min(Number(limit ?? PAGE), MOST_SHOWN))).map(shown) })
}

async function replay(db: Db, { body, actor }: Call): Promise<Page> {
  const { ids, source } = body as { ids?: string[]; source?: string }
  if ((ids === undefined) === (source === undefined)) {
    const message = 'say which: either ids, or the source whose postbacks were given up.'
    return problem.faulty('Nothing was told again.', [{ path: 'body.ids', message }])
  }
  const dead = source === undefined ? [] : await postbacksOf(db, { state: 'dead', source }, MOST_REPLAYED)
  return json({ replayed: await replayPostbacks(db, actor, ids ?? dead.map(({ id: one }) => one)) })
}

const shown = ({ leadId, happenedAt, ...entry }: Awaited<ReturnType<typeof postbacksOf>>[number]): object => ({
  ...entry,
  lead_id: leadId,
  happened_at: happenedAt.toISOString(),
})
