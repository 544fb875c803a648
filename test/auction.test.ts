/** The auction's machine: what each event does, and what holds in twenty thousand random worlds. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuctionEvent, AuctionTerms, SeatTerms } from '../rules/auction.ts'
import { Caps, type HoldAnswer } from '../rules/caps.ts'
import { adjusted, effectiveFloor, payoutOf, sumOf } from '../rules/money.ts'
import { POST_BY_MS } from '../rules/step/posts.ts'
import { newAuction } from '../rules/step/state.ts'
import { outcomes, step } from '../rules/step.ts'
import { byBid, type Ranked, whyBehind } from '../rules/strategy.ts'
import { eventOf, eventRow, replay, type TraceRow, traceLines } from '../rules/trace.ts'
import { type Micros, micros, ms, ppm } from '../rules/units.ts'
import type { PayoutRule } from '../rules/version.ts'
import { assertWorlds, assertWorldsLater } from './world/found.ts'
import { brokenLaws } from './world/laws.ts'
import { type Played, playOnMachine } from './world/machine.ts'
import { anyStory } from './world/random.ts'
import { playOnPaper } from './world/stage.ts'
import type { PingScript, Story, StoryContract } from './world/story.ts'

const dollars = (n: number) => micros(n * 1_000_000)

function seat(contract: string, more: Partial<SeatTerms> = {}): SeatTerms {
  return {
    contract,
    buyer: contract,
    group: contract,
    tier: 0,
    priority: 1,
    weight: 1,
    price: dollars(10),
    pinged: false,
    floor: micros(0),
    minBid: micros(0),
    maxBid: null,
    adjust: null,
    postMs: ms(1000),
    timeoutIsNoSale: false,
    bidLifeMs: null,
    ...more,
  }
}

function auctionOf(seats: readonly SeatTerms[], copies = 1, more: Partial<AuctionTerms> = {}) {
  const terms: AuctionTerms = {
    tiers: [{ name: 'main', strategy: 'auction', copies, pingMs: ms(200), earlyClose: true }],
    seats,
    floor: micros(0),
    payout: { share: ppm(700_000) },
    minPayout: micros(0),
    minMargin: micros(0),
    allowLoss: false,
    minorDigits: 2,
    totalMs: ms(10_000),
    answerWithinMs: ms(9_000),
    ...more,
  }
  const state = newAuction(terms)
  const dice = seats.map(() => 0)
  const opened = step(state, { on: 'open', at: 0, opening: { eligible: seats.map((_, i) => i), dice, excluded: {} } })
  return { state, opened, hear: (event: AuctionEvent) => step(state, event) }
}

const accepted = (seatNumber: number, at: number, redirectUrl: string | null): AuctionEvent => ({
  on: 'accepted',
  at,
  seat: seatNumber,
  price: null,
  buyerReference: null,
  redirectUrl,
})

/** Holds, intends and posts every seat that the commands ask for. */
function sellThrough(auction: ReturnType<typeof auctionOf>, at = 0): number[] {
  const held = auction.opened.flatMap((command) => (command.do === 'hold' ? [command.seat] : []))
  for (const one of held) auction.hear({ on: 'held', at, seat: one })
  for (const one of held) auction.hear({ on: 'intended', at, seat: one })
  return held
}

