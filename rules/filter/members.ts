/** Sets of values that conditions compare with: small ones by themselves, large ones as numbers of a shared dictionary. */
import type { Comparable } from './check.ts'

export interface Members {
  readonly size: number
  /** The one value where there is one. */
  readonly only: Comparable | null
  readonly has: (value: Comparable) => boolean
  readonly each: (visit: (value: Comparable) => void) => void
}

/** Every value that some large list names, once: 10,000 lists of zips are 4 bytes an entry and not 40. */
export class Dictionary {
  readonly #ids = new Map<Comparable, number>()
  readonly #values: Comparable[] = []

  idOf(value: Comparable): number {
    const known = this.#ids.get(value)
    if (known !== undefined) return known
    this.#ids.set(value, this.#values.length)
    return this.#values.push(value) - 1
  }

  find(value: Comparable): number | undefined {
    return this.#ids.get(value)
  }

  valueOf(id: number): Comparable {
    return this.#values[id]!
  }
}

/** A set of so many values costs less than a look-up in the dictionary saves. */
const SMALL = 16

export function membersOf(values: ReadonlySet<Comparable>, dictionary: Dictionary): Members {
  if (values.size > SMALL) return new ListedMembers(values, dictionary)
  const [first] = values
  const only = values.size === 1 ? first! : null
  return { size: values.size, only, has: (value) => values.has(value), each: (visit) => values.forEach(visit) }
}

class ListedMembers implements Members {
  readonly only = null
  readonly #ids: Uint32Array
  readonly #dictionary: Dictionary

  constructor(values: ReadonlySet<Comparable>, dictionary: Dictionary) {
    this.#dictionary = dictionary
    this.#ids = Uint32Array.from(values, (value) => dictionary.idOf(value)).sort()
  }

  get size(): number {
    return this.#ids.length
  }

  has = (value: Comparable): boolean => {
    const wanted = this.#dictionary.find(value)
    if (wanted === undefined) return false
    const ids = this.#ids
    let [low, high] = [0, ids.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ids[middle]! < wanted) low = middle + 1
      else high = middle
    }
    return ids[low] === wanted
  }

  each = (visit: (value: Comparable) => void): void => {
    for (const id of this.#ids) visit(this.#dictionary.valueOf(id))
  }
}
