/** The hot store on Redis: one short script for each call and tag. */
import {
  type CommitAnswer,
  type HoldAnswer,
  LiveTokens,
  type PaidIn,
  type PlaceGroup,
  type PostingAnswer,
  type ReleaseAnswer,
  type TokenState,
  type Usage,
} from '../../rules/caps.ts'
import {
  type ClaimAnswer,
  type ClaimRequest,
  claimTag,
  HINT_MS,
  type KeptSighting,
  LOCK_MS,
  printTag,
  seenBy,
} from '../../rules/claims.ts'
import { leadTail, oldestMinute, type Sighting, sightingText } from '../../rules/sightings.ts'
import type { Lent } from '../../rules/throttle.ts'
import type { TurnCandidate } from '../../rules/turns.ts'
import { type WallMs, wallMs } from '../../rules/units.ts'
import { COLD_REPLY, RedisLink, type RedisOptions } from './link.ts'
import type { HotDump, HotStore, Restoration } from './port.ts'
import { restoreRedis } from './restore.ts'
import type { Reply, ScriptName } from './scripts.ts'

const HELD: HoldAnswer = { code: 'HELD' }
const GONE: HoldAnswer = { code: 'GONE' }
const COLD: HoldAnswer & ClaimAnswer = { code: 'COLD' }
const FRESH: ClaimAnswer = { code: 'FRESH', seen: [] }
const STATES: Readonly<Record<string, TokenState>> = { h: 'held', p: 'posting', c: 'committed', r: 'released' }

/** Connects; the store is cold until it is restored, or until it is told the epoch under which it already was. */
export async function openRedisStore(options: RedisOptions): Promise<RedisStore> {
  return new RedisStore(await RedisLink.open(options))
}

export class RedisStore implements HotStore {
  readonly #link: RedisLink
  readonly #keys: KeyNames
  #epochText = '0'

  constructor(link: RedisLink) {
    this.#link = link
    this.#keys = new KeyNames(link.prefix)
  }

  epoch(): number {
    return this.#link.epoch()
  }

  setEpoch(epoch: number): void {
    this.#epochText = String(epoch)
    this.#link.setEpoch(epoch)
  }

