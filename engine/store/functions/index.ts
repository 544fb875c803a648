/** The ledger's functions. They are code: the engine that starts puts its own in place of those of before. */
import { ALERTS } from './alerts.ts'
import { BALANCES } from './balances.ts'
import { DISPOSITIONS } from './dispositions.ts'
import { ENDS } from './ends.ts'
import { EXCHANGES } from './exchanges.ts'
import { INQUIRIES } from './inquiries.ts'
import { OFFERS } from './offers.ts'
import { PARTITIONS } from './partitions.ts'
import { POSTBACKS } from './postbacks.ts'
import { RETURNS } from './returns.ts'
import { WRITES } from './writes.ts'

/** One text of SQL; each function is created once in it. */
export const FUNCTIONS: string = [
  ...[PARTITIONS, BALANCES, ...WRITES, ...ENDS, OFFERS, POSTBACKS, INQUIRIES, RETURNS, DISPOSITIONS, ALERTS],
  EXCHANGES,
].join('\n')
