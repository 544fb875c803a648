/** Plays a story of people on the rules alone: claims, judgement, eligibility and the auction's machine, with no store and no clock. */
import type { AuctionCommand, AuctionEvent, Opening } from '../../rules/auction.ts'
import { Claims, type KeptSighting } from '../../rules/claims.ts'
import { judge, printsOf, sightingOf } from '../../rules/duplicates.ts'
import { openingOf } from '../../rules/eligibility.ts'
import { parseLead } from '../../rules/lead.ts'
import { newAuction } from '../../rules/step/state.ts'
import { seatEnds, step } from '../../rules/step.ts'
import { auctionTerms } from '../../rules/terms.ts'
import { type WallMs, wallMs } from '../../rules/units.ts'
import type { Campaign, Snapshot } from '../../rules/version.ts'
import { endsOf, postEvent } from './machine.ts'
import {
  compilePeople,
  durationOf,
  fieldsOf,
  type PeopleLead,
  type PeopleStory,
  pingOf,
  postOf,
  seatWords,
  suppressedBy,
} from './people.ts'

const NO_HINTS = { exhausted: () => null, doubts: () => false, unwell: () => false }
const EPOCH = 1

export function playPeopleOnRules(story: PeopleStory): (readonly string[])[] {
  return new RulesPlay(story).run()
}

class RulesPlay {
  readonly #story: PeopleStory
  readonly #snapshot: Snapshot
  readonly #ledger: KeptSighting[] = []
  #claims = new Claims()
  #now = Date.UTC(2026, 2, 2, 18)
  #leads = 0

  constructor(story: PeopleStory) {
    this.#story = story
    this.#snapshot = compilePeople(story)
    this.#lose()
  }

  /** Of several leads at one moment each is decided after the one before: that is what serialised means. */
  run(): (readonly string[])[] {
    const told: (readonly string[])[] = []
    for (const one of this.#story.steps) {
      if ('after' in one) this.#now += durationOf(one.after)
      else if ('hot' in one) this.#lose()
      else if ('together' in one) told.push(...one.together.map((lead) => this.#take(lead)))
      else told.push(this.#take(one))
    }
    return told
  }

  #lose(): void {
    this.#claims = new Claims()
    for (const sighting of this.#ledger) this.#claims.unclaim(sighting.leadId, sighting.fingerprints, sighting)
    this.#claims.open(
      EPOCH,
      new Set([...this.#snapshot.campaigns.values()].map(({ duplicates }) => duplicates.scope)),
      [],
    )
  }

  #take(one: PeopleLead): readonly string[] {
    const campaign = this.#snapshot.campaigns.get(one.campaign ?? 'solar')!
    const now = wallMs(this.#now)
    const parsed = parseLead(campaign.vertical, fieldsOf(one), now)
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
    const { duplicates } = campaign
    const leadId = `lead-${String(++this.#leads).padStart(8, '0')}`
    const prints = printsOf(duplicates.keys, parsed.lead)
    const fingerprints = prints.map(({ text }) => `${duplicates.scope}:${text.replaceAll('\0', '|')}`)
    const request = { leadId, idempotency: null, bodyHash: '', fingerprints, keepMs: duplicates.keepMs, now }
    const claimed = this.#claims.claim(EPOCH, request)
    if (claimed.code !== 'FRESH') throw new Error(`the claim was ${claimed.code}`)
    const judged = judge(duplicates, prints, claimed.seen, leadId, now)
    if (judged === 'duplicate') {
      this.#claims.breakClaim(leadId, fingerprints, null)
      return ['duplicate']
    }
    const source = this.#snapshot.sources.get('teller')!
    const barred = new Map([...judged, ...suppressedBy(this.#story, campaign, parsed.lead)])
    const opening = openingOf(campaign, parsed.lead, source, now, NO_HINTS, false, barred)
    return this.#auction(campaign, { ...opening, dice: [] }, leadId, fingerprints, now)
  }

  #auction(
    campaign: Campaign,
    opening: Opening,
    leadId: string,
    fingerprints: readonly string[],
    at: WallMs,
  ): readonly string[] {
    const state = newAuction(auctionTerms(campaign, this.#snapshot.sources.get('teller')!))
    const queue = [...step(state, { on: 'open', at: 0, opening })]
    for (let command = queue.shift(); command; command = queue.shift()) {
      const seat = 'seat' in command ? command.seat : -1
      const contract = campaign.contracts[opening.eligible[seat]!]
      for (const event of this.#answers(command, campaign, opening, contract?.buyer.id ?? '')) {
        queue.push(...step(state, event))
      }
    }
    const sighting = sightingOf(campaign.duplicates, { leadId, campaign: campaign.id, at }, seatEnds(state))
    this.#claims.unclaim(leadId, fingerprints, sighting)
    if (sighting) this.#ledger.push({ ...sighting, fingerprints })
    return [state.decided!, ...seatWords(endsOf(state))]
  }

  #answers(command: AuctionCommand, campaign: Campaign, { eligible }: Opening, buyer: string): AuctionEvent[] {
    const terms = (id: string) => this.#story.buyers[id]!
    switch (command.do) {
      case 'ping':
        return command.seats.flatMap((seat) => {
          const said = pingOf(terms(campaign.contracts[eligible[seat]!]!.buyer.id))
          return said.kind === 'bid' ? [{ on: 'bid', at: 1, seat, price: said.price, buyerReference: null }] : []
        })
      case 'hold':
        return [{ on: 'held', at: 2, seat: command.seat }]
      case 'intent':
        return [{ on: 'intended', at: 3, seat: command.seat }]
      case 'post':
        return [postEvent(postOf(terms(buyer)), 4, command.seat)]
      case 'result':
        return [{ on: 'durable', at: 5 }]
      default:
        return []
    }
  }
}
