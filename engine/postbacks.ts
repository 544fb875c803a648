/** Tells sources what became of their leads: out of an outbox that any process empties, again and again until it is heard. */
import { type Kysely, sql } from 'kysely'
import type { Courier, Delivered } from '../buyers/courier.ts'
import { postbackRequest } from '../buyers/postback.ts'
import type { Clock, Timer } from '../buyers/wire.ts'
import { leadFromJson } from '../rules/lead.ts'
import { type PostbackEvent, postbackPauseMs } from '../rules/postback.ts'
import { micros, ms } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import type { Sealer } from './seal.ts'
import type { LedgerTables } from './store/tables.ts'

export interface PostbacksSettings {
  readonly db: Kysely<LedgerTables>
  readonly clock: Clock
  readonly courier: Courier
  readonly seal: Sealer
  readonly snapshot: () => Snapshot
  readonly log: (message: string) => void
  /** Pause between two looks into an empty outbox; default 1,000. */
  readonly everyMs?: number
}

/** Sent at once by one process; whoever dies meanwhile leaves them to the others. */
const AT_ONCE = 20
/** Longer than one may take to be carried. */
const CLAIMED_FOR = sql`interval '60 seconds'`
const GIVEN_UP_AFTER = sql`interval '24 hours'`
const HOUR_MS = 3_600_000

interface Due {
  readonly id: string
  readonly lead_id: string
  readonly event: PostbackEvent
  readonly campaign: string
  readonly source: string
  readonly status: string
  readonly payout: number
  readonly currency: string
  readonly happened_at: Date
  readonly attempts: number
  readonly lead_ref: string | null
  readonly sealed: Buffer | null
  readonly wrapped: Buffer | null
  readonly key_version: number | null
}

export class Postbacks {
  readonly #settings: PostbacksSettings
  #timer: Timer | null = null
  #passing: Promise<void> = Promise.resolve()
  #stopped = false
  #failed = false
  #sweptAt = Number.NEGATIVE_INFINITY

  constructor(settings: PostbacksSettings) {
    this.#settings = settings
  }

  start(): void {
    const { clock, everyMs = 1_000 } = this.#settings
    if (this.#stopped) return
    this.#timer = clock.after(ms(everyMs), () => {
      this.#passing = this.#passSafely().then(() => this.start())
    })
  }

  /** Waits for what is being sent. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#passing
  }

  /** Sends all that is due. Rejects where the ledger is away. */
  async pass(): Promise<void> {
    for (let sent = AT_ONCE; sent === AT_ONCE && !this.#stopped; ) {
      const due = await this.#claim()
      await Promise.all(due.map((one) => this.#send(one)))
      sent = due.length
    }
    await this.#sweep()
  }

  async #passSafely(): Promise<void> {
    try {
      await this.pass()
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#settings.log(`postbacks wait for the ledger: ${(error as Error).message}`)
      this.#failed = true
    }
  }

  async #claim(): Promise<readonly Due[]> {
    const { rows } = await sql<Due>`
      with mine as (
        update postbacks set due_at = now() + ${CLAIMED_FOR}, attempts = attempts + 1
        where id in (
          select id from postbacks where sent_at is null and dead_at is null and due_at <= now()
          order by due_at limit ${AT_ONCE} for update skip locked)
        returning *
      )
      select m.*, l.lead_ref, l.sealed, k.wrapped, k.key_version
      from mine m left join leads l on l.id = m.lead_id left join lead_keys k on k.lead_id = m.lead_id
      order by m.happened_at`.execute(this.#settings.db)
    return rows
  }

  async #send(due: Due): Promise<void> {
    const { courier, clock, snapshot, db } = this.#settings
    const postback = snapshot().sources.get(due.source)?.postbacks.get(due.campaign)
    if (!postback?.events.has(due.event)) {
      await sql`update postbacks set sent_at = now(), failure = 'unwanted' where id = ${due.id}`.execute(db)
      return
    }
    const facts = {
      eventId: due.id,
      event: due.event,
      at: due.happened_at.getTime(),
      leadId: due.lead_id,
      leadRef: due.lead_ref,
      status: due.status,
      payout: micros(due.payout),
      currency: due.currency,
      subs: this.#subsOf(due),
    }
    await this.#note(due, await courier.carry(postbackRequest(postback, facts, clock.wall())))
  }

  /** None where the person was erased. */
  #subsOf({ lead_id, sealed, wrapped, key_version }: Due): Readonly<Record<string, string>> {
    if (sealed === null || wrapped === null || key_version === null) return {}
    const text = this.#settings.seal.open(lead_id, {
      sealed: sealed.toString('base64'),
      wrappedKey: wrapped.toString('base64'),
      keyVersion: key_version,
    })
    return leadFromJson(text).subs
  }

  async #note({ id, attempts }: Due, said: Delivered): Promise<void> {
    const { db } = this.#settings
    if ('status' in said && said.status >= 200 && said.status < 300) {
      await sql`update postbacks set sent_at = now(), failure = null where id = ${id}`.execute(db)
      return
    }
    const failure = 'status' in said ? `http_${said.status}` : said.failure
    await sql`update postbacks set failure = ${failure},
      due_at = now() + ${postbackPauseMs(attempts)} * interval '1 ms',
      dead_at = case when queued_at < now() - ${GIVEN_UP_AFTER} then now() end
      where id = ${id}`.execute(db)
  }

  /** What was heard a week ago, or given up a quarter ago, is forgotten. */
  async #sweep(): Promise<void> {
    const { clock, db } = this.#settings
    if (clock.mono() - this.#sweptAt < HOUR_MS) return
    this.#sweptAt = clock.mono()
    await sql`delete from postbacks where id in (
      select id from postbacks where sent_at < now() - interval '7 days'
      union all select id from postbacks where dead_at < now() - interval '90 days' limit 10000)`.execute(db)
  }
}

