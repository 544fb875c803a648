/** How often and from which seed random inputs are tried: GAVEL_FUZZ=full tries a million, SEED repeats a run. */

export const fuzzRuns = (usual: number, full = 1_000_000): number =>
  process.env['GAVEL_FUZZ'] === 'full' ? full : usual

export const fuzzSeed = (): number => Number(process.env['SEED'] ?? Date.now() % 1_000_000)
