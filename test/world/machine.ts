/** Plays a story through the machine alone: stores answer from memory, buyers by their scripts, time by jumps. */

import { endsAtOf } from '../../buyers/bid-end.ts'
import type { PostEnd } from '../../buyers/wire.ts'
import type { ResultRow } from '../../engine/store/port.ts'
import type { AuctionCommand, AuctionEvent, AuctionTerms, CheckSaid, Outcome } from '../../rules/auction.ts'
import { capsOf, placesOf } from '../../rules/calendar.ts'
import { Caps, fullWindow, type PlaceGroup } from '../../rules/caps.ts'
import { judged, withOutputs } from '../../rules/checks.ts'
import { LEVELS } from '../../rules/sightings.ts'
import { awaitsPing, awaitsTurn, bidOf, pingCounts } from '../../rules/step/pings.ts'
import { type AuctionState, newAuction } from '../../rules/step/state.ts'
import { outcomes, step } from '../../rules/step.ts'
import { auctionTerms } from '../../rules/terms.ts'
import { commandRow, eventRow, outcomeWords, type TraceRow, traceLines } from '../../rules/trace.ts'
import { type TurnCandidate, Turns, turnsKey } from '../../rules/turns.ts'
import { micros, ms, type WallMs, wallMs } from '../../rules/units.ts'
import type { Contract } from '../../rules/version.ts'
import { ScriptedWire } from './buyers.ts'
import { type Cast, castStory, earlierTurns, usedCaps } from './cast.ts'
import { ScriptedChecks } from './checks.ts'
import { VirtualClock } from './clock.ts'
import { PaperLedger } from './ledger.ts'
import type { Story, StoryEnd } from './story.ts'

type Command<K extends AuctionCommand['do']> = Extract<AuctionCommand, { do: K }>
type Heard = Exclude<AuctionEvent, { on: 'open' }>

export const LEAD_ID = '01940000-0000-7000-8000-000000000001'

/** What a play leaves behind: enough to compare it with its story, to replay it, and to check it. */
export interface Played extends StoryEnd {
  readonly cast: Cast
  readonly terms: AuctionTerms
  readonly rows: readonly TraceRow[]
  readonly ends: ReadonlyMap<string, Outcome>
  readonly answers: readonly Answered[]
  readonly ledger: PaperLedger
  readonly wire: ScriptedWire
  /** Every cap's counters with what was sold before. */
  readonly counters: Readonly<Record<string, number>>
  readonly decided: AuctionState['decided']
}

/** What the source heard. */
export interface Answered {
  readonly status: string
  readonly payout: number
  readonly copies: number
}

/** Where a test puts a bug: each piece may be replaced. */
export interface Parts {
  readonly step?: typeof step
  readonly caps?: Caps
  readonly ledger?: PaperLedger
  readonly wire?: (clock: VirtualClock, story: Story) => ScriptedWire
}

export function playOnMachine(story: Story, parts: Parts = {}): Played {
  return new MachinePlay(castStory(story), parts).run()
}

interface HeldPlaces {
  readonly token: string
  readonly groups: readonly PlaceGroup[]
  readonly heldAt: WallMs
  readonly epoch: number
}

class MachinePlay {
  readonly #cast: Cast
  readonly #clock: VirtualClock
  readonly #wire: ScriptedWire
  readonly #checks: ScriptedChecks
  readonly #caps: Caps
  readonly #turns = new Turns()
  readonly #ledger: PaperLedger
  readonly #step: typeof step
  readonly #terms: AuctionTerms
  readonly #state: AuctionState
  readonly #rows: TraceRow[] = []
  readonly #held = new Map<number, HeldPlaces>()
  /** Given again after each rebuild: it may have read the ledger before the end of their post was durable. */
  readonly #released: HeldPlaces[] = []
  /** Answers of stores that are there at once, in the order they were asked for. */
  readonly #replies: (() => void)[] = []
  #over = false

  constructor(cast: Cast, parts: Parts) {
    const { story, campaign, source } = cast
    this.#cast = cast
    this.#clock = new VirtualClock(cast.opensAt)
    this.#wire = parts.wire?.(this.#clock, story) ?? new ScriptedWire(this.#clock, story)
    this.#checks = new ScriptedChecks(this.#clock, story)
    this.#caps = parts.caps ?? new Caps()
    this.#ledger = parts.ledger ?? new PaperLedger()
    this.#step = parts.step ?? step
    this.#terms = auctionTerms(campaign, source)
    this.#state = newAuction(this.#terms)
  }

