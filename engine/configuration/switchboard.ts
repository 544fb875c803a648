/** The switches in force in this process, kept in step with the ledger, and how operators set and lift them. */
import { type Kysely, type Selectable, sql } from 'kysely'
import { type Switch, Switches } from '../../rules/switches.ts'
import { wallMs } from '../../rules/units.ts'
import { NEWS_CHANNEL } from '../store/queries.ts'
import type { LedgerTables, SwitchesTable } from '../store/tables.ts'
import type { News } from './news.ts'
import type { Actor } from './publishing.ts'

type Db = Kysely<LedgerTables>

/** What an operator gives. */
export type SwitchGiven = Switch & { readonly note: string | null }
export type SwitchRow = Selectable<SwitchesTable>

/** So many may be on: each process keeps them in memory, and asks them for every seat. */
export const MOST_SWITCHES = 10_000

export class Switchboard {
  readonly #db: Db
  #now = new Switches()
  #counter = -1

  constructor(db: Db) {
    this.#db = db
  }

  get now(): Switches {
    return this.#now
  }

  /** Reads what is on; then again whenever it changes. Rejects while the ledger is out of reach. */
  async follow(news: News): Promise<void> {
    await this.#look()
    news.follow(() => this.#look())
  }

  async #look(): Promise<void> {
    const { n } = await this.#db.selectFrom('switch_counter').select('n').executeTakeFirstOrThrow()
    if (n === this.#counter) return
    const rows = await switchesOn(this.#db)
    this.#now = new Switches(rows.map((row) => ({ ...row, until: row.until && wallMs(row.until.getTime()) })))
    this.#counter = n
  }
}

/** In the order in which they were set. What has ended by itself is left out. */
export function switchesOn(db: Db): Promise<SwitchRow[]> {
  return db
    .selectFrom('switches')
    .selectAll()
    .where('lifted_at', 'is', null)
    .where((eb) => eb.or([eb('until', 'is', null), eb('until', '>', sql<Date>`now()`)]))
    .orderBy('id')
    .limit(MOST_SWITCHES)
    .execute()
}

/** Null where as many are on as may be. */
export function setSwitch(db: Db, actor: Actor, { until, ...given }: SwitchGiven): Promise<SwitchRow | null> {
  return db.transaction().execute(async (tx) => {
    await changed(tx)
    if ((await switchesOn(tx)).length >= MOST_SWITCHES) return null
    const values = {
      ...given,
      until: until === null ? null : new Date(until),
      set_by: actor.label,
      set_role: actor.role,
    }
    const row = await tx.insertInto('switches').values(values).returningAll().executeTakeFirstOrThrow()
    await noted(tx, actor, given.kind, row)
    return row
  })
}

/** Lifts what is on and fits; answers how many that were. */
export function liftSwitches(
  db: Db,
  actor: Actor,
  which: Partial<Pick<SwitchRow, 'id' | 'kind' | 'contract' | 'buyer' | 'source' | 'set_by' | 'set_role'>>,
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    await changed(tx)
    const fits = (await switchesOn(tx)).filter((row) =>
      Object.entries(which).every(([name, value]) => row[name as keyof typeof which] === value),
    )
    for (const row of fits) {
      const lifted = { lifted_at: sql<Date>`now()`, lifted_by: actor.label }
      await tx.updateTable('switches').set(lifted).where('id', '=', row.id).execute()
      await noted(tx, actor, row.kind === 'pause' ? 'resume' : 'unblock', row)
    }
    return fits.length
  })
}

/** One change at a time; every engine is told when it is committed. */
async function changed(tx: Db): Promise<void> {
  await tx
    .updateTable('switch_counter')
    .set((eb) => ({ n: eb('n', '+', 1) }))
    .execute()
  await sql`select pg_notify(${NEWS_CHANNEL}, '')`.execute(tx)
}

async function noted(tx: Db, actor: Actor, action: string, row: SwitchRow): Promise<void> {
  const { label, role } = actor
  const subject = switchWords(row)
  const changes = JSON.stringify([
    `${subject}${row.until ? ` until ${row.until.toISOString()}` : ''}${row.note ? `: ${row.note}` : ''}`,
  ])
  await tx.insertInto('audit').values({ actor: label, role, action, subject, changes, version: null }).execute()
}

/** `contract acme`, `source mill, sub1 = x, for buyer acme`. */
function switchWords({ kind, contract, buyer, campaign, source, sub, value }: SwitchRow): string {
  const named = (name: string, id: string | null) => (id === null ? [] : [`${name} ${id}`])
  const whom = [...named('contract', contract), ...named('buyer', buyer), ...named('campaign', campaign)]
  if (kind === 'pause') return [...whom, ...named('source', source)].join(', ')
  const what = [...named('source', source), ...(sub === null ? [] : [`${sub} = ${value}`])]
  return `${what.join(', ')}${whom.length === 0 ? '' : ` for ${whom.join(', ')}`}`
}
