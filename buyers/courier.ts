/** Carries what may be sent again, such as postbacks: one request at a time, no redirects, and nothing inside the house. */
import { Agent } from 'undici'
import type { WireRequest } from './adapter.ts'
import { ConnectFailure, createGuard, type LookupAll } from './guard.ts'

/** A whole answer, or why there is none. */
export type Delivered = { readonly status: number; readonly body: string } | { readonly failure: string }

export interface Courier {
  carry(request: WireRequest): Promise<Delivered>
  /** Takes the allow-list of a new version. */
  allow(cidrs: readonly string[]): void
  close(): Promise<void>
}

export interface CourierOptions {
  readonly allowedCidrs: readonly string[]
  /** Everything, from the name's look-up to the last byte; default 10,000. */
  readonly withinMs?: number
  readonly lookup?: LookupAll
}

const CONNECT_MS = 3_000
const MAX_REPLY_BYTES = 64 * 1024
const CONNECTIONS = 4
const ORIGINS = 500

export function createCourier({ allowedCidrs, withinMs = 10_000, lookup }: CourierOptions): Courier {
  const guard = createGuard({ allowedCidrs, connectMs: CONNECT_MS, ...(lookup ? { lookup } : {}) })
  const agent = new Agent({
    connect: guard.connect,
    connections: CONNECTIONS,
    maxOrigins: ORIGINS,
    allowH2: false,
    pipelining: 1,
    maxResponseSize: MAX_REPLY_BYTES,
  })
  return {
    carry: async ({ method, origin, path, headers, body }) => {
      try {
        const signal = AbortSignal.timeout(withinMs)
        const payload = body === '' ? null : body
        const reply = await agent.request({ method, origin, path, headers: [...headers], body: payload, signal })
        return { status: reply.statusCode, body: await reply.body.text() }
      } catch (error) {
        return { failure: failureOf(error) }
      }
    },
    allow: guard.allow,
    close: () => agent.destroy(),
  }
}

function failureOf(error: unknown): string {
  if (error instanceof ConnectFailure) return error.reason
  return (error as Error).name === 'TimeoutError' ? 'timeout' : 'reset'
}
