/** Keeps the random world that broke a law, as a story that is played with the others from then on. */
import { mkdirSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import type { Story } from './story.ts'

/** Runs a property on random worlds. A world that fails is shrunk, saved under `test/golden/found/`, and thrown with its seed. */
export function assertWorlds(property: fc.IPropertyWithHooks<[Story]>, numRuns: number): void {
  throwIfFailed(fc.check(property, { numRuns, unbiased: true }))
}

export async function assertWorldsLater(property: fc.IAsyncPropertyWithHooks<[Story]>, numRuns: number): Promise<void> {
  throwIfFailed(await fc.check(property, { numRuns, unbiased: true }))
}

function throwIfFailed(details: fc.RunDetails<[Story]>): void {
  if (!details.failed) return
  const file = details.counterexample ? save(details.counterexample[0], details) : null
  const message = fc.defaultReportMessage(details)
  throw new Error(`${message}\nSaved as ${file}: it is played with the stories until the law holds.`)
}

function save(story: Story, { seed, errorInstance }: fc.RunDetails<[Story]>): string {
  const home = new URL('../golden/found/', import.meta.url)
  const name = `seed-${seed}.json`
  const wrong = errorInstance instanceof Error ? errorInstance.message.split('\n')[0] : String(errorInstance)
  mkdirSync(home, { recursive: true })
  writeFileSync(new URL(name, home), printStory({ ...story, why: `A random world (seed ${seed}) in which ${wrong}.` }))
  return `test/golden/found/${name}`
}

/** A story as its file shows it: a contract a line, a step of the trace a line. */
export function printStory(story: Story): string {
  const { contracts, expect, ...head } = story
  const width = Math.max(...Object.keys(contracts).map((id) => id.length))
  const entries = Object.entries(contracts).map(
    ([id, one]) => `    "${id}":${' '.repeat(width - id.length + 1)}${flat(one)}`,
  )
  const trace = expect.trace.map((line) => `      ${flat(line)}`)
  const lines = Object.entries(head).map(([key, value]) => `  "${key}": ${flat(value)}`)
  lines.push(`  "contracts": {\n${entries.join(',\n')}\n  }`)
  const end = `    "outcomes": ${flat(expect.outcomes)},\n    "caps": ${flat(expect.caps)}`
  lines.push(`  "expect": {\n    "trace": [${trace.length > 0 ? `\n${trace.join(',\n')}\n    ` : ''}],\n${end}\n  }`)
  return `{\n${lines.join(',\n')}\n}\n`
}

function flat(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flat).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, one]) => one !== undefined)
  return entries.length === 0 ? '{}' : `{ ${entries.map(([key, one]) => `"${key}": ${flat(one)}`).join(', ')} }`
}
