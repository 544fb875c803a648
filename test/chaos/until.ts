/** Waits for a condition, within bounds: the only waiting that chaos knows. */
import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 20

/** Asks until it answers something true, and answers that. Throws what was waited for, and what was seen last. */
export async function until<T>(
  what: string,
  withinMs: number,
  ask: () => T | Promise<T>,
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const end = performance.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer) return answer as Exclude<T, false | null | undefined | 0 | ''>
      last = answer
    } catch (error) {
      last = error
    }
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${withinMs} ms; last seen: ${last instanceof Error ? last.message : last}`)
    }
    await pause(POLL_MS)
  }
}
