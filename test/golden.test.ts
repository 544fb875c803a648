/** The stories: every file of `test/golden/` is played, and must come out as it says. */
import { describe, expect, test } from 'vitest'
import { playOnMachine } from './world/machine.ts'
import { readStories, type StoryEnd } from './world/story.ts'

const stories = readStories('auctions')

const endOf = ({ trace, outcomes, caps }: StoryEnd): StoryEnd => ({ trace, outcomes, caps })

describe('through the machine', () => {
  test.each(stories)('$name', ({ story }) => {
    expect(endOf(playOnMachine(story))).toEqual(story.expect)
  })
})
