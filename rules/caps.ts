/** The pure model of caps: two-phase holds by token over counters. It is the in-process store and the oracle of the Lua. */
import { DueQueue } from './due.ts'
import type { WallMs } from './units.ts'

/** One counter that a hold takes a place in. The window's name is part of the key: computed once, at the hold. */
export interface Place {
  /** `contract:acme:day:count:2026-03-02`: no white space, and no other place of its group has it. */
  readonly key: string
  /** 1 for a count, micros for a spend. */
  readonly amount: number
  readonly limit: number
  /** Version of the configuration that the limit comes from: the highest version's limit wins. */
  readonly version: number
  /** A concurrency place: freed by commit as well as by release. */
  readonly transient: boolean
  /** When the counter may be forgotten: the window's end and two days; 0 for never. */
  readonly forgetAt: WallMs
  /** A rolling window: the key ends in a bucket's number; so many buckets before it, and the next one, count with it. */
  readonly behind?: number
  /** A paced cap: no place is granted while so much is used. */
  readonly upTo?: number
  /** A balance: what was paid in raises the limit. */
  readonly prepaid?: true
}

/** The word for what was full: the window of its key (`day`, `30m`), or `pace`. */
export const fullWindow = ({ key, paced }: { readonly key: string; readonly paced: boolean }): string =>
  paced ? 'pace' : key.split(':')[2]!

/** Where the limit of a rolling window stands, whatever the bucket. */
const rollingBase = (key: string): string => key.slice(0, key.lastIndexOf(':') + 1)
const limitKey = ({ key, behind }: Place): string => (behind === undefined ? key : rollingBase(key))

/** The places of one hold that live under one hash tag: a buyer's (contract and buyer caps), a source's, or a campaign's. */
export interface PlaceGroup {
  /** `b:acme`, `s:demo`, `c:solar`. */
  readonly tag: string
  readonly places: readonly Place[]
}

export type HoldAnswer =
  | { readonly code: 'HELD' }
  /** `paced`: there is room, and it is for later. */
  | { readonly code: 'FULL'; readonly key: string; readonly paced: boolean }
  | { readonly code: 'COLD' }
  | { readonly code: 'GONE' }
export type PostingAnswer = 'POSTING' | 'GONE' | 'COLD'
/** `UNKNOWN`: a commit of a token that the store does not know changes nothing. */
export type CommitAnswer = 'COMMITTED' | 'UNKNOWN' | 'COLD'
export type ReleaseAnswer = 'RELEASED' | 'COLD'
/** `released` covers the tombstone that a release of an unknown token leaves. */
export type TokenState = 'held' | 'posting' | 'committed' | 'released'

export const HOLD_LEASE_MS = 15_000
export const TOMBSTONE_MS = 600_000
/** A committed token is remembered this long, so that repeated and delayed calls find it. */
export const COMMITTED_MS = 600_000
/** How many expired leases, forgotten counters and old tokens one hold clears away at most. */
export const SWEEP_LIMIT = 64

/** What a rebuild installs in place of everything: sums and open tokens. See `Restoration` of the hot store's port. */
export interface CapsImage {
  readonly epoch: number
  readonly paid?: readonly {
    readonly tag: string
    readonly key: string
    readonly seq: number
    readonly total: number
  }[]
  readonly committed: readonly PlaceGroup[]
  readonly tokens: readonly { readonly token: string; readonly groups: readonly PlaceGroup[] }[]
  readonly tags: readonly string[]
}

/** The same, sorted by tag. */
export interface TagImage {
  readonly used: Map<string, number>
  readonly limits: Map<string, KnownLimit>
  readonly forgetAt: Map<string, WallMs>
  readonly paid: Map<string, PaidIn>
  /** Posting tokens. */
  readonly tokens: Map<string, readonly Place[]>
}

/** What was paid into a balance in all, and the number of the ledger's entry after which it was so much. */
export interface PaidIn {
  readonly seq: number
  readonly total: number
}

export interface KnownLimit {
  readonly version: number
  readonly limit: number
}

/** What is used of a place, and what was paid in where it is a balance's. */
export interface Usage {
  readonly used: number
  readonly seq: number
  readonly paidIn: number
}

