/** The engine's clock: wall time never steps back, timers never fire early. */
import { describe, expect, it } from 'vitest'
import { systemClock } from '../engine/clock.ts'
import { ms } from '../rules/units.ts'

describe('the clock', () => {
  it('never steps back on the wall, and goes on when the system has caught up', () => {
    let wall = 1_000
    const clock = systemClock({ mono: () => 0, wall: () => wall })
    const read: number[] = []
    for (const next of [1_000, 1_500, 900, 1_499, 1_500, 1_501]) {
      wall = next
      read.push(clock.wall())
    }
    expect(read).toEqual([1_000, 1_500, 1_500, 1_500, 1_500, 1_501])
  })

  it('measures by the monotonic clock', () => {
    const clock = systemClock()
    const before = performance.now()
    expect(clock.mono()).toBeGreaterThanOrEqual(before)
    expect(clock.mono()).toBeLessThanOrEqual(performance.now())
    expect(Math.abs(clock.wall() - Date.now())).toBeLessThan(50)
  })

  it('never fires early, and fires overdue timers at once', async () => {
    const clock = systemClock()
    const early = await Promise.all(
      Array.from({ length: 60 }, (_, i) => {
        const due = clock.mono() + i / 3
        return new Promise<number>((resolve) => clock.after(ms(i / 3), () => resolve(clock.mono() - due)))
      }),
    )
    expect(Math.min(...early)).toBeGreaterThanOrEqual(0)
    await new Promise<void>((resolve) => clock.after(ms(-5), resolve))
  })

  it('cancels a timer, also one that waits out its rest', async () => {
    let now = 0
    const clock = systemClock({ mono: () => now, wall: () => 0 })
    const fired: string[] = []
    clock.after(ms(0), () => fired.push('cancelled')).cancel()
    const resting = clock.after(ms(1), () => fired.push('resting'))
    await new Promise((resolve) => setTimeout(resolve, 5))
    resting.cancel()
    now = 10
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(fired).toEqual([])
  })

  it('takes a delay beyond what node can count as its longest, not as none', () => {
    const clock = systemClock()
    const timer = clock.after(ms(2 ** 40), () => expect.unreachable())
    timer.cancel()
  })
})
