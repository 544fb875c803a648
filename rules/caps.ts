/** The pure model of caps: two-phase holds by token over counters. It is the in-process store and the oracle of the Lua. */
import type { WallMs } from './units.ts'

/** One counter that a hold takes a place in. The window's name is part of the key: computed once, at the hold. */
export interface Place {
  /** `contract:acme:day:count:2026-03-02`. */
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
}

/** The places of one hold that live under one hash tag: a buyer's (contract and buyer caps), a source's, or a campaign's. */
export interface PlaceGroup {
  /** `b:acme`, `s:demo`, `c:solar`. */
  readonly tag: string
  readonly places: readonly Place[]
}

export type HoldAnswer =
  | { readonly code: 'HELD' }
  | { readonly code: 'FULL'; readonly key: string }
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