  run(): Played {
    const { opening, source, story } = this.#cast
    this.#ledger.received(receivedRow(this.#cast))
    this.#rebuild()
    this.#scheduleStores(story.store ?? {})
    this.#clock.after(source.answerWithinMs, () => this.#hear({ on: 'answerBy', at: this.#now }))
    for (const [tier, candidates, copies] of earlierTurns(this.#cast)) this.#turns.take(tier, candidates, copies)
    this.#obey(this.#step(this.#state, { on: 'open', at: 0, opening }))
    for (;;) {
      const reply = this.#replies.shift()
      if (reply) reply()
      else if (!this.#clock.goOn()) return this.#played()
    }
  }

  #scheduleStores({ cold, rebuiltAt, fencedAt }: NonNullable<Story['store']>): void {
    const rebuild = () => {
      this.#ledger.epoch++
      this.#rebuild()
    }
    if (fencedAt !== undefined)
      this.#clock.at(fencedAt, () => {
        this.#ledger.fenced = true
      })
    if (rebuiltAt !== undefined) this.#clock.at(rebuiltAt, rebuild)
    if (!cold) return
    this.#clock.at(cold[0], () => {
      this.#caps.restore({ epoch: 0, committed: [], tokens: [], tags: [] })
    })
    if (cold[1] !== null) this.#clock.at(cold[1], rebuild)
  }

  #rebuild(): void {
    const { committed, tokens } = this.#ledger.image()
    const tags = this.#cast.campaign.contracts.flatMap((contract) =>
      this.#places(contract, 0).map((group) => group.tag),
    )
    this.#caps.restore({
      epoch: this.#ledger.epoch,
      committed: [...this.#cast.sold, ...committed],
      paid: this.#cast.paid,
      tokens,
      tags,
    })
    for (const { token, groups } of this.#released)
      this.#caps.release(this.#ledger.epoch, token, groups, this.#clock.wall())
  }

  get #now(): number {
    return this.#clock.mono()
  }

  #places(contract: Contract, price: number): PlaceGroup[] {
    const { source, campaign } = this.#cast
    return placesOf(capsOf(source, campaign, contract), contract.buyer.id, price as never, 1, this.#clock.wall())
  }

  #contract(seat: number): Contract {
    return this.#cast.campaign.contracts[this.#cast.opening.eligible[seat]!]!
  }

  #hear(event: Heard): void {
    if (this.#over) return
    this.#rows.push(eventRow(event))
    this.#obey(this.#step(this.#state, event))
    const { abandoned, underWay, recording } = this.#state
    if (abandoned && underWay === 0 && recording.length === 0) this.#over = true
  }

  #obey(commands: readonly AuctionCommand[]): void {
    for (const command of commands) {
      this.#rows.push(commandRow(command))
      this.#obeyOne(command)
    }
  }

  #obeyOne(command: AuctionCommand): void {
    switch (command.do) {
      case 'check':
        return this.#check(command)
      case 'ping':
        return this.#ping(command)
      case 'turn':
        return this.#turn(command)
      case 'hold':
        return this.#hold(command)
      case 'intent':
        return this.#intent(command)
      case 'post':
        return this.#post(command)
      case 'commit':
      case 'release':
        return this.#settleHold(command)
      case 'result':
        return this.#result(command)
      case 'answer':
      case 'offer':
        return
      case 'settle':
        this.#over = true
        return
      default:
        command satisfies never
    }
  }

  #reply(after: number | undefined, reply: () => void): void {
    if (after) this.#clock.after(ms(after), reply)
    else this.#replies.push(reply)
  }

  #check({ checks }: Command<'check'>): void {
    const { campaign, source, lead, opening } = this.#cast
    const said: CheckSaid[] = []
    let told = 0
    checks.forEach((name, place) => {
      this.#checks.ask(campaign.checks!.all.get(name)!, null, (one) => {
        said[place] = one
        if (++told < checks.length) return
        const known = withOutputs(lead, said)
        this.#hear({ on: 'checked', at: this.#now, checked: judged(campaign, source, known, opening.eligible, said) })
      })
    })
  }

  #ping({ seats, deadlineAt, tier }: Command<'ping'>): void {
    this.#clock.at(deadlineAt, () => {
      if (seats.some((seat) => awaitsPing(this.#state, seat))) this.#hear({ on: 'deadline', at: this.#now, tier })
    })
    for (const seat of seats)
      this.#wire.ping(this.#contract(seat), wireLead(this.#cast), ms(deadlineAt), (said) => {
        const at = this.#now
        if (!pingCounts(this.#state, seat, at))
          this.#hear({ on: 'late', at, seat, price: said.kind === 'bid' ? said.price : null })
        else if (said.kind === 'bid')
          this.#hear({
            on: 'bid',
            at,
            seat,
            price: bidOf(this.#state, seat, said.price),
            buyerReference: said.buyerReference,
            endsAt: said.ends && endsAtOf(said.ends, at, this.#clock.wall()),
          })
        else this.#hear({ on: 'noBid', at, seat, reason: said.reason })
      })
  }

  #turn({ tier, seats, copies, deadlineAt }: Command<'turn'>): void {
    const tell = (turns: readonly number[]) => {
      if (awaitsTurn(this.#state, tier))
        this.#hear({ on: 'turn', at: this.#now, tier, seats: turns.map((place) => seats[place]!) })
    }
    this.#clock.at(deadlineAt, () => tell([]))
    const candidates: TurnCandidate[] = seats.map((seat) => this.#terms.seats[this.#cast.opening.eligible[seat]!]!)
    const turns = this.#turns.take(turnsKey(this.#cast.campaign, tier), candidates, copies)
    this.#reply(this.#cast.story.store?.slowTurn, () => tell(turns))
  }

  #hold({ seat, attempt, price }: Command<'hold'>): void {
    const contract = this.#contract(seat)
    const denied = deniedBy(this.#cast.story, contract.id, this.#now)
    if (denied !== null) {
      return this.#reply(0, () => this.#hear({ on: 'denied', at: this.#now, seat, reason: denied }))
    }
    const token = `${LEAD_ID}:${contract.id}:1.${attempt}`
    const ask = (again: boolean) => {
      const groups = this.#places(contract, price)
      const { epoch } = this.#ledger
      this.#held.set(seat, { token, groups, heldAt: this.#clock.wall(), epoch })
      const said = this.#caps.hold(epoch, token, groups, this.#clock.wall())
      this.#reply(this.#slow(contract).hold, () => {
        const at = this.#now
        const warmAt = this.#cast.story.store?.cold?.[1]
        if (said.code === 'COLD' && warmAt && !again) this.#whenWarm(warmAt, () => ask(true))
        else if (said.code === 'HELD') this.#hear({ on: 'held', at, seat })
        else if (said.code === 'FULL') this.#hear({ on: 'full', at, seat, window: fullWindow(said) })
        else this.#hear({ on: 'cold', at, seat })
      })
    }
    ask(false)
  }

  #whenWarm(warmAt: number, act: () => void): void {
    if (this.#now < warmAt) this.#clock.at(warmAt, act)
    else act()
  }

  #slow(contract: Contract): { readonly hold?: number; readonly intent?: number } {
    return this.#cast.story.store?.slow?.[contract.id] ?? {}
  }

  #intent(command: Command<'intent'>): void {
    const { seat, attempt, copy, price, payout } = command
    const contract = this.#contract(seat)
    const { token, groups, heldAt, epoch } = this.#held.get(seat)!
    const posting =
      groups.length === 0 ? 'POSTING' : this.#caps.posting(this.#ledger.epoch, token, groups, this.#clock.wall())
    const row = {
      leadId: LEAD_ID,
      term: 1,
      contract: contract.id,
      buyer: contract.buyer.id,
      copy,
      attempt,
      price,
      payout,
      heldAt,
      postBy: wallMs(this.#cast.opensAt + command.postBy),
      postMs: contract.postMs,
      inDoubt: contract.inDoubt,
      groups,
      epoch,
    }
    const intended = this.#ledger.intent(row, this.#resultRows(command.results))
    this.#reply(this.#slow(contract).intent, () => {
      const at = this.#now
      if (intended === 'STALE') this.#hear({ on: 'stale', at, seat })
      else if (intended !== 'INTENDED') this.#hear({ on: 'fenced', at, seat })
      else if (posting === 'POSTING') this.#hear({ on: 'intended', at, seat })
      else this.#hear({ on: 'gone', at, seat })
    })
  }

  #post({ seat, price, postBy, buyerReference }: Command<'post'>): void {
    const contract = this.#contract(seat)
    if (isUnsure(this.#cast.story, this.#now)) {
      this.#replies.unshift(() => this.#hear({ on: 'notSent', at: this.#now, seat, reason: 'fenced' }))
      return
    }
    const facts = {
      price,
      buyerReference,
      idempotencyKey: `${LEAD_ID}:${contract.id}`,
      at: this.#clock.wall(),
      traceparent: '',
    }
    const ended = (end: PostEnd) => this.#hear(postEvent(end, this.#now, seat))
    this.#wire.post(contract, wireLead(this.#cast), facts, ms(postBy), ended, () => {})
  }

  #settleHold(command: Command<'commit' | 'release'>): void {
    const held = this.#held.get(command.seat)!
    const { token, groups } = held
    if (command.do === 'release') this.#released.push(held)
    this.#caps[command.do](this.#ledger.epoch, token, groups, this.#clock.wall())
  }

  #result({ results, status }: Command<'result'>): void {
    const { campaign, source } = this.#cast
    const final = status && {
      status,
      payout: this.#state.payout,
      copies: this.#state.accepted.length,
      reasons: status === 'unsold' ? ['no_buyer'] : [],
      redirectUrl: this.#state.redirectUrl,
      trace: '',
      sighting: null,
      outcomes: {},
      awaited: false,
    }
    this.#ledger.result({
      leadId: LEAD_ID,
      term: 1,
      campaign: campaign.id,
      source: source.id,
      test: false,
      currency: campaign.currency,
      results: this.#resultRows(results),
      final,
    })
    this.#reply(this.#cast.story.store?.slowResult, () => {
      this.#hear({ on: 'durable', at: this.#now })
      if (status === 'pending' || status === 'queued') this.#over = true
    })
  }

  #resultRows(results: Command<'result'>['results']): ResultRow[] {
    return results.map((one) => {
      const contract = this.#contract(one.seat)
      return { ...one, contract: contract.id, buyer: contract.buyer.id }
    })
  }

  #played(): Played {
    const { counters } = this.#caps.dump()
    const ends = endsOf(this.#state)
    return {
      cast: this.#cast,
      terms: this.#terms,
      rows: this.#rows,
      ends,
      answers: answersOf(this.#rows),
      ledger: this.#ledger,
      wire: this.#wire,
      counters,
      decided: this.#state.decided,
      trace: traceLines(this.#rows, this.#cast.names, this.#cast.opening.prices),
      outcomes: Object.fromEntries(
        [...ends].sort(byName).map(([contract, outcome]) => [contract, outcomeWords(outcome)]),
      ),
      caps: usedCaps(this.#cast, counters),
    }
  }
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1)

/** Why an operator keeps the story's lead from the contract at that moment. */
export function deniedBy({ store }: Story, contract: string, at: number): string | null {
  const [from, why] = store?.denied?.[contract] ?? [Number.POSITIVE_INFINITY, null]
  return at >= from ? why : null
}

export function isUnsure({ store }: Story, at: number): boolean {
  const [from, to] = store?.unsure ?? [0, 0]
  return at >= from && at < to
}

export const answersOf = (rows: readonly TraceRow[]): Answered[] =>
  rows
    .filter((row) => row[0] === '>answer')
    .map(([, status, payout, copies]) => ({ status: String(status), payout: Number(payout), copies: Number(copies) }))

/** Every seat's outcome; of a lead that another engine took over, those that are known. */
export function endsOf(state: AuctionState): ReadonlyMap<string, Outcome> {
  if (state.decided) return outcomes(state)
  return new Map(state.seats.flatMap((seat) => (seat.outcome ? [[seat.terms.contract, seat.outcome]] : [])))
}

export function postEvent(end: PostEnd, at: number, seat: number): Heard {
  if (end.kind !== 'accepted') return { on: end.kind, at, seat, reason: end.reason }
  const { price, buyerReference, redirectUrl } = end
  return { on: 'accepted', at, seat, price, buyerReference, redirectUrl }
}

export const wireLead = ({ campaign, source, lead }: Cast) => ({
  id: LEAD_ID,
  campaign: campaign.id,
  sourcePseudonym: source.pseudonym,
  lead,
  fragments: new Map<string, string>(),
  test: false,
})

export const receivedRow = ({ campaign, source, opensAt, opening }: Cast, leadId = LEAD_ID) => ({
  leadId,
  campaign: campaign.id,
  source: source.id,
  version: 1,
  mode: 'sync' as const,
  test: false,
  receivedAt: opensAt,
  leadRef: null,
  idempotency: null,
  fingerprints: [],
  claimEpoch: null,
  remembers: LEVELS.sold,
  keepMs: 0,
  currency: campaign.currency,
  owed: opening.owed ?? micros(0),
  sealed: '',
  wrappedKey: '',
  keyVersion: 1,
})
