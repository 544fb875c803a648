/** Random histories of caps, with calls repeated, delayed and out of order, and a bookkeeper who trusts only the answers. */
import fc from 'fast-check'
import type { HotDump, Restoration } from '../engine/store/port.ts'
import { HOLD_LEASE_MS, type Place, type PlaceGroup } from '../rules/caps.ts'
import { type WallMs, wallMs } from '../rules/units.ts'
import type { CapsStore } from './hot-cases.ts'

/** What one seat asks of the store, in the order in which it was meant. */
interface Seat {
  readonly token: string
  readonly groups: readonly PlaceGroup[]
}

export interface Call {
  /** `rebuild`: the ledger restores the store under the next epoch. `outdated`: a hold by a process that has not heard of it. */
  readonly do: 'hold' | 'posting' | 'commit' | 'release' | 'rebuild' | 'outdated'
  readonly seat: number
  /** Time that passes before it, in milliseconds. */
  readonly wait: number
}

export interface History {
  readonly seats: readonly Seat[]
  readonly calls: readonly Call[]
}

const TAGS = ['s:demo', 'c:solar', 'b:acme']
const KINDS = ['day', 'total', 'spend', 'now', 'rolling'] as const
/** How many buckets of the rolling window count before the one of a hold. */
const BEHIND = 2
const MAX_SPEND = 3_000_000_000
/** Long enough for some leases, tombstones and windows to end within a history; most calls come at once. */
const WAITS = [0, 0, 0, 0, 1, 40, 900, 7_000, 15_000, 16_000, 400_000, 700_000, 90_000_000]

/** Versions 1 to 3 have limits of their own for each place, the same for every seat. */
const LIMITS = fc.array(fc.nat(4), { minLength: 45, maxLength: 45 })

function placeOf(tag: string, kind: number, shape: Shape, limits: readonly number[]): Place {
  const { version, amount, bucket } = shape
  const name = KINDS[kind]!
  const limit = limits[(TAGS.indexOf(tag) * KINDS.length + kind) * 3 + version - 1]!
  const place = {
    key: `${tag.slice(2)}:${name}`,
    amount: name === 'spend' ? amount : 1,
    limit: name === 'spend' ? limit * MAX_SPEND : limit,
    version,
    transient: name === 'now',
    forgetAt: wallMs(name === 'day' ? 100_000_000 : 0),
  }
  if (name === 'total' && shape.paced) return { ...place, upTo: 1 + Math.floor(limit / 2) }
  if (name !== 'rolling') return place
  return { ...place, key: `${place.key}:${bucket}`, forgetAt: wallMs((bucket + 1) * 50_000_000), behind: BEHIND }
}

const SEAT_SHAPE = fc.record({
  /** For each tag, which kinds of places it takes; none: the tag is left out. */
  kinds: fc.tuple(
    fc.subarray([0, 1, 2, 3, 4], { maxLength: 2 }),
    fc.subarray([0, 1, 2, 3, 4], { maxLength: 2 }),
    fc.subarray([0, 1, 2, 3, 4], { minLength: 1 }),
  ),
  version: fc.integer({ min: 1, max: 3 }),
  amount: fc.nat(MAX_SPEND),
  bucket: fc.nat(4),
  paced: fc.boolean(),
})
type Shape = { readonly version: number; readonly amount: number; readonly bucket: number; readonly paced: boolean }

/** Each seat holds, then mostly posts, and commits or releases; each call may come again, and any may be late. */
const PLAN_SHAPE = fc.record({
  posts: fc.boolean(),
  ends: fc.constantFrom('commit', 'commit', 'release', 'nothing'),
  copies: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  delays: fc.array(fc.constantFrom(0, 0, 0, 0, 1, 2, 5, 12), { minLength: 7, maxLength: 7 }),
})

export const HISTORY: fc.Arbitrary<History> = fc
  .record({
    limits: LIMITS,
    shapes: fc.array(fc.tuple(SEAT_SHAPE, PLAN_SHAPE), { minLength: 2, maxLength: 7 }),
    waits: fc.array(fc.constantFrom(...WAITS), { minLength: 24, maxLength: 24 }),
    extras: fc.array(fc.tuple(fc.constantFrom('rebuild' as const, 'outdated' as const), fc.nat(30), fc.nat(6)), {
      maxLength: 2,
    }),
  })
  .map(({ limits, shapes, waits, extras }) => {
    const seats = shapes.map(([shape], seat) => ({
      token: `lead${seat}:acme:1.1`,
      groups: TAGS.map((tag, i) => ({
        tag,
        places: shape.kinds[i]!.map((kind) => placeOf(tag, kind, shape, limits)),
      })).filter(({ places }) => places.length > 0),
    }))
    const timed: { readonly order: number; readonly call: Call }[] = []
    const enter = (order: number, call: { readonly do: Call['do']; readonly seat: number }): void => {
      timed.push({ order, call: { ...call, wait: waits[timed.length % waits.length]! } })
    }
    for (const [seat, [, plan]] of shapes.entries()) {
      const meant = ['hold', plan.posts ? 'posting' : null, plan.ends === 'nothing' ? null : plan.ends]
      for (const [i, name] of meant.entries()) {
        if (!name) continue
        for (let copy = 0; copy < plan.copies[i]!; copy++) {
          const late = plan.delays[(i * 3 + copy) % 7]! + (copy > 0 ? 2 : 0)
          enter(seat * 2 + i + late, { do: name as Call['do'], seat })
        }
      }
    }
    for (const [name, order, seat] of extras) enter(order, { do: name, seat: seat % seats.length })
    return { seats, calls: timed.sort((a, b) => a.order - b.order).map(({ call }) => call) }
  })

