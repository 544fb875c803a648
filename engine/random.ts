/** Random bytes, dice and ids from a pool that is filled at once: asking the system for a few at a time costs more than they do. */
import { randomFillSync } from 'node:crypto'
import { v7 } from 'uuid'

const pool = Buffer.alloc(4_096)
let used = pool.length

/** Where so many fresh bytes begin in the pool. */
function draw(count: number): number {
  if (used + count > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += count
  return used - count
}

/** So many bytes; the pool forgets them, for they may become a key. */
export function random(count: number): Buffer {
  const at = draw(count)
  const taken = Buffer.from(pool.subarray(at, at + count))
  pool.fill(0, at, at + count)
  return taken
}

/** One whole number from 0 to 65535. */
export const die = (): number => pool.readUInt16LE(draw(2))

/** A new UUIDv7. */
export const newId = (): string => v7({ random: random(16) })
