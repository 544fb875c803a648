/** Operations on what alerts have found: read, acknowledged; and an alert that is tried on its recipients. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { type Courier, createCourier, type Delivered } from '../../buyers/courier.ts'
import type { Clock } from '../../buyers/wire.ts'
import { wordsOf } from '../../rules/alert-words.ts'
import type { Snapshot } from '../../rules/version.ts'
import { acknowledgeEvent, type EventRow, listEvents } from '../alerts/events.ts'
import { tell } from '../alerts/letters.ts'
import type { Publishing } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import { newId } from '../random.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, type Operation, type Page } from './operation.ts'
import { id, moment, nullable, numeral, object, text, whole, words } from './shapes.ts'

type Db = Kysely<LedgerTables>

const PAGE = 100
const PAGE_MOST = 1_000

const Letter = object({
  recipient: text('Whom it is told to.'),
  state: words('waiting', 'sent', 'dead'),
  attempts: whole('How often it was sent.'),
  failure: nullable(text('Why it was not heard the last time.')),
  sent_at: nullable(text('When it was heard.')),
})
const Event = object({
  id: whole('Its number.'),
  alert: nullable(text('The alert that found it.')),
  on: text('What kind of alert that is.'),
  subject: text('buyer acme'),
  episode: text('What tells it from others of its subject: the window of a cap, the address of a server.'),
  what: Type.String({ description: 'What happened.' }),
  todo: Type.String({ description: 'What to do.' }),
  see: Type.Array(text('A path of the admin plane that shows more.')),
  facts: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number()])),
  began_at: moment('When it was found first.'),
  ended_at: nullable(moment('When it was not found any more; null: it is open.')),
  acknowledged_at: nullable(moment('When somebody took it on.')),
  acknowledged_by: nullable(text('Who.')),
  letters: Type.Array(Letter),
})
const Heard = object({
  recipient: text('Whom it was told to.'),
  heard: Type.Boolean(),
  said: text('What the mail server or the webhook answered, or why there was no answer.'),
})

export function eventOperations(publishing: Publishing, db: Db, clock: Clock): readonly Operation[] {
  const shared = { tag: 'events', params: { event: numeral('Its number.') } }
  const shown = { 200: { description: 'The event.', schema: Event } }
  return [
    {
      ...{ id: 'listEvents', method: 'GET', path: '/admin/v1/events', tag: 'events', role: 'viewer' },
      summary: 'What alerts have found, the latest first: open and past, and whether their recipients have heard it.',
      query: Type.Object({
        state: Type.Optional(words('open', 'past')),
        alert: Type.Optional(id('Of this alert only.')),
        before: Type.Optional(numeral('Begin before this event.')),
        limit: Type.Optional(numeral('At most so many, up to 1000.')),
      }),
      answers: {
        200: {
          description: 'A page.',
          schema: object({ items: Type.Array(Event), next: nullable(whole('Of the next page.')) }),
        },
      },
      run: (call) => list(db, call),
    },
    {
      ...{ ...shared, id: 'readEvent', method: 'GET', path: '/admin/v1/events/{event}', role: 'viewer' },
      ...{ summary: 'One event.', answers: shown },
      run: ({ params }) => read(db, Number(params['event'])),
    },
    {
      ...{ ...shared, id: 'acknowledgeEvent', method: 'POST', path: '/admin/v1/events/{event}:acknowledge' },
      ...{ role: 'operator', body: object({}), answers: shown },
      summary: 'Says that the caller has taken an event on. Whoever said so first stays.',
      run: async ({ actor, params }) => {
        const event = Number(params['event'])
        return (await acknowledgeEvent(db, actor, event)) ? read(db, event) : problem.nothingHere()
      },
    },
    {
      ...{ id: 'testAlert', method: 'POST', path: '/admin/v1/alerts/{id}:test', tag: 'alerts', role: 'operator' },
      params: { id: id('The alert.') },
      summary: 'Sends a test to every recipient of an alert of the draft, and says what each answered.',
      answers: { 200: { description: 'What was heard.', schema: object({ recipients: Type.Array(Heard) }) } },
      run: ({ params }) => testAlert(publishing, clock, params['id']!),
    },
  ]
}

async function list(db: Db, { query }: Call): Promise<Page> {
  const { state, alert, before, limit } = query
  const most = Math.min(Math.max(Number(limit ?? PAGE), 1), PAGE_MOST)
  const rows = await listEvents(db, most, {
    ...(state === undefined ? {} : { state: state as 'open' | 'past' }),
    ...(alert === undefined ? {} : { alert }),
    ...(before === undefined ? {} : { before: Number(before) }),
  })
  return json({ items: rows.map(shownEvent), next: rows.length === most ? rows.at(-1)!.id : null })
}

async function read(db: Db, event: number): Promise<Page> {
  const [row] = await listEvents(db, 1, { id: event })
  return row ? json(shownEvent(row)) : problem.nothingHere()
}

function shownEvent(row: EventRow): object {
  const {
    id: number,
    alert,
    kind,
    subject,
    episode,
    data,
    at,
    ended_at,
    acknowledged_at,
    acknowledged_by,
    letters,
  } = row
  return {
    ...{ id: number, alert, on: kind, subject, episode, ...wordsOf(kind, { subject, facts: data }), facts: data },
    ...{ began_at: at.toISOString(), ended_at: ended_at?.toISOString() ?? null },
    ...{ acknowledged_at: acknowledged_at?.toISOString() ?? null, acknowledged_by, letters },
  }
}

async function testAlert(publishing: Publishing, clock: Clock, alert: string): Promise<Page> {
  const draft = await publishing.compiledDraft()
  if (!draft.ok) return problem.faulty('The draft has faults, so nothing was sent.', draft.faults)
  const { snapshot } = draft
  if (!snapshot.alerts.has(alert)) return problem.nothingHere()
  const courier = createCourier({ clock, allowedCidrs: snapshot.allowedCidrs })
  try {
    const recipients = snapshot.alerts.get(alert)!.to
    return json({
      recipients: await Promise.all(recipients.map((one) => testOn(courier, snapshot, alert, one, clock))),
    })
  } finally {
    await courier.close()
  }
}

async function testOn(courier: Courier, snapshot: Snapshot, alert: string, recipient: string, clock: Clock) {
  const event = { id: null, kind: 'test', subject: `alert ${alert}`, at: new Date(clock.wall()), data: {} }
  const letter = { id: newId(), alert, count: 1, events: [event], adminUrl: snapshot.adminUrl }
  const said = await tell(courier, snapshot.recipients.get(recipient)!, letter, clock)
  return { recipient, ...heardIn(said) }
}

const heardIn = (said: Delivered) =>
  'status' in said
    ? { heard: said.status >= 200 && said.status < 300, said: String(said.status) }
    : { heard: false, said: said.failure }
