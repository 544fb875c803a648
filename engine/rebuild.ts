/** Makes the hot store warm: finds that it is what the ledger says was restored, or restores it from the ledger. */
import type { Selectable } from 'kysely'
import type pg from 'pg'
import type { Clock } from '../buyers/wire.ts'
import { bucketsBehind, keyPrefix, placesOf, windowOf } from '../rules/calendar.ts'
import type { Place, PlaceGroup } from '../rules/caps.ts'
import type { KeptSighting } from '../rules/claims.ts'
import { micros, type WallMs, wallMs } from '../rules/units.ts'
import type { CapRule, Snapshot } from '../rules/version.ts'
import type { HotStore, Restoration } from './store/port.ts'
import { sightingOfRow } from './store/queries.ts'
import type { SightingsTable } from './store/tables.ts'

export interface RebuildSettings {
  readonly pool: pg.Pool
  readonly hot: HotStore
  readonly clock: Clock
  /** Versions that leads are decided by now, the newest last. */
  readonly snapshots: () => readonly Snapshot[]
  readonly log: (message: string) => void
}

/** One rebuilder at a time, over all processes. */
const LOCK = 'select pg_advisory_lock(75, 0)'
const UNLOCK = 'select pg_advisory_unlock(75, 0)'
/** A month's sums and sightings may take longer than a statement usually may. */
const LONG_MS = 120_000
/** Sightings that are read at once. */
const PAGE = 10_000

/**
 * Keeps one process's view of the hot store in step with the ledger. The store is warm where it is the instance that was
 * restored under the ledger's epoch, and every cap of the versions in force was counted then.
 */
export class Rebuild {
  readonly #settings: RebuildSettings
  /** Caps and tags that the store has counted under `#epoch`. */
  #counted = new Set<string>()
  #epoch = 0

  constructor(settings: RebuildSettings) {
    this.#settings = settings
  }

