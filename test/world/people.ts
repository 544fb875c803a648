/** Stories of several leads of the same people: what each is, who may still buy it, and what is remembered of it. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { PingAnswer, WireLead } from '../../buyers/adapter.ts'
import type { BuyersWire, Clock, PostEnd } from '../../buyers/wire.ts'
import type { EdgeRequest } from '../../engine/edge.ts'
import { Hints } from '../../engine/hints.ts'
import { type IntakePorts, takeLead } from '../../engine/intake.ts'
import type { Lists } from '../../engine/lists/lists.ts'
import { LiveLeads } from '../../engine/live.ts'
import { createMetrics } from '../../engine/metrics.ts'
import type { Offers } from '../../engine/offers/ledger.ts'
import { createSealer } from '../../engine/seal.ts'
import type { FinalRow, HotStore, Ledger } from '../../engine/store/port.ts'
import type { Barred } from '../../rules/duplicates.ts'
import type { Lead } from '../../rules/lead.ts'
import { entryOf, type ListHash, type ListKind, listedTexts } from '../../rules/suppression.ts'
import { Switches } from '../../rules/switches.ts'
import { auctionTerms } from '../../rules/terms.ts'
import { outcomeWords, replay } from '../../rules/trace.ts'
import { ms, parseMoney, wallMs } from '../../rules/units.ts'
import { type Campaign, type Contract, compileVersion, type Snapshot } from '../../rules/version.ts'
import { NO_CHECKS } from './checks.ts'
import { endsOf } from './machine.ts'

export interface PeopleBuyer {
  readonly price?: string
  /** Bids so much when it is pinged, or nothing. */
  readonly ping?: string
  /** What it does with a post: `accept` where it is left out. `silent`: nobody knows. */
  readonly post?: 'accept' | 'reject' | 'silent'
  readonly group?: string
  readonly duplicates?: object
  readonly suppress?: readonly string[]
  /** Campaigns in which it buys; all where left out. */
  readonly campaigns?: readonly string[]
}

/** `phone: "1"` and `email: "1"` are those of the first person; every other field stands as it is. */
export interface PeopleLead {
  readonly lead: Readonly<Record<string, string>>
  readonly campaign?: string
  /** `<status>`, then for each contract what became of its seat, in their order. */
  readonly expect: readonly string[]
}

export interface PeopleList {
  readonly of: ListKind
  readonly hash?: ListHash
  /** Plain, however they are hashed: `phone 1` and `email 1` are the first person's. */
  readonly entries: readonly string[]
}

export interface PeopleStory {
  /** One sentence: what happens, and why it is right. */
  readonly why: string
  /** What each campaign says beside what all need; one named solar where left out. */
  readonly campaigns?: Readonly<Record<string, object>>
  readonly buyers: Readonly<Record<string, PeopleBuyer>>
  /** Suppression lists by name, with their entries. */
  readonly lists?: Readonly<Record<string, PeopleList>>
  /** One after the other: a lead, several at the same moment, some time, or the loss of everything that is hot. */
  readonly steps: readonly (
    | PeopleLead
    | { readonly together: readonly PeopleLead[] }
    | { readonly after: string }
    | { readonly hot: 'lost' }
  )[]
}

const NOON = { zip: '78701', state: 'TX', first_name: 'Ann', last_name: 'Lee', address: '1 Elm St' }
const UNIT_MS: Readonly<Record<string, number>> = { minutes: 60_000, hours: 3_600_000, days: 86_400_000 }

export function readPeople(): { readonly name: string; readonly story: PeopleStory }[] {
  const home = new URL('../golden/people/', import.meta.url)
  return readdirSync(home)
    .sort()
    .map((file) => ({ name: file.slice(0, -5), story: JSON.parse(readFileSync(new URL(file, home), 'utf8')) }))
}

/** `40 days`, `90 minutes`. */
export function durationOf(text: string): number {
  const [amount, unit] = text.split(' ')
  return Number(amount) * UNIT_MS[unit!]!
}

