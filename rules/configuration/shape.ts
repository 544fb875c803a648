/** Checks the shape of a configuration: every fault with its path, and what is left of the file without them. */
import { Compile } from 'typebox/schema'
import { Settings } from 'typebox/system'
import type { Fault } from '../version.ts'
import { suggest } from './nearest.ts'
import { type ConfigFile, ConfigShape, type Draft } from './schema.ts'
import { ID_RULE } from './schema-words.ts'

export interface Shaped {
  readonly faults: readonly Fault[]
  /** The file without what the faults name. */
  readonly draft: Draft<ConfigFile>
  /** True where the shape has a fault at this path or below it: what is read from there means nothing. */
  readonly broken: (path: string) => boolean
}

/** What the schema's own words say beside JSON Schema's. */
interface Node {
  readonly expects?: string
  readonly secret?: boolean
  readonly enum?: readonly string[]
  readonly properties?: Readonly<Record<string, Node>>
  readonly patternProperties?: unknown
}

interface ShapeError {
  readonly keyword: string
  readonly schemaPath: string
  readonly instancePath: string
  readonly params: object
}

const validator = Compile(ConfigShape)

/** Takes `copy` over and cuts the faulty parts out of it. */
export function checkShape(copy: unknown): Shaped {
  if (validator.Check(copy)) return { faults: [], draft: copy as Draft<ConfigFile>, broken: () => false }
  const found = new Map<string, string>()
  const cuts: (readonly string[])[] = []
  for (const error of everyError(copy)) {
    const keys = pointerKeys(error.instancePath)
    for (const [path, message] of faultsOf(error, keys, copy)) {
      const shown = showPath(path, copy)
      if (!found.has(shown)) found.set(shown, message)
      cuts.push(path)
    }
  }
  for (const path of cuts) cut(copy, path)
  const isGroup = typeof copy === 'object' && copy !== null && !Array.isArray(copy)
  return {
    faults: [...found].map(([path, message]) => ({ path, message })),
    draft: (isGroup ? copy : {}) as Draft<ConfigFile>,
    broken: brokenPaths([...found.keys()]),
  }
}

/** typebox keeps eight errors unless told otherwise; a configuration hears of all of them. */
function everyError(copy: unknown): readonly ShapeError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: 100_000 })
  try {
    return validator.Errors(copy)[1]
  } finally {
    Settings.Set({ maxErrors })
  }
}

function* faultsOf(error: ShapeError, keys: readonly string[], root: unknown): Generator<[readonly string[], string]> {
  const node = schemaAt(error.schemaPath)
  switch (error.keyword) {
    case 'boolean':
      return
    case 'required': {
      for (const key of (error.params as { requiredProperties: string[] }).requiredProperties) {
        yield [[...keys, key], `is missing: give ${node.properties?.[key]?.expects ?? 'it a value'}.`]
      }
      return
    }
    case 'additionalProperties': {
      for (const key of (error.params as { additionalProperties: string[] }).additionalProperties) {
        const why = node.patternProperties ? `${ID_RULE}.` : suggest(key, Object.keys(node.properties ?? {})).trim()
        yield [[...keys, key], `${node.patternProperties ? 'is not an id' : 'is not a known key'}: ${why}`]
      }
      return
    }
    default:
      yield [keys, expectation(node, valueAt(root, keys))]
  }
}

function expectation(node: Node, value: unknown): string {
  const expects = node.expects ?? 'something else'
  if (value === null) return `is empty: give ${expects}, or remove the key.`
  const near = node.enum && typeof value === 'string' ? suggest(value, node.enum) : ''
  return `is ${node.secret ? 'not that' : inWords(value)}: give ${expects}.${near.startsWith(' Did') ? near : ''}`
}

function inWords(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return `a group of ${Object.keys(value ?? {}).length}`
  const shown = JSON.stringify(value)
  return shown.length > 60 ? `${shown.slice(0, 60)}...` : shown
}

function schemaAt(schemaPath: string): Node {
  let node: unknown = ConfigShape
  for (const key of pointerKeys(schemaPath.slice(1))) node = (node as Record<string, unknown>)[key]
  return node as Node
}

const pointerKeys = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))

const own = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined
const valueAt = (root: unknown, keys: readonly string[]): unknown => keys.reduce(own, root)

/** An element of a list leaves a gap, so that the others keep their numbers. */
function cut(root: unknown, keys: readonly string[]): void {
  const parent = valueAt(root, keys.slice(0, -1))
  const last = keys.at(-1)
  if (last === undefined || typeof parent !== 'object' || parent === null) return
  if (Array.isArray(parent)) parent[Number(last)] = undefined
  else delete (parent as Record<string, unknown>)[last]
}

/** `campaigns.solar.plan[0].ping_ms`; a key that is no plain word stands in brackets and quotes. */
function showPath(keys: readonly string[], root: unknown): string {
  let shown = ''
  let value = root
  for (const key of keys) {
    if (Array.isArray(value)) shown += `[${key}]`
    else if (!/^[\w-]+$/.test(key)) shown += `[${JSON.stringify(key)}]`
    else shown += shown === '' ? key : `.${key}`
    value = own(value, key)
  }
  return shown === '' ? '(file)' : shown
}

/** A path is broken where it, a part of it or something it is part of has a fault. */
function brokenPaths(faulty: readonly string[]): (path: string) => boolean {
  const exact = new Set(faulty)
  const above = new Set(faulty.flatMap(partsOf))
  return (path) => above.has(path) || exact.has(path) || partsOf(path).some((part) => exact.has(part))
}

/** `a.b[0].c` -> `a`, `a.b`, `a.b[0]`. */
function partsOf(path: string): string[] {
  const parts: string[] = []
  for (let at = 1; at < path.length; at++) if (path[at] === '.' || path[at] === '[') parts.push(path.slice(0, at))
  return parts
}
