/** Tells operators what happened: composes one letter or webhook of all events that began at once, and sends it out of an outbox. */
import { type Kysely, sql } from 'kysely'
import type { Courier, Delivered } from '../../buyers/courier.ts'
import { bareAddress, writeLetter } from '../../buyers/letter.ts'
import { webhookRequest } from '../../buyers/webhook.ts'
import type { Clock } from '../../buyers/wire.ts'
import { type EventWords, wordsOf } from '../../rules/alert-words.ts'
import type { Facts, Recipient } from '../../rules/alerts.ts'
import type { Snapshot } from '../../rules/version.ts'
import { type Due, Outbox, type OutboxEnd } from '../outbox.ts'
import type { LedgerTables } from '../store/tables.ts'

export interface LettersSettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly courier: Courier
  readonly snapshot: () => Snapshot
  readonly log: (message: string) => void
  readonly ended?: (table: string, end: OutboxEnd) => void
}

/** What began, as it is told. */
export interface ToldEvent {
  /** Null: it is a test. */
  readonly id: number | null
  readonly kind: string
  readonly subject: string
  readonly at: Date
  readonly data: Facts
}

interface DueLetter extends Due {
  readonly alert: string
  readonly recipient: string
  readonly events: readonly number[]
}

/** More of one alert at once are counted, and seen in the admin plane. */
const MOST_TOLD = 50

export function letterOutbox(settings: LettersSettings): Outbox<DueLetter> {
  const { db, clock, log, ended } = settings
  const read = sql<DueLetter>`select * from mine order by queued_at`
  return new Outbox({
    ...{ db, clock, log, read, table: 'alert_letters', send: (due) => sendLetter(settings, due) },
    ...(ended ? { ended } : {}),
  })
}

async function sendLetter({ db, clock, courier, snapshot }: LettersSettings, due: DueLetter) {
  const { recipients, adminUrl } = snapshot()
  const recipient = recipients.get(due.recipient)
  if (recipient === undefined) return 'unwanted'
  const events = await db
    .selectFrom('events')
    .select(['id', 'kind', 'subject', 'at', 'data'])
    .where('id', '=', sql<number>`any(${due.events}::bigint[])`)
    .orderBy('id')
    .limit(MOST_TOLD)
    .execute()
  const letter = { id: due.id, alert: due.alert, count: due.events.length, events, adminUrl }
  return tell(courier, recipient, letter, clock)
}

export interface AlertLetter {
  /** The same however often it is sent. */
  readonly id: string
  readonly alert: string
  /** Of all events, told or not. */
  readonly count: number
  readonly events: readonly ToldEvent[]
  readonly adminUrl: string | null
}

export function tell(courier: Courier, recipient: Recipient, letter: AlertLetter, clock: Clock): Promise<Delivered> {
  const { title, text, events } = composed(letter)
  if (recipient.kind === 'webhook') {
    const { url, secrets } = recipient
    const { id, alert, count } = letter
    const body = JSON.stringify({ id, alert, count, text: `${title}\n\n${text}`, events })
    return courier.carry(webhookRequest({ method: 'POST', url, secrets, id, body }, clock.wall()))
  }
  const { to, server } = recipient
  const from = bareAddress(server.from)
  const id = `${letter.id}@${from.slice(from.lastIndexOf('@') + 1)}`
  const mail = { from: server.from, to, replyTo: null, subject: title, text, id, at: clock.wall() }
  return courier.mail({
    url: server.url,
    login: server.login,
    identity: server.ca === null ? null : { ca: server.ca },
    envelope: { from, to: to.map(bareAddress) },
    letter: writeLetter(mail),
  })
}

function composed({ alert, count, events, adminUrl }: AlertLetter) {
  const origin = (adminUrl ?? '').replace(/\/$/, '')
  const told = events.map((event) => ({ ...event, words: wordsOf(event.kind, { ...event, facts: event.data }) }))
  const title = count === 1 ? `[${alert}] ${told[0]?.words.what ?? ''}` : `[${alert}] ${count} events`
  const rest = count - told.length
  const more = rest > 0 ? [`And ${rest} more: GET ${origin}/admin/v1/events`] : []
  const text = [...told.map(({ words, ...event }) => paragraph(event, words, origin)), ...more].join('\n\n')
  return {
    ...{ title, text },
    events: told.map(({ id, kind, subject, at, data, words }) => ({
      ...{ id, on: kind, subject, began_at: at.toISOString(), facts: data },
      ...{ what: words.what, todo: words.todo, see: seen(id, words, origin) },
    })),
  }
}

function paragraph({ id, at }: ToldEvent, words: EventWords, origin: string): string {
  const see = seen(id, words, origin).map((path) => `  ${path}`)
  const number = id === null ? '' : `, event ${id}`
  return [`${words.what}.`, words.todo, `Began at ${at.toISOString()}${number}. See:`, ...see].join('\n')
}

const seen = (id: number | null, { see }: EventWords, origin: string): string[] =>
  [...(id === null ? [] : [`/admin/v1/events/${id}`]), ...see].map((path) => `${origin}${path}`)
