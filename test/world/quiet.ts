/** Knows when nothing is under way in the stores, so that virtual time goes on only then and every play is exact. */

import { ms } from '../../rules/units.ts'
import type { VirtualClock } from './clock.ts'

interface Call {
  /** Set once the real store has answered. */
  deliver: (() => void) | null
}

const everythingThatCanRun = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Store calls go out at once, and their answers are handed over in the order of the calls, one by one, each followed by
 * everything that it sets going. So parallel copies run in one order, whatever the order in which real stores answer.
 */
export class Quiet {
  readonly #clock: VirtualClock
  readonly #waiting: Call[] = []
  #outstanding = 0
  #wake: () => void = () => {}

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  /** The same object, whose promises this waits for. `slow`: milliseconds that one call's answer takes. */
  watch<T extends object>(target: T, slow: (method: string, args: readonly unknown[]) => number = () => 0): T {
    return new Proxy(target, {
      get: (_, method) => {
        const member = Reflect.get(target, method, target)
        if (typeof member !== 'function') return member
        return (...args: unknown[]) => {
          const answer: unknown = member.apply(target, args)
          return answer instanceof Promise ? this.track(answer, slow(String(method), args)) : answer
        }
      },
    })
  }

  /** Virtual time does not go on before this promise is settled and its answer was handed over. */
  track<T>(answer: Promise<T>, after = 0): Promise<T> {
    const call: Call = { deliver: null }
    this.#outstanding++
    if (after > 0) this.#clock.after(ms(after), () => this.#waiting.push(call))
    else this.#waiting.push(call)
    return new Promise((resolve, reject) => {
      const ready = (deliver: () => void) => {
        call.deliver = deliver
        this.#outstanding--
        this.#wake()
      }
      answer.then(
        (value) => ready(() => resolve(value)),
        (error) => ready(() => reject(error)),
      )
    })
  }

  /** Plays until no alarm is left. */
  async run(): Promise<void> {
    do await this.#settle()
    while (this.#clock.goOn())
  }

  async #settle(): Promise<void> {
    for (;;) {
      await everythingThatCanRun()
      const first = this.#waiting[0]
      if (first?.deliver) {
        this.#waiting.shift()
        first.deliver()
      } else if (first || this.#outstanding > 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          if (this.#waiting[0]?.deliver || (this.#waiting.length === 0 && this.#outstanding === 0)) resolve()
        })
      } else return
    }
  }
}