export interface CapsDump {
  readonly counters: Record<string, number>
  /** By the place key of a balance. */
  readonly paid: Record<string, PaidIn>
  readonly tokens: { token: string; state: 'held' | 'posting'; places: Record<string, number> }[]
}

interface TokenEntry {
  readonly state: TokenState
  /** What it took; none once committed or released. */
  readonly places: readonly Place[]
}

interface Tag {
  readonly epoch: number
  readonly used: Map<string, number>
  readonly limits: Map<string, KnownLimit>
  readonly paid: Map<string, PaidIn>
  readonly tokens: Map<string, TokenEntry>
  /** `t<token>`: end of a lease, or when a committed or released token is forgotten. `k<key>`: when a counter is. */
  readonly due: DueQueue
}

const HELD: HoldAnswer = { code: 'HELD' }
const GONE: HoldAnswer = { code: 'GONE' }
const COLD: HoldAnswer = { code: 'COLD' }
const NO_PLACES: readonly Place[] = []

/**
 * Caps of every tag.
 *
 * A token is unknown, `held` (under a lease), `posting` (no lease), `committed` or `released`. Held and posting tokens
 * have their places in the counters; a commit leaves them there, all but the transient ones; a release, or the end of a
 * lease, gives them back. Committed and released tokens never change again, and are forgotten after ten minutes.
 *
 * Each tag is open under one epoch; a call under another answers COLD and changes nothing. Every call may be repeated:
 * the second time finds the token where the first one left it. Over several groups a call goes group by group.
 */
export class Caps {
  readonly #tags = new Map<string, Tag>()

  /** A place in every cap of every group, or in none: where a later group refuses, the earlier ones are released. */
  hold(epoch: number, token: string, groups: readonly PlaceGroup[], now: WallMs): HoldAnswer {
    for (let i = 0; i < groups.length; i++) {
      const tag = this.#open(epoch, groups[i]!)
      const answer = tag ? holdIn(tag, token, groups[i]!.places, now) : COLD
      if (answer.code === 'HELD') continue
      this.release(epoch, token, groups.slice(0, i), now)
      return answer
    }
    return HELD
  }

  /** After any answer but POSTING the caller releases: some of the groups may have turned. */
  posting(epoch: number, token: string, groups: readonly PlaceGroup[], now: WallMs): PostingAnswer {
    let answer: PostingAnswer = 'POSTING'
    for (const group of groups) {
      const tag = this.#open(epoch, group)
      if (!tag) answer = 'COLD'
      else if (!turnToPosting(tag, token, now) && answer === 'POSTING') answer = 'GONE'
    }
    return answer
  }

  commit(epoch: number, token: string, groups: readonly PlaceGroup[], now: WallMs): CommitAnswer {
    let answer: CommitAnswer = 'COMMITTED'
    for (const group of groups) {
      const tag = this.#open(epoch, group)
      if (!tag) answer = 'COLD'
      else if (!commitIn(tag, token, now) && answer === 'COMMITTED') answer = 'UNKNOWN'
    }
    return answer
  }

  release(epoch: number, token: string, groups: readonly PlaceGroup[], now: WallMs): ReleaseAnswer {
    let answer: ReleaseAnswer = 'RELEASED'
    for (const group of groups) {
      const tag = this.#open(epoch, group)
      if (tag) releaseIn(tag, token, now)
      else answer = 'COLD'
    }
    return answer
  }

  /** What was paid into a balance in all; the entry with the highest number counts. False where the tag is cold. */
  paidIn(epoch: number, tagName: string, key: string, paid: PaidIn): boolean {
    const tag = this.#tags.get(tagName)
    if (tag?.epoch !== epoch) return false
    if ((tag.paid.get(key)?.seq ?? 0) < paid.seq) tag.paid.set(key, paid)
    return true
  }

  usage(wanted: readonly { readonly tag: string; readonly key: string }[]): readonly Usage[] {
    return wanted.map(({ tag, key }) => {
      const known = this.#tags.get(tag)
      const { seq, total } = known?.paid.get(key) ?? { seq: 0, total: 0 }
      return { used: known?.used.get(key) ?? 0, seq, paidIn: total }
    })
  }

