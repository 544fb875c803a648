/** One quarter of an hour as reports count it, recounted from the leads that came in it. */
import { type Kysely, sql } from 'kysely'
import { leadFromJson } from '../../rules/lead.ts'
import { eventOf, type Trace } from '../../rules/trace.ts'
import type { Campaign } from '../../rules/version.ts'
import type { Versions } from '../configuration/versions.ts'
import type { Sealer } from '../seal.ts'
import { newestVersion } from '../store/queries.ts'
import type { LedgerTables, ReportLeadsTable, ReportSeatsTable } from '../store/tables.ts'

type Db = Kysely<LedgerTables>
export type LeadSums = Omit<ReportLeadsTable, 'quarter'>
export type SeatSums = Omit<ReportSeatsTable, 'quarter'>

export interface QuarterSums {
  readonly leads: readonly LeadSums[]
  readonly seats: readonly SeatSums[]
  /** Leads that may still change: not decided, or with a post in doubt. */
  readonly undecided: number
}

export const QUARTER_MS = 900_000
/** Few enough that the turn of the event loop in which they are counted is short. */
const PAGE = 100
/** Sub-ids are cut to so many characters. */
const SUB_LENGTH = 100

interface LeadRow {
  readonly id: string
  readonly campaign: string
  readonly source: string
  readonly version: number
  readonly currency: string
  readonly status: string | null
  readonly copies: number
  readonly trace: string | null
  readonly sealed: Buffer
  readonly wrapped: Buffer | null
  readonly key_version: number | null
}

