/** Invariant 4: the hot store's counters are what the ledger committed, and what is open or held. */
import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import type { HotDump } from '../../engine/store/port.ts'
import { windowEndsAt, windowOf } from '../../rules/calendar.ts'
import type { Place } from '../../rules/caps.ts'
import { wallMs } from '../../rules/units.ts'
import type { CapRule } from '../../rules/version.ts'
import { type Intent, intentsAsHeld, stream } from './dossiers.ts'
import { Finding } from './finding.ts'
import type { Versions } from './versions.ts'

/** The hot store as the verifier sees it. */
export interface HotView {
  /** Where it is, for people. */
  readonly name: string
  /** Null while the store does not stand under that epoch: it is cold, and sells nothing that is capped. */
  dump(epoch: number): Promise<HotDump | null>
  close(): Promise<void>
}

export interface HotOptions {
  readonly hot: HotView
  readonly client: pg.ClientBase
  readonly versions: Versions
  /** How long what does not agree is looked at again: ledger and hot store cannot be read at one moment. */
  readonly settleMs: number
  /** Nothing is under way any more: all that is left in the hot store must be doubts. */
  readonly drained: boolean
}

const PAUSE_MS = 500

/** What the ledger says of one counter. */
interface Expected {
  /** Places of sales whose token is not live any more. */
  committed: number
  /** When its window is over; 0 for never. */
  endsAt: number
}

interface LedgerSide {
  readonly counters: Map<string, Expected>
  /** Intents that are open or in doubt and took places, by token. */
  readonly waiting: Map<string, Intent>
  /** State of each intent whose token is live in the dump. */
  readonly live: Map<string, Intent['state']>
}

/**
 * A counter must be: places of accepted intents + places of live tokens. A live token is counted once, also where the
 * ledger has its acceptance already and its commit is on the way. Each posting token must be an intent's that is open or
 * in doubt (or has just ended), and each of those must have its token. What disagrees is looked at again, and is a
 * violation only where it disagreed every time. A counter also has sales from before its cap came into being: where the
 * places alone do not explain it, all sales of its window may.
 */
export async function checkHot(options: HotOptions): Promise<Finding> {
  const finding = new Finding(4, 'the hot counters are the ledger', ['counters', 'posting', 'leased holds', 'looks'])
  const until = performance.now() + options.settleMs
  let standing: Map<string, string> | null = null
  for (let looks = 1; ; looks++) {
    finding.counts['looks'] = looks
    const drifts = await lookOnce(options, finding)
    standing = drifts && standing ? intersection(drifts, standing) : drifts
    const settled = standing !== null && standing.size === 0
    if (settled || (looks >= 3 && performance.now() > until)) break
    await pause(PAUSE_MS)
  }
  if (standing === null) finding.notApplicable(`the hot store at ${options.hot.name} is cold: nothing capped is sold`)
  for (const drift of standing?.values() ?? []) finding.violated(drift)
  return finding
}

/** What does not agree now, by what it is about; null where the store is cold. */
async function lookOnce(options: HotOptions, finding: Finding): Promise<Map<string, string> | null> {
  const { client, hot } = options
  const { rows } = await client.query<{ epoch: number }>('select epoch from hot_store')
  const dump = await hot.dump(rows[0]!.epoch)
  if (!dump) return null
  const now = Date.now()
  await client.query('begin isolation level repeatable read read only')
  const ledger = await readLedger(client, dump)
  const sums = await soldWhen(client, dump)
  const paid = await paidDrifts(client, options.versions, dump)
  await client.query('commit')
  finding.counts['counters'] = Object.keys(dump.counters).length
  for (const [what, state] of [
    ['posting', 'posting'],
    ['leased holds', 'held'],
  ] as const) {
    finding.counts[what] = dump.tokens.filter((token) => token.state === state).length
  }
  return new Map([
    ...counterDrifts(options, dump, ledger, sums, now),
    ...tokenDrifts(options, dump, ledger, now),
    ...paid,
  ])
}

function intersection(now: Map<string, string>, before: Map<string, string>): Map<string, string> {
  return new Map([...now].filter(([about]) => before.has(about)))
}

const tokenOf = ({ leadId, contract, term, attempt }: Intent): string => `${leadId}:${contract}:${term}.${attempt}`

async function readLedger(client: pg.ClientBase, dump: HotDump): Promise<LedgerSide> {
  const liveTokens = new Set(dump.tokens.map(({ token }) => token))
  const side: LedgerSide = { counters: new Map(), waiting: new Map(), live: new Map() }
  for await (const intent of intentsAsHeld(client)) {
    const token = tokenOf(intent)
    const live = liveTokens.has(token)
    if (live) side.live.set(token, intent.state)
    const places = intent.places.flatMap((group) => group.places)
    if ((intent.state === 'open' || intent.state === 'in_doubt') && places.length > 0) side.waiting.set(token, intent)
    for (const place of places) {
      const { key, amount, transient } = place
      const counter = side.counters.get(key) ?? { committed: 0, endsAt: windowEndsAt(place) }
      if (intent.state === 'accepted' && !transient && !live) counter.committed += amount
      side.counters.set(key, counter)
    }
  }
  return side
}

