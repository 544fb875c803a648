/** Drives long work in steps, so that leads under way get their turns meanwhile. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Steps } from '../../rules/configuration/steps.ts'

/** Steps that follow each other without a turn of the event loop between them take so long together. */
const AT_MOST_MS = 5

export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (let since = performance.now(); ; ) {
    const { done, value } = steps.next()
    if (done) return value
    if (performance.now() - since < AT_MOST_MS) continue
    await nextTurn()
    since = performance.now()
  }
}
