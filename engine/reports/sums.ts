/** What reports sum, by what, and the rows of one quarter of an hour in which it is summed. */
import { BUCKETS, bucketOf } from '../../rules/latency.ts'
import { Exclusions } from './exclusions.ts'

/** What is known of every lead and of every seat; of a lead alone; of a seat alone. */
export const BOTH = ['campaign', 'source', 'vertical'] as const
const SUBS = ['sub1', 'sub2', 'sub3', 'sub4', 'sub5'] as const
export const OF_LEADS = ['state', ...SUBS] as const
export const OF_SEATS = ['tier', 'buyer', 'contract'] as const
export const DIMENSIONS = [...BOTH, ...OF_LEADS, ...OF_SEATS] as const
export type Dimension = (typeof DIMENSIONS)[number]

/**
 * One more sum: its name here, its column by `addSums` in a migration, where it is counted in `count.ts`, and what is
 * shown of it in `columns.ts`. Leads have sums of their own and those of all their seats.
 */
export const LEAD_SUMS = [
  ...['offers', 'offered'],
  ...['invalid', 'valid', 'duplicates', 'sold', 'unsold', 'pending', 'expired', 'check_cost'],
] as const
export const SEAT_SUMS = [
  ...['pinged', 'bids', 'bid_sum', 'ping_timeouts', 'ping_errors', 'late_bids'],
  ...['wins', 'posts', 'not_sent', 'rejects', 'copies', 'in_doubt', 'doubts'],
  ...['price_cuts', 'price_cut', 'returns', 'returned', 'revenue', 'payout'],
  ...['disposed', 'contacted', 'converted', 'disposed_revenue'],
] as const
export type LeadSum = (typeof LEAD_SUMS)[number]
export type SeatSum = (typeof SEAT_SUMS)[number]

/** Where sums of leads, of seats, and of seats by what their leads are lie. */
export const TABLES = { leads: 'report_leads', seats: 'report_seats', joined: 'report_joined' } as const

/** Values of one sub-id of one campaign that one quarter of an hour tells apart, and keys of leads in all; what is beyond goes together. */
export const MOST_VALUES = 200
export const MOST_KEYS = 5_000
/** Rows of seats by what their leads are: beyond, sub-ids are left out. */
export const MOST_JOINED = 50_000
/** Words of one contract's buyer for one kind of end that are told apart. */
const MOST_WORDS = 20
export const OTHER = '(other)'
/** Sub-ids and reasons are cut to so many characters. */
const LONGEST = 100

/** A row of a report's table: names of what it is of, then sums; a sum of 0 is left out. */
export type Row = Record<string, string | number>
type Names<D extends string> = Readonly<Record<D, string>>
export type LeadKey = Names<(typeof BOTH)[number] | (typeof OF_LEADS)[number] | 'currency'>
export type SeatKey = Names<(typeof OF_SEATS)[number]>
export type SeatEnd = 'rejected' | 'lost' | 'not_asked'

const bump = (row: Row, name: string, by: number): void => {
  if (by !== 0) row[name] = ((row[name] as number | undefined) ?? 0) + by
}

/** Adds to all that one seat of one lead belongs to. */
export class SeatTally {
  readonly #rows: readonly Row[]
  readonly #latency: (kind: 'ping' | 'post') => Row

  constructor(rows: readonly Row[], latency: (kind: 'ping' | 'post') => Row) {
    this.#rows = rows
    this.#latency = latency
  }

