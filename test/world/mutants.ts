/** Planted bugs: each takes one safeguard away, and names the law that must notice. */
import type { ConductPorts } from '../../engine/conduct.ts'
import type { ResultRow } from '../../engine/store/port.ts'
import type { AuctionCommand, AuctionEvent } from '../../rules/auction.ts'
import { Caps, type HoldAnswer, type PlaceGroup, type PostingAnswer, type ReleaseAnswer } from '../../rules/caps.ts'
import type { AuctionState } from '../../rules/step/state.ts'
import { step } from '../../rules/step.ts'
import { micros, ms } from '../../rules/units.ts'
import { ScriptedWire } from './buyers.ts'
import type { LawName } from './laws.ts'
import { PaperLedger } from './ledger.ts'
import type { Parts } from './machine.ts'

export interface Mutant {
  /** What is gone. */
  readonly bug: string
  /** The law that some story must break; `story`: only the story itself tells. */
  readonly caughtBy: LawName | 'story'
  readonly parts: () => Parts
}

type Step = typeof step
type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A machine that does something before it hears an event, and may hear another one instead. */
const hearing =
  (change: (state: Mutable<AuctionState>, event: AuctionEvent) => AuctionEvent | null): Step =>
  (state, event) => {
    const heard = change(state, event)
    return heard ? step(state, heard) : []
  }

/** A machine whose commands are tampered with. */
const obeying =
  (
    change: (
      commands: readonly AuctionCommand[],
      state: AuctionState,
      event: AuctionEvent,
    ) => readonly AuctionCommand[],
  ): Step =>
  (state, event) =>
    change(step(state, event), state, event)

const each = (state: AuctionState, change: (seat: Mutable<AuctionState['seats'][number]>) => void): void => {
  for (const seat of state.seats) change(seat as Mutable<typeof seat>)
}

class OneTokenForAll extends Caps {
  override hold(epoch: number, _token: string, groups: readonly PlaceGroup[], now: never): HoldAnswer {
    return super.hold(epoch, 'lead', groups, now)
  }
  override posting(epoch: number, _token: string, groups: readonly PlaceGroup[], now: never): PostingAnswer {
    return super.posting(epoch, 'lead', groups, now)
  }
}

/** What a lost reply does: the call comes again. */
export class Repeated extends Caps {
  override hold(...call: Parameters<Caps['hold']>): HoldAnswer {
    super.hold(...call)
    return super.hold(...call)
  }
  override posting(...call: Parameters<Caps['posting']>): PostingAnswer {
    super.posting(...call)
    return super.posting(...call)
  }
  override release(...call: Parameters<Caps['release']>): ReleaseAnswer {
    super.release(...call)
    return super.release(...call)
  }
}

class TokensForgotten extends Caps {
  #calls = 0
  override hold(epoch: number, token: string, groups: readonly PlaceGroup[], now: never): HoldAnswer {
    super.hold(epoch, `${token}#${++this.#calls}`, groups, now)
    return super.hold(epoch, token, groups, now)
  }
}

class NoLimits extends Caps {
  override hold(epoch: number, token: string, groups: readonly PlaceGroup[], now: never): HoldAnswer {
    const unlimited = groups.map(({ tag, places }) => ({
      tag,
      places: places.map((place) => ({ ...place, limit: Number.MAX_SAFE_INTEGER, version: 2 })),
    }))
    return super.hold(epoch, token, unlimited, now)
  }
}

class NoPostingState extends Caps {
  override posting(): PostingAnswer {
    return 'POSTING'
  }
}

class NoHolds extends Caps {
  override hold(): HoldAnswer {
    return { code: 'HELD' }
  }
  override posting(): PostingAnswer {
    return 'POSTING'
  }
}

class NoIntents extends PaperLedger {
  override intent(): 'INTENDED' {
    return 'INTENDED'
  }
}

class NoResults extends PaperLedger {
  override result(row: Parameters<PaperLedger['result']>[0]): void {
    super.result({ ...row, results: [] })
  }
}

class ResultsAfterIntents extends PaperLedger {
  override intent(row: Parameters<PaperLedger['intent']>[0], results: readonly ResultRow[]) {
    const answer = super.intent(row, [])
    super.intent({ ...row, term: -1 }, results)
    return answer
  }
}