  /** As it stands under the first group's tag, whatever the epoch; an expired lease that nobody swept yet is `held`. */
  tokenState(token: string, groups: readonly PlaceGroup[]): TokenState | null {
    const tag = groups[0] && this.#tags.get(groups[0].tag)
    return tag?.tokens.get(token)?.state ?? null
  }

  restore(image: CapsImage): void {
    this.#tags.clear()
    for (const [name, { used, limits, forgetAt, tokens, paid }] of tagImages(image)) {
      const due = new DueQueue()
      for (const [key, at] of forgetAt) due.set(`k${key}`, at)
      const entries = new Map<string, TokenEntry>()
      for (const [token, places] of tokens) entries.set(token, { state: 'posting', places })
      this.#tags.set(name, { epoch: image.epoch, used, limits, paid, tokens: entries, due })
    }
  }

  /** Counters and live tokens, for comparison with the ledger. */
  dump(): CapsDump {
    const counters: Record<string, number> = {}
    const paid: Record<string, PaidIn> = {}
    const live = new LiveTokens()
    for (const tag of this.#tags.values()) {
      for (const [key, used] of tag.used) counters[key] = used
      for (const [key, entry] of tag.paid) paid[key] = entry
      for (const [token, { state, places }] of tag.tokens) {
        if (state === 'held' || state === 'posting') for (const place of places) live.add(token, state, place)
      }
    }
    return { counters, paid, tokens: live.list() }
  }

  #open(epoch: number, group: PlaceGroup): Tag | null {
    const tag = this.#tags.get(group.tag)
    return tag && tag.epoch === epoch ? tag : null
  }
}

/** Live tokens with their places over all tags. A token that is between two states in two tags is listed under both. */
export class LiveTokens {
  readonly #tokens = new Map<string, CapsDump['tokens'][number]>()

  add(token: string, state: 'held' | 'posting', place: { readonly key: string; readonly amount: number }): void {
    const id = `${state} ${token}`
    let live = this.#tokens.get(id)
    if (!live) {
      live = { token, state, places: {} }
      this.#tokens.set(id, live)
    }
    live.places[place.key] = place.amount
  }

