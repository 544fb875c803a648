/** Operations that prove a lead: what was said to its buyers, what its consumer agreed to; and the one that erases its person. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { validate } from 'uuid'
import type { ExchangesPage } from '../exchanges/proof.ts'
import * as problem from '../problem.ts'
import type { LedgerTables } from '../store/tables.ts'
import { exchangesText } from './exchanges-text.ts'
import { type Call, json, type Operation, type Page, page } from './operation.ts'
import type { AdminPort } from './port.ts'
import { moment, nullable, object, text, whole, words } from './shapes.ts'

const Bytes = object({
  bytes: whole('That went over the wire.'),
  cut: Type.Boolean({ description: 'True where only the beginning was kept.' }),
  text: nullable(Type.String({ description: 'What was kept, credentials starred out; null where it is not UTF-8.' })),
  base64: nullable(Type.String({ description: 'The same, where it is not UTF-8.' })),
})
const Exchanges = object({
  lead_id: text('Its id.'),
  erased: Type.Boolean({ description: 'True: the person was erased, and nothing of this can be read any more.' }),
  exchanges: Type.Array(
    object({
      kind: words('ping', 'post', 'retry', 'status', 'callback'),
      contract: text('To which contract.'),
      buyer: text('Of which buyer.'),
      at: moment('When its first byte left.'),
      took_ms: whole('Until it ended.'),
      end: text('whole: a whole reply came; else timeout, reset, truncated, or under way.'),
      sent: Bytes,
      heard: Bytes,
    }),
  ),
})
const Evidence = object({
  lead_id: text('Its id.'),
  erased: Type.Boolean({ description: 'True: the person was erased, and what was said is gone.' }),
  campaign: text('Its campaign.'),
  source: text('Who sent it.'),
  lead_ref: nullable(text("The source's own id.")),
  received_at: moment('When it came.'),
  evidence: Type.Record(
    Type.String(),
    nullable(object({ given: Type.String({ description: 'As the source sent it.' }), read: Type.Unknown() })),
    { description: 'What the consumer was shown and said, and from where; null: the source did not say.' },
  ),
  fields: Type.Record(Type.String(), Type.String(), { description: 'Every field as the source sent it.' }),
  sent_to: Type.Array(
    object({
      contract: text('Whose post.'),
      buyer: text('Its buyer.'),
      at: moment('When.'),
      state: text('How it ended.'),
    }),
  ),
})
const Erased = object({ lead_id: text('Its id.'), erased: Type.Boolean() })

const LEAD = { lead_id: Type.String({ description: "A lead's id." }) }

export function proofOperations(data: AdminPort, db: Kysely<LedgerTables>): readonly Operation[] {
  const shared = { tag: 'leads', params: LEAD } as const
  return [
    {
      ...{ ...shared, id: 'leadExchanges', method: 'GET', path: '/admin/v1/leads/{lead_id}/exchanges' },
      role: 'operator',
      query: Type.Object({ format: Type.Optional(words('json', 'text')) }),
      summary:
        'Every byte that was said to buyers about it and that they answered. It tells of a person: whoever reads it stands in the audit.',
      answers: { 200: { description: 'In the order in which they began.', schema: Exchanges, orText: 'text/plain' } },
      run: (call) =>
        audited(
          db,
          call,
          'read exchanges',
          (leadId) => data.exchanges(leadId),
          (found) => (call.asText ? page(exchangesText(found as ExchangesPage), TEXT) : json(found)),
        ),
    },
    {
      ...{ ...shared, id: 'leadEvidence', method: 'GET', path: '/admin/v1/leads/{lead_id}/evidence' },
      role: 'operator',
      summary:
        'What its consumer was shown and agreed to, and to whom it was sent. Whoever reads it stands in the audit.',
      answers: { 200: { description: 'The evidence.', schema: Evidence } },
      run: (call) => audited(db, call, 'read evidence', (leadId) => data.evidence(leadId), json),
    },
    {
      ...{ ...shared, id: 'eraseLead', method: 'POST', path: '/admin/v1/leads/{lead_id}:erase', body: object({}) },
      role: 'admin',
      summary:
        'Destroys what is known of its person: its fields, what was said to buyers, redirects, and that it is found by phone or email. A backup that was made before has the key of it still. Money, trace, references and what duplicates are judged by stay. It cannot be undone.',
      answers: { 200: { description: 'The person is erased.', schema: Erased } },
      run: (call) => erase(data, db, call),
    },
  ]
}

const TEXT = 'text/plain; charset=utf-8'

/** Nothing of a person is shown before the audit has who asked for it. */
async function audited<T extends object>(
  db: Kysely<LedgerTables>,
  call: Call,
  action: string,
  look: (leadId: string) => Promise<T | null>,
  show: (found: T) => Page,
): Promise<Page> {
  const leadId = call.params['lead_id']!
  const found = validate(leadId) ? await look(leadId) : null
  if (found === null) return problem.noSuchLead()
  await note(db, call, action, leadId)
  return show(found)
}

async function erase(data: AdminPort, db: Kysely<LedgerTables>, call: Call): Promise<Page> {
  const leadId = call.params['lead_id']!
  const answer = validate(leadId) ? await data.erase(leadId) : 'UNKNOWN'
  if (answer === 'UNKNOWN') return problem.noSuchLead()
  if (answer === 'OPEN') return problem.conflict('It is still being decided: ask again when it has ended.')
  await note(db, call, 'erase', leadId)
  return json({ lead_id: leadId, erased: true })
}

async function note(db: Kysely<LedgerTables>, { actor }: Call, action: string, leadId: string): Promise<void> {
  const { label, role } = actor
  const row = { actor: label, role, action, subject: `leads.${leadId}`, changes: '[]', version: null }
  await db.insertInto('audit').values(row).execute()
}
