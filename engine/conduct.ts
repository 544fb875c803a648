/** The conductor: carries out what the auction's machine commands and tells it what happened. It decides nothing. */
import type { PostAnswer, PostFacts } from '../buyers/adapter.ts'
import { endsAtOf } from '../buyers/bid-end.ts'
import type { BuyersWire, Clock, PostEnd } from '../buyers/wire.ts'
import type { AuctionCommand, AuctionEvent, CheckSaid, Opening, Outcome } from '../rules/auction.ts'
import { capsOf, placesOf } from '../rules/calendar.ts'
import { fullWindow, type PostingAnswer } from '../rules/caps.ts'
import { costsOf, judged, withOutputs } from '../rules/checks.ts'
import { sightingOf } from '../rules/duplicates.ts'
import { type Wake, wakeFor } from '../rules/queue.ts'
import { type Reason, reason, reasonName } from '../rules/reason.ts'
import { excludedSeats } from '../rules/seats.ts'
import type { Sighting } from '../rules/sightings.ts'
import { awaitsPing, awaitsTurn, bidOf, pingCounts } from '../rules/step/pings.ts'
import { newAuction } from '../rules/step/state.ts'
import { outcomes, seatEnds, step } from '../rules/step.ts'
import { auctionTerms } from '../rules/terms.ts'
import { commandRow, eventRow, type Trace } from '../rules/trace.ts'
import { turnsKey } from '../rules/turns.ts'
import { type Micros, ms, type WallMs, wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import type { Checks } from './checks/checks.ts'
import type { Answer, Held, LeadFacts, LiveLead, LiveLeads } from './live.ts'
import type { FinalStatus, HotStore, Ledger, ResultRow } from './store/port.ts'
import { type TallyMetrics, tallyDecided, tallyPing, tallyPost, tallyWindow } from './tally.ts'

export interface ConductPorts {
  readonly clock: Clock
  readonly wire: BuyersWire
  readonly hot: HotStore
  readonly ledger: Ledger
  readonly live: LiveLeads
  /** Resolves true when the hot store is warm again, false when that takes too long. */
  readonly warm: () => Promise<boolean>
  /** Commits or releases that the store did not answer: tried again until it does. */
  readonly hotLater: (act: () => Promise<unknown>) => void
  /** A release that was given, for `Releases`: a rebuild may bring its places back. */
  readonly released?: (again: () => Promise<unknown>) => void
  /** False once another engine may have fenced this one: nothing may leave that cannot be taken back. */
  readonly mayAct: () => boolean
  /** A reply that came after its post had been given up as in doubt. */
  readonly lateReply: (lead: LiveLead, seat: number, answer: PostAnswer) => void
  /** Another engine owns this lead, or the ledger did not take a row of it: nothing more is offered here, and recovery decides. */
  readonly givenUp: (lead: LiveLead) => void
  readonly metrics: TallyMetrics
  /** Why an operator keeps the lead from the contract now, or null. */
  readonly denied: (lead: LiveLead, contract: Contract) => Reason | null
  readonly checks: Pick<Checks, 'ask'>
  /** Counts a ping that is about to leave; the window of a throttle that forbids it, or null. */
  readonly throttled: (contract: Contract) => string | null
  /** A hold was refused: the cap's window had no place left. */
  readonly sawFull: (contract: string, window: string) => void
  /** Seals a text that may name a person, such as a redirect's address. */
  readonly conceal: (leadId: string, text: string) => string
  /** One whole number from 0 to 65535. */
  readonly dice: () => number
}

/** Opens the auction of a received lead. `recovered`: its first engine died. */
export function conduct(
  ports: ConductPorts,
  facts: LeadFacts,
  opening: Omit<Opening, 'dice'>,
  recovered = false,
): LiveLead {
  const terms = auctionTermsOf(facts)
  const lead: LiveLead = {
    ...facts,
    terms,
    opening: { ...opening, dice: opening.eligible.map(ports.dice) },
    openedAt: ports.clock.mono(),
    state: newAuction(terms),
    rows: [],
    held: new Map(),
    timers: new Set(),
    waiters: [],
    pingedAt: null,
    waitedMs: 0,
    answer: null,
    checked: null,
    offered: null,
    over: false,
  }
  ports.live.add(lead)
  if (lead.mode === 'sync') {
    after(ports, lead, terms.answerWithinMs, () => hear(ports, lead, { on: 'answerBy', at: now(ports, lead) }))
  }
  if (recovered) hear(ports, lead, { on: 'recovered', at: 0 })
  obey(ports, lead, step(lead.state, { on: 'open', at: 0, opening: lead.opening }))
  return lead
}

/** Ends the work on a lead without an outcome: its row was not stored, or another engine owns it. */
export function abandon(ports: ConductPorts, lead: LiveLead): void {
  if (lead.over) return
  lead.over = true
  for (const timer of lead.timers) timer.cancel()
  lead.timers.clear()
  ports.live.remove(lead.leadId)
  lead.exchanges?.over()
  for (const tell of lead.waiters.splice(0)) tell(null)
}

const TERMS = new WeakMap<LeadFacts['campaign'], Map<LeadFacts['source'], LiveLead['terms']>>()

function auctionTermsOf(facts: LeadFacts): LiveLead['terms'] {
  const bySource = TERMS.get(facts.campaign) ?? new Map<LeadFacts['source'], LiveLead['terms']>()
  TERMS.set(facts.campaign, bySource)
  const terms = bySource.get(facts.source) ?? auctionTerms(facts.campaign, facts.source)
  bySource.set(facts.source, terms)
  return terms
}

const now = (ports: ConductPorts, lead: LiveLead): number => Math.floor(ports.clock.mono() - lead.openedAt)

const contractOf = (lead: LiveLead, seat: number): Contract => lead.campaign.contracts[lead.opening.eligible[seat]!]!

function hear(ports: ConductPorts, lead: LiveLead, event: Exclude<AuctionEvent, { on: 'open' }>): void {
  if (lead.over) return
  lead.rows.push(eventRow(event))
  obey(ports, lead, step(lead.state, event))
  if (event.on === 'fenced') ports.givenUp(lead)
  if (lead.state.abandoned && lead.state.underWay === 0 && lead.state.recording.length === 0) abandon(ports, lead)
}

function obey(ports: ConductPorts, lead: LiveLead, commands: readonly AuctionCommand[]): void {
  for (const command of commands) {
    lead.rows.push(commandRow(command))
    obeyOne(ports, lead, command)
  }
}

function obeyOne(ports: ConductPorts, lead: LiveLead, command: AuctionCommand): void {
  switch (command.do) {
    case 'check':
      return check(ports, lead, command)
    case 'ping':
      return ping(ports, lead, command)
    case 'turn':
      return void turn(ports, lead, command)
    case 'hold':
      return void hold(ports, lead, command)
    case 'intent':
      return void intent(ports, lead, command)
    case 'post':
      return post(ports, lead, command)
    case 'commit':
    case 'release':
      return settleHold(ports, lead, command)
    case 'result':
      return void result(ports, lead, command)
    case 'answer':
      return answer(lead, command)
    case 'offer':
      lead.offered = command
      return
    case 'settle':
      return abandon(ports, lead)
    default:
      command satisfies never
  }
}

type Command<K extends AuctionCommand['do']> = Extract<AuctionCommand, { do: K }>

function after(ports: ConductPorts, lead: LiveLead, delay: number, fire: () => void): void {
  const timer = ports.clock.after(ms(delay), () => {
    lead.timers.delete(timer)
    fire()
  })
  lead.timers.add(timer)
}

/** Asks every check at once; each answers within its own time. What they find out is the lead's from then on. */
function check(ports: ConductPorts, lead: LiveLead, { checks }: Command<'check'>): void {
  const { campaign, source, opening } = lead
  const said: CheckSaid[] = []
  let told = 0
  checks.forEach((name, place) => {
    ports.checks.ask(campaign.checks!.all.get(name)!, lead, (one) => {
      said[place] = one
      if (++told < checks.length || lead.over) return
      const at = now(ports, lead)
      lead.waitedMs += at
      lead.wire = { ...lead.wire, lead: withOutputs(lead.wire.lead, said) }
      lead.checked = judged(campaign, source, lead.wire.lead, opening.eligible, said)
      hear(ports, lead, { on: 'checked', at, checked: lead.checked })
    })
  })
}

function ping(ports: ConductPorts, lead: LiveLead, command: Command<'ping'>): void {
  const askedAt = ports.clock.mono()
  lead.pingedAt ??= askedAt
  after(ports, lead, command.deadlineAt - now(ports, lead), () => {
    const at = Math.max(now(ports, lead), command.deadlineAt)
    if (command.seats.some((seat) => awaitsPing(lead.state, seat)))
      hear(ports, lead, { on: 'deadline', at, tier: command.tier })
  })
  const lateAt = ms(lead.openedAt + command.deadlineAt)
  for (const seat of command.seats) {
    const throttled = lead.test ? null : ports.throttled(contractOf(lead, seat))
    if (throttled !== null) {
      const why = reason('throttle', throttled)
      queueMicrotask(() => hear(ports, lead, { on: 'noBid', at: now(ports, lead), seat, reason: why }))
      continue
    }
    ports.wire.ping(contractOf(lead, seat), lead.wire, lateAt, (said) => {
      const at = now(ports, lead)
      const counts = pingCounts(lead.state, seat, at)
      if (!lead.test)
        tallyPing(ports.metrics, contractOf(lead, seat).buyer.id, said, !counts, ports.clock.mono() - askedAt)
      if (!counts) hear(ports, lead, { on: 'late', at, seat, price: said.kind === 'bid' ? said.price : null })
      else if (said.kind === 'bid')
        hear(ports, lead, {
          on: 'bid',
          at,
          seat,
          price: bidOf(lead.state, seat, said.price),
          buyerReference: said.buyerReference,
          endsAt: said.ends && endsAtOf(said.ends, at, ports.clock.wall()),
        })
      else hear(ports, lead, { on: 'noBid', at, seat, reason: said.reason })
    })
  }
}

/** A store that is silent or away knows nobody's turn, and the lead does not wait for it. A test takes none. */
async function turn(ports: ConductPorts, lead: LiveLead, command: Command<'turn'>): Promise<void> {
  const { tier, seats, copies, deadlineAt } = command
  const tell = (turns: readonly number[]) => {
    if (awaitsTurn(lead.state, tier))
      hear(ports, lead, { on: 'turn', at: now(ports, lead), tier, seats: turns.map((place) => seats[place]!) })
  }
  after(ports, lead, deadlineAt - now(ports, lead), () => tell([]))
  if (lead.test) return tell([])
  const candidates = seats.map((seat) => lead.terms.seats[lead.opening.eligible[seat]!]!)
  tell(await hotAnswer(() => ports.hot.turn(turnsKey(lead.campaign, tier), candidates, copies), []))
}

async function hold(ports: ConductPorts, lead: LiveLead, command: Command<'hold'>): Promise<void> {
  tallyWindow(ports.metrics, lead, ports.clock.mono())
  const { seat, attempt, price } = command
  const contract = contractOf(lead, seat)
  const denied = lead.test ? null : ports.denied(lead, contract)
  if (denied !== null) {
    queueMicrotask(() => hear(ports, lead, { on: 'denied', at: now(ports, lead), seat, reason: denied }))
    return
  }
  const rules = lead.test ? [] : capsOf(lead.source, lead.campaign, contract)
  const token = `${lead.leadId}:${contract.id}:${lead.term}.${attempt}`
  const askedAt = ports.clock.mono()
  const ask = () => {
    const heldAt = ports.clock.wall()
    const groups = placesOf(rules, contract.buyer.id, price, lead.snapshot.version, heldAt)
    lead.held.set(seat, { token, groups, heldAt, epoch: ports.hot.epoch() })
    return hotAnswer(() => ports.hot.hold(token, groups, heldAt), { code: 'COLD' as const })
  }
  let said = await ask()
  if (said.code === 'COLD' && (await ports.warm())) said = await ask()
  const at = now(ports, lead)
  ports.metrics.observe('hold', ports.clock.mono() - askedAt)
  if (said.code === 'HELD' && lead.over) settlePlaces(ports, lead.held.get(seat)!, 'release')
  else if (said.code === 'HELD') hear(ports, lead, { on: 'held', at, seat })
  else if (said.code === 'FULL') {
    const window = fullWindow(said)
    ports.sawFull(contract.id, window)
    ports.metrics.capFull(window)
    hear(ports, lead, { on: 'full', at, seat, window })
  } else hear(ports, lead, { on: 'cold', at, seat })
}

/** A store that does not answer sells nothing that is capped: silence is `silent`'s word. */
async function hotAnswer<A>(ask: () => Promise<A>, silent: A): Promise<A> {
  try {
    return await ask()
  } catch {
    return silent
  }
}

async function intent(ports: ConductPorts, lead: LiveLead, command: Command<'intent'>): Promise<void> {
  const { seat } = command
  const held = lead.held.get(seat)!
  const askedAt = ports.clock.mono()
  try {
    const [posting, intended] = await Promise.all([
      enterPost(ports, lead, held),
      ports.ledger.intent(intentRow(ports, lead, command), resultRows(ports, lead, command.results)),
    ])
    const at = now(ports, lead)
    ports.metrics.observe('intent', ports.clock.mono() - askedAt)
    if (lead.over) return settlePlaces(ports, held, 'release')
    if (intended === 'STALE') hear(ports, lead, { on: 'stale', at, seat })
    else if (intended !== 'INTENDED') hear(ports, lead, { on: 'fenced', at, seat })
    else if (posting === 'POSTING') hear(ports, lead, { on: 'intended', at, seat })
    else hear(ports, lead, { on: 'gone', at, seat })
  } catch {
    if (lead.over) return settlePlaces(ports, held, 'release')
    hear(ports, lead, { on: 'fenced', at: now(ports, lead), seat })
  }
}

/** A posting entry has no lease: the ledger must have the lead first, so that whoever takes it over finds the entry too. */
async function enterPost(ports: ConductPorts, lead: LiveLead, { token, groups }: Held): Promise<PostingAnswer> {
  if (groups.length === 0) return 'POSTING'
  if (lead.stored && !(await lead.stored)) return 'GONE'
  return hotAnswer(() => ports.hot.posting(token, groups, ports.clock.wall()), 'GONE')
}

function intentRow(ports: ConductPorts, lead: LiveLead, command: Command<'intent'>) {
  const contract = contractOf(lead, command.seat)
  const { groups, heldAt, epoch } = lead.held.get(command.seat)!
  const wallAtOpen = ports.clock.wall() - (ports.clock.mono() - lead.openedAt)
  return {
    leadId: lead.leadId,
    term: lead.term,
    contract: contract.id,
    buyer: contract.buyer.id,
    copy: command.copy,
    attempt: command.attempt,
    price: command.price,
    payout: command.payout,
    heldAt,
    postBy: wallMs(Math.ceil(wallAtOpen + command.postBy)),
    postMs: contract.postMs,
    inDoubt: contract.inDoubt,
    groups,
    epoch,
  }
}

function resultRows(ports: ConductPorts, lead: LiveLead, results: Command<'result'>['results']): ResultRow[] {
  return results.map((one) => {
    const contract = contractOf(lead, one.seat)
    const redirectUrl = one.redirectUrl && ports.conceal(lead.leadId, one.redirectUrl)
    return { ...one, redirectUrl, contract: contract.id, buyer: contract.buyer.id }
  })
}

function post(ports: ConductPorts, lead: LiveLead, command: Command<'post'>): void {
  const { seat, price, buyerReference } = command
  const contract = contractOf(lead, seat)
  const askedAt = ports.clock.mono()
  if (!ports.mayAct()) {
    queueMicrotask(() => hear(ports, lead, { on: 'notSent', at: now(ports, lead), seat, reason: 'fenced' }))
    return
  }
  const facts = postFacts(lead.leadId, contract.id, price, buyerReference, ports.clock.wall())
  ports.wire.post(
    contract,
    lead.wire,
    facts,
    ms(lead.openedAt + command.postBy),
    (end) => {
      const at = now(ports, lead)
      if (!lead.test) tallyPost(ports.metrics, lead, contract.buyer.id, end, ports.clock.mono() - askedAt)
      hear(ports, lead, postEvent(end, at, seat))
    },
    (late) => ports.lateReply(lead, seat, late),
  )
}

function postEvent(end: PostEnd, at: number, seat: number): Exclude<AuctionEvent, { on: 'open' }> {
  if (end.kind !== 'accepted') return { on: end.kind, at, seat, reason: end.reason }
  return {
    on: 'accepted',
    at,
    seat,
    price: end.price,
    buyerReference: end.buyerReference,
    redirectUrl: end.redirectUrl,
  }
}

/** What every post of this lead to this contract says, the first one and one that is sent again. */
export function postFacts(
  leadId: string,
  contract: string,
  price: Micros,
  buyerReference: string | null,
  at: WallMs,
): PostFacts {
  const idempotencyKey = `${leadId}:${contract}`
  return { price, buyerReference, idempotencyKey, at, traceparent: traceparent(leadId) }
}

/** W3C trace context: the lead's id is the trace's, its last half the parent span's. */
function traceparent(leadId: string): string {
  const hex = leadId.replaceAll('-', '')
  return `00-${hex}-${hex.slice(16)}-01`
}

function settleHold(ports: ConductPorts, lead: LiveLead, command: Command<'commit' | 'release'>): void {
  settlePlaces(ports, lead.held.get(command.seat)!, command.do)
}

/** The machine commands this of a lead under way; of one whose work here ended while a store was asked, nobody else would. */
function settlePlaces(ports: ConductPorts, { token, groups }: Held, how: 'commit' | 'release'): void {
  if (groups.length === 0) return
  const act = async () => {
    const said = await ports.hot[how](token, groups, ports.clock.wall())
    if (said === 'COLD') throw new Error(`the hot store is cold: ${how} of ${token} is still to come`)
  }
  act().catch(() => ports.hotLater(act))
  if (how === 'release') ports.released?.(act)
}

async function result(ports: ConductPorts, lead: LiveLead, command: Command<'result'>): Promise<void> {
  const askedAt = ports.clock.mono()
  const ends = command.status === null ? null : outcomes(lead.state)
  const final = ends && finalStatus(ports, lead, command.status!, ends)
  try {
    await ports.ledger.result({
      leadId: lead.leadId,
      term: lead.term,
      campaign: lead.campaign.id,
      source: lead.source.id,
      test: lead.test,
      currency: lead.campaign.currency,
      results: resultRows(ports, lead, command.results),
      final,
    })
  } catch {
    ports.givenUp(lead)
    return abandon(ports, lead)
  }
  ports.metrics.observe('result', ports.clock.mono() - askedAt)
  if (ends && !lead.test) tallyDecided(ports.metrics, lead, command.status!, ends, ports.clock.mono())
  if (final && lead.fingerprints.length > 0) {
    const act = () => ports.hot.unclaim(lead.leadId, lead.fingerprints, final.sighting)
    act().catch(() => ports.hotLater(act))
  }
  hear(ports, lead, { on: 'durable', at: now(ports, lead) })
  if (final?.status === 'pending' || final?.status === 'queued') abandon(ports, lead)
}

function finalStatus(
  ports: ConductPorts,
  lead: LiveLead,
  status: FinalStatus['status'],
  ends: ReadonlyMap<string, Outcome>,
): FinalStatus {
  const { state } = lead
  const unsold = status === 'unsold'
  const costs = lead.test || lead.checked === null ? null : costsOf(lead.checked.said)
  return {
    status,
    payout: state.payout,
    copies: state.accepted.length,
    reasons: unsold ? ['no_buyer'] : [],
    redirectUrl: state.redirectUrl && ports.conceal(lead.leadId, state.redirectUrl),
    trace: JSON.stringify(storedTrace(lead)),
    sighting: lead.test ? null : sightingAt(lead, ports.clock.wall()),
    outcomes: countOutcomes(ends),
    awaited: lead.mode === 'async' || lead.answer?.status === 'pending' || lead.waited === true,
    ...(costs && { costs }),
    ...(status === 'queued' ? wakeOf(lead, ports.clock.wall()) : {}),
  }
}

/** When the contracts open that it waits for; where they are open by now, at once. */
function wakeOf({ campaign, opening, receivedAt }: LiveLead, now: WallMs): Wake {
  const queued = excludedSeats(opening, campaign.contracts.length).get('queued') ?? []
  const wake = wakeFor(
    queued.map((seat) => campaign.contracts[seat]!),
    receivedAt,
    now,
  )
  return wake ?? { wakeAt: now, queueUntil: now }
}

function sightingAt({ leadId, campaign, state }: LeadFacts & Pick<LiveLead, 'state'>, at: WallMs): Sighting | null {
  return sightingOf(campaign.duplicates, { leadId, campaign: campaign.id, at }, seatEnds(state))
}

export function storedTrace(lead: LiveLead): Trace {
  return {
    machine: 1,
    version: lead.snapshot.version,
    campaign: lead.campaign.id,
    source: lead.source.id,
    term: lead.term,
    opening: lead.opening,
    rows: lead.rows,
  }
}

/** `contract|kind|reason` -> 1, for the rollups. */
function countOutcomes(ends: ReadonlyMap<string, Outcome>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const [contract, outcome] of ends) counts[`${contract}|${outcome.kind}|${reasonName(outcome.reason)}`] = 1
  return counts
}

function answer(lead: LiveLead, command: Command<'answer'>): void {
  const said: Answer = {
    leadId: lead.leadId,
    status: command.status,
    payout: command.payout,
    currency: lead.campaign.currency,
    copies: command.copies,
    reasons: command.reasons,
    redirectUrl: command.redirectUrl,
    leadRef: lead.wire.lead.leadRef,
  }
  lead.answer = said
  for (const tell of lead.waiters.splice(0)) tell(said)
}