describe('the machine', () => {
  test('sends the consumer to the best sold copy that names a place, whoever answered first', () => {
    const auction = auctionOf(
      [seat('acme'), seat('bolt', { price: dollars(30) }), seat('crane', { price: dollars(20) })],
      3,
    )
    sellThrough(auction)
    auction.hear(accepted(0, 10, 'https://acme.example/'))
    auction.hear(accepted(2, 20, 'https://crane.example/'))
    auction.hear(accepted(1, 30, null))
    for (let i = 0; i < 2; i++) auction.hear({ on: 'durable', at: 40 })
    expect(auction.hear({ on: 'durable', at: 40 })).toContainEqual(
      expect.objectContaining({ do: 'answer', copies: 3, redirectUrl: 'https://crane.example/' }),
    )
  })

  test('lets a post leave only as long as a whole one still fits', () => {
    const intentAt = (at: number, totalMs: number) => {
      const auction = auctionOf([seat('acme')], 1, { totalMs: ms(totalMs) })
      return auction.hear({ on: 'held', at, seat: 0 })[0]
    }
    expect(intentAt(500, 10_000)).toMatchObject({ do: 'intent', postBy: 500 + POST_BY_MS })
    expect(intentAt(500, 2_000)).toMatchObject({ do: 'intent', postBy: 1_000 })
    expect(intentAt(1_000, 2_000)).toMatchObject({ do: 'intent', postBy: 1_000 })
    expect(intentAt(1_001, 2_000)).toMatchObject({ do: 'release' })
  })

  test('gives a tier of pings the time that the quickest of the pinged leaves, whatever others need', () => {
    const quick = seat('acme', { postMs: ms(100) })
    const slow = seat('bolt', { postMs: ms(1_900), pinged: true, price: null })
    expect(auctionOf([quick, slow], 1, { totalMs: ms(2_000) }).opened).toEqual([
      { do: 'ping', tier: 0, seats: [1], deadlineAt: 100 },
    ])
  })

  test('tries three times to hold anew, then passes the seat over', () => {
    const auction = auctionOf([seat('acme'), seat('bolt')])
    const heard = [1, 2, 3].map((attempt) => {
      auction.hear({ on: 'held', at: attempt, seat: 0 })
      return auction.hear({ on: 'stale', at: attempt, seat: 0 })
    })
    expect(heard.map((commands) => commands.map((one) => [one.do, 'seat' in one && one.seat]))).toEqual([
      [
        ['release', 0],
        ['hold', 0],
      ],
      [
        ['release', 0],
        ['hold', 0],
      ],
      [
        ['release', 0],
        ['hold', 1],
      ],
    ])
  })

  test('writes a rejection at once where no hold is under way that will carry it', () => {
    const auction = auctionOf([seat('acme'), seat('bolt')], 2)
    sellThrough(auction)
    expect(auction.hear({ on: 'rejected', at: 5, seat: 0, reason: 'rejected:no' })).toEqual([
      { do: 'release', seat: 0, attempt: 1 },
      expect.objectContaining({ do: 'result', status: null }),
    ])
  })

  test('carries a rejection in the next intent', () => {
    const auction = auctionOf([seat('acme'), seat('bolt')])
    sellThrough(auction)
    expect(auction.hear({ on: 'rejected', at: 5, seat: 0, reason: 'rejected:no' }).map((one) => one.do)).toEqual([
      'release',
      'hold',
    ])
    expect(auction.hear({ on: 'held', at: 6, seat: 1 })).toEqual([
      expect.objectContaining({
        do: 'intent',
        seat: 1,
        copy: 0,
        results: [expect.objectContaining({ seat: 0, state: 'rejected' })],
      }),
    ])
  })

  test('refuses to name outcomes before the lead is decided', () => {
    expect(() => outcomes(auctionOf([seat('acme')]).state)).toThrow(/acme has no outcome/)
  })
})

