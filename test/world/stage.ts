/** Plays a story through the conductor, on whatever stores it is given: in this process, or real ones. */

import { type ConductPorts, conduct } from '../../engine/conduct.ts'
import { type LiveLead, LiveLeads } from '../../engine/live.ts'
import { createMetrics } from '../../engine/metrics.ts'
import { Releases } from '../../engine/releases.ts'
import { MemoryStore } from '../../engine/store/memory.ts'
import type { HotStore, IntentRow, Ledger } from '../../engine/store/port.ts'
import { capsOf, placesOf } from '../../rules/calendar.ts'
import type { PlaceGroup } from '../../rules/caps.ts'
import { outcomeWords, traceLines } from '../../rules/trace.ts'
import { micros } from '../../rules/units.ts'
import { ScriptedWire } from './buyers.ts'
import { type Cast, castStory, earlierTurns, usedCaps } from './cast.ts'
import { ScriptedChecks } from './checks.ts'
import { VirtualClock } from './clock.ts'
import { MemoryLedger, PaperLedger } from './ledger.ts'
import { answersOf, deniedBy, endsOf, isUnsure, LEAD_ID, type Played, receivedRow, wireLead } from './machine.ts'
import { Quiet } from './quiet.ts'
import type { Story, StoryEnd } from './story.ts'

/** The stores of one play, and what may befall them. */
export interface Stores {
  readonly hot: HotStore
  readonly ledger: Ledger
  /** Every tag a lead of this cast may ask for. */
  rebuild(cast: Cast): Promise<void>
  forget(): Promise<void>
  fence(): Promise<void>
}

/** In this process: the pure model of caps, and the ledger on paper. */
export class PaperStores implements Stores {
  readonly hot: HotStore
  readonly ledger: Ledger
  readonly paper: PaperLedger

  constructor() {
    this.paper = new PaperLedger()
    this.paper.epoch = 0
    this.hot = new MemoryStore('test')
    this.ledger = new MemoryLedger(this.paper)
  }

  async rebuild(cast: Cast): Promise<void> {
    const { committed, tokens } = this.paper.image()
    const epoch = ++this.paper.epoch
    this.hot.setEpoch(epoch)
    await this.hot.restore({
      epoch,
      committed: [...cast.sold, ...committed],
      paid: cast.paid,
      tokens,
      scopes: [],
      locks: [],
      sightings: [],
      tags: tagsOf(cast),
    })
  }

  async forget(): Promise<void> {
    const epoch = this.hot.epoch()
    await this.hot.restore({ epoch: 0, committed: [], tokens: [], scopes: [], locks: [], sightings: [], tags: [] })
    this.hot.setEpoch(epoch)
  }

  async fence(): Promise<void> {
    this.paper.fenced = true
  }
}

export function tagsOf(cast: Cast): string[] {
  const groups = (price: number): PlaceGroup[] =>
    cast.campaign.contracts.flatMap((contract) =>
      placesOf(capsOf(cast.source, cast.campaign, contract), contract.buyer.id, micros(price), 1, cast.opensAt),
    )
  return [...new Set(groups(0).map((group) => group.tag))]
}

/** What a play on the stage leaves behind. */
export interface Staged extends StoryEnd {
  readonly cast: Cast
  readonly lead: LiveLead
  readonly wire: ScriptedWire
  readonly counters: Readonly<Record<string, number>>
}

/** `change`: where a test puts a bug into the conductor's world. */
export async function playOnStage(
  story: Story,
  stores: Stores,
  leadId = LEAD_ID,
  change: (ports: ConductPorts) => ConductPorts = (ports) => ports,
): Promise<Staged> {
  const cast = castStory(story)
  const clock = new VirtualClock(cast.opensAt)
  const quiet = new Quiet(clock)
  const wire = new ScriptedWire(clock, story)
  const repeats = new Repeats(clock)
  await stores.rebuild(cast)
  await stores.ledger.received(receivedRow(cast, leadId))
  for (const turn of earlierTurns(cast)) await stores.hot.turn(...turn)
  scheduleTroubles(story, stores, clock, quiet, async () => {
    await quiet.track(stores.rebuild(cast))
    repeats.afterRebuild()
  })
  const { dice: _, ...opening } = cast.opening
  const ports = change(portsOf(cast, stores, clock, quiet, wire, repeats))
  const lead = conduct(ports, factsOf(cast, leadId), opening)
  await quiet.run()
  const { counters } = await stores.hot.dump()
  return {
    cast,
    lead,
    wire,
    counters,
    trace: traceLines(lead.rows, cast.names, cast.opening.prices),
    outcomes: Object.fromEntries([...endsOf(lead.state)].map(([contract, end]) => [contract, outcomeWords(end)])),
    caps: usedCaps(cast, counters),
  }
}

