/** Ends what other engines, or this one, left unfinished: at the start and for as long as the engine runs. */
import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import type { PostAnswer } from '../buyers/adapter.ts'
import type { Clock, Timer } from '../buyers/wire.ts'
import type { PlaceGroup } from '../rules/caps.ts'
import { micros, ms, wallMs } from '../rules/units.ts'
import type { Snapshot } from '../rules/version.ts'
import { Versions } from './configuration/versions.ts'
import {
  endClaims,
  expireDoubts,
  LateVerdicts,
  type ResolveAnswer,
  resolveDoubt,
  settlePlaces,
  type Verdict,
  verdictOf,
  type Which,
} from './doubts/resolve.ts'
import type { LiveLead } from './live.ts'
import type { Ownership } from './ownership.ts'
import type { Recovered } from './reauction.ts'
import { Rebuild } from './rebuild.ts'
import { reconcile } from './reconcile.ts'
import { resultText } from './store/batch.ts'
import type { HotStore } from './store/port.ts'
import type { IntentState, LedgerTables } from './store/tables.ts'

export interface RecoverySettings {
  readonly db: Kysely<LedgerTables>
  readonly pool: pg.Pool
  readonly hot: HotStore
  readonly clock: Clock
  readonly ownership: Ownership
  readonly snapshot: () => Snapshot
  /** True while this process works on the lead. */
  readonly isLive: (leadId: string) => boolean
  /** Auctions a lead again that nobody was offered; false where it cannot be, `later` where it is too early to say. */
  readonly auctionAgain: (lead: Recovered) => Promise<boolean | 'later'>
  /** Seals a text that may name a person. */
  readonly conceal: (leadId: string, text: string) => string
  readonly hotLater: (act: () => Promise<unknown>) => void
  readonly log: (message: string) => void
  /** Pause between two passes; default 1,000. */
  readonly everyMs?: number
  /** How long after its post could have ended at the latest an INTENT without a result is settled; default 5,000. */
  readonly graceMs?: number
  /** A doubt that nobody resolved is settled by its contract's policy after so long; default 72 hours. */
  readonly doubtMs?: number
  /** A lead without an INTENT is auctioned again while it is younger; default 60,000. */
  readonly freshMs?: number
  /** A lead of this engine's own that nobody works on is taken back after so long; default 240,000, longer than any lead may take. */
  readonly orphanMs?: number
  /** How often the hot store's posts are compared with the ledger; default 60,000. After a takeover it happens at once. */
  readonly reconcileMs?: number
}

/** Leads that one pass takes over, and that it settles. */
const TAKEN_AT_ONCE = 500
const SETTLED_AT_ONCE = 200
/** A hot store that is away keeps open posts from being settled for so long; then they are doubts. */
const HOT_AWAY_MS = 60_000
/** Longer than a lead takes and a dead engine goes unnoticed. */
const FOLLOWED_MS = 300_000
const MOST_GIVEN_UP = 100_000
/** Doubts are days old when they expire: looking through all partitions for them need not happen with every pass. */
const SWEEP_MS = 10_000

interface AdoptedLead {
  readonly id: string
  readonly term: number
}

interface AdoptedRow extends AdoptedLead {
  readonly campaign: string
  readonly source: string
  readonly mode: 'sync' | 'async'
  readonly test: boolean
  readonly keyed: boolean
  readonly owed: number
  readonly received_at: Date
  readonly fresh: boolean
  /** It waited for a contract to open, and may be sold until then. */
  readonly queue_until: Date | null
  readonly fingerprints: readonly string[]
  readonly sealed: Buffer
  readonly wrapped: Buffer | null
  readonly key_version: number | null
}

interface OpenIntent {
  readonly contract: string
  readonly term: number
  readonly attempt: number
  readonly state: IntentState
  readonly bid: number
  readonly payout: number
  readonly buyer_reference: string | null
  readonly places: readonly PlaceGroup[]
  /** How long ago it became due, in milliseconds; negative before. */
  readonly overdue: number
}

export class Recovery {
  readonly #settings: RecoverySettings
  readonly #rebuild: Rebuild
  readonly #late: LateVerdicts
  /** Leads of this engine's own that it can no longer work on. */
  readonly #givenUp = new Set<string>()
  /** Term under which each lead was auctioned again. */
  readonly #auctioned = new Map<string, number>()
  #before: Snapshot | null = null
  readonly #versions: Versions
  #newest: Snapshot | null = null
  #reconciledAt = Number.NEGATIVE_INFINITY
  #orphansAt = Number.NEGATIVE_INFINITY
  #sweptAt = Number.NEGATIVE_INFINITY
  #timer: Timer | null = null
  #passing: Promise<void> = Promise.resolve()
  #passed = false
  #stopped = false
  #failed = false

