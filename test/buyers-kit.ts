/** What the suites of the buyers' wire share: contracts and leads by hand, a clock by hand, answers as promises. */
import net from 'node:net'
import type { PingAnswer, PostAnswer, PostFacts, WireLead } from '../buyers/adapter.ts'
import type { BuyersWire, Clock, PostEnd, Timer } from '../buyers/wire.ts'
import { type Delivery, type Message, PLAIN } from '../rules/delivery.ts'
import type { FieldValue } from '../rules/fields.ts'
import { NO_SELF_SERVICE } from '../rules/self-service.ts'
import { type Ms, micros, ms, wallMs } from '../rules/units.ts'
import type { Buyer, Contract } from '../rules/version.ts'

export const LOOPBACK = ['127.0.0.0/8']
/** A ping that nobody gives up on. */
export const NEVER_LATE = ms(Number.POSITIVE_INFINITY)

/** Time stands still until it is moved; sockets go on in real time. */
export class HandClock implements Clock {
  private now = 1_000
  private readonly timers = new Set<{ readonly due: number; readonly fire: () => void }>()

  mono(): Ms {
    return ms(this.now)
  }

  wall() {
    return wallMs(1_772_467_200_000 + this.now)
  }

  after(delay: Ms, fire: () => void): Timer {
    const timer = { due: this.now + delay, fire }
    this.timers.add(timer)
    return { cancel: () => this.timers.delete(timer) }
  }

  /** Timers that wait: a test may assert that none is left behind. */
  get waiting(): number {
    return this.timers.size
  }

  advance(by: number): void {
    const end = this.now + by
    for (;;) {
      const next = [...this.timers].sort((a, b) => a.due - b.due)[0]
      if (next === undefined || next.due > end) break
      this.timers.delete(next)
      this.now = Math.max(this.now, next.due)
      next.fire()
    }
    this.now = end
  }

  /** The process stands still for so long: what was due meanwhile fires late. */
  stall(by: number): void {
    this.now += by
    this.advance(0)
  }
}

export const BUYER: Buyer = {
  id: 'acme',
  name: 'Acme',
  zone: 'America/Chicago',
  group: 'acme',
  duplicates: { keys: [], windowMs: 0, level: 3 },
  suppress: [],
  legalEntity: 'Acme Solar LLC',
  health: { failures: 8, retryMs: ms(5_000), retryMaxMs: ms(60_000), pings: 512, posts: 128 },
  tcpaText: null,
  caps: [],
  throttles: [],
  lowBalance: null,
}

export function contractAt(
  url: string,
  more: Partial<Omit<Contract, 'delivery'>> & { delivery?: Partial<Delivery> } = {},
): Contract {
  const id = more.id ?? 'acme'
  return {
    id,
    seat: 0,
    buyer: BUYER,
    active: true,
    tier: 0,
    weight: 1,
    minBid: micros(0),
    maxBid: null,
    rules: null,
    priority: 1,
    price: null,
    priceFrom: 'reply',
    pinged: true,
    bidLifeMs: null,
    floor: micros(0),
    filter: null,
    lateFilter: null,
    checks: [],
    needs: [],
    sources: null,
    schedules: [],
    pausedUntil: wallMs(0),
    queueForMs: 0,
    caps: [],
    sourceCaps: new Map(),
    throttles: [],
    postMs: ms(5_000),
    serverError: 'in_doubt',
    idempotent: false,
    inDoubt: 'hold_unbilled',
    returns: null,
    selfService: NO_SELF_SERVICE,
    ...more,
    delivery: {
      pingUrl: `${url}/${id}/ping`,
      postUrl: `${url}/${id}/post`,
      testPingUrl: null,
      testUrl: null,
      tls: null,
      ping: PLAIN,
      post: PLAIN,
      checks: [],
      pingFields: ['state', 'zip'],
      postFields: null,
      secrets: [],
      status: null,
      ...more.delivery,
    },
  }
}

/** Our own shape under more headers. */
export const headed = (headers: Readonly<Record<string, string>>): Message => ({
  ...PLAIN,
  headers: Object.entries(headers).map(([name, value]) => [name, [value]]),
})

export const SOLAR_VALUES: Readonly<Record<string, FieldValue['normal']>> = {
  first_name: 'Zoë',
  last_name: 'O"Neil \\ <b>',
  phone: '+15125550143',
  email: 'zoe@example.com',
  state: 'TX',
  zip: '78701',
  ownership: 'own',
  electric_bill: 180,
  tcpa_consent: true,
  tcpa_text: 'By pressing Get quotes I agree.',
}

/** When a request is built: 2026-03-02 16:00:00.500 UTC. */
export const AT = wallMs(1_772_467_200_500)
export const LEAD_ID = '0197a0b0-1111-7222-8333-944455556666'

export function wireLead(
  values: Readonly<Record<string, FieldValue['normal']>> = SOLAR_VALUES,
  subs: Readonly<Record<string, string>> = {},
): WireLead {
  const read = new Map(Object.entries(values).map(([name, normal]) => [name, { raw: String(normal), normal }]))
  return {
    id: LEAD_ID,
    campaign: 'solar',
    sourcePseudonym: 's-7f3a',
    lead: { vertical: 'solar', receivedAt: 0, values: read, unknown: {}, leadRef: null, subs },
    fragments: new Map(),
    test: false,
  }
}

export function factsOf(contract: Contract, more: Partial<PostFacts> = {}): PostFacts {
  return {
    price: micros(18_500_000),
    buyerReference: 'B-77',
    idempotencyKey: `${LEAD_ID}:${contract.id}`,
    at: AT,
    traceparent: `00-${LEAD_ID.replaceAll('-', '')}-9444555566660000-01`,
    ...more,
  }
}

export function pingOf(wire: BuyersWire, contract: Contract, lead: WireLead = wireLead()): Promise<PingAnswer> {
  return new Promise((answered) => wire.ping(contract, lead, NEVER_LATE, answered))
}

/** A post under way: how it ended, everything that was called back, and what came late. */
export interface Posted {
  readonly end: Promise<PostEnd>
  readonly ends: readonly PostEnd[]
  readonly late: Promise<PostAnswer>
  readonly lates: readonly PostAnswer[]
}

export function postOf(wire: BuyersWire, contract: Contract, postBy = 1e15, facts = factsOf(contract)): Posted {
  const ends: PostEnd[] = []
  const lates: PostAnswer[] = []
  let cameLate: (answer: PostAnswer) => void = () => {}
  const late = new Promise<PostAnswer>((resolve) => {
    cameLate = resolve
  })
  const end = new Promise<PostEnd>((ended) => {
    wire.post(
      contract,
      wireLead(),
      facts,
      ms(postBy),
      (how) => {
        ends.push(how)
        ended(how)
      },
      (answer) => {
        lates.push(answer)
        cameLate(answer)
      },
    )
  })
  return { end, ends, late, lates }
}

/** A server that is no HTTP server: what it does with each piece of a request is the test's. */
export async function rawServer(
  heard: (socket: net.Socket, data: Buffer) => void,
  arrived?: (socket: net.Socket) => void,
) {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => heard(socket, data))
    arrived?.(socket)
  })
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  return {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((down) => server.close(down))
    },
  }
}

export function httpReply(body: string, head = 'HTTP/1.1 200 OK'): string {
  return `${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}
