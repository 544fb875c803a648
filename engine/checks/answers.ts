/** Answers of checks that hold for a while, by a keyed hash of what was asked: bounded, the longest unused one goes first. */
import type { Outputs } from '../../rules/checks.ts'
import type { Ms } from '../../rules/units.ts'

interface Kept {
  readonly outputs: Outputs
  readonly until: number
}

/** A quarter of a kilobyte each. */
export const MOST_ANSWERS = 50_000

export class Answers {
  readonly #most: number
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>()

  constructor(most = MOST_ANSWERS) {
    this.#most = most
  }

  get size(): number {
    return this.#kept.size
  }

  /** Null where there is none, or none any more. */
  find(key: string, now: Ms): Outputs | null {
    const found = this.#kept.get(key)
    if (found === undefined) return null
    this.#kept.delete(key)
    if (found.until <= now) return null
    this.#kept.set(key, found)
    return found.outputs
  }

  keep(key: string, outputs: Outputs, keepMs: number, now: Ms): void {
    if (keepMs === 0) return
    this.#kept.delete(key)
    this.#kept.set(key, { outputs, until: now + keepMs })
    if (this.#kept.size <= this.#most) return
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest)
      return
    }
  }
}
