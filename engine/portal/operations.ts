/** Every operation of buyers and of sources. */
import type { Kysely } from 'kysely'
import type { Clock } from '../../buyers/wire.ts'
import type { Snapshot } from '../../rules/version.ts'
import { type Told, withDocument } from '../admin/openapi.ts'
import type { Operation } from '../admin/operation.ts'
import type { Publishing } from '../configuration/publishing.ts'
import type { Returns } from '../returns/returns.ts'
import type { HotStore } from '../store/port.ts'
import type { LedgerTables } from '../store/tables.ts'
import { blockOperations } from './blocks.ts'
import { contractOperations } from './contracts.ts'
import { dispositionOperations } from './dispositions.ts'
import { leadOperations } from './leads.ts'
import { reportOperations } from './report.ts'
import { returnOperations } from './returns.ts'
import { saleOperations } from './sales.ts'
import { statementOperations } from './statement.ts'

export interface PortalParts {
  readonly db: Kysely<LedgerTables>
  readonly publishing: Publishing
  readonly returns: Returns
  readonly clock: Clock
  readonly hot: Pick<HotStore, 'usage' | 'lent'>
  readonly snapshot: () => Snapshot
}

const PORTAL: Told = {
  title: 'Gavelpost for buyers and sources',
  description:
    'What buyers bought and sources sold: sales, returns, dispositions, contracts, blocks, leads, statements.',
  path: '/v1/openapi.json',
  server: 'The port that leads are posted to.',
  key: 'A key of a buyer or of a source.',
  keyed: { 429: 'The key asks faster than it may: wait for Retry-After seconds.' },
}

export function portalOperations(parts: PortalParts): readonly Operation[] {
  const operations = [
    ...saleOperations(parts),
    ...returnOperations(parts.returns),
    ...dispositionOperations(parts),
    ...contractOperations(parts),
    ...blockOperations(parts),
    ...statementOperations(parts),
    ...leadOperations(parts),
    ...reportOperations(parts),
  ]
  return withDocument(operations, PORTAL)
}