  list(): CapsDump['tokens'] {
    return [...this.#tokens.values()]
  }
}

/** Sums an image up, tag by tag: what is committed and what its open tokens hold. */
export function tagImages(image: CapsImage): Map<string, TagImage> {
  const images = new Map<string, TagImage>()
  const imageOf = (tag: string): TagImage => {
    let found = images.get(tag)
    if (!found) {
      found = { used: new Map(), limits: new Map(), forgetAt: new Map(), tokens: new Map(), paid: new Map() }
      images.set(tag, found)
    }
    return found
  }
  for (const tag of image.tags) imageOf(tag)
  for (const group of image.committed) for (const place of group.places) install(imageOf(group.tag), place)
  for (const { token, groups } of image.tokens) {
    for (const group of groups) {
      imageOf(group.tag).tokens.set(token, group.places)
      for (const place of group.places) install(imageOf(group.tag), place)
    }
  }
  for (const { tag, key, seq, total } of image.paid ?? []) imageOf(tag).paid.set(key, { seq, total })
  return images
}

function install(image: TagImage, place: Place): void {
  image.used.set(place.key, (image.used.get(place.key) ?? 0) + place.amount)
  if (place.forgetAt !== 0) image.forgetAt.set(place.key, place.forgetAt)
  const where = limitKey(place)
  const known = image.limits.get(where)
  if (known && known.version >= place.version) return
  image.limits.set(where, { version: place.version, limit: place.limit })
}

function holdIn(tag: Tag, token: string, places: readonly Place[], now: WallMs): HoldAnswer {
  sweep(tag, now)
  const entry = tag.tokens.get(token)
  if (entry) return stillHeld(tag, token, entry, now) || entry.state === 'posting' ? HELD : GONE
  for (const place of places) if (place.forgetAt !== 0 && place.forgetAt <= now) return GONE
  let full: HoldAnswer | null = null
  for (const place of places) {
    const limit = limitInForce(tag, place) + (place.prepaid ? (tag.paid.get(place.key)?.total ?? 0) : 0)
    const used = usedNow(tag, place)
    if (full !== null) continue
    if (used + place.amount > limit) full = { code: 'FULL', key: place.key, paced: false }
    else if (place.upTo !== undefined && used >= place.upTo) full = { code: 'FULL', key: place.key, paced: true }
  }
  if (full !== null) return full
  for (const place of places) take(tag, place)
  tag.tokens.set(token, { state: 'held', places })
  tag.due.set(`t${token}`, now + HOLD_LEASE_MS)
  return HELD
}

function usedNow(tag: Tag, { key, behind }: Place): number {
  if (behind === undefined) return tag.used.get(key) ?? 0
  const base = rollingBase(key)
  const bucket = Number(key.slice(base.length))
  let used = 0
  for (let one = bucket - behind; one <= bucket + 1; one++) used += tag.used.get(base + one) ?? 0
  return used
}

function take(tag: Tag, { key, amount, behind, forgetAt }: Place): void {
  const used = tag.used.get(key)
  if (behind !== undefined && used === undefined && forgetAt !== 0) tag.due.set(`k${key}`, forgetAt)
  tag.used.set(key, (used ?? 0) + amount)
}

/** The highest version's limit wins, and is remembered even where the hold finds no place. */
function limitInForce(tag: Tag, place: Place): number {
  const where = limitKey(place)
  const known = tag.limits.get(where)
  if (known && known.version >= place.version) return known.limit
  tag.limits.set(where, { version: place.version, limit: place.limit })
  if (place.forgetAt !== 0 && place.behind === undefined) tag.due.set(`k${place.key}`, place.forgetAt)
  return place.limit
}

/** True for a hold within its lease; one whose lease is over is released on the way. */
function stillHeld(tag: Tag, token: string, entry: TokenEntry, now: WallMs): boolean {
  if (entry.state !== 'held') return false
  if (tag.due.at(`t${token}`)! > now) return true
  buryToken(tag, token, entry, now)
  return false
}

function turnToPosting(tag: Tag, token: string, now: WallMs): boolean {
  const entry = tag.tokens.get(token)
  if (!entry) return false
  if (entry.state === 'posting') return true
  if (!stillHeld(tag, token, entry, now)) return false
  tag.tokens.set(token, { state: 'posting', places: entry.places })
  tag.due.delete(`t${token}`)
  return true
}

function commitIn(tag: Tag, token: string, now: WallMs): boolean {
  const entry = tag.tokens.get(token)
  if (!entry) return false
  if (entry.state === 'committed') return true
  if (entry.state !== 'posting' && !stillHeld(tag, token, entry, now)) return false
  for (const place of entry.places) if (place.transient) giveBack(tag, place)
  tag.tokens.set(token, { state: 'committed', places: NO_PLACES })
  tag.due.set(`t${token}`, now + COMMITTED_MS)
  return true
}

/** A token that nobody knows gets a tombstone: the hold that was on its way cannot take a place any more. */
function releaseIn(tag: Tag, token: string, now: WallMs): void {
  const entry = tag.tokens.get(token)
  if (entry?.state !== 'committed' && entry?.state !== 'released') buryToken(tag, token, entry, now)
}

function buryToken(tag: Tag, token: string, entry: TokenEntry | undefined, now: WallMs): void {
  if (entry) for (const place of entry.places) giveBack(tag, place)
  tag.tokens.set(token, { state: 'released', places: NO_PLACES })
  tag.due.set(`t${token}`, now + TOMBSTONE_MS)
}

/** A counter that was forgotten stays so: its window is long over. */
function giveBack(tag: Tag, place: Place): void {
  const used = tag.used.get(place.key)
  if (used !== undefined) tag.used.set(place.key, used - place.amount)
}

/** Ends leases and forgets what is old, a bounded number at a time. */
function sweep(tag: Tag, now: WallMs): void {
  for (const member of tag.due.take(now, SWEEP_LIMIT)) {
    const name = member.slice(1)
    if (member.startsWith('k')) {
      tag.used.delete(name)
      tag.limits.delete(name)
      continue
    }
    const entry = tag.tokens.get(name)
    if (entry?.state === 'held') buryToken(tag, name, entry, now)
    else tag.tokens.delete(name)
  }
}