/** The key of the only source, and its hash. */
const API_KEY = 'people'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export function compilePeople(story: PeopleStory): Snapshot {
  const campaigns = story.campaigns ?? { solar: {} }
  const contracts = Object.entries(story.buyers).flatMap(([buyer, terms]) =>
    (terms.campaigns ?? Object.keys(campaigns)).map((campaign) => {
      const url = `https://buyers.example/${buyer}`
      const delivery = { post_url: url, ...(terms.ping === undefined ? {} : { ping_url: url, ping_fields: ['state'] }) }
      const id = Object.keys(campaigns).length > 1 ? `${buyer}-${campaign}` : buyer
      return [id, { buyer, campaign, status: 'active', price: terms.price, delivery }] as const
    }),
  )
  const compiled = compileVersion(
    JSON.parse(
      JSON.stringify({
        sources: {
          teller: {
            ...{ pseudonym: 'S-1', status: 'active', campaigns: Object.keys(campaigns) },
            keys: [{ sha256: sha256(API_KEY) }],
          },
        },
        campaigns: Object.fromEntries(
          Object.entries(campaigns).map(([id, campaign]) => [
            id,
            {
              ...{ vertical: 'solar', zone: 'America/Chicago', payout: { share: 0.5 } },
              plan: [{ tier: 'main', strategy: 'auction', ping_ms: 500 }],
              ...campaign,
            },
          ]),
        ),
        buyers: Object.fromEntries(
          Object.entries(story.buyers).map(([id, { group, duplicates, suppress }]) => [
            id,
            { zone: 'America/Chicago', group, duplicates, suppress },
          ]),
        ),
        contracts: Object.fromEntries(contracts),
        lists:
          story.lists &&
          Object.fromEntries(Object.entries(story.lists).map(([id, { of, hash }]) => [id, { of, hash }])),
      }),
    ),
    1,
  )
  if (!compiled.ok) throw new Error(compiled.faults.map(({ path, message }) => `${path} ${message}`).join('\n'))
  return compiled.snapshot
}

export function fieldsOf({ lead }: PeopleLead): Record<string, string> {
  const { phone, email, ...rest } = lead
  return {
    ...NOON,
    ...{ ownership: 'own', phone: `512-555-0${phone?.padStart(3, '1') ?? '199'}` },
    ...{ email: email?.includes('@') ? email : `person${email ?? 0}@example.com` },
    ...rest,
  }
}

/** Lines of a list's file. */
export function linesOf({ hash, entries }: PeopleList): string[] {
  return entries.map((entry) => {
    const [what, who = ''] = entry.split(' ')
    const { phone, email } = fieldsOf({ lead: { phone: who, email: who }, expect: [] })
    const plain = what === 'phone' ? phone! : what === 'email' ? email! : entry
    const hashed = what === 'phone' ? plain.replace(/\D/g, '') : plain
    return hash === undefined ? plain : createHash(hash).update(hashed).digest('hex').toUpperCase()
  })
}

/** By comparing entry with entry. */
export function suppressedBy(story: PeopleStory, campaign: Campaign, lead: Lead): Barred {
  const names = (name: string) => {
    const list = story.lists![name]!
    const hash = list.hash ?? null
    const entries = new Set(linesOf(list).map((line) => entryOf({ of: list.of, hash }, line)))
    return listedTexts(list.of, lead, campaign.vertical).some((text) =>
      entries.has(hash === null ? text : createHash(hash).update(text).digest('hex')),
    )
  }
  const found = campaign.contracts.map(({ buyer }) => [buyer.id, [...campaign.suppress, ...buyer.suppress].find(names)])
  return new Map(found.flatMap(([id, name]) => (name === undefined ? [] : [[id!, `suppressed_${name}`]])))
}

/** What a buyer says to a ping and to a post, both at once. */
export const pingOf = (terms: PeopleBuyer): PingAnswer => ({
  ...{ kind: 'bid', price: parseMoney(terms.ping!)!, buyerReference: null },
})

export function postOf(terms: PeopleBuyer): PostEnd {
  if (terms.post === 'reject') return { kind: 'rejected', reason: 'rejected:no_thanks' }
  if (terms.post === 'silent') return { kind: 'unknown', reason: 'timeout' }
  return { kind: 'accepted', price: null, buyerReference: null, redirectUrl: null }
}

/** When a buyer answers a lead's ping or post. */
export type PeopleLater = (leadId: string, answer: () => void) => void

class PeopleWire implements BuyersWire {
  readonly #story: PeopleStory
  readonly #later: PeopleLater

  constructor(story: PeopleStory, later: PeopleLater) {
    this.#story = story
    this.#later = later
  }

  ping({ buyer }: Contract, lead: WireLead, _lateAt: unknown, answered: (answer: PingAnswer) => void): void {
    this.#later(lead.id, () => answered(pingOf(this.#story.buyers[buyer.id]!)))
  }

  post({ buyer }: Contract, lead: WireLead, _facts: unknown, _by: unknown, ended: (end: PostEnd) => void): void {
    this.#later(lead.id, () => ended(postOf(this.#story.buyers[buyer.id]!)))
  }

  async close(): Promise<void> {}
}

/** Real time that jumps ahead where the story says so. */
export class JumpingClock implements Clock {
  ahead = 0
  readonly #began = Date.now()

  mono() {
    return ms(performance.now())
  }

