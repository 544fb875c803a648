/** What one call of something small costs: microseconds of processor, of which a busy machine takes none away. */

const BATCHES = 5

/** Microseconds of processor that this process has used, its collector's threads included. */
function usedUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Median over batches of about so many milliseconds each, after one that only warms up. */
export function microsPer(batchMs: number, call: () => void): number {
  const batches: number[] = []
  for (let batch = 0; batch <= BATCHES; batch++) {
    const before = usedUs()
    let calls = 0
    while (usedUs() - before < batchMs * 1000) {
      for (let at = 0; at < 10; at++) call()
      calls += 10
    }
    batches.push((usedUs() - before) / calls)
  }
  const measured = batches.slice(1).sort((a, b) => a - b)
  return Number(measured[Math.floor(BATCHES / 2)]!.toPrecision(3))
}
