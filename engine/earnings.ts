/** What a decided lead's source earns for its copies, by the terms of the version that decided it. */
import { type Kysely, sql } from 'kysely'
import { earnedFor } from '../rules/money.ts'
import { leadTerms } from '../rules/prices.ts'
import type { Earning, LeadMoney, SoldCopy } from '../rules/returns.ts'
import { auctionTerms } from '../rules/terms.ts'
import { readTrace } from '../rules/trace.ts'
import { micros } from '../rules/units.ts'
import type { Versions } from './configuration/versions.ts'
import type { IntentState, LedgerTables } from './store/tables.ts'

type Db = Kysely<LedgerTables>

/** Null where that cannot be known: its engine died before it wrote the trace down, or its version cannot be had. */
export async function earningOf(db: Db, versions: Versions, leadId: string): Promise<Earning | null> {
  const lead = await db
    .selectFrom('leads')
    .select(['campaign', 'source', 'trace'])
    .where('id', '=', leadId)
    .executeTakeFirst()
  const trace = readTrace(lead?.trace ?? null)
  if (!lead || !trace) return null
  const version = await versions.get(trace.version)
  const [campaign, source] = [version?.campaigns.get(lead.campaign), version?.sources.get(lead.source)]
  if (!campaign || !source) return null
  const { prices, promise = null } = trace.opening
  const terms = leadTerms(auctionTerms(campaign, source), prices)
  return (bids) => earnedFor(terms, promise, bids)
}

/** Copies that are sold, in doubt or still open, in their order. */
export interface Copy extends SoldCopy {
  readonly copy: number
  readonly state: IntentState
}

/** How a lead's money stands, locked to the end of the transaction; null where there is no such lead. */
export async function lockMoney(
  tx: Db,
  leadId: string,
  earning: Earning | null,
): Promise<{ readonly money: LeadMoney; readonly copies: readonly Copy[] } | null> {
  const { rows } = await sql<{
    locked: { copies: readonly Copy[]; clawed_back: number; owed: number } | null
  }>`select lock_money(${leadId}) as locked`.execute(tx)
  const { locked } = rows[0]!
  if (locked === null) return null
  const sold = locked.copies.filter(({ state }) => state === 'accepted')
  const paid = micros(sold.reduce((sum, { payout }) => sum + payout, 0) - locked.clawed_back)
  return { money: { copies: sold, paid, owed: micros(locked.owed), earning }, copies: locked.copies }
}
