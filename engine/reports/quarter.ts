/** One quarter of an hour as reports count it, recounted from the leads and pings that came in it. */
import { setImmediate as breathe } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import type { Trace } from '../../rules/trace.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { Sealer } from '../seal.ts'
import { newestVersion } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { countLead, countOffer } from './count.ts'
import { NO_SUB, type Row, Sums } from './sums.ts'

type Db = Kysely<LedgerTables>

/** Versions by their numbers; null where there is none that compiles. */
export interface VersionsBook {
  get(number: number): Promise<Snapshot | null>
}

export interface QuarterSums {
  /** By the table's name. */
  readonly rows: ReadonlyMap<string, readonly Row[]>
  /** Leads that may still change: not decided, or with a post in doubt. */
  readonly undecided: number
}

export const QUARTER_MS = 900_000
const PAGE = 100
/** So few are counted in one turn of the event loop that leads under way do not notice. */
const TURN = 10

export type LeadRow = Awaited<ReturnType<typeof leadsFrom>>[number]
export type PostRow = Awaited<ReturnType<typeof postsBetween>>[number]
export type MoneyRow = Awaited<ReturnType<typeof moneyBetween>>[number]
export type DisposedRow = Awaited<ReturnType<typeof disposedBetween>>[number]
export type OfferRow = Awaited<ReturnType<typeof offersFrom>>[number]

/** Tests are left out. Null where `goOn` became false meanwhile. */
export async function countQuarter(
  db: Db,
  sealer: Sealer,
  versions: VersionsBook,
  quarter: Date,
  goOn: () => boolean = () => true,
): Promise<QuarterSums | null> {
  const [from, to] = await boundsOf(db, quarter)
  const sums = new Sums()
  await countInvalid(sums, db, versions, from, to)
  let undecided = 0
  const leads = await eachOf(
    (after) => leadsFrom(db, after, to),
    from,
    async (page) => {
      if (!goOn()) return false
      const [first, last] = [page[0]!.id, page.at(-1)!.id]
      const posts = Map.groupBy(await postsBetween(db, first, last), ({ lead_id }) => lead_id)
      const money = Map.groupBy(await moneyBetween(db, first, last), ({ lead_id }) => lead_id)
      const disposed = Map.groupBy(await disposedBetween(db, first, last), ({ lead_id }) => lead_id)
      for (const [n, lead] of page.entries()) {
        if (n % TURN === TURN - 1) await breathe()
        const trace = traceOf(lead.trace)
        const snapshot = await versions.get(trace?.version ?? lead.version)
        const own = posts.get(lead.id) ?? []
        const after = { money: money.get(lead.id) ?? [], disposed: disposed.get(lead.id) ?? [] }
        countLead(sums, { lead, posts: own, ...after, trace, snapshot }, sealer)
        if (lead.status === null || own.some(({ state }) => state === 'in_doubt' || state === 'open')) undecided++
      }
      return true
    },
  )
  const offers =
    leads &&
    (await eachOf(
      (after) => offersFrom(db, after, to),
      from,
      async (page) => {
        for (const [n, offer] of page.entries()) {
          if (n % TURN === TURN - 1) await breathe()
          countOffer(sums, offer, traceOf(offer.trace), await versions.get(offer.version))
        }
        return goOn()
      },
    ))
  return offers ? { rows: sums.end(), undecided } : null
}

async function countInvalid(sums: Sums, db: Db, versions: VersionsBook, from: string, to: string): Promise<void> {
  const now = await versions.get((await newestVersion(db)).number)
  for (const { campaign, source, n } of await invalidIn(db, from, to)) {
    const terms = now?.campaigns.get(campaign)
    const said = { vertical: terms?.vertical.id ?? '', state: '', ...NO_SUB, currency: terms?.currency ?? '' }
    sums.lead({ campaign, source, ...said }).add('invalid', n)
  }
}