/** Everything that a store said, and what was in it at the end. */
export interface Told {
  readonly answers: readonly string[]
  readonly dump: HotDump
  readonly states: readonly (string | null)[]
}

/**
 * Plays a history on a store that it first empties, and keeps the books by the answers alone. Throws where an answer sold
 * more than a limit, or where the counters at the end are not what was committed and is being posted.
 */
export async function playHistory(history: History, store: CapsStore): Promise<Told> {
  const books = new Books()
  const answers: string[] = []
  let now = wallMs(0)
  await store.restore({ ...EMPTY, epoch: 1 })
  let epoch = 1
  for (const call of history.calls) {
    now = wallMs(now + call.wait)
    if (call.do === 'rebuild') {
      await store.restore(books.image(++epoch, now))
      continue
    }
    if (call.do === 'outdated') store.setEpoch(epoch - 1)
    answers.push(await callOne(store, call.do === 'outdated' ? 'hold' : call.do, history.seats[call.seat]!, now, books))
    if (call.do === 'outdated') store.setEpoch(epoch)
  }
  const states = []
  for (const { token, groups } of history.seats) states.push(await store.tokenState(token, groups))
  await sweepAll(store, wallMs(now + HOLD_LEASE_MS))
  const dump = await store.dump()
  books.expectNoDrift(dump, wallMs(now + HOLD_LEASE_MS))
  return { answers, dump: inOrder(dump), states }
}

async function callOne(
  store: CapsStore,
  name: 'hold' | 'posting' | 'commit' | 'release',
  seat: Seat,
  now: WallMs,
  books: Books,
): Promise<string> {
  const { token, groups } = seat
  if (name === 'hold') {
    const answer = await store.hold(token, groups, now)
    books.held(seat, answer.code, answer.code === 'FULL' ? answer.key : null, now)
    return answer.code === 'FULL' ? `${answer.paced ? 'PACED' : 'FULL'} ${answer.key}` : answer.code
  }
  const answer = await store[name](token, groups, now)
  books.settled(token, answer, now)
  // As the auction does: a seat that cannot post gives back what it may still hold somewhere.
  if (answer === 'GONE') books.settled(token, await store.release(token, groups, now), now)
  return answer
}

const EMPTY: Restoration = { epoch: 0, committed: [], tokens: [], scopes: [], locks: [], sightings: [], tags: TAGS }

/** A hold that finds no room leaves nothing but sweeps every ended lease. */
async function sweepAll(store: CapsStore, now: WallMs): Promise<void> {
  for (const tag of TAGS) {
    const place = { key: `${tag}:broom`, amount: 1, limit: 0, version: 1, transient: false, forgetAt: wallMs(0) }
    await store.hold('broom', [{ tag, places: [place] }], now)
  }
}

const inOrder = (dump: HotDump): HotDump => ({
  epoch: dump.epoch,
  counters: Object.fromEntries(Object.entries(dump.counters).sort()),
  paid: dump.paid,
  tokens: [...dump.tokens].sort((a, b) => (a.token + a.state < b.token + b.state ? -1 : 1)),
})

interface Live extends Seat {
  readonly posting: boolean
  readonly leaseEndsAt: number
}

/** An account of places that knows no store: who holds, posts and has bought, by what was answered. */
class Books {
  readonly #live = new Map<string, Live>()
  readonly #committed = new Map<string, number>()
  readonly #sold = new Set<string>()
  /** Every place ever asked for. */
  readonly #known = new Map<string, Place>()
  /** By what a limit is kept under, and by version. */
  readonly #limits = new Map<string, Map<number, number>>()
  /** The highest version that the store has certainly heard of. */
  readonly #heard = new Map<string, number>()
  readonly #tagOf = new Map<string, string>()