describe('money', () => {
  const amount = fc.integer({ min: 0, max: 1_000_000_000_000 }).map(micros)
  const share = fc.integer({ min: 0, max: 1_000_000 }).map(ppm)

  test('a share is exact and rounds down to the minor unit', () => {
    fc.assert(
      fc.property(amount, share, fc.constantFrom(0, 2, 3), (total, part, digits) => {
        const step = BigInt(10 ** (6 - digits))
        const exact = (BigInt(total) * BigInt(part)) / 1_000_000n
        expect(BigInt(payoutOf({ share: part }, [total], digits))).toBe((exact / step) * step)
      }),
    )
  })

  const little = fc.integer({ min: 0, max: 1_000_000_000 }).map(micros)
  const rule = fc.oneof(
    share.map((one) => ({ share: one })),
    fc.record({ share, marginFloor: little }),
    amount.map((one) => ({ fixed: one })),
  )
  const alone = (payout: PayoutRule, price: Micros) => payoutOf(payout, [price], 2)

  test('a price at the floor leaves the margin and pays the source its least', () => {
    const cents = fc.integer({ min: 0, max: 100_000 }).map((one) => micros(one * 10_000))
    fc.assert(
      fc.property(rule, little, cents, amount, amount, (payout, minMargin, minPayout, floor, own) => {
        const least = effectiveFloor({ floor, payout, minPayout, minMargin, allowLoss: false }, own)
        expect(least).toBeGreaterThanOrEqual(Math.max(floor, own))
        if (Number.isFinite(least) && least > 0) {
          expect(least - alone(payout, least)).toBeGreaterThanOrEqual(minMargin)
          expect(alone(payout, least)).toBeGreaterThanOrEqual(minPayout)
        }
        const atALoss = effectiveFloor({ floor, payout, minPayout: micros(0), minMargin, allowLoss: true }, own)
        expect(atALoss).toBe(Math.max(floor, own))
      }),
    )
  })

  test('a floor is no higher than it must be', () => {
    const zero = micros(0)
    const terms = { floor: zero, minPayout: zero, minMargin: dollars(2), allowLoss: false }
    expect(effectiveFloor({ ...terms, payout: { share: ppm(700_000) } }, zero)).toBe(6_666_667)
    expect(effectiveFloor({ ...terms, payout: { share: ppm(700_000), marginFloor: dollars(2) } }, zero)).toBe(
      dollars(2),
    )
    expect(effectiveFloor({ ...terms, payout: { share: ppm(1_000_000), marginFloor: dollars(3) } }, zero)).toBe(
      dollars(3),
    )
    expect(effectiveFloor({ ...terms, payout: { share: ppm(1_000_000) } }, zero)).toBe(Number.POSITIVE_INFINITY)
    const least = { ...terms, minMargin: zero, minPayout: dollars(7) }
    expect(effectiveFloor({ ...least, payout: { share: ppm(700_000) } }, zero)).toBe(dollars(10))
    expect(effectiveFloor({ ...least, payout: { share: ppm(700_000), marginFloor: dollars(5) } }, zero)).toBe(
      dollars(12),
    )
    expect(effectiveFloor({ ...least, payout: { fixed: dollars(6) }, allowLoss: true }, zero)).toBe(
      Number.POSITIVE_INFINITY,
    )
  })

  test('under a margin floor the engine keeps so much of each copy, or the whole price where it is less', () => {
    fc.assert(
      fc.property(share, little, fc.array(amount, { maxLength: 4 }), (part, marginFloor, bids) => {
        const payout = { share: part, marginFloor }
        const kept = bids.reduce((sum, bid) => sum + Math.min(bid, marginFloor), 0)
        expect(sumOf(bids) - payoutOf(payout, bids, 2)).toBeGreaterThanOrEqual(kept)
      }),
    )
  })

  test('more bid is never less value, however it is adjusted', () => {
    const adjustment = fc.oneof(
      fc.integer({ min: 0, max: 10_000_000 }).map((factor) => ({ factor: ppm(factor) })),
      fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }).map((sum) => ({ amount: micros(sum) })),
    )
    const bid = fc.integer({ min: 0, max: 100_000_000_000 }).map(micros)
    fc.assert(
      fc.property(adjustment, bid, bid, (how, one, other) => {
        expect(Number.isSafeInteger(adjusted(how, one)) && adjusted(how, one) >= 0).toBe(true)
        if (one <= other) expect(adjusted(how, one)).toBeLessThanOrEqual(adjusted(how, other))
      }),
    )
  })
})

