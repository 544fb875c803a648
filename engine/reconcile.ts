/** Compares the hot store's posts with the ledger and ends those that nobody else will: their engine died, or the store forgot. */
import { type Kysely, sql } from 'kysely'
import type { Clock } from '../buyers/wire.ts'
import type { PlaceGroup } from '../rules/caps.ts'
import { wallMs } from '../rules/units.ts'
import { settlePlaces } from './doubts/resolve.ts'
import type { HotStore } from './store/port.ts'
import type { IntentState, LedgerTables } from './store/tables.ts'

export interface ReconcileSettings {
  readonly db: Kysely<LedgerTables>
  readonly hot: HotStore
  readonly clock: Clock
  /** Whose tag a contract's places live under; null where no version in force has it. */
  readonly buyerOf: (contract: string) => string | null
  readonly hotLater: (act: () => Promise<unknown>) => void
}

/** An end that is younger may still be on its own way to the hot store. */
const SETTLING_MS = 10_000
/** A lead that the ledger does not have by then was never stored. */
const NEVER_STORED_MS = 600_000
/** Tokens that are looked up at once. */
const PART = 1_000

interface Token {
  readonly token: string
  readonly leadId: string
  readonly contract: string
  readonly term: number
  readonly attempt: number
  readonly keys: readonly string[]
}

interface Known {
  readonly n: number
  readonly state: IntentState | null
  readonly places: readonly PlaceGroup[] | null
  /** True where the owner of the token's term can no longer post. */
  readonly over: boolean
}

/** Says how many posts it committed or released. */
export async function reconcile(settings: ReconcileSettings): Promise<number> {
  if (!(await settings.hot.warm())) return 0
  const dump = await settings.hot.dump()
  const posting = dump.tokens.filter(({ state }) => state === 'posting')
  let ended = 0
  for (let at = 0; at < posting.length; at += PART) {
    const part = posting.slice(at, at + PART).flatMap(({ token, places }) => tokenOf(token, Object.keys(places)))
    for (const known of await lookUp(settings, part)) if (end(settings, part[known.n - 1]!, known)) ended++
  }
  return ended
}

/** `lead:contract:term.attempt`; a contract's id may have a colon. */
function tokenOf(token: string, keys: readonly string[]): Token[] {
  const [, leadId, contract, term, attempt] = /^([0-9a-f-]{36}):(.+):(\d+)\.(\d+)$/.exec(token) ?? []
  if (leadId === undefined) return []
  return [{ token, leadId, contract: contract!, term: Number(term), attempt: Number(attempt), keys }]
}

async function lookUp({ db }: ReconcileSettings, tokens: readonly Token[]): Promise<readonly Known[]> {
  const given = JSON.stringify(
    tokens.map(({ leadId, contract, term, attempt }) => ({ leadId, contract, term, attempt })),
  )
  const { rows } = await sql<Known>`
    select g.n::int as n, i.state, i.places,
      case
        when i.lead_id is not null
          then i.ended_at is not null and (w.fenced_at is not null or i.ended_at < now() - ${SETTLING_MS} * interval '1 ms')
        when l.id is null then uuid_at(now() - ${NEVER_STORED_MS} * interval '1 ms') > g.lead
        else l.term > g.term or e.fenced_at is not null or l.decided_at < now() - ${SETTLING_MS} * interval '1 ms'
      end as over
    from (
      select n, (x->>'leadId')::uuid as lead, x->>'contract' as contract, (x->>'term')::int as term,
        (x->>'attempt')::int as attempt
      from json_array_elements(${given}::json) with ordinality as a(x, n)
    ) as g
    left join intents i on i.lead_id = g.lead and i.contract = g.contract and i.term = g.term and i.attempt = g.attempt
    left join leads l on l.id = g.lead
    left join engines e on e.id = l.owner
    left join engines w on w.id = i.engine`.execute(db)
  return rows
}

function end(settings: ReconcileSettings, token: Token, { state, places, over }: Known): boolean {
  if (!over) return false
  if (state !== null && places !== null) {
    settlePlaces(settings, token.token, places, state)
    return true
  }
  const unposted = placesOf(settings, token)
  if (unposted !== null) settlePlaces(settings, token.token, unposted, 'rejected')
  return unposted !== null
}

/**
 * A post without an INTENT never left. Its places are known by their keys alone, which say whose tag they live under;
 * null where no version in force says whose the contract is: they return with the next rebuild.
 */
function placesOf(settings: ReconcileSettings, token: Token): readonly PlaceGroup[] | null {
  const tags = new Set<string>()
  for (const key of token.keys) {
    const [scope, owner] = key.split(':')
    if (scope === 'source' || scope === 'campaign') tags.add(`${scope[0]}:${owner}`)
    else {
      const buyer = settings.buyerOf(token.contract)
      if (buyer === null) return null
      tags.add(`b:${buyer}`)
    }
  }
  return Array.from(tags, (tag) => ({ tag, places: [NO_PLACE] }))
}

/** A release asks for the tag and the token; what it gives back the store knows. */
const NO_PLACE = { key: '', amount: 0, limit: 0, version: 0, transient: false, forgetAt: wallMs(0) }