  constructor(settings: RecoverySettings) {
    this.#settings = settings
    this.#versions = new Versions(settings.db)
    this.#rebuild = new Rebuild({ ...settings, snapshots: () => this.#snapshots() })
    this.#late = new LateVerdicts(this.#resolving)
  }

  /** Makes the first pass, then one after the other. Never rejects: what fails is tried again with the next pass. */
  async start(): Promise<void> {
    this.#passing = this.#passSafely()
    await this.#passing
    this.#next()
  }

  /** True once a whole pass succeeded: the leads of engines that were dead at the start are taken over. */
  ready(): boolean {
    return this.#passed
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#passing
  }

  /** Makes the hot store warm under the ledger's epoch and the versions in force. Rejects while either store is away. */
  rebuild(): Promise<void> {
    return this.#rebuild.makeWarm()
  }

  /** This engine stops working on a lead that it may still own. */
  givenUp(lead: Pick<LiveLead, 'leadId'>): void {
    if (this.#givenUp.size < MOST_GIVEN_UP) this.#givenUp.add(lead.leadId)
  }

  /** A reply that came after its post was given up: a verdict like any other. */
  lateReply(lead: LiveLead, seat: number, answer: PostAnswer): void {
    const { leadId, campaign, opening } = lead
    const verdict = verdictOf(answer, (text) => this.#settings.conceal(leadId, text))
    const contract = campaign.contracts[opening.eligible[seat]!]!.id
    if (verdict !== null) this.#late.give(leadId, contract, verdict, 'late reply')
  }

  /** Settles a post in doubt; the first verdict stands. `by` names who gave it. Rejects while the ledger is away. */
  resolve(leadId: string, which: Which, verdict: Verdict, by: string): Promise<ResolveAnswer> {
    return resolveDoubt(this.#resolving, leadId, which, verdict, by)
  }

  /** One pass over everything that may be left unfinished. Rejects where a store is away. */
  async pass(): Promise<void> {
    const { ownership, clock, log } = this.#settings
    if (!ownership.mayAct()) return
    const fenced = await ownership.fenceSilent()
    if (fenced.length > 0) {
      log(`fenced ${fenced.map((id) => `engine ${id}`).join(', ')}: silent for too long`)
      await this.#followDecided(fenced)
    }
    const taken = await this.#takeOver()
    if (taken > 0) log(`took over ${taken} undecided leads`)
    await this.#takeBack()
    await this.#wake()
    await this.#settleAdopted()
    await this.#late.tryAll()
    await this.#sweepDoubts()
    const due = clock.mono() - this.#reconciledAt >= (this.#settings.reconcileMs ?? 60_000)
    if (!due && fenced.length === 0 && taken === 0) return
    await reconcile({ ...this.#settings, buyerOf: (contract) => buyerOf(this.#snapshots(), contract) })
    this.#reconciledAt = clock.mono()
  }

  async #sweepDoubts(): Promise<void> {
    const { clock, doubtMs = 72 * 3_600_000 } = this.#settings
    if (clock.mono() - this.#sweptAt < SWEEP_MS) return
    this.#sweptAt = clock.mono()
    await expireDoubts(this.#resolving, doubtMs, SETTLED_AT_ONCE)
    await this.#concludeResolved()
  }

  get #resolving() {
    const { db, hot, clock, hotLater, ownership } = this.#settings
    return { db, hot, clock, hotLater, versions: this.#versions, engine: ownership.engine }
  }

  /** The version in force and the one before: leads under way were admitted by either. */
  #snapshots(): readonly Snapshot[] {
    const newest = this.#settings.snapshot()
    if (newest.version !== this.#newest?.version) {
      this.#before = this.#newest
      this.#newest = newest
    }
    return this.#before === null ? [newest] : [this.#before, newest]
  }

  #next(): void {
    if (this.#stopped) return
    const { clock, everyMs } = this.#settings
    this.#timer = clock.after(ms(everyMs ?? 1_000), () => {
      this.#passing = this.#passSafely().then(() => this.#next())
    })
  }

  async #passSafely(): Promise<void> {
    try {
      await this.pass()
      this.#passed = true
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#settings.log(`recovery waits for its stores: ${(error as Error).message}`)
      this.#failed = true
    }
  }

  /** Leads that a dead engine had decided lately: it may not have told the hot store what became of their fingerprints. */
  async #followDecided(engines: readonly number[]): Promise<void> {
    const decided = await this.#settings.db
      .selectFrom('leads')
      .select(['id', 'fingerprints'])
      .where('owner', 'in', engines)
      .where('test', '=', false)
      .where('id', '>', sql<string>`uuid_at(now() - ${FOLLOWED_MS} * interval '1 ms')`)
      .where('status', 'is not', null)
      .execute()
    await endClaims(this.#settings, decided)
  }

  async #takeOver(): Promise<number> {
    const { db, ownership } = this.#settings
    const { rows } = await sql<{ n: number }>`select take_over(${ownership.engine}, ${TAKEN_AT_ONCE}) as n`.execute(db)
    return rows[0]!.n
  }

  /** Leads of our own that were given up, or that nobody here knows: under a new term they are like another's. */
  async #takeBack(): Promise<void> {
    const { db, ownership, isLive, clock, orphanMs = 240_000 } = this.#settings
    if (clock.mono() - this.#orphansAt >= orphanMs / 10) {
      this.#orphansAt = clock.mono()
      const orphans = await db
        .selectFrom('leads')
        .select('id')
        .where('owner', '=', ownership.engine)
        .where('status', 'is', null)
        .where('received_at', '<', sql<Date>`now() - ${orphanMs} * interval '1 ms'`)
        .where('term', '=', 1)
        .limit(TAKEN_AT_ONCE)
        .execute()
      for (const { id } of orphans) this.#givenUp.add(id)
    }
    for (const leadId of [...this.#givenUp]) {
      if (isLive(leadId)) continue
      await sql`select take_back(${ownership.engine}, ${leadId})`.execute(db)
      this.#givenUp.delete(leadId)
    }
  }

  /** Leads that waited for a contract to open: from now on they are like those of an engine that died. */
  async #wake(): Promise<void> {
    const { db, ownership } = this.#settings
    await sql`select wake_leads(${ownership.engine}, ${SETTLED_AT_ONCE})`.execute(db)
  }

