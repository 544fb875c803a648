/** The pure model of claims: which lead an idempotency key belongs to, and which fingerprints are being sold or were. */
import { DueQueue } from './due.ts'
import { type WallMs, wallMs } from './units.ts'

/** A question about one lead's claims. Fingerprints are keyed HMACs, never values. */
export interface ClaimRequest {
  readonly leadId: string
  /** `s:<source>:<hmac of key>`; null where the source sent no key. */
  readonly idempotency: string | null
  /** SHA-256 of the body in hex: the same key with another body is a conflict. */
  readonly bodyHash: string
  /** `<campaign>:<field>:<hmac>`, all of one campaign; empty where the campaign has no duplicate rule. */
  readonly fingerprints: readonly string[]
  readonly now: WallMs
}

export type ClaimAnswer =
  | { readonly code: 'FRESH' }
  /** The idempotency key is bound: to this lead, with this body hash. */
  | { readonly code: 'BOUND'; readonly leadId: string; readonly bodyHash: string }
  /** A lead with a fingerprint was sold (or is in doubt) within the window. */
  | { readonly code: 'DUPLICATE'; readonly leadId: string }
  /** A lead with a fingerprint is being decided now. */
  | { readonly code: 'TWIN'; readonly leadId: string; readonly since: WallMs }
  | { readonly code: 'COLD' }

/** One live sold fingerprint. */
export interface SoldPrint {
  readonly fingerprint: string
  readonly leadId: string
  readonly until: WallMs
}

/** An in-flight lock whose owner never ends it lapses by itself: longer than a lead's whole time. */
export const LOCK_MS = 120_000
/** An idempotency key stays bound in the hot store; afterwards only the ledger knows it. */
export const HINT_MS = 24 * 3_600_000
/** Most claims that one process keeps; beyond it those that lapse soonest are let go. */
const MAX_CLAIMS = 2_000_000
const SWEEP_LIMIT = 64

interface Hint {
  readonly leadId: string
  readonly bodyHash: string
  readonly until: number
}

interface Print {
  readonly kind: 'lock' | 'sold'
  readonly leadId: string
  readonly since: WallMs
  readonly until: number
}

const FRESH: ClaimAnswer = { code: 'FRESH' }
const COLD: ClaimAnswer = { code: 'COLD' }

/**
 * The hash tag that a request's claims live under: the campaign's, so that one script sees every fingerprint and the
 * idempotency hint. A lead without fingerprints has its hint under the source's; null where it claims nothing at all.
 * So a key that a source sends to two campaigns may have two hints; the ledger, which has the truth, still binds it once.
 */
export function claimTag(request: ClaimRequest): string | null {
  const print = request.fingerprints[0]
  if (print !== undefined) return printTag(print)
  return request.idempotency === null ? null : `i:${request.idempotency.split(':', 2)[1]}`
}

/** `f:solar` of `solar:phone:<hmac>`. */
export const printTag = (fingerprint: string): string => `f:${fingerprint.slice(0, fingerprint.indexOf(':'))}`

/** The claim tags that open together with these caps' tags: every campaign's. */
export function claimTagsOf(tags: readonly string[], sold: readonly SoldPrint[]): Set<string> {
  const open = new Set<string>()
  for (const tag of tags) {
    if (tag.startsWith('c:')) open.add(`f:${tag.slice(2)}`)
    else if (tag.startsWith('f:')) open.add(tag)
  }
  for (const { fingerprint } of sold) open.add(printTag(fingerprint))
  return open
}

/**
 * Claims of every campaign. Idempotency comes first, then what was sold, then what is in flight. The hint is bound
 * whatever the fingerprints say: the lead is stored either way. A lead never meets its own claims, so it may ask again.
 */
export class Claims {
  readonly #open = new Map<string, number>()
  readonly #hints = new Map<string, Hint>()
  readonly #prints = new Map<string, Print>()
  /** `i<hint>` and `p<fingerprint>`, by when they lapse. */
  readonly #due = new DueQueue()

  /** Opens these tags under the epoch and no others; claims that are still known stay, and these sold prints join them. */
  restore(epoch: number, tags: Iterable<string>, sold: readonly SoldPrint[]): void {
    this.#open.clear()
    for (const tag of tags) this.#open.set(tag, epoch)
    for (const { fingerprint, leadId, until } of sold) this.#sell(fingerprint, leadId, until)
  }

  claim(epoch: number, request: ClaimRequest): ClaimAnswer {
    const tag = claimTag(request)
    if (tag === null) return FRESH
    if (request.fingerprints.length > 0 && this.#open.get(tag) !== epoch) return COLD
    this.#sweep(request.now)
    return this.#bind(tag, request) ?? this.#meet(request) ?? this.#lock(request)
  }

  /** Sold until then, or (null) free of this lead: both its locks and its sold prints go. */
  unclaim(leadId: string, fingerprints: readonly string[], soldUntil: WallMs | null): void {
    for (const print of fingerprints) {
      if (soldUntil !== null) this.#sell(print, leadId, soldUntil)
      else if (this.#prints.get(print)?.leadId === leadId) this.#forgetPrint(print)
    }
  }

  /** Frees what a lead that will never be decided holds: its locks, and its hint where the key is given. */
  breakClaim(leadId: string, fingerprints: readonly string[], idempotency: string | null): void {
    for (const print of fingerprints) {
      const known = this.#prints.get(print)
      if (known?.leadId === leadId && known.kind === 'lock') this.#forgetPrint(print)
    }
    const tag = claimTag({ leadId, idempotency, bodyHash: '', fingerprints, now: wallMs(0) })
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

  #meet(request: ClaimRequest): ClaimAnswer | null {
    let twin: ClaimAnswer | null = null
    for (const fingerprint of request.fingerprints) {
      const print = this.#prints.get(fingerprint)
      if (!print || print.leadId === request.leadId || print.until <= request.now) continue
      if (print.kind === 'sold') return { code: 'DUPLICATE', leadId: print.leadId }
      twin ??= { code: 'TWIN', leadId: print.leadId, since: print.since }
    }
    return twin
  }

  #lock(request: ClaimRequest): ClaimAnswer {
    const until = request.now + LOCK_MS
    for (const fingerprint of request.fingerprints) {
      const print = this.#prints.get(fingerprint)
      if (print?.kind === 'sold' && print.until > request.now) continue
      this.#prints.set(fingerprint, { kind: 'lock', leadId: request.leadId, since: request.now, until })
      this.#lapse(`p${fingerprint}`, until)
    }
    return FRESH
  }

  /** Of two sales of one fingerprint the one that binds longer stays. */
  #sell(fingerprint: string, leadId: string, until: WallMs): void {
    const known = this.#prints.get(fingerprint)
    if (known?.kind === 'sold' && known.until >= until) return
    this.#prints.set(fingerprint, { kind: 'sold', leadId, since: until, until })
    this.#lapse(`p${fingerprint}`, until)
  }

  #forgetPrint(fingerprint: string): void {
    this.#prints.delete(fingerprint)
    this.#due.delete(`p${fingerprint}`)
  }

  #lapse(member: string, until: number): void {
    this.#due.set(member, until)
    if (this.#due.size > MAX_CLAIMS) this.#drop(this.#due.take(Number.POSITIVE_INFINITY, 1))
  }

  #sweep(now: WallMs): void {
    this.#drop(this.#due.take(now, SWEEP_LIMIT))
  }

  #drop(members: readonly string[]): void {
    for (const member of members) {
      if (member.startsWith('i')) this.#hints.delete(member.slice(1))
      else this.#prints.delete(member.slice(1))
    }
  }
}
