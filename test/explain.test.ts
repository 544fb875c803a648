/** Why each seat ended as it did: every golden story explained, and the words of some. */
import { expect, test } from 'vitest'
import { explain } from '../rules/explain.ts'
import { playOnMachine } from './world/machine.ts'
import { readStories, type Story } from './world/story.ts'

const stories = new Map(readStories('auctions').map(({ name, story }) => [name.replace(/\.json$/, ''), story]))

function explained(story: Story) {
  const { cast, terms, rows, ends, decided } = playOnMachine(story)
  if (!decided) return []
  const { campaign, source, snapshot, opening, opensAt: at } = cast
  const trace = { machine: 1, version: 1, campaign: campaign.id, source: source.id, term: 1, opening, rows } as const
  return explain({ terms, campaign, source, config: JSON.parse(snapshot.canonical), trace, outcomes: ends, at })
}

test('every seat of every story is told why it lost and what would have won', () => {
  for (const [file, story] of stories) {
    for (const seat of explained(story)) {
      expect(seat.why, file).toMatch(/^\S/)
      if (seat.outcome === 'sold') expect(seat.toWin, file).toBeNull()
      else expect(seat.toWin, `${file}: ${seat.contract} ${seat.reason}`).toMatch(/^\S/)
    }
  }
})

test.each([
  ['full-after-bidding-falls-to-the-second', 'cap', /^a place in a cap of the \w+ \(contract \d+\)$/],
  ['equal-bids-fall-by-the-dice', 'tie_dice', /^\d+\.\d1 or more$/],
  ['priority-never-beats-a-better-price', 'lower_bid', /^\d+\.\d1 or more$/],
  ['contract-floor-keeps-a-buyer-honest', 'below_floor', /^\d+\.\d\d or more: the floor$/],
  ['lunch-hour-is-closed', 'closed', /^open at \d\d:\d\d \(America\/\w+\)$/],
  ['holiday-is-closed-all-day', 'closed', /^open at \d\d:\d\d on \w+ \d+ \w+ \(America\/\w+\)$/],
  ['waterfall-then-auction', 'filter_state', /^state /],
  ['late-bid-is-recorded-and-never-counts', 'ping_timeout', /^an answer within \d+ ms$/],
  ['buyer-paused-after-it-bid', 'paused', /^a resumption$/],
] as const)('%s', (file, name, toWin) => {
  const seat = explained(stories.get(file)!).find(({ reason }) => reason.startsWith(name))
  expect(seat?.toWin).toMatch(toWin)
})