  async #settleAdopted(): Promise<void> {
    const { db, ownership, isLive } = this.#settings
    const adopted = await db
      .selectFrom('leads')
      .select(['id', 'term'])
      .where('owner', '=', ownership.engine)
      .where('status', 'is', null)
      .where('term', '>', 1)
      .orderBy('id')
      .limit(SETTLED_AT_ONCE + this.#auctioned.size)
      .execute()
    for (const leadId of this.#auctioned.keys()) if (!isLive(leadId)) await this.#auctionOver(leadId)
    for (const lead of adopted) if (!isLive(lead.id) && !this.#givenUp.has(lead.id)) await this.#settle(lead)
  }

  /** A second auction that ended without an end in the ledger was given up: the next one needs a term of its own. */
  async #auctionOver(leadId: string): Promise<void> {
    const { db, ownership } = this.#settings
    await sql`select take_back(${ownership.engine}, ${leadId})`.execute(db)
    this.#auctioned.delete(leadId)
  }

  /** Brings one lead as far as it can be brought now. */
  async #settle(lead: AdoptedLead): Promise<void> {
    const intents = await this.#intentsOf(lead)
    if (intents === null) return
    for (const intent of intents) {
      if (intent.state === 'open' && !(await this.#endOpen(lead.id, intent))) return
    }
    const isFree = intents.every(({ state }) => state === 'rejected' || state === 'not_sent')
    if (isFree && (await this.#auctionedAgain(lead, intents.length > 0))) return
    await this.#conclude(lead)
  }

  /** Null where the lead has ended meanwhile, or is another's. */
  async #intentsOf({ id, term }: AdoptedLead): Promise<readonly OpenIntent[] | null> {
    const { db, ownership, graceMs = 5_000 } = this.#settings
    const { rows } = await sql<{ mine: boolean; intents: readonly OpenIntent[] | null }>`
      select l.status is null and l.owner = ${ownership.engine} and l.term = ${term} as mine, (
        select json_agg(json_build_object('contract', i.contract, 'term', i.term, 'attempt', i.attempt,
          'state', i.state, 'bid', i.bid, 'payout', i.payout, 'buyer_reference', i.buyer_reference,
          'places', i.places, 'overdue',
          extract(epoch from now() - i.post_by) * 1000 - i.post_ms - ${graceMs}::int))
        from intents i where i.lead_id = l.id) as intents
      from leads l where l.id = ${id}`.execute(db)
    return rows[0]?.mine ? (rows[0].intents ?? []) : null
  }

  /**
   * Nobody will tell how this post ended. A token that was released, or that never turned to posting, says that it never
   * left; anything else is a doubt. False where it is too early to say.
   */
  async #endOpen(leadId: string, intent: OpenIntent): Promise<boolean> {
    if (intent.overdue < 0) return false
    const { db, hot, clock, ownership } = this.#settings
    const { contract, term, attempt, places, bid, payout, buyer_reference: buyerReference } = intent
    const token = `${leadId}:${contract}:${term}.${attempt}`
    const state = await hot.tokenState(token, places).catch(() => 'away' as const)
    if (state === 'away' && intent.overdue < HOT_AWAY_MS) return false
    const neverLeft = state === 'released' || state === 'held'
    if (state === 'held') await hot.release(token, places, clock.wall()).catch(() => {})
    const result = resultText(leadId, term, {
      contract,
      attempt,
      state: neverLeft ? 'rejected' : 'in_doubt',
      reason: 'engine_lost',
      price: bid as never,
      payout: (neverLeft ? 0 : payout) as never,
      buyerReference,
      redirectUrl: null,
      priceCut: false,
    })
    await sql`select write_results(${ownership.engine}, ${leadId}, ${leadId}, ${`[${result}]`}::json, ${`recovery by engine ${ownership.engine}`})`.execute(
      db,
    )
    return true
  }

  /** Nobody was offered it: asynchronous leads, and those whose source can ask again by its key, are worth a second try. */
  async #auctionedAgain(lead: AdoptedLead, wasOffered: boolean): Promise<boolean> {
    const { auctionAgain, log } = this.#settings
    const row = await this.#readAdopted(lead)
    if (!row || row.wrapped === null || !row.fresh) return false
    const isWorthIt = row.queue_until !== null || (!wasOffered && (row.mode === 'async' || row.keyed))
    if (!isWorthIt) return false
    try {
      const again = await auctionAgain(recoveredOf(row, row.wrapped, row.key_version!))
      if (again !== true) return again === 'later'
    } catch (error) {
      log(`lead ${lead.id} cannot be auctioned again: ${(error as Error).message}`)
      return false
    }
    this.#auctioned.set(lead.id, lead.term)
    return true
  }

  async #readAdopted({ id }: AdoptedLead): Promise<AdoptedRow | undefined> {
    const { db, freshMs = 60_000 } = this.#settings
    return db
      .selectFrom('leads as l')
      .leftJoin('lead_keys as k', 'k.lead_id', 'l.id')
      .select(['l.id', 'l.term', 'l.campaign', 'l.source', 'l.mode', 'l.test', 'l.keyed', 'l.owed', 'l.received_at'])
      .select(['l.fingerprints', 'l.sealed', 'k.wrapped', 'k.key_version'])
      .select('l.queue_until')
      .select(
        sql<boolean>`coalesce(l.queue_until > now(), l.received_at > now() - ${freshMs} * interval '1 ms')`.as('fresh'),
      )
      .where('l.id', '=', id)
      .executeTakeFirst()
  }

