/** What alerts have found, as operators read it: open and past, told or not, and who has taken it on. */
import { type Kysely, sql } from 'kysely'
import type { Actor } from '../configuration/publishing.ts'
import type { LedgerTables } from '../store/tables.ts'
import type { ToldEvent } from './letters.ts'

type Db = Kysely<LedgerTables>

export interface EventRow extends ToldEvent {
  readonly id: number
  /** Null: it is of a time before alerts were. */
  readonly alert: string | null
  readonly episode: string
  readonly ended_at: Date | null
  readonly acknowledged_at: Date | null
  readonly acknowledged_by: string | null
  readonly letters: readonly {
    readonly recipient: string
    readonly state: 'waiting' | 'sent' | 'dead'
    readonly attempts: number
    readonly failure: string | null
    readonly sent_at: string | null
  }[]
}

export interface EventQuery {
  readonly state?: 'open' | 'past'
  readonly alert?: string
  /** Only this one. */
  readonly id?: number
  /** Begin before this one. */
  readonly before?: number
}

/** The latest first. */
export async function listEvents(db: Db, most: number, of: EventQuery): Promise<readonly EventRow[]> {
  const state = of.state ?? null
  const { rows } = await sql<EventRow>`
    select e.id, e.alert, e.kind, e.subject, e.episode, e.data, e.at, e.ended_at, e.acknowledged_at, e.acknowledged_by,
      coalesce((
        select json_agg(json_build_object('recipient', l.recipient, 'attempts', l.attempts, 'failure', l.failure,
          'sent_at', l.sent_at, 'state',
          case when l.dead_at is not null then 'dead' when l.sent_at is not null then 'sent' else 'waiting' end
        ) order by l.recipient)
        from alert_letters l where l.events @> array[e.id]
      ), '[]') as letters
    from events e
    where (${state}::text is null or (e.ended_at is null) = (${state}::text = 'open'))
      and (${of.alert ?? null}::text is null or e.alert = ${of.alert ?? null}::text)
      and (${of.id ?? null}::bigint is null or e.id = ${of.id ?? null}::bigint)
      and (${of.before ?? null}::bigint is null or e.id < ${of.before ?? null}::bigint)
    order by e.id desc limit ${most}`.execute(db)
  return rows
}

/** Says who has taken it on; whoever said so first stays. False: there is no such event. */
export function acknowledgeEvent(db: Db, { label, role }: Actor, id: number): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const event = await tx.selectFrom('events').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    if (event === undefined) return false
    if (event.acknowledged_at !== null) return true
    await tx
      .updateTable('events')
      .set({ acknowledged_at: sql<Date>`now()`, acknowledged_by: label })
      .where('id', '=', id)
      .execute()
    const subject = `event ${id}`
    const changes = JSON.stringify([`${event.alert}: ${event.subject}`])
    await tx
      .insertInto('audit')
      .values({ actor: label, role, action: 'acknowledge', subject, changes, version: null })
      .execute()
    return true
  })
}
