/** The nearest known word to one that nobody knows: the "did you mean" of every fault. */

/** The known word within a third of the letters of edits (insert, drop, change, swap), or null. Case does not count. */
export function nearest(word: string, known: Iterable<string>): string | null {
  const wanted = word.toLowerCase()
  let best: string | null = null
  let fewest = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const edits = editsBetween(wanted, candidate.toLowerCase(), fewest)
    if (edits < fewest) {
      best = candidate
      fewest = edits
    }
  }
  return best
}

/** ` Did you mean "floor"?`, else ` Known here: a, b, c.` with at most a dozen names. */
export function suggest(word: string, known: Iterable<string>): string {
  const names = [...known]
  const near = nearest(word, names)
  if (near !== null) return ` Did you mean "${near}"?`
  if (names.length === 0) return ' There are none yet.'
  const more = names.length > 12 ? ` and ${names.length - 12} more` : ''
  return ` Known here: ${names.slice(0, 12).join(', ')}${more}.`
}

/** Edit distance with swaps of neighbours; gives up with `limit` where it is reached. */
function editsBetween(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const line = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let edits = Math.min(above[column]! + 1, line[column - 1]! + 1, above[column - 1]! + (same ? 0 : 1))
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) edits = Math.min(edits, before[column - 2]! + 1)
      line.push(edits)
    }
    before = above
    above = line
  }
  return Math.min(limit, above[b.length]!)
}
