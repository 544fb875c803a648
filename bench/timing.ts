/** What one call of something small takes, in microseconds. */

const BATCHES = 5

/** Median over batches, after one batch that only warms up. */
export function microsPer(batchMs: number, call: () => void): number {
  const batches: number[] = []
  for (let batch = 0; batch <= BATCHES; batch++) {
    const since = performance.now()
    let calls = 0
    while (performance.now() - since < batchMs) {
      for (let at = 0; at < 10; at++) call()
      calls += 10
    }
    batches.push(((performance.now() - since) * 1000) / calls)
  }
  const measured = batches.slice(1).sort((a, b) => a - b)
  return Number(measured[Math.floor(BATCHES / 2)]!.toPrecision(3))
}