/** What befalls the stores comes before anything else of its millisecond. */
function scheduleTroubles(
  { store = {} }: Story,
  stores: Stores,
  clock: VirtualClock,
  quiet: Quiet,
  rebuild: () => Promise<void>,
): void {
  const { cold, rebuiltAt, fencedAt } = store
  if (fencedAt !== undefined) clock.at(fencedAt, () => void quiet.track(stores.fence()))
  if (rebuiltAt !== undefined) clock.at(rebuiltAt, () => void rebuild())
  if (cold) clock.at(cold[0], () => void quiet.track(stores.forget()))
  if (cold?.[1]) clock.at(cold[1], () => void rebuild())
}

/** Commits and releases that come again: those that the store did not take, and releases that a rebuild may have undone. */
class Repeats {
  readonly #releases: Releases
  #refused: (() => Promise<unknown>)[] = []

  constructor(clock: VirtualClock) {
    this.#releases = new Releases(clock)
  }

  later = (act: () => Promise<unknown>): void => {
    this.#refused.push(act)
  }

  released = (again: () => Promise<unknown>): void => this.#releases.note(again)

  afterRebuild(): void {
    const give = (act: () => Promise<unknown>): void => {
      act().catch(() => this.later(act))
    }
    for (const act of this.#refused.splice(0)) give(act)
    this.#releases.repeat(give)
  }
}

function portsOf(
  cast: Cast,
  stores: Stores,
  clock: VirtualClock,
  quiet: Quiet,
  wire: ScriptedWire,
  repeats: Repeats,
): ConductPorts {
  const { story, opening } = cast
  const { slow = {}, slowResult = 0, slowTurn = 0, cold } = story.store ?? {}
  const dice = opening.dice.values()
  return {
    clock,
    wire,
    live: new LiveLeads(1),
    hot: quiet.watch(stores.hot, (method, [token]) =>
      method === 'hold' ? (slow[String(token).split(':')[1]!]?.hold ?? 0) : method === 'turn' ? slowTurn : 0,
    ),
    ledger: quiet.watch(stores.ledger, (method, [row]) =>
      method === 'intent' ? (slow[(row as IntentRow).contract]?.intent ?? 0) : method === 'result' ? slowResult : 0,
    ),
    warm: () =>
      new Promise((resolve) => {
        const warmAt = cold?.[1]
        if (!warmAt || clock.mono() >= warmAt) resolve(Boolean(warmAt))
        else clock.at(warmAt, () => resolve(true))
      }),
    hotLater: repeats.later,
    released: repeats.released,
    mayAct: () => !isUnsure(story, clock.mono()),
    denied: (_, { id }) => deniedBy(story, id, clock.mono()),
    checks: new ScriptedChecks(clock, story),
    throttled: () => null,
    sawFull: () => {},
    lateReply: () => {},
    givenUp: () => {},
    metrics: createMetrics(),
    conceal: (_, text) => text,
    dice: () => dice.next().value!,
  }
}

const factsOf = (cast: Cast, leadId: string) => ({
  leadId,
  term: 1,
  snapshot: cast.snapshot,
  campaign: cast.campaign,
  source: cast.source,
  test: false,
  mode: 'sync' as const,
  receivedAt: cast.opensAt,
  fingerprints: [],
  wire: { ...wireLead(cast), id: leadId },
})

/** A play on paper stores, in the form that laws are checked on. */
export async function playOnPaper(story: Story, change?: (ports: ConductPorts) => ConductPorts): Promise<Played> {
  const stores = new PaperStores()
  const staged = await playOnStage(story, stores, LEAD_ID, change)
  const { state, terms, rows } = staged.lead
  return {
    ...staged,
    terms,
    rows,
    ends: endsOf(state),
    answers: answersOf(rows),
    ledger: stores.paper,
    decided: state.decided,
  }
}
