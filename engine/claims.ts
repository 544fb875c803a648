/** A lead's claims: bound keys are joined, twins wait for each other, and what was seen of the person is judged. */
import type { Clock } from '../buyers/wire.ts'
import type { Barred } from '../rules/duplicates.ts'
import { type Ms, ms } from '../rules/units.ts'
import { answerOf } from './answer.ts'
import type { Answer, LiveLeads } from './live.ts'
import type { ClaimRequest, HotStore, Ledger } from './store/port.ts'

/** A claim whose owner died lapses after this long, unless the ledger has its lead. */
const ORPHAN_CLAIM_MS = 10_000
/** How often a waiter asks the ledger about a lead of another process: the first wait, then doubling to the second. */
const POLL_FIRST_MS = 25
const POLL_LAST_MS = 400

export interface ClaimPorts {
  readonly clock: Clock
  readonly hot: HotStore
  readonly ledger: Ledger
  readonly live: LiveLeads
  readonly warm: () => Promise<boolean>
  /** Calls of the hot store that it did not answer: tried again until it does. */
  readonly hotLater: (act: () => Promise<unknown>) => void
  /** Opens what was concealed for a lead. */
  readonly reveal: (leadId: string, concealed: string) => string
}

/** What the sightings of a lead's fingerprints mean for it. */
export type Judge = (seen: readonly string[]) => 'duplicate' | Barred

/** `epoch`: that of the hot store under which the fingerprints were claimed; null where none were. */
export interface Fresh {
  readonly code: 'fresh'
  readonly barred: Barred
  readonly epoch: number | null
}

/** `unavailable`: the hot store is away or cold, or a twin was not decided in time; nothing is claimed. */
export type Claimed =
  | Fresh
  | { readonly code: 'bound'; readonly leadId: string; readonly bodyHash: string }
  | { readonly code: 'duplicate' }
  | { readonly code: 'unavailable' }

/** Claims a lead's key and fingerprints, waiting for a twin that is being decided, for `withinMs` at the most. */
export async function claim(
  ports: ClaimPorts,
  request: ClaimRequest,
  judgeSeen: Judge,
  withinMs: Ms,
): Promise<Claimed> {
  const until = ports.clock.mono() + withinMs
  while (ports.clock.mono() < until) {
    const epoch = request.fingerprints.length === 0 ? null : ports.hot.epoch()
    const said = await ports.hot.claim({ ...request, now: ports.clock.wall() }).catch(() => null)
    if (said === null) return { code: 'unavailable' }
    switch (said.code) {
      case 'FRESH': {
        const barred = judgeSeen(said.seen)
        if (barred !== 'duplicate') return { code: 'fresh', barred, epoch }
        freeLocks(ports, request)
        return { code: 'duplicate' }
      }
      case 'BOUND':
        return { code: 'bound', leadId: said.leadId, bodyHash: said.bodyHash }
      case 'TWIN':
        if (judgeSeen(said.seen) === 'duplicate') return { code: 'duplicate' }
        await twinDecided(ports, said.leadId, said.since, request.fingerprints, until)
        break
      case 'COLD':
        if (!(await ports.warm())) return { code: 'unavailable' }
        break
      default:
        said satisfies never
    }
  }
  return { code: 'unavailable' }
}

function freeLocks(ports: ClaimPorts, { leadId, fingerprints }: ClaimRequest): void {
  const free = () => ports.hot.breakClaim(leadId, fingerprints, null)
  free().catch(() => ports.hotLater(free))
}

/**
 * Resolves when the twin is decided, when its dead owner's claim was broken, or at `until`. What is kept of a twin that
 * another process decided is put into the hot store here too: that process may have died before it did.
 */
async function twinDecided(
  ports: ClaimPorts,
  leadId: string,
  since: number,
  fingerprints: readonly string[],
  until: number,
): Promise<void> {
  const here = await answerHere(ports, leadId, until)
  // `pending` may only mean that its source has stopped waiting: the ledger says when it is decided.
  if (here && here.status !== 'pending') return
  for (let wait = POLL_FIRST_MS; ports.clock.mono() < until; wait = Math.min(wait * 2, POLL_LAST_MS)) {
    await sleep(ports.clock, wait)
    const record = await ports.ledger.lead(leadId).catch(() => undefined)
    if (record === undefined) continue
    const orphaned = record === null && ports.clock.wall() - since > ORPHAN_CLAIM_MS
    if (record?.decided) await endClaim(ports, leadId, fingerprints).catch(() => {})
    else if (orphaned) await ports.hot.breakClaim(leadId, fingerprints, null).catch(() => {})
    if (record === null || record.decided) return
  }
}

async function endClaim(ports: ClaimPorts, leadId: string, fingerprints: readonly string[]): Promise<void> {
  const kept = await ports.ledger.sighting(leadId)
  if (kept === null) await ports.hot.breakClaim(leadId, fingerprints, null)
  else await ports.hot.unclaim(leadId, kept.fingerprints, kept)
}

/**
 * The answer of a lead that another request brought: from this process where it is decided here, else from the ledger.
 * `undecided`: the ledger has it, and it is not decided within `withinMs`. `unstored`: the ledger does not have it, or is
 * away. `lost`: its owner died before the ledger had it.
 */
export async function awaitAnswer(
  ports: ClaimPorts,
  leadId: string,
  withinMs: Ms,
): Promise<Answer | 'undecided' | 'unstored' | 'lost'> {
  const until = ports.clock.mono() + withinMs
  const here = await answerHere(ports, leadId, until)
  // `pending` may be told here before the ledger has the lead; everything else is durable.
  if (here && here.status !== 'pending') return here
  const lostAt = ports.clock.mono() + ORPHAN_CLAIM_MS - (ports.clock.wall() - bornAt(leadId))
  for (let wait = POLL_FIRST_MS; ; wait = Math.min(wait * 2, POLL_LAST_MS)) {
    const record = await ports.ledger.lead(leadId).catch(() => undefined)
    if (record?.decided) return answerOf(record, ports.reveal)
    const now = ports.clock.mono()
    if (record === null && now >= lostAt) return 'lost'
    if (now + wait >= until) return record ? 'undecided' : 'unstored'
    await sleep(ports.clock, wait)
  }
}

/** When a UUIDv7 was made, in milliseconds since the Unix epoch (RFC 9562: its first 48 bits). */
const bornAt = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)

/** The answer of a lead under way in this process; null where it is not, or not decided by `until`. */
function answerHere(ports: ClaimPorts, leadId: string, until: number): Promise<Answer | null> {
  const lead = ports.live.get(leadId)
  if (!lead) return Promise.resolve(null)
  if (lead.answer) return Promise.resolve(lead.answer)
  return new Promise((resolve) => {
    const timer = ports.clock.after(ms(Math.max(0, until - ports.clock.mono())), () => resolve(null))
    lead.waiters.push((answer) => {
      timer.cancel()
      resolve(answer)
    })
  })
}

const sleep = (clock: Clock, duration: number): Promise<void> =>
  new Promise((resolve) => clock.after(ms(duration), resolve))