describe('the order of bids', () => {
  const few = (max: number) => fc.integer({ min: 0, max })
  const ranked = fc.record({ choice: few(2), worth: few(2), priority: few(2), die: few(2), order: few(9) })
  const distinct = fc.uniqueArray(ranked, { minLength: 2, maxLength: 10, selector: (one) => one.order })

  test('is total, and gives one ranking whatever the order of arrival', () => {
    fc.assert(
      fc.property(distinct, fc.infiniteStream(fc.double({ noNaN: true })), (bids, noise) => {
        const shuffled = bids.map((bid) => [bid, noise.next().value] as const).sort((a, b) => a[1] - b[1])
        expect(shuffled.map(([bid]) => bid).sort(byBid)).toEqual(bids.toSorted(byBid))
      }),
    )
  })

  test('says why the loser lost', () => {
    fc.assert(
      fc.property(distinct, (bids) => {
        const [winner, loser] = bids.toSorted(byBid) as [Ranked, Ranked]
        const same = (...keys: (keyof Ranked)[]) => keys.every((key) => winner[key] === loser[key])
        const why = !same('choice')
          ? 'later_choice'
          : !same('worth')
            ? 'lower_bid'
            : !same('priority')
              ? 'tie_priority'
              : !same('die')
                ? 'tie_dice'
                : 'tie_order'
        expect(whyBehind(loser, winner)).toBe(why)
      }),
    )
  })
})

describe('the trace', () => {
  const at = fc.nat(100_000)
  const seatNumber = fc.nat(50)
  const price = fc.nat(1_000_000_000).map(micros)
  const text = fc.string({ maxLength: 20 })
  const event: fc.Arbitrary<Exclude<AuctionEvent, { on: 'open' }>> = fc.oneof(
    fc.record(
      { on: fc.constant('bid' as const), at, seat: seatNumber, price, buyerReference: fc.option(text), endsAt: at },
      { requiredKeys: ['on', 'at', 'seat', 'price', 'buyerReference'] },
    ),
    fc.record({ on: fc.constant('late' as const), at, seat: seatNumber, price: fc.option(price) }),
    fc.record({ on: fc.constantFrom('noBid', 'notSent', 'rejected', 'unknown'), at, seat: seatNumber, reason: text }),
    fc.record({
      on: fc.constant('accepted' as const),
      at,
      seat: seatNumber,
      price: fc.option(price),
      buyerReference: fc.option(text),
      redirectUrl: fc.constant(null),
    }),
    fc.record({ on: fc.constant('full' as const), at, seat: seatNumber, window: text }),
    fc.record({ on: fc.constant('deadline' as const), at, tier: fc.nat(5) }),
    fc.record({ on: fc.constantFrom('held', 'cold', 'intended', 'gone', 'stale', 'fenced'), at, seat: seatNumber }),
    fc.record({ on: fc.constantFrom('answerBy', 'durable', 'recovered'), at }),
  )

  test('keeps every event through the ledger and back', () => {
    fc.assert(
      fc.property(event, (one) => {
        const row = JSON.parse(JSON.stringify(eventRow(one))) as TraceRow
        expect(eventOf(row)).toEqual(one)
        expect(traceLines([row], { seat: String, tier: String })).toHaveLength(1)
      }),
    )
  })

  test('of a lead that was taken over begins with that', () => {
    const rows: TraceRow[] = [
      ['recovered', 0],
      ['>hold', 0, 1, 10_000_000],
      ['full', 1, 0, 'day'],
    ]
    const again = replay(auctionOf([seat('acme')]).state.terms, {
      opening: { eligible: [0], dice: [0], excluded: {} },
      rows: [
        ['recovered', 0],
        ['full', 1, 0, 'day'],
      ],
    })
    expect(again.rows.slice(0, 3)).toEqual(rows)
    expect(traceLines(again.rows, { seat: () => 'acme', tier: () => 'main' })).toEqual([
      '   0 < recovered',
      '   0 > hold acme',
      '   1 < full acme day',
      '   1 > result unsold',
    ])
  })
})

/** A cap is watched at every hold, for a place that is given back would hide that it had been oversold. */
class WatchedCaps extends Caps {
  override hold(...[epoch, token, groups, now]: Parameters<Caps['hold']>): HoldAnswer {
    const answer = super.hold(epoch, token, groups, now)
    const { counters } = this.dump()
    for (const { places } of groups)
      for (const { key, limit } of places)
        if (answer.code === 'HELD' && (counters[key] ?? 0) > limit) throw new Error(`${key} was oversold`)
    return answer
  }
}

const playWatched = (story: Story): Played => playOnMachine(story, { caps: new WatchedCaps() })