  held(seat: Seat, code: string, fullKey: string | null, now: WallMs): void {
    for (const { tag, places } of seat.groups) for (const place of places) this.#know(tag, place)
    if (code !== 'HELD' && code !== 'FULL') return
    const before = this.#liveNow(seat.token, now)
    if (before) return
    for (const { places } of seat.groups) {
      for (const place of places) {
        const where = limitedAs(place)
        this.#heard.set(where, Math.max(place.version, this.#heard.get(where) ?? 0))
      }
      if (places.some(({ key }) => key === fullKey)) break
    }
    if (code !== 'HELD') return
    this.#live.set(seat.token, { ...seat, posting: false, leaseEndsAt: now + HOLD_LEASE_MS })
    for (const { places } of seat.groups) for (const place of places) this.#expectWithin(place, now)
  }

  settled(token: string, answer: string, now: WallMs): void {
    const live = this.#liveNow(token, now)
    if (answer === 'POSTING') {
      if (!live) throw new Error(`${token} may post although it holds nothing`)
      this.#live.set(token, { ...live, posting: true })
    } else if (answer === 'COMMITTED') {
      if (!live && !this.#sold.has(token)) throw new Error(`${token} is sold although it holds nothing`)
      if (!live) return
      this.#live.delete(token)
      this.#sold.add(token)
      for (const place of live.groups.flatMap(({ places }) => places)) {
        if (!place.transient) this.#committed.set(place.key, (this.#committed.get(place.key) ?? 0) + place.amount)
      }
    } else if (answer === 'RELEASED') this.#live.delete(token)
  }

  /** What the ledger would install: sales, and posts under way. */
  image(epoch: number, now: WallMs): Restoration {
    const committed = [...this.#committed].map(([key, amount]) => {
      const place = { ...this.#known.get(key)!, amount }
      return { tag: this.#tagOf.get(key)!, places: [place] }
    })
    this.#heard.clear()
    const tokens = []
    for (const [token, live] of this.#live) {
      if (live.posting) tokens.push({ token, state: 'posting' as const, groups: live.groups })
      else this.#live.delete(token)
    }
    for (const key of this.#committed.keys()) if (this.#isForgotten(key, now)) this.#committed.delete(key)
    return { ...EMPTY, epoch, committed: committed.filter(({ places }) => this.#committed.has(places[0]!.key)), tokens }
  }

  expectNoDrift(dump: HotDump, now: WallMs): void {
    for (const key of new Set([...this.#known.keys(), ...Object.keys(dump.counters)])) {
      if (this.#isForgotten(key, now)) continue
      const used = this.#used(key, now)
      const counted = dump.counters[key] ?? 0
      if (used !== counted) throw new Error(`${key} drifted: counted ${counted}, sold and posting ${used}`)
    }
  }

  #know(tag: string, place: Place): void {
    this.#tagOf.set(place.key, tag)
    this.#known.set(place.key, place)
    const limits = this.#limits.get(limitedAs(place)) ?? new Map<number, number>()
    this.#limits.set(limitedAs(place), limits.set(place.version, place.limit))
  }

  #liveNow(token: string, now: WallMs): Live | null {
    const live = this.#live.get(token)
    if (!live || live.posting || live.leaseEndsAt > now) return live ?? null
    this.#live.delete(token)
    return null
  }

  #used(key: string, now: WallMs): number {
    let used = this.#committed.get(key) ?? 0
    for (const token of [...this.#live.keys()]) {
      for (const place of this.#liveNow(token, now)?.groups.flatMap(({ places }) => places) ?? []) {
        if (place.key === key) used += place.amount
      }
    }
    return used
  }

  /** The limit in force is that of the highest version the store heard of: at least the one that it certainly did. */
  #expectWithin(place: Place, now: WallMs): void {
    if (this.#isForgotten(place.key, now)) return
    const where = limitedAs(place)
    let limit = 0
    for (const [version, its] of this.#limits.get(where)!) {
      if (version >= this.#heard.get(where)!) limit = Math.max(limit, its)
    }
    let used = 0
    for (const key of countedWith(place)) if (!this.#isForgotten(key, now)) used += this.#used(key, now)
    if (used > limit) throw new Error(`${place.key} is oversold: ${used} of ${limit}`)
  }

  #isForgotten(key: string, now: WallMs): boolean {
    const place = this.#known.get(key)
    return place !== undefined && place.forgetAt !== 0 && place.forgetAt <= now
  }
}

const limitedAs = ({ key, behind }: Place): string => (behind === undefined ? key : key.slice(0, key.lastIndexOf(':')))

/** Keys that are counted together with a place's own: of a rolling window, the buckets that lie before it. */
function countedWith(place: Place): string[] {
  if (place.behind === undefined) return [place.key]
  const bucket = Number(place.key.slice(place.key.lastIndexOf(':') + 1))
  return Array.from({ length: place.behind + 1 }, (_, before) => `${limitedAs(place)}:${bucket - before}`)
}