/** Has the ledger queue postbacks for whoever the version names, before it is in force. */
export async function routePostbacks(db: Kysely<LedgerTables>, snapshot: Snapshot): Promise<void> {
  const wanted = [...snapshot.sources.values()].flatMap(({ id, postbacks }) =>
    [...postbacks.keys()].map((campaign) => ({ campaign, source: id })),
  )
  await sql`
    with wanted as (select * from json_to_recordset(${JSON.stringify(wanted)}::json) as w(campaign text, source text)),
    gone as (delete from postback_routes r where not exists (
      select 1 from wanted w where w.campaign = r.campaign and w.source = r.source))
    insert into postback_routes (campaign, source) select campaign, source from wanted
    on conflict do nothing`.execute(db)
}

/** One entry of the outbox, for operators. `failure` is the last one. */
export interface PostbackEntry {
  readonly id: string
  readonly leadId: string
  readonly event: PostbackEvent
  readonly campaign: string
  readonly source: string
  readonly attempts: number
  readonly failure: string | null
  readonly state: 'waiting' | 'sent' | 'dead'
  readonly happenedAt: Date
}

/** The latest entries, newest first; those of one state, source or lead where given. */
export async function listPostbacks(
  db: Kysely<LedgerTables>,
  most: number,
  of: { readonly state?: PostbackEntry['state']; readonly source?: string; readonly leadId?: string } = {},
): Promise<readonly PostbackEntry[]> {
  const { rows } = await sql<PostbackEntry>`
    select * from (
      select id, lead_id as "leadId", event, campaign, source, attempts, failure, happened_at as "happenedAt",
        case when dead_at is not null then 'dead' when sent_at is not null then 'sent' else 'waiting' end as state
      from postbacks) as p
    where (${of.state ?? null}::text is null or state = ${of.state ?? null})
      and (${of.source ?? null}::text is null or source = ${of.source ?? null})
      and (${of.leadId ?? null}::uuid is null or "leadId" = ${of.leadId ?? null}::uuid)
    order by "happenedAt" desc limit ${most}`.execute(db)
  return rows
}

/** Sends these again, whether they were heard or given up, under the same ids; says how many there are. */
export async function replayPostbacks(db: Kysely<LedgerTables>, ids: readonly string[]): Promise<number> {
  const { numAffectedRows } = await sql`
    update postbacks set queued_at = now(), due_at = now(), attempts = 0, sent_at = null, dead_at = null
    where id = any(${ids}::uuid[])`.execute(db)
  return Number(numAffectedRows ?? 0)
}
