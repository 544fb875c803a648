/** A lead's claims: bound keys are joined, duplicates are told, twins wait for each other. */
import type { Clock } from '../buyers/wire.ts'
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
  /** Opens what was concealed for a lead. */
  readonly reveal: (leadId: string, concealed: string) => string
}

/** `unavailable`: the hot store is away or cold, or a twin was not decided in time; nothing is claimed. */
export type Claimed =
  | { readonly code: 'fresh' }
  | { readonly code: 'bound'; readonly leadId: string; readonly bodyHash: string }
  | { readonly code: 'duplicate'; readonly leadId: string }
  | { readonly code: 'unavailable' }

/** Claims a lead's key and fingerprints, waiting for a twin that is being decided, for `withinMs` at the most. */
export async function claim(ports: ClaimPorts, request: ClaimRequest, withinMs: Ms): Promise<Claimed> {
  const until = ports.clock.mono() + withinMs
  while (ports.clock.mono() < until) {
    const said = await ports.hot.claim({ ...request, now: ports.clock.wall() }).catch(() => null)
    if (said === null) return { code: 'unavailable' }
    switch (said.code) {
      case 'FRESH':
        return { code: 'fresh' }
      case 'BOUND':
        return { code: 'bound', leadId: said.leadId, bodyHash: said.bodyHash }
      case 'DUPLICATE':
        return { code: 'duplicate', leadId: said.leadId }
      case 'TWIN':
        if (await twinDecided(ports, said.leadId, said.since, request.fingerprints, until))
          return { code: 'duplicate', leadId: said.leadId }
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

/**
 * Resolves when the twin is decided, when its dead owner's claim was broken, or at `until`. True where the ledger has it
 * as sold or in doubt: then this lead is its duplicate, whether or not the hot store has heard of that yet.
 */
async function twinDecided(
  ports: ClaimPorts,
  leadId: string,
  since: number,
  fingerprints: readonly string[],
  until: number,
): Promise<boolean> {
  const here = await answerHere(ports, leadId, until)
  // `pending` may only mean that its source has stopped waiting: the ledger says when it is decided.
  if (here && here.status !== 'pending') return false
  for (let wait = POLL_FIRST_MS; ports.clock.mono() < until; wait = Math.min(wait * 2, POLL_LAST_MS)) {
    await sleep(ports.clock, wait)
    const record = await ports.ledger.lead(leadId).catch(() => undefined)
    if (record === undefined) continue
    if (record?.decided && (record.status === 'sold' || record.status === 'pending')) return true
    const orphaned = record === null && ports.clock.wall() - since > ORPHAN_CLAIM_MS
    if (orphaned || record?.decided) {
      await ports.hot.breakClaim(leadId, fingerprints, null).catch(() => {})
      return false
    }
    if (record === null) return false
  }
  return false
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
