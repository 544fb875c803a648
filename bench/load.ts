/** The load generator: sends leads over keep-alive sockets at a fixed concurrency or a fixed arrival rate, then says what came back. */
import { createWriteStream } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { build, type Histogram } from 'hdr-histogram-js'

/** One answer as the client saw it: what the verifier compares with the ledger. */
export interface Acknowledgement {
  readonly lead_id: string | null
  readonly status: string
  readonly payout: string | null
  readonly http: number
  /** Wall time, milliseconds since the Unix epoch. */
  readonly answered_at: number
}

export interface LoadOptions {
  /** Where leads are posted to: `http://127.0.0.1:8080/v1/campaigns/solar/leads`. */
  readonly url: string
  /** The source's API key, sent as a bearer token. */
  readonly key: string
  /** JSON bodies; the run ends early where they run out. */
  readonly leads: Iterator<string>
  readonly record?: (acknowledgement: Acknowledgement) => void
  /** Called with each decision's body and latency; only where the bench needs more than the summary. */
  readonly onDecision?: (body: string, latencyUs: number) => void
  /** Ends the run early; exchanges under way are still awaited. */
  readonly signal?: AbortSignal
  /** How long an exchange may take before its socket is destroyed and it counts as an error. Default 90 s. */
  readonly timeoutMs?: number
}

export interface ClosedLoopOptions extends LoadOptions {
  readonly inFlight: number
  /** At least one of the two ends the run. */
  readonly total?: number
  readonly seconds?: number
}

export interface OpenLoopOptions extends LoadOptions {
  readonly perSecond: number
  readonly seconds: number
  /** Default `poisson`. */
  readonly arrivals?: 'poisson' | 'uniform'
  /** Seed of the Poisson arrivals. Default 1. */
  readonly seed?: number
  /** Sockets that may be open at once; arrivals beyond it wait, and their wait counts. Default 4096. */
  readonly maxSockets?: number
}

export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly mean: number
}

export interface LoadResult {
  readonly sent: number
  /** Answers with HTTP 200 or 202. */
  readonly decided: number
  /** Exchanges that ended without an answer: refused, reset, timed out. */
  readonly errors: number
  /** `200 sold` -> how many, `503` -> how many. */
  readonly answers: Readonly<Record<string, number>>
  readonly seconds: number
  /** Decisions per second. */
  readonly perSecond: number
  /** Milliseconds, of decisions only; open loop: from the scheduled arrival. */
  readonly latencyMs: Latency
}

const DEFAULT_TIMEOUT_MS = 90_000
/** A slot whose socket broke waits this long: a dead server must not make the client spin. */
const RETRY_AFTER_MS = 50
const HEADER_END = '\r\n\r\n'

/** Keeps `inFlight` leads under way. Measures capacity; its latencies hide stalls. */
export async function closedLoop(options: ClosedLoopOptions): Promise<LoadResult> {
  if (options.total === undefined && options.seconds === undefined) {
    throw new Error('closedLoop needs `total` or `seconds`, or it would never end')
  }
  const run = new Run(options)
  const endAt = options.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.seconds * 1000
  let left = options.total ?? Number.POSITIVE_INFINITY
  const slot = async (): Promise<void> => {
    const line = new Line(run)
    while (left > 0 && performance.now() < endAt && !options.signal?.aborted) {
      left--
      const lead = options.leads.next()
      if (lead.done) break
      if (!(await line.exchange(lead.value, performance.now()))) await pause(RETRY_AFTER_MS)
    }
    line.close()
  }
  await Promise.all(Array.from({ length: options.inFlight }, slot))
  return run.result()
}

/** Sends leads when they are due, however the server fares; latency is measured from the moment each was due. */
export async function openLoop(options: OpenLoopOptions): Promise<LoadResult> {
  const run = new Run(options)
  const idle: Line[] = []
  const waiting: { readonly body: string; readonly dueAt: number }[] = []
  const maxSockets = options.maxSockets ?? 4096
  let open = 0
  const underWay = new Set<Promise<void>>()

  const send = async (line: Line, body: string, dueAt: number): Promise<void> => {
    await line.exchange(body, dueAt)
    for (let next = waiting.shift(); next; next = waiting.shift()) await line.exchange(next.body, next.dueAt)
    idle.push(line)
  }
  const arrive = (body: string, dueAt: number): void => {
    const line = idle.pop() ?? (open < maxSockets ? new Line(run) : null)
    if (!line) {
      waiting.push({ body, dueAt })
      return
    }
    if (line.fresh) open++
    const exchange = send(line, body, dueAt)
    underWay.add(exchange)
    void exchange.then(() => underWay.delete(exchange))
  }

  await schedule(options, arrive)
  await Promise.all(underWay)
  for (const line of idle) line.close()
  return run.result()
}

/** Calls `arrive` for each lead at its due moment; a late wake-up catches up on all that is due, each with its own moment. */
async function schedule(options: OpenLoopOptions, arrive: (body: string, dueAt: number) => void): Promise<void> {
  const gap = arrivalGaps(options)
  const endAt = performance.now() + options.seconds * 1000
  let dueAt = performance.now() + gap()
  while (dueAt < endAt && !options.signal?.aborted) {
    const now = performance.now()
    if (dueAt > now) {
      await pause(Math.min(dueAt - now, 100))
      continue
    }
    const lead = options.leads.next()
    if (lead.done) return
    arrive(lead.value, dueAt)
    dueAt += gap()
  }
}

function arrivalGaps(options: OpenLoopOptions): () => number {
  const mean = 1000 / options.perSecond
  if (options.arrivals === 'uniform') return () => mean
  const random = seeded(options.seed ?? 1)
  return () => -Math.log(1 - random()) * mean
}

