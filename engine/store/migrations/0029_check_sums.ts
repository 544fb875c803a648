/** What reports sum of what checks of leads cost. */
import type { Kysely } from 'kysely'
import { addSums } from './0024_report_sums.ts'

export const up = (db: Kysely<unknown>): Promise<void> => addSums(db, 'leads', 'check_cost bigint')
