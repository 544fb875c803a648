/** The pure model of claims: which lead an idempotency key belongs to, whose fingerprints are in flight, and who was seen before. */
import { DueQueue } from './due.ts'
import { oldestMinute, readSightings, resighted, type Sighting, sightingText } from './sightings.ts'
import { type WallMs, wallMs } from './units.ts'

/** A question about one lead's claims. Fingerprints are keyed HMACs, never values. */
export interface ClaimRequest {
  readonly leadId: string
  /** HMAC of source and key, or `ping:<source>:<offer>`; null where the source sent no key. */
  readonly idempotency: string | null
  /** SHA-256 of the body in hex: the same key with another body is a conflict. */
  readonly bodyHash: string
  /** `<vertical>:<hmac>`, all of one vertical; empty where it has no duplicate rule. */
  readonly fingerprints: readonly string[]
  /** Sightings that are older mean nothing. */
  readonly keepMs: number
  readonly now: WallMs
}

/** `seen[i]`: the text of the sightings of fingerprint i; an empty list where nobody was seen. */
export type ClaimAnswer =
  | { readonly code: 'FRESH'; readonly seen: readonly string[] }
  /** The idempotency key is bound: to this lead, with this body hash. */
  | { readonly code: 'BOUND'; readonly leadId: string; readonly bodyHash: string }
  /** A lead with a fingerprint is being decided now: nothing is locked. */
  | { readonly code: 'TWIN'; readonly leadId: string; readonly since: WallMs; readonly seen: readonly string[] }
  | { readonly code: 'COLD' }

/** What the ledger keeps of a decided lead for the hot store. */
export interface KeptSighting extends Sighting {
  readonly fingerprints: readonly string[]
}

/** An undecided lead and what it has claimed. */
export interface HeldLock {
  readonly leadId: string
  readonly fingerprints: readonly string[]
  readonly since: WallMs
}

/** An in-flight lock whose owner never ends it lapses by itself: longer than a lead's whole time, taken over or not. */
export const LOCK_MS = 300_000
/** An idempotency key stays bound in the hot store; afterwards only the ledger knows it. */
export const HINT_MS = 24 * 3_600_000
/** Most keys and locks that one process keeps; beyond it those that lapse soonest are let go. */
const MAX_CLAIMS = 2_000_000
/** Most fingerprints with sightings that one process keeps, some 550 MB; beyond it the longest known are let go. */
const MAX_SEEN = 3_000_000
const SWEEP_LIMIT = 64
/** Fingerprints that each new one looks at, and forgets where nothing about them matters any more. */
const SWEEP_SEEN = 4

interface Hint {
  readonly leadId: string
  readonly bodyHash: string
  readonly until: number
}

interface Lock {
  readonly leadId: string
  readonly since: WallMs
  readonly until: number
}

const NOTHING_SEEN: readonly string[] = []
const FRESH: ClaimAnswer = { code: 'FRESH', seen: NOTHING_SEEN }
const COLD: ClaimAnswer = { code: 'COLD' }

/**
 * The hash tag that a request's claims live under: the vertical's, so that one script sees every fingerprint and the
 * idempotency hint. A lead without fingerprints has its hint under the key's own; null where it claims nothing at all.
 * So a key that a source sends to two verticals may have two hints; the ledger, which has the truth, still binds it once.
 */
export function claimTag(request: ClaimRequest): string | null {
  const print = request.fingerprints[0]
  if (print !== undefined) return printTag(print)
  return request.idempotency === null ? null : `i:${request.idempotency}`
}

/** `f:solar` of `solar:<hmac>`. */
export const printTag = (fingerprint: string): string => scopeTag(fingerprint.slice(0, fingerprint.indexOf(':')))

/** The claims' tag of a vertical. */
export const scopeTag = (scope: string): string => `f:${scope}`

/** What a claim answers of the texts that were found: only what matters to this lead. */
export function seenBy(request: ClaimRequest, texts: readonly string[]): readonly string[] {
  if (texts.every((text) => text === '')) return NOTHING_SEEN
  const oldest = oldestMinute(request.now, request.keepMs)
  const seen = texts.map((text) => resighted(text, request.leadId, null, oldest))
  return seen.every((text) => text === '') ? NOTHING_SEEN : seen
}

/**
 * Claims of every vertical. Idempotency comes first, then what is in flight; what was seen before is told either way, and
 * judged by the caller. The hint is bound whatever the fingerprints say: the lead is stored either way. A lead never
 * meets its own claims, so it may ask again.
 */
export class Claims {
  readonly #open = new Map<string, number>()
  readonly #hints = new Map<string, Hint>()
  readonly #locks = new Map<string, Lock>()
  /** By fingerprint; in the order in which they were first seen. */
  readonly #seen = new Map<string, string>()
  #sweeping = this.#seen.entries()
  /** `i<hint>` and `p<fingerprint>`, by when they lapse. */
  readonly #due = new DueQueue()

  /** Fingerprints of which something is kept. */
  get seen(): number {
    return this.#seen.size
  }

