/** What is due when: members with one moment each, taken in the order of moment and then of name. */

interface DueItem {
  readonly at: number
  readonly member: string
}

const isBefore = (a: DueItem, b: DueItem): boolean => a.at < b.at || (a.at === b.at && a.member < b.member)

/** Outdated heap items are tolerated up to this many beyond the live ones. */
const SLACK = 1_024

/** A sorted set by moment. Moves and removals leave outdated items in the heap, which are skipped and now and then cleared. */
export class DueQueue {
  readonly #moments = new Map<string, number>()
  #heap: DueItem[] = []

  get size(): number {
    return this.#moments.size
  }

  at(member: string): number | undefined {
    return this.#moments.get(member)
  }

  /** Enters a member, or moves it to another moment. */
  set(member: string, at: number): void {
    this.#moments.set(member, at)
    if (this.#heap.length > 2 * this.#moments.size + SLACK) this.#rebuild()
    else this.#push({ at, member })
  }

  delete(member: string): void {
    this.#moments.delete(member)
  }

  /** Removes and returns up to `limit` members whose moment has come, the earliest first. */
  take(now: number, limit: number): string[] {
    const taken: string[] = []
    while (taken.length < limit && this.#heap.length > 0 && this.#heap[0]!.at <= now) {
      const item = this.#pop()
      if (this.#moments.get(item.member) !== item.at) continue
      this.#moments.delete(item.member)
      taken.push(item.member)
    }
    return taken
  }

  /** A sorted array is a heap. */
  #rebuild(): void {
    this.#heap = Array.from(this.#moments, ([member, at]) => ({ at, member }))
    this.#heap.sort((a, b) => (isBefore(a, b) ? -1 : 1))
  }

  #push(item: DueItem): void {
    const heap = this.#heap
    let i = heap.length
    heap.push(item)
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!isBefore(item, heap[parent]!)) break
      heap[i] = heap[parent]!
      i = parent
    }
    heap[i] = item
  }

  #pop(): DueItem {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return top
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
    return top
  }
}
