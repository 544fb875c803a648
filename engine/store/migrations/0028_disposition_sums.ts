/** What reports sum of what buyers say became of their leads. */
import type { Kysely } from 'kysely'
import { addSums } from './0024_report_sums.ts'

export const up = (db: Kysely<unknown>): Promise<void> =>
  addSums(db, 'seats', 'disposed integer, contacted integer, converted integer, disposed_revenue bigint')