/** Reads pages until one is empty; false where `count` said to stop. */
async function eachOf<T extends { readonly id: string }>(
  read: (from: string) => Promise<T[]>,
  from: string,
  count: (page: T[]) => Promise<boolean>,
): Promise<boolean> {
  for (let after = from; ; ) {
    const page = await read(after)
    if (page.length === 0) return true
    if (!(await count(page))) return false
    after = next(page.at(-1)!.id)
  }
}

/** The stored trace of an auction; null where there is none. */
function traceOf(text: string | null): Trace | null {
  const trace = text ? (JSON.parse(text) as Partial<Trace>) : null
  return trace?.opening && trace.rows ? (trace as Trace) : null
}

/** The ids that leads of a quarter lie between. */
export async function boundsOf(db: Db, quarter: Date): Promise<readonly [string, string]> {
  const end = new Date(quarter.getTime() + QUARTER_MS)
  const { rows } = await sql<{ a: string; b: string }>`select uuid_at(${quarter}) as a, uuid_at(${end}) as b`.execute(
    db,
  )
  return [rows[0]!.a, rows[0]!.b]
}

/** The id right above one. */
function next(id: string): string {
  const hex = (BigInt(`0x${id.replaceAll('-', '')}`) + 1n).toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function leadsFrom(db: Db, from: string, to: string) {
  return db
    .selectFrom('leads as l')
    .leftJoin('lead_keys as k', 'k.lead_id', 'l.id')
    .select(['l.id', 'l.campaign', 'l.source', 'l.version', 'l.currency', 'l.status', 'l.trace', 'l.sealed'])
    .select(['k.wrapped', 'k.key_version'])
    .where('l.id', '>=', from)
    .where('l.id', '<', to)
    .where('l.test', '=', false)
    .orderBy('l.id')
    .limit(PAGE)
    .execute()
}

/** What was offered in place of an earlier offer had no pings of its own. */
function offersFrom(db: Db, from: string, to: string) {
  return db
    .selectFrom('offers')
    .select(['id', 'campaign', 'source', 'version', 'currency', 'trace'])
    .select(sql<boolean>`json_array_length(bids) > 0`.as('offered'))
    .where('id', '>=', from)
    .where('id', '<', to)
    .where('test', '=', false)
    .where('after_lead', 'is', null)
    .orderBy('id')
    .limit(PAGE)
    .execute()
}

const invalidIn = (db: Db, from: string, to: string) =>
  db
    .selectFrom('invalid_attempts')
    .select(['campaign', 'source', (eb) => eb.fn.countAll<number>().as('n')])
    .where('id', '>=', from)
    .where('id', '<', to)
    .groupBy(['campaign', 'source'])
    .execute()

const postsBetween = (db: Db, first: string, last: string) =>
  db
    .selectFrom('intents')
    .select(['lead_id', 'contract', 'buyer', 'state', 'bid', 'price', 'reason', 'doubt'])
    .where('lead_id', '>=', first)
    .where('lead_id', '<=', last)
    .execute()

/** What each copy of each lead came to, returns included, and to whom it was sold: nobody, where the source is paid all the same. */
const moneyBetween = (db: Db, first: string, last: string) =>
  db
    .selectFrom('entries as e')
    .leftJoin('sales as s', (join) => join.onRef('s.lead_id', '=', 'e.lead_id').onRef('s.copy', '=', 'e.copy'))
    .select(['e.lead_id', 's.contract', 's.buyer', 'e.cause', 'e.account', 'e.amount'])
    .where('e.lead_id', '>=', first)
    .where('e.lead_id', '<=', last)
    .execute()

/** What buyers said became of their copies. */
const disposedBetween = (db: Db, first: string, last: string) =>
  db
    .selectFrom('dispositions')
    .select(['lead_id', 'contract', 'buyer', 'status', 'value'])
    .where('lead_id', '>=', first)
    .where('lead_id', '<=', last)
    .execute()