  /** Writes the lead's end as its intents have it, and lets the hot store follow. */
  async #conclude({ id, term }: { id: string; term: number | null }): Promise<void> {
    const { db, ownership } = this.#settings
    await sql`select conclude_lead(${ownership.engine}, ${id}, ${term})`.execute(db)
    const lead = await db
      .selectFrom('leads')
      .select(['status', 'test', 'fingerprints'])
      .where('id', '=', id)
      .executeTakeFirst()
    if (!lead || lead.status === null) return
    const intents = await db
      .selectFrom('intents')
      .select(['contract', 'term', 'attempt', 'state', 'places'])
      .where('lead_id', '=', id)
      .execute()
    for (const { contract, term: heldUnder, attempt, state, places } of intents) {
      settlePlaces(this.#settings, `${id}:${contract}:${heldUnder}.${attempt}`, places, state)
    }
    if (!lead.test) await endClaims(this.#settings, [{ id, fingerprints: lead.fingerprints }])
  }

  /** Pending leads whose last doubt was ended by a result that came late. */
  async #concludeResolved(): Promise<void> {
    const { rows } = await sql<{ id: string }>`
      select l.id from leads l
      where l.status = 'pending' and not exists (
        select 1 from intents i where i.lead_id = l.id and i.state in ('open', 'in_doubt'))
      limit ${SETTLED_AT_ONCE}`.execute(this.#settings.db)
    for (const { id } of rows) await this.#conclude({ id, term: null })
  }
}

function recoveredOf(row: AdoptedRow, wrapped: Buffer, keyVersion: number): Recovered {
  return {
    leadId: row.id,
    term: row.term,
    campaign: row.campaign,
    source: row.source,
    mode: row.mode,
    test: row.test,
    receivedAt: wallMs(row.received_at.getTime()),
    fingerprints: row.fingerprints,
    keyed: row.keyed,
    waited: row.queue_until !== null,
    owed: micros(row.owed),
    sealed: { sealed: row.sealed.toString('base64'), wrappedKey: wrapped.toString('base64'), keyVersion },
  }
}

function buyerOf(snapshots: readonly Snapshot[], contract: string): string | null {
  for (const { campaigns } of snapshots) {
    for (const { contracts } of campaigns.values()) {
      const found = contracts.find(({ id }) => id === contract)
      if (found) return found.buyer.id
    }
  }
  return null
}