/** Tests are left out. Null where `goOn` became false meanwhile. */
export async function countQuarter(
  db: Db,
  sealer: Sealer,
  versions: Versions,
  quarter: Date,
  goOn: () => boolean = () => true,
): Promise<QuarterSums | null> {
  const [from, to] = await boundsOf(db, quarter)
  const sums = new Sums()
  const now = await versions.get((await newestVersion(db)).number)
  for (const { campaign, source, n } of await invalidIn(db, from, to)) {
    const terms = now?.campaigns.get(campaign)
    const said = { vertical: terms?.vertical.id ?? '', currency: terms?.currency ?? '', state: '', sub1: '' }
    sums.lead({ campaign, source, ...said }).invalid += n
  }
  for (let after = from; ; ) {
    const page = await leadsFrom(db, after, to)
    if (page.length === 0) return sums.end()
    if (!goOn()) return null
    const [first, last] = [page[0]!.id, page.at(-1)!.id]
    const posts = Map.groupBy(await postsBetween(db, first, last), ({ lead_id }) => lead_id)
    const money = Map.groupBy(await moneyBetween(db, first, last), ({ lead_id }) => lead_id)
    for (const lead of page) {
      const counted = { lead, posts: posts.get(lead.id) ?? [], money: money.get(lead.id) ?? [] }
      await countLead(sums, counted, sealer, versions)
    }
    after = next(last)
  }
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

function leadsFrom(db: Db, from: string, to: string): Promise<LeadRow[]> {
  return db
    .selectFrom('leads as l')
    .leftJoin('lead_keys as k', 'k.lead_id', 'l.id')
    .select([
      'l.id',
      'l.campaign',
      'l.source',
      'l.version',
      'l.currency',
      'l.status',
      'l.copies',
      'l.trace',
      'l.sealed',
    ])
    .select(['k.wrapped', 'k.key_version'])
    .where('l.id', '>=', from)
    .where('l.id', '<', to)
    .where('l.test', '=', false)
    .orderBy('l.id')
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
    .select(['lead_id', 'contract', 'buyer', 'copy', 'state'])
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

interface Counted {
  readonly lead: LeadRow
  readonly posts: Awaited<ReturnType<typeof postsBetween>>
  readonly money: Awaited<ReturnType<typeof moneyBetween>>
}

const ENDED: Readonly<Record<string, 'duplicates' | 'sold' | 'unsold' | 'pending' | 'expired'>> = {
  duplicate: 'duplicates',
  sold: 'sold',
  unsold: 'unsold',
  pending: 'pending',
  expired: 'expired',
}

async function countLead(
  sums: Sums,
  { lead, posts, money }: Counted,
  sealer: Sealer,
  versions: Versions,
): Promise<void> {
  const { campaign, source, currency, status } = lead
  const sum = sums.lead({ campaign, source, currency, ...saidBy(lead, sealer) })
  sum.valid++
  sum.copies += lead.copies
  const ended = status === null ? undefined : ENDED[status]
  if (ended) sum[ended]++
  if (status === null || posts.some(({ state }) => state === 'in_doubt' || state === 'open')) sums.undecided++
  const trace = lead.trace ? (JSON.parse(lead.trace) as Partial<Trace>) : {}
  const terms = (await versions.get(trace.version ?? lead.version))?.campaigns.get(campaign)
  const seat = (contract: string, buyer: string) =>
    sums.seat({ campaign, source, currency, contract, buyer, tier: tierOf(terms, contract) })
  for (const { contract, buyer, state } of posts) countPost(seat(contract, buyer), state)
  for (const { contract, buyer, cause, account, amount } of money) {
    const [debit, credit] = [account.startsWith('buyer:') ? -amount : 0, account.startsWith('source:') ? amount : 0]
    sum.revenue += debit
    sum.payout += credit
    if (contract === null || buyer === null) continue
    const at = seat(contract, buyer)
    at.revenue += debit
    at.payout += credit
    if (cause === 'return' && account.startsWith('buyer:')) at.returns++
  }
  if (terms && trace.rows) countTrace(trace as Trace, terms, seat)
}

function countPost(seat: Writable<SeatSums>, state: string): void {
  if (state !== 'not_sent') seat.posts++
  if (state === 'rejected') seat.rejects++
  else if (state === 'accepted') seat.sold++
  else if (state === 'in_doubt') seat.in_doubt++
}

/** Pings, bids and choices stand in the trace alone. A bid for the source's ping counts as one. */
function countTrace(
  { opening, rows }: Trace,
  { contracts }: Campaign,
  seat: (contract: string, buyer: string) => Writable<SeatSums>,
): void {
  const at = (position: number) => {
    const contract = contracts[opening.eligible[position]!]!
    return seat(contract.id, contract.buyer.id)
  }
  const chosen = new Set<number>()
  for (const [position, price] of opening.bids ?? []) countBid(at(position), price)
  for (const row of rows) {
    if (row[0] === '>ping') for (const position of row[2] as readonly number[]) at(position).pinged++
    if (row[0] === '>hold') chosen.add(row[1] as number)
    if (row[0] !== 'bid') continue
    const event = eventOf(row)
    if (event?.on === 'bid') countBid(at(event.seat), event.price)
  }
  for (const position of chosen) at(position).wins++
}

function countBid(seat: Writable<SeatSums>, price: number): void {
  seat.bids++
  seat.bid_sum += price
}

const tierOf = (campaign: Campaign | undefined, contract: string): string => {
  const at = campaign?.contracts.find(({ id }) => id === contract)?.tier
  return at === undefined ? '' : campaign!.tiers[at]!.name
}

/** What of the lead itself reports are made by; blank where the lead was erased. */
function saidBy({ id, sealed, wrapped, key_version: keyVersion }: LeadRow, sealer: Sealer) {
  if (wrapped === null || keyVersion === null) return { vertical: '', state: '', sub1: '' }
  const from = { sealed: sealed.toString('base64'), wrappedKey: wrapped.toString('base64'), keyVersion }
  const { vertical, values, subs } = leadFromJson(sealer.open(id, from))
  return { vertical, state: String(values.get('state')?.normal ?? ''), sub1: (subs['sub1'] ?? '').slice(0, SUB_LENGTH) }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type LeadKey = Pick<LeadSums, 'campaign' | 'source' | 'vertical' | 'state' | 'sub1' | 'currency'>
type SeatKey = Pick<SeatSums, 'campaign' | 'source' | 'tier' | 'buyer' | 'contract' | 'currency'>

const NO_LEADS = {
  invalid: 0,
  valid: 0,
  duplicates: 0,
  sold: 0,
  unsold: 0,
  pending: 0,
  expired: 0,
  copies: 0,
  revenue: 0,
  payout: 0,
}
const NO_SEATS = {
  pinged: 0,
  bids: 0,
  bid_sum: 0,
  wins: 0,
  posts: 0,
  rejects: 0,
  sold: 0,
  in_doubt: 0,
  returns: 0,
  revenue: 0,
  payout: 0,
}

class Sums {
  readonly #leads = new Map<string, Writable<LeadSums>>()
  readonly #seats = new Map<string, Writable<SeatSums>>()
  undecided = 0

  lead({ campaign, source, vertical, state, sub1, currency }: LeadKey): Writable<LeadSums> {
    return sumAt(this.#leads, { campaign, source, vertical, state, sub1, currency }, NO_LEADS)
  }

  seat({ campaign, source, tier, buyer, contract, currency }: SeatKey): Writable<SeatSums> {
    return sumAt(this.#seats, { campaign, source, tier, buyer, contract, currency }, NO_SEATS)
  }

  end(): QuarterSums {
    return { leads: [...this.#leads.values()], seats: [...this.#seats.values()], undecided: this.undecided }
  }
}

function sumAt<K extends object, S extends object>(
  sums: Map<string, Writable<K & S>>,
  key: K,
  none: S,
): Writable<K & S> {
  const name = JSON.stringify(Object.values(key))
  const known = sums.get(name)
  if (known) return known
  const fresh = { ...key, ...none } as Writable<K & S>
  sums.set(name, fresh)
  return fresh
}