class EpochsForgotten extends PaperLedger {
  override intent(row: Parameters<PaperLedger['intent']>[0], results: readonly ResultRow[]) {
    return super.intent({ ...row, epoch: this.epoch }, results)
  }
}

class FencesForgotten extends PaperLedger {
  override intent(row: Parameters<PaperLedger['intent']>[0], results: readonly ResultRow[]) {
    this.fenced = false
    return super.intent(row, results)
  }
}

type PostCall = Parameters<ScriptedWire['post']>

class PostByForgotten extends ScriptedWire {
  override post(...[contract, lead, facts, , ended, late]: PostCall): void {
    super.post(contract, lead, facts, ms(Number.POSITIVE_INFINITY), ended, late)
  }
}

class PostsTwice extends ScriptedWire {
  override post(...[contract, lead, facts, postBy, ended, late]: PostCall): void {
    super.post(contract, lead, facts, postBy, ended, late)
    const nobody = () => {}
    super.post(contract, lead, facts, postBy, nobody, nobody)
  }
}

export const MUTANTS: readonly Mutant[] = [
  {
    bug: 'one token for all holds of a lead',
    caughtBy: 'capsDoNotDrift',
    parts: () => ({ caps: new OneTokenForAll() }),
  },
  {
    bug: 'a repeated hold takes a second place',
    caughtBy: 'capsDoNotDrift',
    parts: () => ({ caps: new TokensForgotten() }),
  },
  { bug: 'no hold before the post', caughtBy: 'capsDoNotDrift', parts: () => ({ caps: new NoHolds() }) },
  { bug: 'no limit in a hold', caughtBy: 'capsHold', parts: () => ({ caps: new NoLimits() }) },
  {
    bug: 'no posting state, so the lease ends under the post',
    caughtBy: 'capsDoNotDrift',
    parts: () => ({ caps: new NoPostingState() }),
  },
  {
    bug: 'no release after a rejection',
    caughtBy: 'capsDoNotDrift',
    parts: () => ({ step: obeying((commands) => commands.filter((one) => one.do !== 'release')) }),
  },
  {
    bug: 'no commit after a sale',
    caughtBy: 'capsDoNotDrift',
    parts: () => ({ step: obeying((commands) => commands.filter((one) => one.do !== 'commit')) }),
  },
  { bug: 'no INTENT is written', caughtBy: 'ledgerAgrees', parts: () => ({ ledger: new NoIntents() }) },
  { bug: 'no RESULT is written', caughtBy: 'ledgerAgrees', parts: () => ({ ledger: new NoResults() }) },
  {
    bug: 'an INTENT is written before the result that frees its copy',
    caughtBy: 'story',
    parts: () => ({ ledger: new ResultsAfterIntents() }),
  },
  { bug: 'an INTENT of an older epoch is taken', caughtBy: 'story', parts: () => ({ ledger: new EpochsForgotten() }) },
  { bug: 'a fenced engine may intend', caughtBy: 'story', parts: () => ({ ledger: new FencesForgotten() }) },
  {
    bug: 'a post may leave after its post_by',
    caughtBy: 'postsLeaveInTime',
    parts: () => ({ wire: (clock, story) => new PostByForgotten(clock, story) }),
  },
  {
    bug: 'a post is sent twice',
    caughtBy: 'buyersAgree',
    parts: () => ({ wire: (clock, story) => new PostsTwice(clock, story) }),
  },
  {
    bug: 'the post does not wait for its INTENT',
    caughtBy: 'postsFollowTheirIntents',
    parts: () => ({
      step: obeying((commands, state, { at }) =>
        commands.flatMap((one) =>
          one.do === 'intent' ? [one, ...step(state, { on: 'intended', at, seat: one.seat })] : [one],
        ),
      ),
    }),
  },
  {
    bug: 'the answer does not wait until its RESULT is durable',
    caughtBy: 'soldIsAnsweredOnceDurable',
    parts: () => ({
      step: obeying((commands, state, { at }) =>
        commands.flatMap((one) => (one.do === 'result' ? [one, ...step(state, { on: 'durable', at })] : [one])),
      ),
    }),
  },
  {
    bug: 'the source is answered again after it heard pending',
    caughtBy: 'soldIsAnsweredOnceDurable',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'durable') state.answered = false
        return event
      }),
    }),
  },
  {
    bug: 'a doubt is taken for a rejection',
    caughtBy: 'nobodyOwnsItInVain',
    parts: () => ({ step: hearing((_, event) => (event.on === 'unknown' ? { ...event, on: 'rejected' } : event)) }),
  },
  {
    bug: 'copies are not counted',
    caughtBy: 'noMoreThanTheCopies',
    parts: () => ({
      step: hearing((state, event) => {
        if (state.copiesUsed.length > 0) state.copiesUsed = [...state.copiesUsed, false]
        return event
      }),
    }),
  },
  {
    bug: 'no group rule',
    caughtBy: 'neverTwoOfAGroup',
    parts: () => ({
      ledger: Object.assign(new PaperLedger(), { clashes: () => false }),
      step: hearing((state, event) => {
        each(state, (seat) => {
          seat.terms = { ...seat.terms, group: seat.terms.contract }
        })
        return event
      }),
    }),
  },
  {
    bug: 'no floor',
    caughtBy: 'floorsHold',
    parts: () => ({
      step: hearing((state, event) => {
        state.terms = { ...state.terms, floor: micros(0), allowLoss: true }
        each(state, (seat) => {
          seat.terms = { ...seat.terms, floor: micros(0) }
        })
        return event
      }),
    }),
  },
  {
    bug: 'rules say nothing of a lead',
    caughtBy: 'floorsHold',
    parts: () => ({
      step: hearing((_, event) => {
        if (event.on !== 'open') return event
        const { prices: _prices, ...opening } = event.opening
        return { ...event, opening }
      }),
    }),
  },
  {
    bug: 'a source is paid less than it takes',
    caughtBy: 'floorsHold',
    parts: () => ({
      step: hearing((state, event) => {
        state.terms = { ...state.terms, minPayout: micros(0) }
        return event
      }),
    }),
  },
  {
    bug: 'an unsold lead earns nothing although its source is paid for every one',
    caughtBy: 'payoutIsOwed',
    parts: () => ({
      step: hearing((state, event) => {
        state.owed = micros(0)
        return event
      }),
    }),
  },
  {
    bug: 'the margin floor of a share is forgotten',
    caughtBy: 'payoutIsOwed',
    parts: () => ({
      step: hearing((state, event) => {
        const { payout } = state.terms
        if ('share' in payout) state.terms = { ...state.terms, payout: { share: payout.share } }
        return event
      }),
    }),
  },
  {
    bug: 'bids have no limits',
    caughtBy: 'buyersPayTheirBids',
    parts: () => ({
      step: hearing((state, event) => {
        each(state, (seat) => {
          seat.terms = { ...seat.terms, minBid: micros(0), maxBid: null }
        })
        return event
      }),
    }),
  },
  {
    bug: 'a buyer pays what its bid counts for',
    caughtBy: 'buyersPayTheirBids',
    parts: () => ({
      step: obeying((commands, state) =>
        commands.map((one) => (one.do === 'hold' ? { ...one, price: micros(state.seats[one.seat]!.worth) } : one)),
      ),
    }),
  },
  {
    bug: 'a bid counts for what it says, however it is adjusted',
    caughtBy: 'theBestBidsWin',
    parts: () => ({
      step: hearing((state, event) => {
        each(state, (seat) => {
          seat.terms = { ...seat.terms, adjust: null }
        })
        return event
      }),
    }),
  },
  {
    bug: 'a tier closes with the first bid, whatever others may bid',
    caughtBy: 'earlyCloseIsHarmless',
    parts: () => ({
      step: hearing((state, event) => {
        state.unlimitedPings = 0
        each(state, (seat) => {
          if (event.on === 'bid' && seat.seat !== event.seat && seat.phase === 'pinged')
            seat.terms = { ...seat.terms, maxBid: micros(0) }
        })
        return event
      }),
    }),
  },
  {
    bug: 'late bids count',
    caughtBy: 'lateBidsNeverCount',
    parts: () => ({
      step: hearing((state, event) => {
        each(state, (seat) => {
          seat.deadlineAt = Number.POSITIVE_INFINITY
        })
        return event.on === 'deadline' ? null : event
      }),
    }),
  },
  {
    bug: 'who answers first wins a tie',
    caughtBy: 'theBestBidsWin',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'bid') Object.assign(state.seats[event.seat]!, { priority: 1, die: -event.at })
        return event
      }),
    }),
  },
  {
    bug: 'a line is drawn without its weights',
    caughtBy: 'theLineIsKept',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'open')
          state.terms = { ...state.terms, seats: state.terms.seats.map((seat) => ({ ...seat, weight: 1 })) }
        return event
      }),
    }),
  },
  {
    bug: 'whose turn it is does not matter',
    caughtBy: 'theLineIsKept',
    parts: () => ({ step: hearing((_, event) => (event.on === 'turn' ? { ...event, seats: [] } : event)) }),
  },
  {
    bug: 'a lead waits for a store that does not say whose turn it is',
    caughtBy: 'story',
    parts: () => ({
      step: hearing((_, event) => (event.on === 'turn' && event.seats.length === 0 ? null : event)),
    }),
  },
  {
    bug: 'the next tier opens although a copy sold',
    caughtBy: 'noTierOpensAfterASale',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'rejected' && state.underWay === 1) state.accepted = []
        return event
      }),
    }),
  },
  {
    bug: 'a doubt eats the payout of a sale',
    caughtBy: 'payoutIsOwed',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'unknown') state.promised = [...state.promised, state.seats[event.seat]!.value]
        return event
      }),
    }),
  },
  {
    bug: 'a seat is forgotten',
    caughtBy: 'everySeatEndsOnce',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'durable') state.seats = state.seats.slice(0, -1)
        return event
      }),
    }),
  },
  {
    bug: 'the machine throws dice of its own',
    caughtBy: 'traceReplays',
    parts: () => ({
      step: hearing((state, event) => {
        if (event.on === 'bid') Object.assign(state.seats[event.seat]!, { die: 1_000_000 + event.seat })
        return event
      }),
    }),
  },
]