  wall() {
    return wallMs(Math.max(this.#began, Date.now()) + this.ahead)
  }

  after(delay: number, fire: () => void) {
    const timer = setTimeout(fire, delay)
    return { cancel: () => clearTimeout(timer) }
  }
}

export interface PeopleStores {
  readonly hot: HotStore
  readonly ledger: Ledger
  /** Everything that is hot is lost, and restored from the ledger. */
  lose(snapshot: Snapshot, clock: Clock): Promise<void>
  /** Where lists are read as production does; else they are compared word by word. */
  readonly lists?: Pick<Lists, 'barred'>
}

const NOTHING_SWITCHED = new Switches([])

/** These sources post at once. */
const NO_OFFERS: Offers = {
  keep: async () => {},
  find: async () => null,
  ofLead: async () => null,
  afterLead: async () => null,
}

/** Plays a story through intake on these stores; answers what became of each lead, in the story's words. */
export async function playPeople(story: PeopleStory, stores: PeopleStores): Promise<(readonly string[])[]> {
  const snapshot = compilePeople(story)
  const clock = new JumpingClock()
  const ends = new Map<string, FinalRow>()
  const ports = peoplePorts(story, snapshot, clock, stores, ends)
  await stores.lose(snapshot, clock)
  const told: (readonly string[])[] = []
  const take = async (lead: PeopleLead): Promise<readonly string[]> => {
    const reply = await takeLead(ports, requestOf(lead))
    const { lead_id: leadId } = JSON.parse(String(reply.body)) as { lead_id: string }
    return wordsOf(snapshot, ends.get(leadId)!)
  }
  for (const step of story.steps) {
    if ('after' in step) clock.ahead += durationOf(step.after)
    else if ('hot' in step) await stores.lose(snapshot, clock)
    else if ('together' in step) told.push(...(await Promise.all(step.together.map(take))))
    else told.push(await take(step))
  }
  return told
}

/** One process that takes the story's leads. `ends`: how each lead was decided, by lead. */
export function peoplePorts(
  story: PeopleStory,
  snapshot: Snapshot,
  clock: Clock,
  stores: Pick<PeopleStores, 'hot' | 'ledger' | 'lists'>,
  ends: Map<string, FinalRow> = new Map(),
  later: PeopleLater = (_, answer) => void setImmediate(answer),
): IntakePorts {
  const { ledger } = stores
  const result = (row: FinalRow) => {
    if (row.final) ends.set(row.leadId, row)
    return ledger.result(row)
  }
  return {
    // Another one after each loss.
    get hot() {
      return stores.hot
    },
    ...{
      clock,
      wire: new PeopleWire(story, later),
      live: new LiveLeads(100),
      hints: new Hints(
        clock,
        () => false,
        () => NOTHING_SWITCHED,
        () => null,
      ),
    },
    ...{ metrics: createMetrics(), snapshot: () => snapshot, limiter: { take: () => 0, keep: () => {} } },
    ledger: new Proxy(ledger, {
      get: (target, name) => {
        if (name === 'result') return result
        const value = target[name as keyof Ledger]
        return typeof value === 'function' ? value.bind(target) : value
      },
    }),
    offers: NO_OFFERS,
    suppressed: (campaign, lead) => stores.lists?.barred(campaign, lead) ?? suppressedBy(story, campaign, lead),
    seal: createSealer(new Map([[1, Buffer.alloc(32, 7)]])),
    warm: async () => true,
    hotLater: () => {},
    mayAct: () => true,
    sourcePaused: () => false,
    keyUsed: () => {},
    denied: () => null,
    checks: NO_CHECKS,
    lateReply: () => {},
    givenUp: () => {},
    throttled: () => null,
    sawFull: () => {},
    conceal: (_, text) => text,
    reveal: (_, text) => text,
    dice: () => 0,
  }
}

export const requestOf = (lead: PeopleLead): EdgeRequest => ({
  route: 'postLead',
  method: 'post',
  params: [lead.campaign ?? 'solar'],
  asked: null,
  query: new URLSearchParams(),
  contentType: 'application/json',
  headers: {
    authorization: `Bearer ${API_KEY}`,
    apiKey: null,
    idempotencyKey: null,
    accept: null,
    host: null,
    forwardedProto: null,
    forwardedFor: null,
    userAgent: null,
    referer: null,
    hubSignature: null,
    webhook: null,
  },
  body: Buffer.from(JSON.stringify(fieldsOf(lead))),
  remoteAddress: '127.0.0.1',
  ...{ beganAt: ms(0), receivedAt: ms(0) },
})

function wordsOf({ campaigns, sources }: Snapshot, { campaign, source, final }: FinalRow): readonly string[] {
  if (final!.trace === '') return [final!.status]
  const terms = auctionTerms(campaigns.get(campaign)!, sources.get(source)!)
  const { state } = replay(terms, JSON.parse(final!.trace))
  return [final!.status, ...seatWords(endsOf(state))]
}

export const seatWords = (ends: ReturnType<typeof endsOf>): string[] =>
  [...ends].sort(([a], [b]) => (a < b ? -1 : 1)).map(([contract, end]) => `${contract} ${outcomeWords(end)}`)