  add(sum: SeatSum, by = 1): void {
    for (const row of this.#rows) bump(row, sum, by)
  }

  took(kind: 'ping' | 'post', ms: number | null): void {
    if (ms !== null) bump(this.#latency(kind), `b${bucketOf(ms)}`, 1)
  }
}

/** Adds to what the leads of one key belong to. */
export class LeadTally {
  readonly key: LeadKey
  readonly row: Row
  readonly #sums: Sums
  readonly #seats = new Map<string, SeatTally>()

  constructor(sums: Sums, key: LeadKey, row: Row) {
    this.#sums = sums
    this.key = key
    this.row = row
  }

  add(sum: LeadSum | SeatSum, by = 1): void {
    bump(this.row, sum, by)
  }

  seat(key: SeatKey): SeatTally {
    const name = `${key.contract}\0${key.buyer}\0${key.tier}`
    const known = this.#seats.get(name)
    if (known) return known
    const fresh = this.#sums.seat(this, key)
    this.#seats.set(name, fresh)
    return fresh
  }
}

/** The sums of one quarter of an hour. Given the same leads in the same order, they are the same. */
export class Sums {
  readonly #leads = new Map<string, LeadTally>()
  readonly #seats = new Map<string, Row>()
  readonly #joined = new Map<string, Row>()
  readonly #latencies = new Map<string, Row>()
  readonly #reasons = new Map<string, Row>()
  readonly #values = new Map<string, Set<string>>()
  readonly exclusions = new Exclusions()

  lead(key: LeadKey): LeadTally {
    const told = this.#toldApart(key)
    const name = nameOf(told)
    const known = this.#leads.get(name)
    if (known) return known
    if (this.#leads.size >= MOST_KEYS && key.sub1 !== OTHER) return this.lead({ ...key, ...ANY_SUB })
    const fresh = new LeadTally(this, told, { ...told })
    this.#leads.set(name, fresh)
    return fresh
  }

  seat({ key, row }: LeadTally, { tier, buyer, contract }: SeatKey): SeatTally {
    const { campaign, source, vertical, currency } = key
    const of = { campaign, source, vertical, tier, buyer, contract, currency }
    const told = this.#joined.size < MOST_JOINED ? key : { ...key, ...ANY_SUB }
    const rows = [row, rowAt(this.#seats, of), rowAt(this.#joined, { ...told, tier, buyer, contract })]
    const latency = (kind: 'ping' | 'post') =>
      rowAt(this.#latencies, { campaign, vertical, tier, buyer, contract, kind })
    return new SeatTally(rows, latency)
  }

  /** Why a seat was not sold to. A buyer's own words are cut, and so many are told apart. */
  reason(
    campaign: string,
    buyer: string,
    contract: string,
    kind: SeatEnd,
    said: { full: string; name: string },
    by = 1,
  ) {
    const words = this.#valuesOf(`${campaign}\0${contract}\0${kind}`)
    const cut = said.full.slice(0, LONGEST)
    const isTold = words.has(cut) || words.size < MOST_WORDS
    if (isTold) words.add(cut)
    bump(rowAt(this.#reasons, { campaign, buyer, contract, kind, reason: isTold ? cut : said.name }), 'n', by)
  }

  /** Rows by their tables. */
  end(): ReadonlyMap<string, readonly Row[]> {
    for (const { campaign, contract, reason, n } of this.exclusions.told()) {
      const key = { campaign, buyer: contract?.buyer.id ?? OTHER, contract: contract?.id ?? OTHER }
      bump(rowAt(this.#reasons, { ...key, kind: 'not_asked', reason }), 'n', n)
    }
    return new Map([
      [TABLES.leads, [...this.#leads.values()].map(({ row }) => row)],
      [TABLES.seats, [...this.#seats.values()]],
      [TABLES.joined, [...this.#joined.values()]],
      ['report_latencies', [...this.#latencies.values()]],
      ['report_reasons', [...this.#reasons.values()]],
    ])
  }

  #toldApart(key: LeadKey): LeadKey {
    const told: Record<string, string> = { ...key }
    for (const name of SUBS) {
      const value = key[name].slice(0, LONGEST)
      if (value === '') continue
      const values = this.#valuesOf(`${key.campaign}\0${name}`)
      told[name] = values.has(value) || values.size < MOST_VALUES ? value : OTHER
      if (told[name] !== OTHER) values.add(value)
    }
    return told as LeadKey
  }

  #valuesOf(of: string): Set<string> {
    const known = this.#values.get(of) ?? new Set()
    this.#values.set(of, known)
    return known
  }
}

export type Subs = Readonly<Record<(typeof SUBS)[number], string>>
const ANY_SUB: Subs = { sub1: OTHER, sub2: OTHER, sub3: OTHER, sub4: OTHER, sub5: OTHER }
export const NO_SUB: Subs = { sub1: '', sub2: '', sub3: '', sub4: '', sub5: '' }

const nameOf = (key: Readonly<Record<string, string>>): string => Object.values(key).join('\0')

function rowAt(rows: Map<string, Row>, key: Readonly<Record<string, string>>): Row {
  const name = nameOf(key)
  const known = rows.get(name)
  if (known) return known
  const fresh: Row = { ...key }
  rows.set(name, fresh)
  return fresh
}

/** Columns of a latency's row. */
export const BUCKET_COLUMNS: readonly string[] = Array.from({ length: BUCKETS }, (_, bucket) => `b${bucket}`)
