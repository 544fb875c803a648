/** Settles posts in doubt: the first verdict stands, and the hot store follows the ledger. */
import { type Kysely, sql } from 'kysely'
import type { PostAnswer } from '../../buyers/adapter.ts'
import type { Clock, PostEnd } from '../../buyers/wire.ts'
import type { PlaceGroup } from '../../rules/caps.ts'
import { type Reason, reasonName } from '../../rules/reason.ts'
import { addedBy, type Earning } from '../../rules/returns.ts'
import type { Micros } from '../../rules/units.ts'
import type { Versions } from '../configuration/versions.ts'
import { earningOf, lockMoney } from '../earnings.ts'
import type { HotStore } from '../store/port.ts'
import { keptSightings } from '../store/queries.ts'
import type { IntentState, LedgerTables } from '../store/tables.ts'

export type Verdict =
  | {
      readonly kind: 'sold'
      /** What the buyer says it pays; above the bid, or null, it pays the bid. */
      readonly price: Micros | null
      readonly buyerReference: string | null
      /** Sealed already, where it may name a person. */
      readonly redirectUrl: string | null
    }
  | { readonly kind: 'no_sale'; readonly reason: Reason }

/** Which post of a lead: of a copy, or to a contract. */
export type Which = { readonly copy: number } | { readonly contract: string }

/**
 * `RESOLVED`: this verdict settled the doubt. `SETTLED`: the post had ended already, and stays as it was; a verdict that
 * contradicts it is kept as a dispute. `OPEN`: it is still being posted: ask again. `UNKNOWN`: there is no such post.
 */
export type ResolveCode = 'RESOLVED' | 'SETTLED' | 'OPEN' | 'UNKNOWN'

export interface ResolveAnswer {
  readonly code: ResolveCode
  /** How the post stands now; null where there is none, or where it is still being posted. */
  readonly state: IntentState | null
  /** How the lead stands now. */
  readonly status: string | null
}

export interface ResolveSettings {
  readonly db: Kysely<LedgerTables>
  /** By which a shared lead's copies earn. */
  readonly versions: Versions
  readonly hot: HotStore
  readonly clock: Clock
  /** This process's row in `engines`: whose sums the sale is added to. */
  readonly engine: number
  /** Tries a call of the hot store until it is answered. */
  readonly hotLater: (act: () => Promise<unknown>) => void
}

interface Resolved {
  readonly code: ResolveCode
  readonly state: IntentState
  readonly contract: string
  readonly term: number
  readonly attempt: number
  readonly places: readonly PlaceGroup[]
  readonly status: string | null
  readonly fingerprints: readonly string[]
}

/** Gives a verdict on a post in doubt. `by` names who gave it, for the audit. Rejects while the ledger is out of reach. */
export async function resolveDoubt(
  settings: ResolveSettings,
  leadId: string,
  which: Which,
  verdict: Verdict,
  by: string,
): Promise<ResolveAnswer> {
  const sold = verdict.kind === 'sold' ? verdict : null
  const reason = verdict.kind === 'sold' ? 'won' : verdict.reason
  const { db, versions, engine } = settings
  const earning = sold && (await wasPostedTwice(db, leadId)) ? await earningOf(db, versions, leadId) : null
  const answer = await db.transaction().execute(async (tx) => {
    const payout = earning && (await payoutOf(tx, leadId, which, earning))
    const { rows } = await sql<{ answer: Resolved }>`select resolve_doubt(
      ${engine}, ${leadId}, ${'copy' in which ? which.copy : null}, ${'contract' in which ? which.contract : null},
      ${sold ? 'accepted' : 'rejected'}, ${reason}, ${reasonName(reason)}, ${sold?.price ?? null},
      ${sold?.buyerReference ?? null}, ${sold?.redirectUrl ?? null}, ${by}, ${payout}) as answer`.execute(tx)
    return rows[0]!.answer
  })
  if (answer.code === 'UNKNOWN' || answer.code === 'OPEN') return { code: answer.code, state: null, status: null }
  if (answer.code === 'RESOLVED') await followInHotStore(settings, leadId, answer)
  return { code: answer.code, state: answer.state, status: answer.status }
}

/** A lead that was posted once earns what was thought then. */
async function wasPostedTwice(db: Kysely<LedgerTables>, leadId: string): Promise<boolean> {
  const posts = await db.selectFrom('intents').select('contract').where('lead_id', '=', leadId).limit(2).execute()
  return posts.length > 1
}

/** What the doubt earns as a sale: copies that were in doubt before it may have ended otherwise, or have come back since. */
async function payoutOf(
  tx: Kysely<LedgerTables>,
  leadId: string,
  which: Which,
  earning: Earning,
): Promise<Micros | null> {
  const locked = await lockMoney(tx, leadId, earning)
  const doubt = locked?.copies.find(
    (one) => one.state === 'in_doubt' && ('copy' in which ? one.copy === which.copy : one.contract === which.contract),
  )
  return locked && doubt ? addedBy(locked.money, doubt) : null
}