function* counterDrifts(
  options: HotOptions,
  dump: HotDump,
  ledger: LedgerSide,
  sums: Sold,
  now: number,
): Generator<[string, string]> {
  const held = new Map<string, number>()
  const alsoSold = new Map<string, number>()
  for (const { token, places } of dump.tokens) {
    for (const [key, amount] of Object.entries(places)) {
      held.set(key, (held.get(key) ?? 0) + amount)
      if (ledger.live.get(token) === 'accepted') alsoSold.set(key, (alsoSold.get(key) ?? 0) + amount)
    }
  }
  for (const key of new Set([...Object.keys(dump.counters), ...ledger.counters.keys()])) {
    const { committed, endsAt } = ledger.counters.get(key) ?? { committed: 0, endsAt: 0 }
    if (endsAt !== 0 && endsAt <= now) continue
    const kept = (dump.counters[key] ?? 0) - (held.get(key) ?? 0)
    if (kept === committed) continue
    const sold = salesIn(options.versions, sums, key) - (alsoSold.get(key) ?? 0)
    if (kept === sold) continue
    yield [key, `${key} counts ${kept} without what is held, and the ledger committed ${committed}`]
  }
}

function* tokenDrifts(
  { drained }: HotOptions,
  dump: HotDump,
  ledger: LedgerSide,
  now: number,
): Generator<[string, string]> {
  const posting = new Map<string, Readonly<Record<string, number>>>()
  for (const { token, state, places } of dump.tokens) {
    if (state !== 'posting') continue
    posting.set(token, places)
    const ended = ledger.live.get(token)
    if (ended === undefined) yield [token, `${token} holds places for a post that the ledger does not know`]
    else if (ended === 'open' && drained) yield [token, `${token} is still being posted, and nothing is under way`]
    else if (ended !== 'open' && ended !== 'in_doubt') yield [token, `${token} holds places, and is ${ended}`]
  }
  for (const [token, intent] of ledger.waiting) {
    const missing = livePlaces(intent, now).find(({ key, amount }) => posting.get(token)?.[key] !== amount)
    if (missing)
      yield [token, `${token} is ${intent.state}, and the hot store does not hold its place in ${missing.key}`]
  }
}

/** Its places in windows that are not over. */
function livePlaces(intent: Intent, now: number): Place[] {
  const places = intent.places.flatMap((group) => group.places)
  return places.filter((place) => place.forgetAt === 0 || windowEndsAt(place) > now)
}

/** What was paid into each balance that the newest version has, returns included, is what buyers may spend. */
async function paidDrifts(client: pg.ClientBase, versions: Versions, dump: HotDump): Promise<[string, string][]> {
  const newest = versions.numbers().at(-1)
  const { rows } = await client.query<{ buyer: string; currency: string; seq: number; total: number }>(
    'select buyer, currency, seq, total from balances where seq > 0',
  )
  return rows.flatMap(({ buyer, currency, seq, total }) => {
    const key = `buyer:${buyer}:balance:spend:${currency}`
    const known = dump.paid[key] ?? { seq: 0, total: 0 }
    const isBalance = newest !== undefined && versions.rule(newest, key)?.currency === currency
    if (!isBalance || (known.seq === seq && known.total === total)) return []
    return [[key, `${key} has ${known.total} micros paid in, and the ledger ${total}`]]
  })
}

interface TimedSum {
  /** A moment of the quarter of an hour, or of a sale's hold. */
  readonly at: number
  readonly campaign: string
  readonly source: string
  readonly buyer: string
  readonly contract: string
  readonly n: number
  readonly bid: number
}

interface Sold {
  readonly byQuarter: TimedSum[]
  readonly each: TimedSum[]
}

/** The ledger's own sums, which are compared with the sales elsewhere; where a rolling window is counted, the sales that it may see. */
async function soldWhen(client: pg.ClientBase, dump: HotDump): Promise<Sold> {
  const sold: Sold = { byQuarter: [], each: [] }
  const sums = `
    select (extract(epoch from quarter) * 1000)::bigint as at, campaign, source, buyer, contract,
      sum(n)::bigint as n, sum(bid)::bigint as bid
    from sold_sums group by 1, 2, 3, 4, 5`
  for await (const row of stream<TimedSum>(client, sums)) sold.byQuarter.push(row)
  if (!Object.keys(dump.counters).some(isRolling)) return sold
  const sales = `
    select (extract(epoch from s.held_at) * 1000)::bigint as at, s.campaign, s.source, s.buyer, s.contract, 1 as n, i.bid
    from sales s join intents i on i.lead_id = s.lead_id and i.copy = s.copy and i.state = 'accepted'
    where s.held_at > now() - interval '15 days'`
  for await (const row of stream<TimedSum>(client, sales)) sold.each.push(row)
  return sold
}

/** `contract:acme:30m:count:59082240`. */
const isRolling = (key: string): boolean => /^\d+m$/.test(key.split(':')[2] ?? '')

/** Count or sum of the sales in a counter's window, by the newest version that has its cap. */
function salesIn(versions: Versions, sold: Sold, key: string): number {
  const rule = versions
    .numbers()
    .reduceRight<CapRule | null>((found, number) => found ?? versions.rule(number, key), null)
  if (!rule) return 0
  const [scope, owner, , kind] = key.split(':')
  const name = key.split(':').slice(4).join(':')
  let total = 0
  for (const sum of isRolling(key) ? sold.each : sold.byQuarter) {
    const whose = scope === 'source_contract' ? `${sum.source}/${sum.contract}` : sum[scope as 'buyer']
    if (whose !== owner || windowOf(rule, wallMs(sum.at)).name !== name) continue
    total += kind === 'spend' ? sum.bid : sum.n
  }
  return total
}
