/** Faulty configurations: each file is refused with every fault and its path, and with nothing else. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { compileConfiguration } from '../buyers/configuration.ts'

/** A story of an operator's mistake. */
interface Faulty {
  readonly why: string
  /** Laid over the base: groups are merged, everything else takes the place of what was there, null removes it. */
  readonly change: unknown
  /** `path: message`, sorted. */
  readonly faults: readonly string[]
}

const FOLDER = new URL('./golden/faulty/', import.meta.url)
const fileOf = (name: string) => JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))
const { base } = fileOf('base.json') as { readonly base: unknown }

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function laidOver(below: unknown, above: unknown): unknown {
  if (!isGroup(above)) return above
  const merged: Record<string, unknown> = isGroup(below) ? { ...below } : {}
  for (const [key, value] of Object.entries(above)) {
    if (value === null) delete merged[key]
    else merged[key] = laidOver(merged[key], value)
  }
  return merged
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith('.json'))

test.each(names)('%s', (name) => {
  const { change, faults } = fileOf(name) as Faulty
  const compiled = compileConfiguration(laidOver(base, change), 1)
  const found = compiled.ok ? [] : compiled.faults.map(({ path, message }) => `${path}: ${message}`)
  expect(found.sort()).toEqual(faults)
})
