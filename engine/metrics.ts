/** What an operator may watch: durations by stage, what became of leads and seats, what waits in queues. */
import { AggregatorRegistry, collectDefaultMetrics, Gauge, type MetricObjectWithValues, Registry } from 'prom-client'
import type { LineHealth } from '../buyers/health.ts'
import type { OutcomeKind } from '../rules/auction.ts'
import type { ReasonName } from '../rules/reason.ts'
import type { OutboxEnd } from './outbox.ts'
import { Count, Durations } from './series.ts'

/**
 * receive: first header to whole body · validate · claim · received: RECEIVED durable · ping: one ping, asked to answered ·
 * check: one check of a service, asked to answered · ping_window: a tier, first ping to close · hold · intent · post · result: each its store's or buyer's round trip ·
 * lead: open to decided · answer: first header to answer · added: what of it was not waited for buyers.
 */
export const STAGES = [
  'receive',
  'validate',
  'claim',
  'received',
  'check',
  'ping',
  'ping_window',
  'hold',
  'intent',
  'post',
  'result',
  'lead',
  'answer',
  'added',
] as const
export type Stage = (typeof STAGES)[number]

export type PingEnd = 'bid' | 'no_bid' | 'late' | 'error'
export type PostState = 'accepted' | 'rejected' | 'not_sent' | 'in_doubt'

/** `nothing`: nobody bid; `expired`: a lead came for it too late. */
export type OfferEnd = 'made' | 'nothing' | 'used' | 'expired' | 'reoffered'

export type MetricsJson = MetricObjectWithValues<never>[]

export interface Metrics {
  observe(stage: Stage, milliseconds: number): void
  /** One HTTP answer of the data plane; 499: the client hung up first. */
  answered(status: number): void
  /** A lead reached this status: sold, unsold, pending, duplicate, invalid, expired. */
  lead(status: string): void
  seat(kind: OutcomeKind, reason: ReasonName): void
  ping(buyer: string, end: PingEnd): void
  post(buyer: string, state: PostState): void
  /** What a check of a lead came to: asked, shared, kept, list, test, or why nothing was found out. */
  check(check: string, end: string): void
  /** A hold found no place; `window`: hour, day, week, month, total, concurrency. */
  capFull(window: string): void
  /** What became of offers to sources for their pings. */
  offer(end: OfferEnd): void
  rateLimited(source: string): void
  /** So many exchanges with buyers that were not kept, because too many waited for the ledger. */
  exchangesLost(kind: 'ping' | 'post', n: number): void
  /** Something that waits or is under way: `ledger`, `leads`, `pings`, `posts`, `connections`. Read at each scrape. */
  queue(name: string, depth: () => number): void
  /** How buyers' servers do. Read at each scrape. */
  buyers(read: () => readonly LineHealth[]): void
  /** So many events of an alert began, as this process saw first. */
  events(alert: string, n: number): void
  /** A postback or an alert's letter was sent, or nobody wanted it any more. */
  told(outbox: string, end: OutboxEnd): void
  /** Events that are open, by alert. Read at each scrape. */
  alerts(read: () => ReadonlyMap<string, number>): void
  /** Everything that this process counted, for a primary that adds up its workers. */
  json(): Promise<MetricsJson>
  /** Prometheus's text format. */
  text(): Promise<string>
}

export const METRICS_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE

/** Labels name stages, statuses, reasons, windows, buyers and sources: never a lead. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const count = (name: string, help: string, ...labels: string[]) =>
    new Count(registry, `gavelpost_${name}_total`, help, labels)
  const stages = new Durations(registry, 'gavelpost_stage_seconds', 'How long each stage took.', 'stage', STAGES)
  const answers = count('answers', 'HTTP answers of the data plane; 499: the client hung up first.', 'code')
  const leads = count('leads', 'Leads by the status that they reached.', 'status')
  const seats = count('seats', 'How seats ended, and why.', 'kind', 'reason')
  const pings = count('pings', 'How pings ended.', 'buyer', 'end')
  const posts = count('posts', 'How posts ended.', 'buyer', 'state')
  const checks = count('checks', 'What checks of leads came to.', 'check', 'end')
  const capsFull = count('caps_full', 'Holds that found no place in a cap.', 'window')
  const offers = count(
    'offers',
    'Offers to sources: made, used by a lead, asked for too late, made in place of another.',
    'end',
  )
  const limited = count('rate_limited', 'Leads refused because their source was too fast.', 'source')
  const events = count('events', 'What alerts found for the first time.', 'alert')
  const lost = count('exchanges_lost', 'Exchanges with buyers whose bytes were not kept.', 'kind')
  const told = count('outbox', 'How attempts to tell sources and operators ended.', 'outbox', 'end')
  const queues = queueGauge(registry)
  return {
    observe: (stage, milliseconds) => stages.observe(stage, milliseconds),
    answered: (status) => answers.add(String(status)),
    lead: (status) => leads.add(status),
    seat: (kind, reason) => seats.add(kind, reason),
    ping: (buyer, end) => pings.add(buyer, end),
    post: (buyer, state) => posts.add(buyer, state),
    check: (check, end) => checks.add(check, end),
    offer: (end) => offers.add(end),
    capFull: (window) => capsFull.add(window),
    rateLimited: (source) => limited.add(source),
    exchangesLost: (kind, n) => {
      for (let i = 0; i < n; i++) lost.add(kind)
    },
    queue: (name, depth) => void queues.set(name, depth),
    buyers: (read) => buyerGauges(registry, read),
    events: (alert, n) => {
      for (let one = 0; one < n; one++) events.add(alert)
    },
    told: (outbox, end) => told.add(outbox, end),
    alerts: (read) => alertGauge(registry, read),
    json: () => registry.getMetricsAsJSON() as unknown as Promise<MetricsJson>,
    text: () => registry.metrics(),
  }
}

function queueGauge(registry: Registry): Map<string, () => number> {
  const depths = new Map<string, () => number>()
  new Gauge({
    name: 'gavelpost_queue_depth',
    help: 'What waits or is under way.',
    labelNames: ['queue'],
    registers: [registry],
    collect() {
      for (const [name, depth] of depths) this.set({ queue: name }, depth())
    },
  })
  return depths
}

/** One process watches, and the others say nothing: the highest is what there is. */
function alertGauge(registry: Registry, read: () => ReadonlyMap<string, number>): void {
  new Gauge({
    name: 'gavelpost_events_open',
    help: 'What alerts find at the moment.',
    aggregator: 'max',
    labelNames: ['alert'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [alert, open] of read()) this.set({ alert }, open)
    },
  })
}

/** Buyers beyond so many are not told apart on a page. */
const SHOWN_LINES = 1_000
const BREAKER_STATES = { closed: 0, half_open: 1, open: 2 } as const
const BUYER_LABELS = ['buyer', 'kind'] as const

/** A buyer at several addresses is one: its counts are added up, of states and latencies the worst is shown. */
function buyerGauges(registry: Registry, read: () => readonly LineHealth[]): void {
  const gauge = (name: string, help: string, aggregator: 'max' | 'sum', of: (line: LineHealth) => number | null) =>
    new Gauge({
      ...{ name: `gavelpost_buyer_${name}`, help, aggregator, labelNames: BUYER_LABELS, registers: [registry] },
      collect() {
        const shown = new Map<string, { readonly labels: Record<'buyer' | 'kind', string>; value: number }>()
        for (const line of read().slice(0, SHOWN_LINES)) {
          const value = of(line)
          if (value === null) continue
          const { buyer, kind } = line
          const key = `${kind} ${buyer}`
          const one = shown.get(key)
          if (one === undefined) shown.set(key, { labels: { buyer, kind }, value })
          else one.value = aggregator === 'sum' ? one.value + value : Math.max(one.value, value)
        }
        this.reset()
        for (const { labels, value } of shown.values()) this.set(labels, value)
      },
    })
  gauge('breaker', 'Closed 0, half open 1, open 2.', 'max', ({ state }) => BREAKER_STATES[state])
  gauge('breaker_trips', 'How often the breaker opened.', 'sum', ({ trips }) => trips)
  gauge('in_flight', 'Requests under way.', 'sum', ({ inFlight }) => inFlight)
  gauge('latency_p50_ms', 'Median of the latest replies.', 'max', ({ latency }) => latency?.p50 ?? null)
  gauge('latency_p95_ms', '95th percentile of the latest replies.', 'max', ({ latency }) => latency?.p95 ?? null)
}

/** The pages of several processes as one: counts and depths are added, delays averaged. */
export function mergedText(pages: readonly MetricsJson[]): Promise<string> {
  return AggregatorRegistry.aggregate([...pages]).metrics()
}
