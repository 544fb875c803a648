/** One buyer under test: a test lead, its pings and posts over the engine's own wire, and single requests made by hand. */
import http from 'node:http'
import https from 'node:https'
import { v7 as uuidv7 } from 'uuid'
import type { Adapter, PingAnswer, PostFacts, WireLead, WireRequest } from '../buyers/adapter.ts'
import { compileAdapter } from '../buyers/compile.ts'
import { createBuyersWire, type OpenBuyersWire, type PostEnd } from '../buyers/wire.ts'
import { systemClock } from '../engine/clock.ts'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { parseLead } from '../rules/lead.ts'
import { micros, ms } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { Vertical } from '../rules/verticals.ts'

/** What a request made by hand came to. `status` 0: no whole reply, and `error` says why. */
export interface RawReply {
  readonly status: number
  readonly body: string
  readonly headers: http.IncomingHttpHeaders
  readonly error: string | null
  readonly tookMs: number
  /** It went over a connection that an earlier request had opened. */
  readonly reused: boolean
}

export interface RawChange {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sends half of the body, and the rest so much later. */
  readonly pauseMs?: number
}

export class BuyerPlay {
  readonly contract: Contract
  readonly adapter: Adapter
  readonly pingMs: number
  /** Between the two pieces of a slow request. */
  readonly pauseMs: number
  readonly #vertical: Vertical
  readonly #clock = systemClock()
  readonly #wire: OpenBuyersWire
  readonly #agents: readonly [http.Agent, https.Agent]

  constructor(
    contract: Contract,
    vertical: Vertical,
    pingMs: number,
    allowedCidrs: readonly string[],
    pauseMs = 1_000,
  ) {
    this.contract = contract
    this.adapter = compileAdapter(contract)
    this.pingMs = pingMs
    this.pauseMs = pauseMs
    this.#vertical = vertical
    this.#wire = createBuyersWire({ clock: this.#clock, allowedCidrs })
    const kept = { keepAlive: true, maxSockets: 1 }
    this.#agents = [new http.Agent(kept), new https.Agent(kept)]
  }

  /** A lead of the vertical's own examples, marked as a test; each is another one. */
  lead(changes: Readonly<Record<string, string>> = {}): WireLead {
    const examples = this.#vertical.fields.map(({ name, example }) => [name, String(example)])
    const parsed = parseLead(this.#vertical, { ...Object.fromEntries(examples), ...changes }, EXAMPLE_NOW)
    if (!parsed.ok) throw new Error(`the vertical's own examples are invalid: ${JSON.stringify(parsed.issues)}`)
    const { lead } = parsed
    return { id: uuidv7(), campaign: 'check', sourcePseudonym: 'S-CHECK', lead, fragments: new Map(), test: true }
  }

  facts(lead: WireLead, buyerReference: string | null = null): PostFacts {
    return {
      price: this.contract.price ?? micros(1_000_000),
      buyerReference,
      idempotencyKey: `${lead.id}:${this.contract.id}`,
      at: this.#clock.wall(),
      traceparent: `00-${lead.id.replaceAll('-', '')}-${lead.id.replaceAll('-', '').slice(16)}-01`,
    }
  }

  /** Null: no answer within the tier's time. */
  async ping(lead = this.lead()): Promise<{ readonly answer: PingAnswer | null; readonly tookMs: number }> {
    const began = performance.now()
    const lateAt = ms(this.#clock.mono() + this.pingMs)
    const answer = await new Promise<PingAnswer | null>((resolve) => {
      const limit = this.#clock.after(ms(this.pingMs), () => resolve(null))
      this.#wire.ping(this.contract, lead, lateAt, (said) => {
        limit.cancel()
        resolve(said)
      })
    })
    return { answer, tookMs: performance.now() - began }
  }

  async post(lead: WireLead, buyerReference: string | null = null) {
    const began = performance.now()
    const postBy = ms(this.#clock.mono() + 10_000)
    const end = await new Promise<PostEnd>((ended) =>
      this.#wire.post(this.contract, lead, this.facts(lead, buyerReference), postBy, ended, () => {}),
    )
    return { end, tookMs: performance.now() - began }
  }

  pingRequest(lead = this.lead()): WireRequest {
    return this.adapter.pingRequest(lead, this.#clock.wall())
  }

  postRequest(lead = this.lead()): WireRequest {
    return this.adapter.postRequest(lead, this.facts(lead))
  }

  /** Sends a request, changed by hand, and waits for its reply as long as for a post. */
  raw(request: WireRequest, change: RawChange = {}): Promise<RawReply> {
    const { method = request.method, body = request.body, pauseMs = 0 } = change
    const url = new URL(request.path, request.origin)
    const agent = this.#agents[url.protocol === 'https:' ? 1 : 0]
    const headers = { ...headersOf(request), ...change.headers, 'content-length': String(Buffer.byteLength(body)) }
    const began = performance.now()
    return new Promise((resolve) => {
      const end = (more: Partial<RawReply>): void => {
        clearTimeout(limit)
        const tookMs = performance.now() - began
        resolve({ status: 0, body: '', headers: {}, error: null, tookMs, reused: sent.reusedSocket, ...more })
      }
      const sent = (url.protocol === 'https:' ? https : http).request(url, { method, headers, agent }, (reply) => {
        let text = ''
        reply.setEncoding('utf8')
        reply.on('data', (piece: string) => {
          text += piece
          if (text.length > MAX_RAW) reply.destroy(new Error(`more than ${MAX_RAW} characters`))
        })
        reply.on('end', () => end({ status: reply.statusCode ?? 0, body: text, headers: reply.headers }))
        reply.on('error', (error) => end({ error: error.message }))
      })
      const limit = setTimeout(() => sent.destroy(new Error('no reply in time')), this.contract.postMs)
      sent.on('error', (error: NodeJS.ErrnoException) => end({ error: error.code ?? error.message }))
      if (pauseMs === 0) return void sent.end(body)
      const half = Math.ceil(body.length / 2)
      sent.write(body.slice(0, half))
      setTimeout(() => sent.end(body.slice(half)), pauseMs)
    })
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) agent.destroy()
    await this.#wire.close()
  }
}

const MAX_RAW = 256 * 1024

function headersOf({ headers }: WireRequest): Record<string, string> {
  const read: Record<string, string> = {}
  for (let at = 0; at + 1 < headers.length; at += 2) read[headers[at]!] = headers[at + 1]!
  return read
}
