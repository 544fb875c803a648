/** The leads of a bench run: an endless stream without repeats, drawn ahead of a phase so that drawing costs no measured time. */
import { leadStream } from './leads.ts'

const SEED = 20_260_302
/** With these a solar lead has the 26 fields that the floor's validation is defined by. */
const MORE_FIELDS = { sub2: 'bench', sub3: 'bench' }

export class Deck implements Iterator<string> {
  readonly #stream = leadStream({ seed: SEED, vertical: 'solar' })
  #ahead: string[] = []
  #at = 0

  /** Has so many leads ready; more are drawn on demand. */
  fill(count: number): void {
    this.#ahead = this.#ahead.slice(this.#at)
    this.#at = 0
    while (this.#ahead.length < count) this.#ahead.push(this.#draw())
  }

  next(): IteratorResult<string, never> {
    return { done: false, value: this.#ahead[this.#at++] ?? this.#draw() }
  }

  #draw(): string {
    return JSON.stringify({ ...this.#stream.next().value.lead, ...MORE_FIELDS })
  }
}
