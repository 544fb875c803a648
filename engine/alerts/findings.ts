/** What an alert finds now: one function for each kind, each a cheap question to the ledger or the hot store. */
import { type Kysely, sql } from 'kysely'
import {
  type Alert,
  type AlertKind,
  type Finding,
  hasRejectRateRisen,
  isSilenceOdd,
  type Posts,
} from '../../rules/alerts.ts'
import { formatMoney, micros, wallMs } from '../../rules/units.ts'
import type { Snapshot } from '../../rules/version.ts'
import type { BalanceLine } from '../balances.ts'
import { type CapLine, capLines } from '../cap-lines.ts'
import type { HotStore } from '../store/port.ts'
import { openDoubts } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import type { SourceTimes } from './source-times.ts'

export interface FindingParts {
  readonly db: Kysely<LedgerTables>
  readonly hot: HotStore
  readonly balances: () => Promise<readonly BalanceLine[]>
  readonly sourceTimes: SourceTimes
  /** By an operator's switch. */
  readonly sourcePaused: (source: string) => boolean
}

/** Beyond so many caps those of the first owners are watched. */
const MOST_CAPS = 20_000
/** What a contract refused before is reckoned over so long. */
const EARLIER = sql`interval '7 days'`
const EARLIER_FRESH_MS = 600_000
const MINUTE_MS = 60_000
/** A heart that was silent for longer counts as gone. */
const ALIVE = sql`now() - interval '10 seconds'`

type Find = (parts: FindingParts, alert: Alert, snapshot: Snapshot, now: number) => Promise<readonly Finding[]>

/** How often each is looked for, at most. */
export const LOOKS: Readonly<Record<AlertKind, { readonly everyMs: number; readonly find: Find }>> = {
  low_balance: { everyMs: 5_000, find: lowBalances },
  cap_reached: { everyMs: 15_000, find: fullCaps },
  breaker_open: { everyMs: 5_000, find: openBreakers },
  reject_rate_doubled: { everyMs: 60_000, find: risenRejectRates },
  source_silent: { everyMs: 30_000, find: silentSources },
  doubts_open: { everyMs: 5_000, find: manyDoubts },
  outbox_stuck: { everyMs: 10_000, find: stuckOutboxes },
  price_cuts: { everyMs: 300_000, find: priceCuts },
}

const watches = (ids: ReadonlySet<string> | null, id: string): boolean => ids === null || ids.has(id)
const percent = (share: number): string => `${Math.round(share * 1_000) / 10} %`
const minutesAgo = (minutes: number) => sql<Date>`now() - ${minutes} * interval '1 minute'`

async function lowBalances({ balances }: FindingParts, { buyers, below }: Alert): Promise<readonly Finding[]> {
  return (await balances()).flatMap(({ buyer, currency, balance, low }) => {
    const threshold = below ?? low
    if (threshold === null || balance >= threshold || !watches(buyers, buyer)) return []
    const facts = { balance: formatMoney(balance), threshold: formatMoney(threshold), currency }
    return [{ subject: `buyer ${buyer}`, episode: currency, facts }]
  })
}

/** Places of posts under way come and go; balances and throttles are no caps. */
const UNWATCHED: ReadonlySet<string> = new Set(['concurrency', 'balance'])

async function fullCaps({ hot }: FindingParts, alert: Alert, snapshot: Snapshot, now: number) {
  const lines = await capLines(snapshot, hot, wallMs(now), {}, MOST_CAPS)
  return lines.flatMap((line): Finding[] => {
    const { kind, window, used, limit, endsAt } = line
    if (kind === 'pings' || UNWATCHED.has(window) || used < limit * alert.share || !watchesCap(alert, line, snapshot))
      return []
    const amount = (value: number) => (kind === 'spend' ? formatMoney(micros(value)) : String(value))
    const until = endsAt === null ? '' : new Date(endsAt).toISOString()
    const cap = `${window} ${kind}`
    const facts = { cap, used: amount(used), limit: amount(limit), ...(until ? { until } : {}) }
    return [{ subject: subjectOf(line), episode: `${cap} ${until}`.trim(), facts }]
  })
}

