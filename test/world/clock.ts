/** A clock that stands still until it is told to go on: timers fire in the order of their times, equal ones as they were set. */
import type { Clock, Timer } from '../../buyers/wire.ts'
import { type Ms, ms, type WallMs, wallMs } from '../../rules/units.ts'

interface Alarm {
  readonly at: number
  readonly fire: () => void
}

export class VirtualClock implements Clock {
  readonly #startsAt: number
  #now = 0
  /** Earliest first; among equals, in the order they were set. */
  #alarms: Alarm[] = []

  /** `startsAt`: wall time of the monotonic zero. */
  constructor(startsAt: number) {
    this.#startsAt = startsAt
  }

  mono(): Ms {
    return ms(this.#now)
  }

  wall(): WallMs {
    return wallMs(this.#startsAt + this.#now)
  }

  after(delay: Ms, fire: () => void): Timer {
    const alarm = { at: this.#now + Math.max(0, delay), fire }
    let place = this.#alarms.length
    while (place > 0 && this.#alarms[place - 1]!.at > alarm.at) place--
    this.#alarms.splice(place, 0, alarm)
    return { cancel: () => this.#cancel(alarm) }
  }

  /** Fires a function at a moment of the monotonic clock, now where it has passed. */
  at(moment: number, fire: () => void): void {
    this.after(ms(moment - this.#now), fire)
  }

  /** Goes on to the next alarm and fires it; false where none is set. */
  goOn(): boolean {
    const alarm = this.#alarms.shift()
    if (!alarm) return false
    this.#now = alarm.at
    alarm.fire()
    return true
  }

  /** Goes on to a moment; what was promised meanwhile is heard. */
  async to(moment: number): Promise<void> {
    let there = false
    this.at(moment, () => (there = true))
    while (!there) {
      this.goOn()
      for (let turn = 0; turn < 4; turn++) await null
    }
  }

  #cancel(alarm: Alarm): void {
    const place = this.#alarms.indexOf(alarm)
    if (place >= 0) this.#alarms.splice(place, 1)
  }
}
