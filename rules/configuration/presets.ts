/** Presets: deliveries to known platforms as data, laid under what a contract says itself. */

import type { Fault } from '../version.ts'
import { suggest } from './nearest.ts'

export interface PresetParameter {
  /** What it is, for whoever has to give it. */
  readonly what: string
  /** What stands for it where the contract gives none. */
  readonly default?: string
  /** May be missing: what holds it is left out. */
  readonly optional?: boolean
}

export interface Preset {
  readonly about: string
  readonly with: Readonly<Record<string, PresetParameter>>
  /** As in the configuration. `{with.name}` is a parameter in an address or an auth, `{key.name}` the same in a map. */
  readonly delivery: Readonly<Record<string, unknown>>
}

export type Presets = ReadonlyMap<string, Preset>

type Group = Record<string, unknown>
type Tell = (fault: Fault) => void

const isGroup = (value: unknown): value is Group => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Lays every contract's delivery over the preset that it names. Takes `copy` over; what is no configuration is left as it is. */
export function expandPresets(copy: unknown, presets: Presets, tell: Tell): void {
  const contracts = isGroup(copy) && isGroup(copy['contracts']) ? copy['contracts'] : {}
  for (const [id, contract] of Object.entries(contracts)) {
    if (!isGroup(contract) || !isGroup(contract['delivery'])) continue
    const { delivery } = contract as { delivery: Group }
    const path = `contracts.${id}.delivery`
    if (typeof delivery['preset'] === 'string') contract['delivery'] = expanded(delivery, presets, path, tell)
    else if (delivery['with'] !== undefined && delivery['preset'] === undefined)
      tell({ path: `${path}.with`, message: 'is what a preset asks for, and none is named: say preset, or remove it.' })
  }
}

function expanded(delivery: Group, presets: Presets, path: string, tell: Tell): Group {
  const name = String(delivery['preset'])
  const preset = presets.get(name)
  if (!preset) {
    tell({ path: `${path}.preset`, message: `there is no preset "${name}".${suggest(name, presets.keys())}` })
    return delivery
  }
  const given = isGroup(delivery['with']) ? delivery['with'] : {}
  const values = parametersOf(name, preset, given, `${path}.with`, tell)
  const keys = isGroup(delivery['keys']) ? delivery['keys'] : {}
  const below = Object.entries(preset.delivery).map(([key, value]) => [key, filledIn(key, value, values)])
  const merged = laidOver(Object.fromEntries(below), { ...delivery, keys: { ...values, ...keys } }) as Group
  // A contract without an address for pings means not to ping, whatever its preset could say in one.
  if (merged['ping_url'] === undefined && delivery['ping'] === undefined) delete merged['ping']
  return merged
}

function parametersOf(name: string, preset: Preset, given: Group, path: string, tell: Tell): Record<string, string> {
  const known = Object.keys(preset.with)
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue
    tell({ path: `${path}.${key}`, message: `the preset ${name} does not ask for "${key}".${suggest(key, known)}` })
  }
  const values: Record<string, string> = {}
  for (const [key, { what, default: otherwise, optional }] of Object.entries(preset.with)) {
    const value = given[key] ?? otherwise
    if (value === undefined && optional) continue
    if (value === undefined) tell({ path: `${path}.${key}`, message: `is missing: the preset ${name} needs ${what}.` })
    // What is no text is a fault of shape, of which the schema tells.
    values[key] = typeof value === 'string' ? value : 'missing'
  }
  return values
}

/** Addresses and auths know no placeholders: parameters are written into them, into an address as one part of it. */
function filledIn(key: string, value: unknown, values: Readonly<Record<string, string>>): unknown {
  if (typeof value === 'string') {
    const isUrl = key.endsWith('_url')
    return value.replace(/\{with\.(\w+)\}/g, (_, name: string) =>
      isUrl ? encodeURIComponent((values[name] ?? '').toWellFormed()) : (values[name] ?? ''),
    )
  }
  if (Array.isArray(value)) return value.map((item) => filledIn(key, item, values))
  if (!isGroup(value)) return value
  return Object.fromEntries(Object.entries(value).map(([inner, member]) => [inner, filledIn(inner, member, values)]))
}

/** Groups are merged, everything else takes the place of what was there, and null removes it (as RFC 7396). */
function laidOver(below: unknown, above: unknown): unknown {
  if (!isGroup(above)) return above
  const merged: Group = isGroup(below) ? { ...below } : {}
  for (const [key, value] of Object.entries(above)) {
    if (value === null) delete merged[key]
    else merged[key] = Object.hasOwn(merged, key) ? laidOver(merged[key], value) : value
  }
  return merged
}