const subjectOf = ({ scope, owner }: CapLine): string =>
  scope === 'source_contract' ? `contract ${owner.split('/')[1]} (source ${owner.split('/')[0]})` : `${scope} ${owner}`

/** Where an alert names somebody, caps of others are none of its. */
function watchesCap(alert: Alert, { scope, owner }: CapLine, snapshot: Snapshot): boolean {
  const { buyers, contracts, sources, campaigns } = alert
  if (!buyers && !contracts && !sources && !campaigns) return true
  const [source, contract] = scope === 'source_contract' ? owner.split('/') : [owner, owner]
  switch (scope) {
    case 'buyer':
      return buyers?.has(owner) === true
    case 'source':
      return sources?.has(owner) === true
    case 'campaign':
      return campaigns?.has(owner) === true
    case 'contract':
    case 'source_contract':
      return (
        contracts?.has(contract!) === true ||
        (scope === 'source_contract' && sources?.has(source!) === true) ||
        buyers?.has(buyerOf(snapshot, contract!)) === true
      )
    default:
      return scope satisfies never
  }
}

function buyerOf({ campaigns }: Snapshot, contract: string): string {
  for (const { contracts } of campaigns.values())
    for (const { id, buyer } of contracts) if (id === contract) return buyer.id
  return ''
}

async function openBreakers({ db }: FindingParts, { buyers, minutes }: Alert): Promise<readonly Finding[]> {
  const rows = await db
    .selectFrom('breakers as b')
    .innerJoin('engines as e', 'e.id', 'b.engine')
    .where('e.fenced_at', 'is', null)
    .where('e.beat_at', '>', sql<Date>`${ALIVE}`)
    .select(['b.buyer', 'b.kind', 'b.origin'])
    .select(sql<string>`string_agg(b.engine::text, ', ' order by b.engine)`.as('engines'))
    .select((eb) => eb.fn.min('b.opened_at').as('opened'))
    .groupBy(['b.buyer', 'b.kind', 'b.origin'])
    .having((eb) => eb.fn.min('b.opened_at'), '<=', minutesAgo(minutes!))
    .execute()
  return rows
    .filter(({ buyer }) => watches(buyers, buyer))
    .map(({ buyer, kind, origin, engines, opened }) => ({
      ...{ subject: `${kind === 'check' ? 'check' : 'buyer'} ${buyer}`, episode: `${kind} ${origin}` },
      facts: { kind, origin, engines, opened: opened.toISOString() },
    }))
}

const earlier = new WeakMap<Alert, { readonly at: number; readonly rates: ReadonlyMap<string, Posts> }>()

async function risenRejectRates({ db }: FindingParts, alert: Alert, snapshot: Snapshot, now: number) {
  const begin = sql<Date>`date_trunc('hour', ${minutesAgo(alert.minutes!)}, 'UTC')`
  const before = earlier.get(alert)
  const known = before !== undefined && now - before.at < EARLIER_FRESH_MS ? before : null
  const rates = known?.rates ?? (await postsByContract(db, sql`${begin} - ${EARLIER}`, begin))
  if (known === null) earlier.set(alert, { at: now, rates })
  const found: Finding[] = []
  for (const [contract, posts] of await postsByContract(db, begin, sql`now() + interval '1 day'`)) {
    const used = rates.get(contract)
    if (!watches(alert.contracts, contract) || !watches(alert.buyers, buyerOf(snapshot, contract))) continue
    if (used === undefined || !hasRejectRateRisen(alert, posts, used)) continue
    const rate = percent(posts.rejected / posts.posts)
    const facts = { ...posts, rate, before: percent(used.rejected / used.posts) }
    found.push({ subject: `contract ${contract}`, episode: '', facts })
  }
  return found
}

