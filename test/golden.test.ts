/** The stories: every file of `test/golden/` is played, and must come out as it says. */
import { describe, expect, test } from 'vitest'
import { brokenLaws } from './world/laws.ts'
import { playOnMachine } from './world/machine.ts'
import { playOnPaper } from './world/stage.ts'
import { readStories, type StoryEnd } from './world/story.ts'

const stories = readStories('auctions')
/** Random worlds that once broke a law; a fresh one has no trace yet. */
const found = readStories('found')

const endOf = ({ trace, outcomes, caps }: StoryEnd): StoryEnd => ({ trace, outcomes, caps })

describe('through the machine', () => {
  test.each(stories)('$name', ({ story }) => {
    const played = playOnMachine(story)
    expect(endOf(played)).toEqual(story.expect)
    expect(brokenLaws(played)).toEqual([])
  })

  test.each(found)('found: $name', ({ story }) => {
    expect(brokenLaws(playOnMachine(story))).toEqual([])
  })
})

describe('through the conductor, on stores in this process', () => {
  test.each(stories)('$name', async ({ story }) => {
    const played = await playOnPaper(story)
    expect(endOf(played)).toEqual(story.expect)
    expect(brokenLaws(played)).toEqual([])
  })
})

test('a story says in one sentence why it is told', () => {
  for (const { name, story } of stories) expect(story.why, name).toMatch(/^[A-Z].{20,}\.$/)
})
