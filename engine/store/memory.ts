/** The hot store of a single process: the pure models of caps, claims, rates and turns behind the port. */
import {
  Caps,
  type CommitAnswer,
  type HoldAnswer,
  type PlaceGroup,
  type PostingAnswer,
  type ReleaseAnswer,
  type TokenState,
  type Usage,
} from '../../rules/caps.ts'
import { type ClaimAnswer, type ClaimRequest, Claims } from '../../rules/claims.ts'
import { Buckets } from '../../rules/rates.ts'
import type { Sighting } from '../../rules/sightings.ts'
import { Allowances, type Lent } from '../../rules/throttle.ts'
import { type TurnCandidate, Turns } from '../../rules/turns.ts'
import type { WallMs } from '../../rules/units.ts'
import type { HotDump, HotStore, Restoration } from './port.ts'

/** Cold until it is restored, as a Redis would be. Every call does its work at once; only its answer is a promise. */
export class MemoryStore implements HotStore {
  readonly #runId: string
  readonly #caps = new Caps()
  readonly #claims = new Claims()
  readonly #buckets = new Buckets()
  readonly #allowances = new Allowances()
  readonly #turns = new Turns()
  readonly #listeners: (() => void)[] = []
  #epoch = 0
  #restoredEpoch = 0

  /** `engine`: the name of the process, for `runId`. */
  constructor(engine: string) {
    this.#runId = `in-process:${engine}`
  }

  epoch(): number {
    return this.#epoch
  }

  setEpoch(epoch: number): void {
    this.#epoch = epoch
  }

  hold(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<HoldAnswer> {
    const answer = this.#caps.hold(this.#epoch, token, groups, now)
    return this.#told(answer, answer.code === 'COLD')
  }

  posting(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<PostingAnswer> {
    const answer = this.#caps.posting(this.#epoch, token, groups, now)
    return this.#told(answer, answer === 'COLD')
  }

  commit(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<CommitAnswer> {
    const answer = this.#caps.commit(this.#epoch, token, groups, now)
    return this.#told(answer, answer === 'COLD')
  }

  release(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<ReleaseAnswer> {
    const answer = this.#caps.release(this.#epoch, token, groups, now)
    return this.#told(answer, answer === 'COLD')
  }

  async paidIn(tag: string, key: string, seq: number, total: number): Promise<void> {
    this.#caps.paidIn(this.#epoch, tag, key, { seq, total })
  }

  async usage(wanted: readonly { readonly tag: string; readonly key: string }[]): Promise<readonly Usage[]> {
    return this.#caps.usage(wanted)
  }

  async tokenState(token: string, groups: readonly PlaceGroup[]): Promise<TokenState | null> {
    return this.#caps.tokenState(token, groups)
  }

  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const answer = this.#claims.claim(this.#epoch, request)
    return this.#told(answer, answer.code === 'COLD')
  }

  async unclaim(leadId: string, fingerprints: readonly string[], sighting: Sighting | null): Promise<void> {
    this.#claims.unclaim(leadId, fingerprints, sighting)
  }

  async breakClaim(leadId: string, fingerprints: readonly string[], idempotency: string | null): Promise<void> {
    this.#claims.breakClaim(leadId, fingerprints, idempotency)
  }

  async allow(window: string, want: number, limit: number, keepMs: number, now: WallMs): Promise<Lent> {
    return this.#allowances.allow(window, want, limit, keepMs, now)
  }

  async lent(windows: readonly string[]): Promise<readonly number[]> {
    return windows.map((window) => this.#allowances.lent(window))
  }

  async rate(source: string, want: number, perSecond: number, burst: number, now: WallMs): Promise<number> {
    return this.#buckets.take(source, want, perSecond, burst, now)
  }

  async turn(tier: string, candidates: readonly TurnCandidate[], copies: number): Promise<readonly number[]> {
    return this.#turns.take(tier, candidates, copies)
  }

  async restore(restoration: Restoration): Promise<void> {
    this.#claims.shut()
    for await (const page of restoration.sightings) {
      for (const sighting of page) this.#claims.unclaim(sighting.leadId, sighting.fingerprints, sighting)
    }
    this.#caps.restore(restoration)
    this.#claims.open(restoration.epoch, restoration.scopes, restoration.locks)
    this.#epoch = restoration.epoch
    this.#restoredEpoch = restoration.epoch
  }

  async warm(): Promise<boolean> {
    return this.#epoch > 0 && this.#epoch === this.#restoredEpoch
  }

  async runId(): Promise<string> {
    return this.#runId
  }

  onCold(listener: () => void): void {
    this.#listeners.push(listener)
  }

  async dump(): Promise<HotDump> {
    return { epoch: this.#epoch, ...this.#caps.dump() }
  }

  async close(): Promise<void> {}

  #told<T>(answer: T, cold: boolean): Promise<T> {
    if (cold) for (const listener of this.#listeners) listener()
    return Promise.resolve(answer)
  }
}
