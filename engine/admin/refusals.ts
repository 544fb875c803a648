/** Why a change of the configuration was refused, as the answer that says what to do. */

import type { Actor, Refused } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import type { Page } from './operation.ts'

export function refusal(refused: Refused, actor: Actor): Page {
  switch (refused.code) {
    case 'STALE':
      return problem.conflict(
        `Somebody has published since: version ${refused.newest} is the newest. Compare with it, then begin from it (DELETE /admin/v1/draft forgets the draft).`,
      )
    case 'FAULTY':
      return problem.faulty('Nothing was changed.', refused.faults)
    case 'FILE':
      return problem.conflict(
        'A file governs this engine: change the file that CONFIG names. To publish here, start the engine without CONFIG; the ledger then goes on from the version that the file had last.',
      )
    case 'EXAMPLE':
      return problem.conflict(
        'Everybody knows the keys of the example, and this engine is open to others: take out "example: true" and its keys.',
      )
    case 'SAME':
      return problem.conflict(`There is nothing to publish: version ${refused.newest} says the same.`)
    case 'ROLE':
      return problem.roleNeeded('admin, to change admin or network', actor.role)
    case 'UNKNOWN':
      return problem.nothingHere()
    default:
      return refused satisfies never
  }
}
