/** What is held for a lead has an owner at any time: nothing is left behind that no takeover would find. */
import { expect, test } from 'vitest'
import { abandon, type ConductPorts, conduct } from '../engine/conduct.ts'
import { LiveLeads } from '../engine/live.ts'
import { createMetrics } from '../engine/metrics.ts'
import type { IntentAnswer } from '../engine/store/port.ts'
import { ScriptedWire } from './world/buyers.ts'
import { type Cast, castStory } from './world/cast.ts'
import { NO_CHECKS } from './world/checks.ts'
import { VirtualClock } from './world/clock.ts'
import { LEAD_ID, wireLead } from './world/machine.ts'
import { PaperStores } from './world/stage.ts'
import { readStories } from './world/story.ts'

const story = readStories('auctions').find(({ name }) => name.includes('accepted-for-less'))!.story

/** A lead under way on stores in this process; its INTENT is answered as the test says, when it says. */
async function underWay(cast: Cast, stored?: Promise<boolean>) {
  const stores = new PaperStores()
  const clock = new VirtualClock(cast.opensAt)
  await stores.rebuild(cast)
  let asked: () => void = () => {}
  const isAsked = new Promise<void>((told) => {
    asked = told
  })
  let answer: (said: Promise<IntentAnswer>) => void = () => {}
  const ledger = Object.assign(Object.create(stores.ledger), {
    intent: () => {
      asked()
      return new Promise<IntentAnswer>((said) => {
        answer = said
      })
    },
  })
  const ports: ConductPorts = {
    ...{ clock, ledger, hot: stores.hot, live: new LiveLeads(1), wire: new ScriptedWire(clock, story) },
    ...{
      warm: async () => false,
      hotLater: () => {},
      lateReply: () => {},
      givenUp: () => {},
      throttled: () => null,
      sawFull: () => {},
    },
    denied: () => null,
    checks: NO_CHECKS,
    ...{ conceal: (_: string, text: string) => text, dice: () => 1, mayAct: () => true, metrics: createMetrics() },
  }
  const { snapshot, campaign, source, opening } = cast
  const lead = conduct(
    ports,
    {
      ...{ leadId: LEAD_ID, term: 1, snapshot, campaign, source, test: false, mode: 'sync', receivedAt: cast.opensAt },
      ...{ fingerprints: [], wire: wireLead(cast), ...(stored ? { stored } : {}) },
    },
    opening,
  )
  while (clock.goOn() && lead.held.size === 0) await new Promise(setImmediate)
  await isAsked
  const tokens = async () => (await stores.hot.dump()).tokens
  return { ports, lead, tokens, answer: (said: Promise<IntentAnswer>) => answer(said) }
}

test.each([
  ['refused', () => Promise.resolve<IntentAnswer>('FENCED')],
  ['stored after all', () => Promise.resolve<IntentAnswer>('INTENDED')],
  ['lost', () => Promise.reject(new Error('the ledger is away'))],
])('its places return although nobody commands it: its INTENT was %s', async (_, said) => {
  const { ports, lead, tokens, answer } = await underWay(castStory(story))
  await expect.poll(tokens).toMatchObject([{ state: 'posting' }])
  abandon(ports, lead)
  answer(said())
  await expect.poll(tokens).toEqual([])
})

test('a post is entered when the ledger has the lead, and not before', async () => {
  let answer: (stored: boolean) => void = () => {}
  const { tokens } = await underWay(
    castStory(story),
    new Promise((told) => {
      answer = told
    }),
  )
  expect(await tokens()).toMatchObject([{ state: 'held' }])
  answer(true)
  await expect.poll(tokens).toMatchObject([{ state: 'posting' }])
})

test('no post is entered for a lead that the ledger did not take', async () => {
  const { tokens, answer, lead } = await underWay(castStory(story), Promise.resolve(false))
  answer(Promise.resolve('FENCED'))
  await expect.poll(tokens).toEqual([])
  expect(lead.rows.map(([what]) => what)).not.toContain('>post')
})
