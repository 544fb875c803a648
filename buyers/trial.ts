/** Tries a contract's delivery on its buyer with a made-up lead: what was sent and heard, byte for byte, and how it was read. */
import { randomBytes } from 'node:crypto'
import type { CheckService, LeadCheck } from '../rules/checks.ts'
import { type Micros, ms } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { Adapter, PingAnswer, WireLead, WireReply, WireRequest } from './adapter.ts'
import { type CheckAnswer, compileCheck } from './checker.ts'
import { compileAdapter } from './compile.ts'
import { type BuyersWireOptions, createBuyersWire, type OpenBuyersWire, type PostEnd } from './wire.ts'

export interface Step<Read> {
  readonly sent: WireRequest
  /** Null: no whole reply came, or it went by mail. */
  readonly heard: WireReply | null
  readonly read: Read
  readonly tookMs: number
}

export interface Trial {
  /** Null where the contract is not pinged. */
  readonly ping: Step<PingAnswer> | null
  /** Null where the ping got no bid. */
  readonly post: Step<PostEnd> | null
  /** The buyer accepted the post. */
  readonly passed: boolean
}

/** Longer than any ping tier may take. */
const PING_MS = 25_000

/** Pings where the contract is pinged, and posts at what was bid, over a wire of its own that knows no earlier health. */
export async function tryContract(
  options: Pick<BuyersWireOptions, 'clock' | 'allowedCidrs' | 'lookup'>,
  contract: Contract,
  lead: WireLead,
): Promise<Trial> {
  const { delivery } = contract
  const tried: Contract = {
    ...contract,
    delivery: {
      ...delivery,
      pingUrl: delivery.pingUrl === null ? null : (delivery.testPingUrl ?? delivery.pingUrl),
      postUrl: delivery.testUrl ?? delivery.postUrl,
    },
  }
  const tape: Tape = { pinged: null, posted: null, bid: null, accepted: null }
  const wire = createBuyersWire({ ...options, compile: (one) => listeningIn(compileAdapter(one), tape) })
  try {
    const ping = contract.pinged ? await pingOnce(options, wire, tried, lead, tape) : null
    if (ping && ping.read.kind === 'noBid') return { ping, post: null, passed: false }
    const bid = ping?.read.kind === 'bid' ? ping.read : null
    const price = bid?.price ?? contract.price!
    const post = await postOnce(options, wire, tried, lead, tape, price, bid?.buyerReference ?? null)
    return { ping, post, passed: post.read.kind === 'accepted' }
  } finally {
    void wire.close()
  }
}

/** Asks a check's service once, in its own time, over a wire of its own. */
export async function tryCheck(
  options: Pick<BuyersWireOptions, 'clock' | 'allowedCidrs' | 'lookup'>,
  check: LeadCheck,
  service: CheckService,
  lead: WireLead,
): Promise<Step<CheckAnswer>> {
  const { clock } = options
  let [sent, heard]: [WireRequest | null, WireReply | null] = [null, null]
  const listening: typeof compileCheck = (id, one) => {
    const adapter = compileCheck(id, one)
    return {
      request: (wire, said) => {
        sent = adapter.request(wire, said)
        return sent
      },
      read: (reply) => {
        heard = reply
        return adapter.read(reply)
      },
    }
  }
  const wire = createBuyersWire({ ...options, compileCheck: listening })
  const askedAt = clock.mono()
  try {
    const read = await new Promise<CheckAnswer>((answered) => {
      const timer = clock.after(check.timeoutMs, () => answered({ outputs: null, failed: 'timeout' }))
      wire.check(check, service, lead, (answer) => {
        timer.cancel()
        answered(answer)
      })
    })
    return { sent: sent!, heard, read, tookMs: clock.mono() - askedAt }
  } finally {
    void wire.close()
  }
}

/** What went over the wire. */
interface Tape {
  pinged: WireRequest | null
  posted: WireRequest | null
  bid: WireReply | null
  accepted: WireReply | null
}

function listeningIn(adapter: Adapter, tape: Tape): Adapter {
  return {
    pingRequest: (lead, at) => {
      tape.pinged = adapter.pingRequest(lead, at)
      return tape.pinged
    },
    pingReply: (reply) => {
      tape.bid = reply
      return adapter.pingReply(reply)
    },
    postRequest: (lead, facts) => {
      tape.posted = adapter.postRequest(lead, facts)
      return tape.posted
    },
    postReply: (reply) => {
      tape.accepted = reply
      return adapter.postReply(reply)
    },
  }
}

type Options = Pick<BuyersWireOptions, 'clock'>

async function pingOnce(
  { clock }: Options,
  wire: OpenBuyersWire,
  contract: Contract,
  lead: WireLead,
  tape: Tape,
): Promise<Step<PingAnswer>> {
  const askedAt = clock.mono()
  const read = await new Promise<PingAnswer>((answered) => wire.ping(contract, lead, ms(askedAt + PING_MS), answered))
  return { sent: tape.pinged!, heard: tape.bid, read, tookMs: clock.mono() - askedAt }
}

async function postOnce(
  { clock }: Options,
  wire: OpenBuyersWire,
  contract: Contract,
  lead: WireLead,
  tape: Tape,
  price: Micros,
  buyerReference: string | null,
): Promise<Step<PostEnd>> {
  const askedAt = clock.mono()
  const trace = `${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}`
  const facts = {
    price,
    buyerReference,
    idempotencyKey: `${lead.id}:${contract.id}`,
    at: clock.wall(),
    traceparent: `00-${trace}-01`,
  }
  const read = await new Promise<PostEnd>((ended) =>
    wire.post(contract, lead, facts, ms(askedAt + contract.postMs), ended, () => {}),
  )
  return { sent: tape.posted!, heard: tape.accepted, read, tookMs: clock.mono() - askedAt }
}
