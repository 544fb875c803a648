/** The checkers checked: every safeguard is taken away in turn, and its absence must be noticed by the law that is named for it. */
import { describe, expect, test } from 'vitest'
import { brokenLaws } from './world/laws.ts'
import { PaperLedger } from './world/ledger.ts'
import { LEAD_ID, type Parts, type Played, playOnMachine } from './world/machine.ts'
import { MUTANTS, Repeated, STAGE_MUTANTS } from './world/mutants.ts'
import { playOnPaper } from './world/stage.ts'
import { readStories, type Story } from './world/story.ts'

const stories = readStories('auctions')

/** Names of the laws that some story breaks; `story` where one comes out otherwise than told, `throw` where one cannot be played. */
async function noticedBy(play: (story: Story) => Played | Promise<Played>): Promise<Set<string>> {
  const noticed = new Set<string>()
  for (const { story } of stories) {
    try {
      const played = await play(story)
      for (const { law } of brokenLaws(played)) noticed.add(law)
      if (JSON.stringify(played.trace) !== JSON.stringify(story.expect.trace)) noticed.add('story')
    } catch {
      noticed.add('throw')
    }
  }
  return noticed
}

const onMachine = (parts: () => Parts) => noticedBy((story) => playOnMachine(story, parts()))

describe('with nothing taken away', () => {
  test('no law is broken', async () => {
    expect(await onMachine(() => ({}))).toEqual(new Set())
    expect(await noticedBy((story) => playOnPaper(story))).toEqual(new Set())
  })

  test('a call whose reply was lost may come again', async () => {
    expect(await onMachine(() => ({ caps: new Repeated() }))).toEqual(new Set())
  })
})

test.each(MUTANTS)('$bug: noticed by $caughtBy', async ({ caughtBy, parts }) => {
  expect([...(await onMachine(parts))]).toContain(caughtBy)
})

test.each(STAGE_MUTANTS)('$bug: noticed by $caughtBy', async ({ caughtBy, change }) => {
  expect([...(await noticedBy((story) => playOnPaper(story, change)))]).toContain(caughtBy)
})

describe('two engines that both believe the lead theirs', () => {
  /** The second engine knows nothing of the first: its own counters, its own machine; only the ledger is one. */
  function playTwice(first: Story, second: Story, ledger: PaperLedger): string[] {
    playOnMachine(first, { ledger })
    ledger.leads.get(LEAD_ID)!.final = null
    playOnMachine(second, { ledger })
    return ledger.sales.map((sale) => sale.contract)
  }

  const { story } = stories.find(({ name }) => name === 'two-contracts-of-one-buyer-never-both-buy')!
  const exclusive: Story = { ...story, plan: [{ ...story.plan[0]!, copies: 1 }] }
  const [gold, iron] = Object.keys(story.contracts) as [string, string]
  const without = (id: string, from: Story): Story => ({
    ...from,
    contracts: Object.fromEntries(Object.entries(from.contracts).filter(([other]) => other !== id)),
  })
  /** The other contract belongs to another buyer: only the copy stands in its way. */
  const rival: Story = {
    ...without(gold, exclusive),
    contracts: { [iron]: { ...story.contracts[iron]!, buyer: 'rival' } },
  }

  test('sell one copy once, for the index on copies forbids the second', () => {
    expect(playTwice(without(iron, exclusive), rival, new PaperLedger())).toEqual([gold])
  })

  test('sell it twice without that index', () => {
    const ledger = new PaperLedger()
    ledger.clashes = (taken, fresh) => taken.buyer === fresh.buyer
    expect(playTwice(without(iron, exclusive), rival, ledger)).toEqual([gold, iron])
  })

  /** A shared lead: the first engine sold its second copy to the buyer, after somebody else refused the first. */
  const refused: Story = {
    ...without(iron, story),
    contracts: {
      'aaa-refuses': { ping: { after: 5, bid: '30.00' }, post: { after: 10, reject: 'no' } },
      ...without(iron, story).contracts,
    },
  }

  test('sell a buyer one copy, for the index on buyers forbids the second', () => {
    expect(playTwice(refused, without(gold, story), new PaperLedger())).toEqual([gold])
  })

  test('sell it two without that index', () => {
    const ledger = new PaperLedger()
    ledger.clashes = (taken, fresh) => taken.copy === fresh.copy
    expect(playTwice(refused, without(gold, story), ledger)).toEqual([gold, iron])
  })
})