/** Long enough for a machine that others load. */
/** A bid that ends by itself counts its time from its arrival. */
function keepingBids(story: Story): Story {
  const contracts = Object.entries(story.contracts).map(([id, { ping, ...rest }]): [string, StoryContract] => {
    if (ping === undefined) return [id, rest]
    if (typeof ping === 'string' || !('bid' in ping)) return [id, { ...rest, ping }]
    return [id, { ...rest, ping: { after: ping.after, bid: ping.bid } }]
  })
  return { ...story, contracts: Object.fromEntries(contracts) }
}

describe('in random worlds', { timeout: 180_000 }, () => {
  test('20,000 auctions keep every law', () => {
    assertWorlds(
      fc.property(anyStory, (story) => {
        const broken = brokenLaws(playWatched(story))
        if (broken.length > 0) throw new Error(broken.map(({ law, wrong }) => `${law}: ${wrong}`).join('; '))
      }),
      20_000,
    )
  })

  test('the same world ends the same way', () => {
    assertWorlds(
      fc.property(anyStory, (story) => {
        const [first, second] = [playOnMachine(story), playOnMachine(story)]
        if (JSON.stringify(first.rows) !== JSON.stringify(second.rows)) throw new Error('two plays of it differ')
      }),
      1_000,
    )
  })

  test('the order of arrival before the deadline changes nothing', () => {
    assertWorlds(
      fc.property(anyStory, (drawn) => {
        // An early close depends on who is still awaited: it keeps the winners, not what becomes of the others.
        const story = { ...keepingBids(drawn), plan: drawn.plan.map((tier) => ({ ...tier, earlyClose: false })) }
        const first = playOnMachine(story)
        const second = playOnMachine(turnArrivals(story, first))
        if (JSON.stringify(resultOf(first)) !== JSON.stringify(resultOf(second)))
          throw new Error('its bids in another order give another result')
      }),
      3_000,
    )
  })

  test('the conductor does what the machine says, row for row', async () => {
    await assertWorldsLater(
      fc.asyncProperty(anyStory, async (story) => {
        const played = await playOnPaper(story)
        const broken = brokenLaws(played)
        if (broken.length > 0) throw new Error(broken.map(({ law, wrong }) => `${law}: ${wrong}`).join('; '))
        if (JSON.stringify(played.rows) !== JSON.stringify(playOnMachine(story).rows))
          throw new Error('the conductor and the machine differ')
      }),
      2_000,
    )
  })

  test('an event that was heard already changes nothing', () => {
    assertWorlds(
      fc.property(anyStory, (story) => {
        playOnMachine(story, {
          step: (state, event) => {
            const commands = step(state, event)
            const again = event.on === 'open' || event.on === 'durable' ? [] : step(state, event)
            if (again.length > 0) throw new Error(`the machine obeys a second ${event.on}`)
            return commands
          },
        })
      }),
      1_000,
    )
  })
})

/** The same story, where the seats of its first auction that answered in time answer at each other's times. */
function turnArrivals(story: Story, played: Played): Story {
  const place = played.rows.findIndex((row) => row[0] === '>ping')
  const [, tier, seats, deadlineAt] = (played.rows[place] ?? []) as [string, number, readonly number[], number]
  if (place < 0 || story.plan[tier]!.strategy !== 'auction') return story
  const askedAt = played.rows.slice(0, place).findLast((row) => !String(row[0]).startsWith('>'))?.[1] ?? 0
  const answered = seats
    .map((seatNumber) => played.cast.names.seat(seatNumber))
    .filter((id) => Number(askedAt) + arrival(story.contracts[id]!) < deadlineAt)
  const contracts: Record<string, StoryContract> = { ...story.contracts }
  answered.forEach((id, i) => {
    const after = arrival(story.contracts[answered[(i + 1) % answered.length]!]!)
    contracts[id] = { ...contracts[id]!, ping: { ...(contracts[id]!.ping as Exclude<PingScript, string>), after } }
  })
  return { ...story, contracts }
}

const arrival = ({ ping }: StoryContract): number => (typeof ping === 'object' ? ping.after : Number.POSITIVE_INFINITY)

const resultOf = ({ outcomes: ends, caps, answers, wire }: Played) => ({ ends, caps, answers, posts: wire.seen })
