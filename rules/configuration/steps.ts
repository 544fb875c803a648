/** Long work as steps: whoever drives them may do something else between two. */

export type Steps<T> = Generator<undefined, T, undefined>

/** So many contracts are one step: some milliseconds. */
const A_STEP = 100

/** Says when it is time for another step, counted by what was done. */
export const stepEvery = (done: number): boolean => done % A_STEP === 0

export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}