  async hold(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<HoldAnswer> {
    for (let i = 0; i < groups.length; i++) {
      const reply = await this.#holdIn(token, groups[i]!, now)
      if (reply === 1) continue
      if (i > 0) await this.release(token, groups.slice(0, i), now)
      if (typeof reply === 'string') return fullAt(reply)
      return reply === COLD_REPLY ? COLD : GONE
    }
    return HELD
  }

  async posting(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<PostingAnswer> {
    const worst = await this.#inEach('posting', token, groups, now)
    return worst === 1 ? 'POSTING' : worst === COLD_REPLY ? 'COLD' : 'GONE'
  }

  async commit(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<CommitAnswer> {
    const worst = await this.#inEach('commit', token, groups, now)
    return worst === 1 ? 'COMMITTED' : worst === COLD_REPLY ? 'COLD' : 'UNKNOWN'
  }

  async release(token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<ReleaseAnswer> {
    const worst = await this.#inEach('release', token, groups, now)
    return worst === 1 ? 'RELEASED' : 'COLD'
  }

  async paidIn(tag: string, key: string, seq: number, total: number): Promise<void> {
    await this.#link.trustedScript('paid', [this.#keys.of(tag)[0], this.#epochText, key, String(seq), String(total)])
  }

  async usage(wanted: readonly { readonly tag: string; readonly key: string }[]): Promise<readonly Usage[]> {
    const usages: Usage[] = new Array(wanted.length)
    for (const [tag, places] of Map.groupBy(wanted.entries(), ([, place]) => place.tag)) {
      const fields = places.flatMap(([, { key }]) => [key, `$${key}`])
      const known = await this.#link.call((client) => client.hmget(this.#keys.of(tag)[0], ...fields))
      places.forEach(([at], nth) => {
        const [seq, paidIn] = (known[2 * nth + 1] ?? '0 0').split(' ').map(Number) as [number, number]
        usages[at] = { used: Number(known[2 * nth] ?? 0), seq, paidIn }
      })
    }
    return usages
  }

  async tokenState(token: string, groups: readonly PlaceGroup[]): Promise<TokenState | null> {
    const first = groups[0]
    if (!first) return null
    const entry = await this.#link.call((client) => client.hget(this.#keys.of(first.tag)[1], token))
    return entry ? STATES[entry[0]!]! : null
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const tag = claimTag(request)
    if (tag === null) return FRESH
    const { fingerprints, idempotency, now } = request
    const asksEpoch = fingerprints.length > 0
    const args = [String(1 + 2 * fingerprints.length + (idempotency === null ? 0 : 1)), this.#keys.claims(tag)]
    for (const fingerprint of fingerprints) args.push(this.#keys.lock(fingerprint), this.#keys.bucket(fingerprint)[0])
    if (idempotency !== null) args.push(this.#keys.hint(tag, idempotency))
    args.push(asksEpoch ? this.#epochText : '', request.leadId, String(now), String(now + LOCK_MS))
    args.push(String(fingerprints.length), request.bodyHash, String(now + HINT_MS))
    for (const fingerprint of fingerprints) args.push(this.#keys.bucket(fingerprint)[1])
    const reply = await (asksEpoch ? this.#link.trustedScript('claim', args) : this.#link.script('claim', args))
    return claimAnswer(request, reply)
  }

  async unclaim(leadId: string, fingerprints: readonly string[], sighting: Sighting | null): Promise<void> {
    if (fingerprints.length === 0) return
    await this.#link.script('sighted', sightedArgs(this.#keys, [{ leadId, fingerprints, sighting }]))
  }

  async breakClaim(leadId: string, fingerprints: readonly string[], idempotency: string | null): Promise<void> {
    const tag = claimTag({ leadId, idempotency, bodyHash: '', fingerprints, keepMs: 0, now: wallMs(0) })
    if (tag === null) return
    const keys = fingerprints.map((fingerprint) => this.#keys.lock(fingerprint))
    if (idempotency !== null) keys.push(this.#keys.hint(tag, idempotency))
    await this.#link.script('unclaim', [String(keys.length), ...keys, leadId])
  }

  async allow(window: string, want: number, limit: number, keepMs: number): Promise<Lent> {
    const args = [this.#keys.throttle(window), String(want), String(limit), String(Math.ceil(keepMs))]
    const [got, left] = ((await this.#link.script('allow', args)) as readonly unknown[]).map(Number) as [number, number]
    return { got, left }
  }

  async lent(windows: readonly string[]): Promise<readonly number[]> {
    const read = (window: string) => this.#link.call((client) => client.get(this.#keys.throttle(window)))
    return (await Promise.all(windows.map(read))).map(Number)
  }

  async rate(source: string, want: number, perSecond: number, burst: number, now: WallMs): Promise<number> {
    const args = [this.#keys.rate(source), String(want), String(perSecond), String(burst), String(now)]
    return (await this.#link.script('rate', args)) as number
  }

  async turn(tier: string, candidates: readonly TurnCandidate[], copies: number): Promise<readonly number[]> {
    const args = [this.#keys.turns(tier), String(copies)]
    for (const { contract, weight, group } of candidates) args.push(contract, String(weight), group)
    return ((await this.#link.script('turn', args)) as readonly string[]).map(Number)
  }

  async restore(restoration: Restoration): Promise<void> {
    await restoreRedis(this.#link, this.#keys, restoration)
    this.#epochText = String(restoration.epoch)
  }

  warm(): Promise<boolean> {
    return this.#link.warm()
  }

  runId(): Promise<string> {
    return this.#link.runId()
  }

  onCold(listener: () => void): void {
    this.#link.onCold(listener)
  }

  async dump(): Promise<HotDump> {
    const counters: Record<string, number> = {}
    const paid: Record<string, PaidIn> = {}
    const live = new LiveTokens()
    for (const tag of await this.#link.call((client) => client.smembers(this.#keys.tags))) {
      const [caps, tokens] = this.#keys.of(tag)
      const fields = await this.#link.call((client) => client.hgetall(caps))
      for (const [key, used] of Object.entries(fields)) {
        if (key.includes(':') && !/^[#$]/.test(key)) counters[key] = Number(used)
        if (key.startsWith('$')) {
          const [seq, total] = used.split(' ').map(Number) as [number, number]
          paid[key.slice(1)] = { seq, total }
        }
      }
      for await (const [token, entry] of this.#entries(tokens)) addLive(live, token, entry)
    }
    return { epoch: this.#link.epoch(), counters, paid, tokens: live.list() }
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  #holdIn(token: string, group: PlaceGroup, now: WallMs): Promise<Reply> {
    let places = ''
    let limits = ''
    for (const { key, amount, transient, version, limit, forgetAt, behind, upTo, prepaid } of group.places) {
      places += ` ${key} ${amount} ${transient ? 1 : 0}`
      limits += ` ${version} ${limit} ${forgetAt}`
      if (behind !== undefined) limits += `r${behind}`
      if (upTo !== undefined) limits += `p${upTo}`
      if (prepaid) limits += 'b'
    }
    const [caps, tokens, due] = this.#keys.of(group.tag)
    return this.#link.trustedScript('hold', [caps, tokens, due, this.#epochText, token, String(now), places, limits])
  }

  /** Runs one script for every group at once. Of several answers the gravest counts: COLD (3), then 2, then 1. */
  async #inEach(name: ScriptName, token: string, groups: readonly PlaceGroup[], now: WallMs): Promise<number> {
    const at = String(now)
    const run = (group: PlaceGroup): Promise<Reply> => {
      const [caps, tokens, due] = this.#keys.of(group.tag)
      return this.#link.trustedScript(name, [caps, tokens, due, this.#epochText, token, at])
    }
    if (groups.length === 1) return (await run(groups[0]!)) as number
    return Math.max(1, ...((await Promise.all(groups.map(run))) as number[]))
  }

  async *#entries(hash: string): AsyncGenerator<[string, string]> {
    let cursor = '0'
    do {
      const [next, pairs] = await this.#link.call((client) => client.hscan(hash, cursor, 'COUNT', 1_000))
      for (let i = 0; i < pairs.length; i += 2) yield [pairs[i]!, pairs[i + 1]!]
      cursor = next
    } while (cursor !== '0')
  }
}

/** Arguments of `sighted`: all fingerprints are of one vertical. */
export function sightedArgs(
  keys: KeyNames,
  leads: readonly (Pick<KeptSighting, 'leadId' | 'fingerprints'> & { readonly sighting: Sighting | null })[],
): string[] {
  const names: string[] = []
  const args: string[] = []
  let keepMs = 0
  for (const { leadId, fingerprints, sighting } of leads) {
    const text = sighting === null ? '' : sightingText(sighting)
    const oldest = sighting === null ? '0' : String(oldestMinute(sighting.at, sighting.keepMs))
    keepMs = Math.max(keepMs, sighting?.keepMs ?? 0)
    for (const fingerprint of fingerprints) {
      const [bucket, field] = keys.bucket(fingerprint)
      names.push(keys.lock(fingerprint), bucket)
      args.push(leadId, leadTail(leadId), field, text, oldest)
    }
  }
  return [String(names.length), ...names, String(Math.ceil(keepMs / 1_000) + HOUR_S), ...args]
}

/** Buckets outlive what is in them, for they are forgotten by Redis's clock and not the engine's. */
const HOUR_S = 3_600

/** Names of our keys. Everything of one tag carries it as the hash tag, so that a script touches one slot. */
export class KeyNames {
  /** Set of the tags that exist. */
  readonly tags: string
  readonly #prefix: string
  readonly #known = new Map<string, readonly [caps: string, tokens: string, due: string]>()

  constructor(prefix: string) {
    this.#prefix = prefix
    this.tags = `${prefix}tags`
  }

  /** The three keys of a caps' tag; rules/lua/places.lua says what is in them. */
  of(tag: string): readonly [caps: string, tokens: string, due: string] {
    let keys = this.#known.get(tag)
    if (!keys) {
      if (this.#known.size >= 50_000) this.#known.clear()
      keys = [`${this.#prefix}caps:{${tag}}`, `${this.#prefix}tokens:{${tag}}`, `${this.#prefix}due:{${tag}}`]
      this.#known.set(tag, keys)
    }
    return keys
  }

  /** The epoch under which a tag's claims are open. */
  claims(tag: string): string {
    return `${this.#prefix}claims:{${tag}}`
  }

  lock(fingerprint: string): string {
    return `${this.#prefix}lock:{${printTag(fingerprint)}}${fingerprint.slice(fingerprint.indexOf(':'))}`
  }

  /**
   * The hash that has a fingerprint's sightings, one of 65,536 of a vertical, and its field there: by the first two
   * characters and four bits of the third. Of a million fingerprints some 15 lie in one, of thirty million 460: Redis
   * keeps up to 512 small fields in one piece, where each costs least.
   */
  bucket(fingerprint: string): readonly [key: string, field: string] {
    const at = fingerprint.indexOf(':') + 1
    const bits = fingerprint.charCodeAt(at + 2) & 15
    return [
      `${this.#prefix}seen:{${printTag(fingerprint)}}:${fingerprint.slice(at, at + 2)}${bits}`,
      fingerprint.slice(at + 2),
    ]
  }

  hint(tag: string, idempotency: string): string {
    return `${this.#prefix}hint:{${tag}}:${idempotency}`
  }

  /** A window is its owner's with a name behind: the owner is the tag. */
  throttle(window: string): string {
    return `${this.#prefix}throttle:{t:${window.split(':', 2).join(':')}}:${window}`
  }

  rate(source: string): string {
    return `${this.#prefix}rate:{r:${source}}`
  }

  turns(tier: string): string {
    return `${this.#prefix}turns:{t:${tier}}`
  }
}

const fullAt = (reply: string): HoldAnswer =>
  reply.startsWith('~')
    ? { code: 'FULL', key: reply.slice(1), paced: true }
    : { code: 'FULL', key: reply, paced: false }

function claimAnswer(request: ClaimRequest, reply: Reply): ClaimAnswer {
  if (typeof reply === 'number') return reply === COLD_REPLY ? COLD : FRESH
  const [code, leadId = '', detail = '', ...rest] = reply as readonly string[]
  if (code === 'BOUND') return { code, leadId, bodyHash: detail }
  if (code === 'TWIN') return { code, leadId, since: wallMs(Number(detail)), seen: seenBy(request, rest) }
  return { code: 'FRESH', seen: seenBy(request, reply.slice(1) as readonly string[]) }
}

function addLive(live: LiveTokens, token: string, entry: string): void {
  const state = STATES[entry[0]!]!
  if (state !== 'held' && state !== 'posting') return
  const words = entry.split(' ')
  for (let i = 1; i + 2 < words.length; i += 3) live.add(token, state, { key: words[i]!, amount: Number(words[i + 1]) })
}