  /** Shuts every tag; what is known stays. */
  shut(): void {
    this.#open.clear()
  }

  /** Opens these verticals under the epoch; locks of leads that the ledger has as undecided join those that stand. */
  open(epoch: number, scopes: Iterable<string>, locks: readonly HeldLock[]): void {
    this.shut()
    for (const { leadId, fingerprints, since } of locks) {
      for (const print of fingerprints) if (!this.#isLocked(print, since)) this.#lockOne(print, leadId, since)
    }
    for (const scope of scopes) this.#open.set(scopeTag(scope), epoch)
  }

  claim(epoch: number, request: ClaimRequest): ClaimAnswer {
    const tag = claimTag(request)
    if (tag === null) return FRESH
    if (request.fingerprints.length > 0 && this.#open.get(tag) !== epoch) return COLD
    this.#drop(this.#due.take(request.now, SWEEP_LIMIT))
    return this.#bind(tag, request) ?? this.#lock(request)
  }

  /** The lead is decided: it holds no lock any more, and what is kept of it (null: nothing) stands instead of what was. */
  unclaim(leadId: string, fingerprints: readonly string[], sighting: Sighting | null): void {
    for (const print of fingerprints) {
      this.#unlock(print, leadId)
      this.#see(print, leadId, sighting)
    }
  }

  /** Frees what a lead that will never be decided holds: its locks, and its hint where the key is given. */
  breakClaim(leadId: string, fingerprints: readonly string[], idempotency: string | null): void {
    for (const print of fingerprints) this.#unlock(print, leadId)
    const tag = claimTag({ leadId, idempotency, bodyHash: '', fingerprints, keepMs: 0, now: wallMs(0) })
    const hint = `${tag} ${idempotency}`
    if (idempotency === null || this.#hints.get(hint)?.leadId !== leadId) return
    this.#hints.delete(hint)
    this.#due.delete(`i${hint}`)
  }

  #bind(tag: string, request: ClaimRequest): ClaimAnswer | null {
    if (request.idempotency === null) return null
    const key = `${tag} ${request.idempotency}`
    const hint = this.#hints.get(key)
    if (hint && hint.until > request.now) {
      return hint.leadId === request.leadId ? null : { code: 'BOUND', leadId: hint.leadId, bodyHash: hint.bodyHash }
    }
    const until = request.now + HINT_MS
    this.#hints.set(key, { leadId: request.leadId, bodyHash: request.bodyHash, until })
    this.#lapse(`i${key}`, until)
    return null
  }

  #lock(request: ClaimRequest): ClaimAnswer {
    const { leadId, fingerprints, now } = request
    const texts = fingerprints.map((print) => this.#seen.get(print) ?? '')
    const seen = seenBy(request, texts)
    for (const print of fingerprints) {
      const lock = this.#locks.get(print)
      if (!lock || lock.leadId === leadId || lock.until <= now) continue
      return { code: 'TWIN', leadId: lock.leadId, since: lock.since, seen }
    }
    for (const print of fingerprints) this.#lockOne(print, leadId, now)
    return seen.length === 0 ? FRESH : { code: 'FRESH', seen }
  }

  #isLocked(print: string, now: WallMs): boolean {
    return (this.#locks.get(print)?.until ?? 0) > now
  }

  #lockOne(print: string, leadId: string, since: WallMs): void {
    const until = since + LOCK_MS
    this.#locks.set(print, { leadId, since, until })
    this.#lapse(`p${print}`, until)
  }

  #unlock(print: string, leadId: string): void {
    if (this.#locks.get(print)?.leadId !== leadId) return
    this.#locks.delete(print)
    this.#due.delete(`p${print}`)
  }

  #see(print: string, leadId: string, sighting: Sighting | null): void {
    const known = this.#seen.get(print) ?? ''
    if (known === '' && sighting === null) return
    const oldest = sighting === null ? 0 : oldestMinute(sighting.at, sighting.keepMs)
    const text = resighted(known, leadId, sighting === null ? null : sightingText(sighting), oldest)
    if (text === '') this.#seen.delete(print)
    else this.#seen.set(print, text)
    if (sighting !== null) this.#forgetSome(oldest)
  }

  #forgetSome(oldest: number): void {
    for (let looked = 0; looked < SWEEP_SEEN; looked++) {
      const { value, done } = this.#sweeping.next()
      if (done) {
        this.#sweeping = this.#seen.entries()
        return
      }
      if (readSightings(value[1]).every(({ at }) => at < oldest)) this.#seen.delete(value[0])
    }
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.keys().next().value!)
  }

  #lapse(member: string, until: number): void {
    this.#due.set(member, until)
    if (this.#due.size > MAX_CLAIMS) this.#drop(this.#due.take(Number.POSITIVE_INFINITY, 1))
  }

  #drop(members: readonly string[]): void {
    for (const member of members) {
      if (member.startsWith('i')) this.#hints.delete(member.slice(1))
      else this.#locks.delete(member.slice(1))
    }
  }
}