async function postsByContract(
  db: Kysely<LedgerTables>,
  from: ReturnType<typeof sql>,
  to: ReturnType<typeof sql>,
): Promise<ReadonlyMap<string, Posts>> {
  const { rows } = await sql<{ contract: string } & Posts>`
    select contract, sum(n) as posts, coalesce(sum(n) filter (where kind = 'rejected'), 0) as rejected
    from rollups where hour >= ${from} and hour < ${to} and contract <> '' and kind in ('sold', 'rejected')
    group by contract`.execute(db)
  return new Map(rows.map(({ contract, posts, rejected }) => [contract, { posts, rejected }]))
}

async function silentSources(
  { sourceTimes, sourcePaused }: FindingParts,
  alert: Alert,
  snapshot: Snapshot,
  now: number,
) {
  const { latest, usual } = await sourceTimes.look(now, alert.minutes!)
  const active = [...snapshot.sources.values()].filter(({ inTest, campaigns }) => !inTest && campaigns.size > 0)
  return active.flatMap(({ id }): Finding[] => {
    const last = latest.get(id)
    const isSilent = last === undefined || last <= now - alert.minutes! * MINUTE_MS
    if (!isSilent || !watches(alert.sources, id) || sourcePaused(id)) return []
    if (!isSilenceOdd(alert, wallMs(now), (hour) => usual(id, hour))) return []
    const facts = { minutes: alert.minutes!, ...(last ? { latest: new Date(last).toISOString() } : {}) }
    return [{ subject: `source ${id}`, episode: '', facts }]
  })
}

async function manyDoubts({ db }: FindingParts, alert: Alert, snapshot: Snapshot, now: number) {
  const { count, minutes } = alert
  return (await openDoubts(db)).flatMap(({ contract, n, oldest }): Finding[] => {
    const isOld = minutes !== null && oldest.getTime() <= now - minutes * MINUTE_MS
    if (!isOld && !(count !== null && n >= count)) return []
    if (!watches(alert.contracts, contract) || !watches(alert.buyers, buyerOf(snapshot, contract))) return []
    return [{ subject: `contract ${contract}`, episode: '', facts: { count: n, oldest: oldest.toISOString() } }]
  })
}

async function stuckOutboxes({ db }: FindingParts, { minutes }: Alert): Promise<readonly Finding[]> {
  const { rows } = await sql<{ subject: string; count: number; oldest: Date; failure: string | null }>`
    with waiting as (
      select 'postbacks of source ' || source as subject, queued_at, failure from postbacks
      where sent_at is null and dead_at is null and queued_at <= ${minutesAgo(minutes!)}
      union all
      select 'alerts to ' || recipient, queued_at, failure from alert_letters
      where sent_at is null and dead_at is null and queued_at <= ${minutesAgo(minutes!)}
    )
    select subject, count(*) as count, min(queued_at) as oldest,
      (array_agg(failure order by queued_at desc) filter (where failure is not null))[1] as failure
    from waiting group by subject`.execute(db)
  return rows.map(({ subject, count, oldest, failure }) => ({
    ...{ subject, episode: '' },
    facts: { count, oldest: oldest.toISOString(), failure: failure ?? '' },
  }))
}

async function priceCuts({ db }: FindingParts, { buyers, minutes, share, least }: Alert): Promise<readonly Finding[]> {
  const { rows } = await sql<{ buyer: string; sales: number; cuts: number }>`
    select buyer, count(*) as sales, count(*) filter (where price_cut) as cuts
    from sales where lead_id >= uuid_at(${minutesAgo(minutes!)}) group by buyer`.execute(db)
  return rows.flatMap(({ buyer, sales, cuts }): Finding[] => {
    if (sales < least || cuts / sales <= share || !watches(buyers, buyer)) return []
    return [{ subject: `buyer ${buyer}`, episode: '', facts: { sales, cuts, share: percent(cuts / sales) } }]
  })
}
