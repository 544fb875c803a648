/** What went over a connection in one exchange with a buyer, byte for byte: what left, what came back, and how it ended. */
import type { Socket } from 'node:net'
import type { Ms, WallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'

/** Kept of a request: no lead that was taken makes a longer one without a map that repeats it. */
export const SENT_MOST = 64 * 1024
/** Kept of a reply: what decides stands at its beginning, and no buyer may fill the ledger. */
export const HEARD_MOST = 16 * 1024

/** Told of the exchanges of one lead. */
export interface Witness {
  /** False: of posts only. */
  readonly wantsPings: boolean
  /** The first byte is about to leave. */
  began(tape: Tape): void
  /** It has ended; a post that timed out may end again with a late reply. */
  ended(tape: Tape): void
}

/** What left and came of one exchange, as far as it is kept: a text is one byte a character. */
export class Tape {
  readonly kind: 'ping' | 'post'
  readonly contract: Contract
  readonly at: WallMs
  readonly sent: (string | Uint8Array)[] = []
  readonly heard: Uint8Array[] = []
  sentBytes = 0
  heardBytes = 0
  /** Null while it is under way; `whole`: a whole reply came. */
  end: string | null = null
  tookMs = 0
  private readonly startedAt: Ms

  constructor(kind: 'ping' | 'post', contract: Contract, at: WallMs, startedAt: Ms) {
    this.kind = kind
    this.contract = contract
    this.at = at
    this.startedAt = startedAt
  }

  send(chunk: string | Uint8Array): void {
    const room = SENT_MOST - this.sentBytes
    this.sentBytes += chunk.length
    if (chunk.length <= room) this.sent.push(chunk)
    else if (room > 0) this.sent.push(chunk.slice(0, room))
  }

  /** A part is copied, so that no large chunk lives as long as its beginning. */
  hear(chunk: Uint8Array): void {
    const room = HEARD_MOST - this.heardBytes
    this.heardBytes += chunk.length
    if (chunk.length <= room) this.heard.push(chunk)
    else if (room > 0) this.heard.push(Uint8Array.from(chunk.subarray(0, room)))
  }

  finish(end: string, now: Ms): void {
    this.end = end
    this.tookMs = now - this.startedAt
  }
}

/** The exchange whose first byte leaves next; null: one that nobody records. */
let next: Tape | null | undefined

/** Said from `onRequestStart`: undici writes the request to its socket in the same turn. */
export function leaves(tape: Tape | null): void {
  next = tape
}

/**
 * Listens in on a connection that carries one exchange at a time, above TLS: undici tells neither the bytes that it wrote nor those
 * of a reply that it could not read.
 */
export function tap(socket: Socket): void {
  const { write, read } = socket
  let tape: Tape | null = null
  socket.write = function (this: Socket, ...given: unknown[]) {
    if (next !== undefined) {
      tape = next
      next = undefined
    }
    tape?.send(given[0] as string | Uint8Array)
    return (write as (...all: unknown[]) => boolean).apply(this, given)
  } as Socket['write']
  socket.read = function (this: Socket, size?: number) {
    const chunk: Buffer | null = read.call(this, size)
    if (chunk !== null) tape?.hear(chunk)
    return chunk
  }
}
