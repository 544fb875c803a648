/** The engine's clock: the one place of production code where time is read and timers are set. */
import type { Clock } from '../buyers/wire.ts'
import { ms, wallMs } from '../rules/units.ts'

/** Node fires timers with longer delays at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

/** Where the two times come from; tests bring their own to step the wall clock back. */
export interface TimeSource {
  readonly mono: () => number
  readonly wall: () => number
}

const SYSTEM: TimeSource = { mono: () => performance.now(), wall: () => Date.now() }

/** `wall` is the largest wall time seen so far: it stands still while the system's clock is behind. Timers never fire early by `mono`. */
export function systemClock(source: TimeSource = SYSTEM): Clock {
  let latest = 0
  return {
    mono: () => ms(source.mono()),
    wall: () => {
      const now = source.wall()
      if (now > latest) latest = now
      return wallMs(latest)
    },
    after: (delay, fire) => startTimer(source, Math.min(Math.max(delay, 0), LONGEST_DELAY_MS), fire),
  }
}

/** Node's timers count whole milliseconds and may be up to one early: such a timer waits out the rest. */
function startTimer(source: TimeSource, delay: number, fire: () => void) {
  const due = source.mono() + delay
  const ring = () => {
    const rest = due - source.mono()
    if (rest <= 0) fire()
    else timer = setTimeout(ring, Math.ceil(rest))
  }
  let timer = setTimeout(ring, Math.ceil(delay))
  return { cancel: () => clearTimeout(timer) }
}