/** A small seeded generator (mulberry32): the same seed gives the same arrivals. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Appends acknowledgements to a file as JSON lines. */
export function recordTo(path: string): { record: (one: Acknowledgement) => void; close: () => Promise<void> } {
  const file = createWriteStream(path, { flags: 'a' })
  return {
    record: (one) => void file.write(`${JSON.stringify(one)}\n`),
    close: () => new Promise((resolve, reject) => file.on('error', reject).end(resolve)),
  }
}

/** What one run of the generator has counted so far. */
class Run {
  readonly host: string
  readonly port: number
  readonly options: LoadOptions
  readonly #head: string
  readonly #histogram: Histogram = build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3 })
  readonly #answers = new Map<string, number>()
  readonly #startedAt = performance.now()
  #endedAt = performance.now()
  #sent = 0
  #decided = 0
  #errors = 0

  constructor(options: LoadOptions) {
    const url = new URL(options.url)
    this.options = options
    this.host = url.hostname
    this.port = Number(url.port || 80)
    this.#head =
      `POST ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n` +
      `Authorization: Bearer ${options.key}\r\nContent-Type: application/json\r\nContent-Length: `
  }

  request(body: string): string {
    this.#sent++
    return `${this.#head}${Buffer.byteLength(body)}${HEADER_END}${body}`
  }

  answered(http: number, body: string, since: number): void {
    const now = performance.now()
    this.#endedAt = now
    const status = textField(body, 'status')
    const name = status === null ? String(http) : `${http} ${status}`
    this.#answers.set(name, (this.#answers.get(name) ?? 0) + 1)
    if (http === 200 || http === 202) {
      const latencyUs = Math.max(1, Math.round((now - since) * 1000))
      this.#decided++
      this.#histogram.recordValue(latencyUs)
      this.options.onDecision?.(body, latencyUs)
    }
    this.options.record?.({
      lead_id: textField(body, 'lead_id'),
      status: status ?? String(http),
      payout: textField(body, 'payout'),
      http,
      answered_at: Date.now(),
    })
  }

  failed(): void {
    this.#errors++
    this.#endedAt = performance.now()
  }

  result(): LoadResult {
    const seconds = (this.#endedAt - this.#startedAt) / 1000
    return {
      sent: this.#sent,
      decided: this.#decided,
      errors: this.#errors,
      answers: Object.fromEntries([...this.#answers].sort(([a], [b]) => (a < b ? -1 : 1))),
      seconds,
      perSecond: seconds > 0 ? this.#decided / seconds : 0,
      latencyMs: summary(this.#histogram),
    }
  }
}

/** Percentiles of a histogram of microseconds, in milliseconds. */
export function summary(histogram: Histogram): Latency {
  const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000
  const empty = histogram.totalCount === 0
  return {
    p50: at(50),
    p90: at(90),
    p99: at(99),
    p999: at(99.9),
    max: empty ? 0 : histogram.maxValue / 1000,
    mean: empty ? 0 : histogram.mean / 1000,
  }
}

/** One keep-alive connection with one exchange at a time; it reconnects by itself after a fault. */
class Line {
  readonly #run: Run
  #socket: Socket | null = null
  #received = ''
  #since = 0
  #done: ((answered: boolean) => void) | null = null
  #deadline: NodeJS.Timeout | null = null
  /** True until the first exchange. */
  fresh = true

  constructor(run: Run) {
    this.#run = run
  }

  /** Resolves true where an answer came, whatever it says. */
  exchange(body: string, since: number): Promise<boolean> {
    this.fresh = false
    this.#since = since
    this.#received = ''
    const socket = this.#socket ?? this.#open()
    this.#deadline = setTimeout(() => socket.destroy(), this.#run.options.timeoutMs ?? DEFAULT_TIMEOUT_MS)
    return new Promise((resolve) => {
      this.#done = resolve
      socket.write(this.#run.request(body))
    })
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = null
  }

  #open(): Socket {
    const socket = connect({ host: this.#run.host, port: this.#run.port, noDelay: true })
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    // `close` always follows an error, and ends the exchange there.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null
      this.#finish(false)
    })
    this.#socket = socket
    return socket
  }

  #read(chunk: Buffer): void {
    this.#received += chunk.toString('latin1')
    const headEnd = this.#received.indexOf(HEADER_END)
    if (headEnd < 0) return
    const head = this.#received.slice(0, headEnd)
    const length = contentLength(head)
    const body = this.#received.slice(headEnd + HEADER_END.length)
    if (length === null) this.#socket?.destroy()
    else if (body.length >= length) {
      this.#run.answered(Number(head.slice(9, 12)), body, this.#since)
      if (/\r\nconnection: *close/i.test(head)) this.close()
      this.#finish(true)
    }
  }

  #finish(answered: boolean): void {
    const done = this.#done
    if (!done) return
    this.#done = null
    if (this.#deadline) clearTimeout(this.#deadline)
    if (!answered) this.#run.failed()
    done(answered)
  }
}

/** Bytes of the body; null where the server names none (a chunked answer is a fault of the target here). */
function contentLength(head: string): number | null {
  const found = /\r\ncontent-length: *(\d+)/i.exec(head)
  return found ? Number(found[1]) : null
}

/** Value of a text field of a small JSON answer, without parsing all of it. Escapes do not occur in these fields. */
function textField(body: string, name: string): string | null {
  const mark = `"${name}":"`
  const start = body.indexOf(mark)
  if (start < 0) return null
  const end = body.indexOf('"', start + mark.length)
  return end < 0 ? null : body.slice(start + mark.length, end)
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs))
}
