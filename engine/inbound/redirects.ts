/** `/r/{token}`: sends a consumer on to the buyer's or the campaign's page, and keeps that it happened. */
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { pageOf } from '../../rules/onward.ts'
import type { Snapshot } from '../../rules/version.ts'
import { answerOf } from '../answer.ts'
import type { EdgeReply, EdgeRequest } from '../edge.ts'
import * as problem from '../problem.ts'
import type { Ledger } from '../store/port.ts'
import type { LedgerTables } from '../store/tables.ts'
import { leadIdOf } from './onward.ts'

export interface RedirectPorts {
  readonly snapshot: () => Snapshot
  readonly ledger: Pick<Ledger, 'lead'>
  readonly reveal: (leadId: string, concealed: string) => string
  /** Keeps that the consumer went on. */
  readonly followed: (leadId: string) => Promise<void>
}

/** A store that is away costs the count, never the consumer's way on. */
export async function follow(ports: RedirectPorts, request: EdgeRequest): Promise<EdgeReply> {
  const leadId = leadIdOf(request.params[0]!)
  if (leadId === null) return problem.noSuchPath()
  const record = await ports.ledger.lead(leadId).catch(() => undefined)
  if (record === undefined) return problem.notReady()
  const redirects = record && ports.snapshot().campaigns.get(record.campaign)?.redirects
  const { url = null } = redirects && record?.decided ? pageOf(redirects, answerOf(record, ports.reveal)) : {}
  if (url === null) return problem.noSuchPath()
  await ports.followed(leadId).catch(() => {})
  const headers = { location: url, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }
  return { status: 302, headers, body: '' }
}

/** How often, and when first. */
export async function countRedirect(db: Kysely<LedgerTables>, leadId: string): Promise<void> {
  await sql`
    update leads set redirects = redirects + 1, redirected_at = coalesce(redirected_at, now()) where id = ${leadId}
  `.execute(db)
}