export interface StageMutant {
  readonly bug: string
  readonly caughtBy: LawName | 'story'
  readonly change: (ports: ConductPorts) => ConductPorts
}

/** The same object with some members replaced. */
const but = <T extends object>(target: T, members: Partial<T>): T =>
  new Proxy(target, {
    get: (_, name) => {
      const member = Reflect.get(Object.hasOwn(members, name) ? members : target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })

export const STAGE_MUTANTS: readonly StageMutant[] = [
  {
    bug: 'the conductor does not ask for the posting state',
    caughtBy: 'capsDoNotDrift',
    change: (ports) => ({ ...ports, hot: but(ports.hot, { posting: async () => 'POSTING' }) }),
  },
  {
    bug: 'the conductor writes no INTENT',
    caughtBy: 'ledgerAgrees',
    change: (ports) => ({ ...ports, ledger: but(ports.ledger, { intent: async () => 'INTENDED' }) }),
  },
  {
    bug: 'the conductor takes a RESULT for durable when it is only sent',
    caughtBy: 'story',
    change: (ports) => {
      const sent: PaperResult = (row) => {
        void ports.ledger.result(row)
        return Promise.resolve()
      }
      return { ...ports, ledger: but(ports.ledger, { result: sent }) }
    },
  },
  {
    bug: 'a release that a cold store did not take is forgotten',
    caughtBy: 'capsDoNotDrift',
    change: (ports) => ({ ...ports, hotLater: () => {}, released: () => {} }),
  },
  {
    bug: 'an engine posts although it is not sure that the lead is still its own',
    caughtBy: 'story',
    change: (ports) => ({ ...ports, mayAct: () => true }),
  },
  {
    bug: 'a tier has no deadline',
    caughtBy: 'story',
    change: (ports) => ({ ...ports, clock: but(ports.clock, { after: () => ({ cancel: () => {} }) }) }),
  },
]

type PaperResult = ConductPorts['ledger']['result']
