/** When what was not heard is told again. */

const FIRST_PAUSE_S = 5
const LONGEST_PAUSE_S = 1_800

/** How long to wait after so many failures, in milliseconds: doubling from five seconds to half an hour. */
export const retryPauseMs = (failures: number): number =>
  1_000 * Math.min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