  /** Resolves when the store is warm: as it was found, or restored. Rejects while the ledger or the store is out of reach. */
  async makeWarm(): Promise<void> {
    if (await this.#isWarm()) return
    await locked(this.#settings.pool, async (client) => {
      // Whoever had the lock before may have done the work.
      if (await this.#isWarm()) return
      const snapshots = this.#settings.snapshots()
      const epoch = await restore(this.#settings, client, snapshots)
      this.#remember(epoch, snapshots)
    })
  }

  async #isWarm(): Promise<boolean> {
    const { pool, hot } = this.#settings
    const snapshots = this.#settings.snapshots()
    const { rows } = await pool.query<StoredRow>('select epoch, run_id, versions::text[] from hot_store')
    const { epoch, run_id: runId, versions } = rows[0]!
    if (runId === null || (await hot.runId()) !== runId) return false
    hot.setEpoch(epoch)
    if (!(await hot.warm())) return false
    const unknown = snapshots.filter(({ version }) => !versions.includes(String(version)))
    if (unknown.length > 0 && !(await this.#addsNothing(epoch, unknown))) return false
    this.#remember(epoch, snapshots)
    return true
  }

  /** A version without a new cap goes live as it is; one that has any waits until what was sold under it is counted. */
  async #addsNothing(epoch: number, unknown: readonly Snapshot[]): Promise<boolean> {
    if (epoch !== this.#epoch) return false
    for (const snapshot of unknown) for (const name of countedBy(snapshot)) if (!this.#counted.has(name)) return false
    const { rowCount } = await this.#settings.pool.query(
      'update hot_store set versions = versions || $1::bigint[] where epoch = $2',
      [unknown.map(({ version }) => version), epoch],
    )
    return rowCount === 1
  }

  #remember(epoch: number, snapshots: readonly Snapshot[]): void {
    if (epoch !== this.#epoch) this.#counted = new Set()
    this.#epoch = epoch
    for (const snapshot of snapshots) for (const name of countedBy(snapshot)) this.#counted.add(name)
  }
}

interface StoredRow {
  readonly epoch: number
  readonly run_id: string | null
  readonly versions: readonly string[]
}

/** Names of a version's caps and tags: where two versions share one, its counter is the same. */
function countedBy(snapshot: Snapshot): string[] {
  const caps = rulesOf(snapshot).map(
    ({ rule }) => `${keyPrefix(rule)}${rule.currency ?? rule.zone}:${rule.dayStart ?? 0}`,
  )
  const kept = scopesOf(snapshot).map(([scope, keepMs]) => `f:${scope}:${keepMs}`)
  return [...caps, ...tagsOf(snapshot), ...kept]
}

/** A client that failed is dropped, and the lock with it. */
async function locked(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query(LOCK)
    await work(client)
    await client.query(UNLOCK)
  } catch (error) {
    client.release(error instanceof Error ? error : true)
    throw error
  }
  client.release()
}

/**
 * The epoch is raised first: it waits for the batches under way and refuses the INTENTs of older holds from then on. What
 * is read afterwards is therefore all that can ever count under the new epoch.
 */
async function restore(
  settings: RebuildSettings,
  client: pg.PoolClient,
  snapshots: readonly Snapshot[],
): Promise<number> {
  const { hot, clock, log } = settings
  const began = clock.mono()
  const epoch = await raiseEpoch(client)
  const restoration = await readRestoration(client, snapshots, epoch, clock.wall())
  await hot.restore(restoration)
  const marked = await client.query(
    'update hot_store set run_id = $1, versions = $2, restored_at = now() where epoch = $3',
    [await hot.runId(), snapshots.map(({ version }) => version), epoch],
  )
  if (marked.rowCount === 0) throw new Error('another engine has begun to rebuild the hot store')
  const { tokens, locks } = restoration
  const took = Math.round(clock.mono() - began)
  log(
    `the hot store was rebuilt as epoch ${epoch}: ${tokens.length} open posts, ${locks.length} undecided leads, ${took} ms`,
  )
  return epoch
}

async function raiseEpoch(client: pg.PoolClient): Promise<number> {
  await client.query('begin')
  await client.query('select pg_advisory_xact_lock(73, 0)')
  const { rows } = await client.query<{ epoch: number }>(
    'update hot_store set epoch = epoch + 1, run_id = null returning epoch',
  )
  await client.query('commit')
  return rows[0]!.epoch
}

/** Reads at one moment what the caps of these versions and their open posts come to; sightings are read as they are asked for. */
export async function readRestoration(
  client: pg.PoolClient,
  snapshots: readonly Snapshot[],
  epoch: number,
  now: WallMs,
): Promise<Restoration> {
  await client.query('begin isolation level repeatable read read only')
  await client.query(`set local statement_timeout = ${LONG_MS}`)
  const tokens = await openTokens(client)
  const committed = await committedGroups(client, snapshots, now)
  const paid = await paidIn(client, snapshots)
  const locks = await undecidedLocks(client, now)
  await client.query('commit')
  const tags = new Set(tokens.flatMap(({ groups }) => groups.map(({ tag }) => tag)))
  for (const snapshot of snapshots) for (const tag of tagsOf(snapshot)) tags.add(tag)
  const scopes = new Map(snapshots.flatMap(scopesOf))
  const sightings = sightingsOf(client, scopes, now)
  return { epoch, committed, paid, tokens, tags: [...tags], scopes: [...scopes.keys()], locks, sightings }
}

function tagsOf({ sources, campaigns, buyers }: Snapshot): string[] {
  return [
    ...Array.from(sources.keys(), (id) => `s:${id}`),
    ...Array.from(campaigns.keys(), (id) => `c:${id}`),
    ...Array.from(buyers.keys(), (id) => `b:${id}`),
  ]
}

async function openTokens(client: pg.PoolClient): Promise<Restoration['tokens']> {
  const { rows } = await client.query<{ token: string; places: PlaceGroup[] }>({
    text: `select lead_id || ':' || contract || ':' || term || '.' || attempt as token, places from intents
      where state in ('open', 'in_doubt')`,
    ...PATIENT,
  })
  return rows
    .filter(({ places }) => places.length > 0)
    .map(({ token, places }) => ({ token, state: 'posting' as const, groups: places }))
}

/** The client's own limit, beside the server's. */
const PATIENT = { query_timeout: LONG_MS } as object

interface Sum {
  readonly campaign: string
  readonly source: string
  readonly buyer: string
  readonly contract: string
  readonly currency: string
  readonly n: number
  readonly bid: number
}

interface OwnedRule {
  readonly rule: CapRule
  /** Whose tag a contract's cap lives under. */
  readonly buyer: string
  readonly version: number
}

/** What was sold in the present window of every cap, and in the one before: a hold may still be on its way from there. */
async function committedGroups(
  client: pg.PoolClient,
  snapshots: readonly Snapshot[],
  now: WallMs,
): Promise<PlaceGroup[]> {
  const owned = snapshots.flatMap(rulesOf)
  const rolling = owned.filter(({ rule }) => rule.window === 'rolling')
  return [...(await windowGroups(client, owned, now)), ...(await rollingGroups(client, rolling, now))]
}

async function windowGroups(client: pg.PoolClient, owned: readonly OwnedRule[], now: WallMs): Promise<PlaceGroup[]> {
  const places = new Map<string, { group: PlaceGroup; rule: CapRule; from: number; to: number }>()
  for (const { rule, buyer, version } of owned) {
    if (rule.window === 'concurrency' || rule.window === 'rolling') continue
    const present = windowOf(rule, now).startsAt
    for (const at of Number.isFinite(present) ? [now, wallMs(present - 1)] : [now]) {
      const group = placesOf([rule], buyer, micros(0), version, at)[0]!
      const { startsAt, endsAt } = windowOf(rule, at)
      places.set(group.places[0]!.key, { group, rule, from: startsAt, to: endsAt })
    }
  }
  const sums = new Map<string, readonly Sum[]>()
  const groups: PlaceGroup[] = []
  for (const { group, rule, from, to } of places.values()) {
    const span = `${from} ${to}`
    const rows = sums.get(span) ?? (await soldBetween(client, from, to))
    sums.set(span, rows)
    const amount = soldUnder(rule, rows)
    if (amount > 0) groups.push({ tag: group.tag, places: [{ ...(group.places[0] as Place), amount }] })
  }
  return groups
}

/** Each bucket that still counts: of one length of window all at once. */
async function rollingGroups(client: pg.PoolClient, owned: readonly OwnedRule[], now: WallMs): Promise<PlaceGroup[]> {
  const groups = new Map<string, PlaceGroup>()
  for (const [minutes, rules] of Map.groupBy(owned, ({ rule }) => rule.minutes ?? 0)) {
    const { startsAt, endsAt } = windowOf(rules[0]!.rule, now)
    const length = endsAt - startsAt
    const buckets = await soldInBuckets(client, startsAt - (bucketsBehind(minutes) + 1) * length, length)
    for (const { rule, buyer, version } of rules) {
      for (const [bucket, sums] of buckets) {
        const amount = soldUnder(rule, sums)
        const { tag, places } = placesOf([rule], buyer, micros(0), version, wallMs(bucket * length))[0]!
        if (amount > 0) groups.set(places[0]!.key, { tag, places: [{ ...places[0]!, amount }] })
      }
    }
  }
  return [...groups.values()]
}

/** Entries of every balance that these versions have. */
async function paidIn(
  client: pg.PoolClient,
  snapshots: readonly Snapshot[],
): Promise<NonNullable<Restoration['paid']>> {
  const { rows } = await client.query<{ buyer: string; currency: string; seq: number; total: number }>({
    text: 'select buyer, currency, seq, total from balances where seq > 0',
    ...PATIENT,
  })
  const rules = new Map(
    snapshots
      .flatMap(rulesOf)
      .flatMap(({ rule, buyer }) => (rule.window === 'balance' ? [[`${buyer} ${rule.currency}`, rule]] : [])),
  )
  return rows.flatMap(({ buyer, currency, seq, total }) => {
    const rule = rules.get(`${buyer} ${currency}`)
    return rule ? { tag: `b:${buyer}`, key: keyPrefix(rule) + currency, seq, total } : []
  })
}

function rulesOf(snapshot: Snapshot): OwnedRule[] {
  const { version } = snapshot
  const own = (rules: readonly CapRule[], buyer: string) => rules.map((rule) => ({ rule, buyer, version }))
  return [
    ...[...snapshot.sources.values()].flatMap(({ caps }) => own(caps, '')),
    ...[...snapshot.buyers.values()].flatMap(({ id, caps }) => own(caps, id)),
    ...[...snapshot.campaigns.values()].flatMap(({ caps, contracts }) => [
      ...own(caps, ''),
      ...contracts.flatMap(({ caps: its, sourceCaps, buyer }) =>
        [its, ...sourceCaps.values()].flatMap((one) => own(one, buyer.id)),
      ),
    ]),
  ]
}

async function soldBetween(client: pg.PoolClient, from: number, to: number): Promise<readonly Sum[]> {
  const { rows } = await client.query<Sum>({
    text: `select campaign, source, buyer, contract, currency, sum(n)::bigint as n, sum(bid)::bigint as bid from sold_sums
      where quarter >= $1 and quarter < $2 group by 1, 2, 3, 4, 5`,
    values: [bound(from, '-infinity'), bound(to, 'infinity')],
    ...PATIENT,
  })
  return rows
}

const bound = (at: number, beyond: string): string => (Number.isFinite(at) ? new Date(at).toISOString() : beyond)

interface BucketSum extends Sum {
  readonly bucket: number
}

/** A bucket is finer than the sums, so the sales themselves are read. The bid is what was held; the price may be lower. */
async function soldInBuckets(client: pg.PoolClient, from: number, length: number): Promise<Map<number, BucketSum[]>> {
  const { rows } = await client.query<BucketSum>({
    text: `select floor(extract(epoch from s.held_at) * 1000 / $2)::bigint as bucket, s.campaign, s.source, s.buyer,
        s.contract, s.currency, count(*)::bigint as n, sum(i.bid)::bigint as bid
      from sales s join intents i on i.lead_id = s.lead_id and i.copy = s.copy and i.state = 'accepted'
      where s.held_at >= $1 group by 1, 2, 3, 4, 5, 6`,
    values: [new Date(from).toISOString(), length],
    ...PATIENT,
  })
  return Map.groupBy(rows, ({ bucket }) => bucket)
}

function soldUnder(rule: CapRule, sums: readonly Sum[]): number {
  let total = 0
  for (const sum of sums) if (isOf(rule, sum)) total += rule.kind === 'spend' ? sum.bid : sum.n
  return total
}

const isOf = ({ scope, owner, currency }: CapRule, sum: Sum): boolean =>
  (currency === undefined || currency === sum.currency) &&
  (scope === 'source_contract' ? `${sum.source}/${sum.contract}` : sum[scope]) === owner

/** Verticals, and how long a sighting matters there. */
function scopesOf({ campaigns }: Snapshot): (readonly [string, number])[] {
  return Array.from(campaigns.values(), ({ duplicates }) => [duplicates.scope, duplicates.keepMs] as const)
}

/** An undecided lead is in flight, unless it sleeps, whatever became of its engine: of two of one person the other one waits. */
async function undecidedLocks(client: pg.PoolClient, now: WallMs): Promise<Restoration['locks']> {
  const { rows } = await client.query<{ id: string; fingerprints: string[] }>({
    text: `select id, fingerprints from leads
      where status is null and wake_at is null and not test and cardinality(fingerprints) > 0`,
    ...PATIENT,
  })
  return rows.map(({ id, fingerprints }) => ({ leadId: id, fingerprints, since: now }))
}

/** Pages of what somebody's duplicates may still depend on, the oldest lead first. */
async function* sightingsOf(
  client: pg.PoolClient,
  scopes: ReadonlyMap<string, number>,
  now: WallMs,
): AsyncGenerator<readonly KeptSighting[]> {
  const longest = Math.max(0, ...scopes.values())
  for (let after = NO_LEAD; ; ) {
    const { rows } = await client.query<Selectable<SightingsTable>>({
      text: `select * from sightings where lead_id > $1 and at > to_timestamp($2 / 1000.0)
        order by lead_id limit ${PAGE}`,
      values: [after, Math.max(0, now - longest)],
      ...PATIENT,
    })
    yield rows.flatMap((row) => {
      const keepMs = scopes.get(row.fingerprints[0]!.split(':', 1)[0]!)
      return keepMs === undefined ? [] : { ...sightingOfRow(row), keepMs }
    })
    if (rows.length < PAGE) return
    after = rows.at(-1)!.lead_id
  }
}

const NO_LEAD = '00000000-0000-0000-0000-000000000000'
