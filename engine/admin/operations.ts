/** Every operation of the admin plane. */
import type { Kysely } from 'kysely'
import type { Clock } from '../../buyers/wire.ts'
import type { Publishing } from '../configuration/publishing.ts'
import type { Sealer } from '../seal.ts'
import type { LedgerTables } from '../store/tables.ts'
import { balanceOperations } from './balances.ts'
import { capOperations } from './caps-page.ts'
import { eventOperations } from './events.ts'
import { keyOperations } from './keys.ts'
import { leadOperations } from './leads.ts'
import { ADMIN_PLANE, withDocument } from './openapi.ts'
import type { Operation } from './operation.ts'
import { pageOperations } from './pages.ts'
import { pingOperations } from './pings.ts'
import type { AdminPort } from './port.ts'
import { postbackOperations } from './postbacks.ts'
import { proofOperations } from './proof.ts'
import { reconciliationOperations } from './reconciliation.ts'
import { reportOperations } from './reports.ts'
import { resourceOperations } from './resources.ts'
import { returnOperations } from './returns.ts'
import { suppressionOperations } from './suppression.ts'
import { switchOperations } from './switches.ts'
import { trialOperations } from './trials.ts'
import { versionOperations } from './versions.ts'

export interface AdminParts {
  readonly data: AdminPort
  readonly publishing: Publishing
  readonly db: Kysely<LedgerTables>
  readonly sealer: Sealer
  readonly clock: Clock
}

/** What stands earlier wins where two paths match. */
export function operationsOf({ data, publishing, db, sealer, clock }: AdminParts): readonly Operation[] {
  const operations = [
    ...pageOperations(data),
    ...capOperations((owner) => data.capLines(owner)),
    ...balanceOperations(db),
    ...leadOperations(data),
    ...pingOperations(data),
    ...proofOperations(data, db),
    ...reconciliationOperations(data),
    ...returnOperations(data.returns),
    ...postbackOperations(db),
    ...versionOperations(publishing, db, sealer),
    ...keyOperations(publishing, db),
    ...reportOperations(db),
    ...switchOperations(publishing, db),
    ...trialOperations(publishing, clock),
    ...eventOperations(publishing, db, clock),
    ...suppressionOperations(db, sealer),
    ...resourceOperations(publishing),
  ]
  return withDocument(operations, ADMIN_PLANE)
}
