/** Carries what may be sent again, such as postbacks and alerts: one request or letter at a time, no redirects, and nothing inside the house. */
import { Agent } from 'undici'
import { ms } from '../rules/units.ts'
import type { WireRequest } from './adapter.ts'
import { ConnectFailure, createGuard, type LookupAll } from './guard.ts'
import { type SmtpEnd, type SmtpOrder, SmtpSession } from './smtp.ts'
import type { Clock } from './wire.ts'

/** A whole answer, or why there is none. */
export type Delivered = { readonly status: number; readonly body: string } | { readonly failure: string }

export interface Courier {
  carry(request: WireRequest): Promise<Delivered>
  /** 250 once the mail server has taken the letter. */
  mail(letter: Omit<SmtpOrder, 'withinMs' | 'mayLeave'>): Promise<Delivered>
  /** Takes the allow-list of a new version. */
  allow(cidrs: readonly string[]): void
  close(): Promise<void>
}

export interface CourierOptions {
  readonly clock: Clock
  readonly allowedCidrs: readonly string[]
  /** Everything, from the name's look-up to the last byte; default 10,000. */
  readonly withinMs?: number
  readonly lookup?: LookupAll
}

const CONNECT_MS = 3_000
/** Mail servers look a sender up and a letter through before they take it. */
const MAIL_WITHIN_MS = 30_000
const MAX_REPLY_BYTES = 64 * 1024
const CONNECTIONS = 4
const ORIGINS = 500

export function createCourier({ clock, allowedCidrs, withinMs = 10_000, lookup }: CourierOptions): Courier {
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
    mail: (letter) => {
      const { promise, resolve } = Promise.withResolvers<SmtpEnd>()
      new SmtpSession(clock, { ...letter, withinMs: ms(MAIL_WITHIN_MS) }, resolve).begin(guard)
      return promise.then(deliveredBy)
    },
    allow: guard.allow,
    close: () => agent.destroy(),
  }
}

/** What was to be held back is for orders that say when. */
function deliveredBy(end: SmtpEnd): Delivered {
  switch (end.kind) {
    case 'taken':
      return { status: 250, body: '' }
    case 'refused':
      return { failure: `smtp_${end.status}` }
    case 'broken':
      return { failure: end.why }
    case 'login':
    case 'withheld':
      return { failure: end.kind }
    default:
      return end satisfies never
  }
}

function failureOf(error: unknown): string {
  if (error instanceof ConnectFailure) return error.reason
  return (error as Error).name === 'TimeoutError' ? 'timeout' : 'reset'
}