async function followInHotStore(settings: ResolveSettings, leadId: string, answer: Resolved): Promise<void> {
  const { contract, term, attempt, places, state, status, fingerprints } = answer
  settlePlaces(settings, `${leadId}:${contract}:${term}.${attempt}`, places, state)
  if (status !== null) await endClaims(settings, [{ id: leadId, fingerprints }])
}

/** Commits or releases what a post held, as its end says. */
export function settlePlaces(
  { hot, clock, hotLater }: Pick<ResolveSettings, 'hot' | 'clock' | 'hotLater'>,
  token: string,
  places: readonly PlaceGroup[],
  state: IntentState,
): void {
  if (places.length === 0 || state === 'open' || state === 'in_doubt') return
  const act = async () => {
    const now = clock.wall()
    const said = state === 'accepted' ? await hot.commit(token, places, now) : await hot.release(token, places, now)
    if (said === 'COLD') throw new Error(`the hot store is cold: the end of ${token} is still to come`)
  }
  act().catch(() => hotLater(act))
}

/** Ends the claims of decided leads: the hot store keeps of each what the ledger does. */
export async function endClaims(
  { db, hot, hotLater }: Pick<ResolveSettings, 'db' | 'hot' | 'hotLater'>,
  leads: readonly { readonly id: string; readonly fingerprints: readonly string[] }[],
): Promise<void> {
  const claiming = leads.filter(({ fingerprints }) => fingerprints.length > 0)
  if (claiming.length === 0) return
  const kept = await keptSightings(
    db,
    claiming.map(({ id }) => id),
  )
  for (const { id, fingerprints } of claiming) {
    const act = () => hot.unclaim(id, fingerprints, kept.get(id) ?? null)
    act().catch(() => hotLater(act))
  }
}

/**
 * What of an answer settles a doubt: an acceptance, or a rejection in the buyer's own words. `duplicate` says that it has
 * the lead and not that it pays; a bare status may be a key that was changed since.
 */
export function evidenceOf(end: PostEnd): PostAnswer | null {
  if (end.kind === 'accepted') return end
  if (end.kind !== 'rejected') return null
  return end.reason === 'duplicate' || end.reason.startsWith('http_') ? null : end
}

/** What a late reply says of its post; null where it says nothing definite. */
export function verdictOf(answer: PostAnswer, conceal: (text: string) => string): Verdict | null {
  switch (answer.kind) {
    case 'accepted': {
      const { price, buyerReference, redirectUrl } = answer
      return { kind: 'sold', price, buyerReference, redirectUrl: redirectUrl === null ? null : conceal(redirectUrl) }
    }
    case 'rejected':
      return { kind: 'no_sale', reason: answer.reason }
    case 'unknown':
      return null
    default:
      return answer satisfies never
  }
}

/** Verdicts that came while their post was still open in the ledger: they are given again until they are heard. */
export class LateVerdicts {
  readonly #settings: ResolveSettings
  readonly #waiting = new Map<string, { leadId: string; which: Which; verdict: Verdict; by: string; until: number }>()

  constructor(settings: ResolveSettings) {
    this.#settings = settings
  }

  give(leadId: string, contract: string, verdict: Verdict, by: string): void {
    if (this.#waiting.size >= MOST_WAITING) this.#waiting.delete(this.#waiting.keys().next().value!)
    const until = this.#settings.clock.mono() + WAIT_MS
    this.#waiting.set(`${leadId}:${contract}`, { leadId, which: { contract }, verdict, by, until })
  }

  async tryAll(): Promise<void> {
    for (const [key, { leadId, which, verdict, by, until }] of [...this.#waiting]) {
      const { code } = await resolveDoubt(this.#settings, leadId, which, verdict, by)
      const again = code === 'OPEN' && this.#settings.clock.mono() < until
      if (!again) this.#waiting.delete(key)
    }
  }
}

/** Longer than a lead's whole time: by then its result is written, or recovery has put it in doubt. */
const WAIT_MS = 180_000
/** Beyond so many the oldest are dropped: the buyer's reconciliation settles them. */
const MOST_WAITING = 10_000

/** Settles, by the contract's own policy, doubts that nobody resolved in time. Says how many. */
export async function expireDoubts(settings: ResolveSettings, olderThanMs: number, most: number): Promise<number> {
  const old = await settings.db
    .selectFrom('intents')
    .select(['lead_id', 'contract', 'in_doubt'])
    .where('state', '=', 'in_doubt')
    .where('doubted_at', '<', sql<Date>`now() - ${olderThanMs} * interval '1 ms'`)
    .orderBy('lead_id')
    .limit(most)
    .execute()
  for (const { lead_id: leadId, contract, in_doubt: policy } of old) {
    const verdict: Verdict =
      policy === 'assume_sold'
        ? { kind: 'sold', price: null, buyerReference: null, redirectUrl: null }
        : { kind: 'no_sale', reason: 'unresolved' }
    await resolveDoubt(settings, leadId, { contract }, verdict, `policy ${policy}`)
  }
  return old.length
}
