/** Texts with placeholders, compiled: each value is made and encoded once per lead, however many contracts send it. */
import { createHmac, hash } from 'node:crypto'
import type { Name, Slot, Stage, Text } from '../rules/delivery/placeholder.ts'
import { type Scalar, TRANSFORMS } from '../rules/delivery/transforms.ts'
import { formatMoney, type Micros, type WallMs } from '../rules/units.ts'
import type { WireLead } from './adapter.ts'

/** What a request says beside the lead. */
export interface Said {
  readonly at: WallMs
  readonly price: Micros | null
  readonly buyerReference: string | null
  /** While a signature is made. */
  readonly signed?: {
    readonly body: string
    readonly method: string
    readonly path: string
    readonly signature: string
  }
}

export type ValueOf = (wire: WireLead, said: Said) => Scalar | null
/** Null: nothing to show, so that what would hold it is left out. */
export type Rendered = (wire: WireLead, said: Said) => string | null

/** How a value is written in one format. `name` tells renderings of one value apart. */
export interface Encoding {
  readonly name: string
  readonly write: (value: Scalar) => string
}

export const AS_TEXT: Encoding = { name: 'text', write: String }
/** A text that is one placeholder keeps the type of its value; any other is a string, left out where none of its placeholders has a value. */
export function compileText(text: Text, contract: string, encoding: Encoding): Rendered {
  const slots = text.filter((part) => typeof part !== 'string')
  if (slots.length === 0) {
    const constant = encoding.write(text.join(''))
    return () => constant
  }
  const isShared = slots.every(isSharedSlot)
  const key = JSON.stringify(text)
  const value = valueOfText(text, contract)
  const made = isShared && slots.some(({ stages }) => stages.length > 0) ? oncePerLead(key, value) : value
  const render: Rendered = (wire, said) => {
    const found = made(wire, said)
    return found === null ? null : encoding.write(found)
  }
  return isShared ? oncePerLead(`${encoding.name} ${key}`, render) : render
}

/** What leads share, values and their renderings, by its place in `WireLead.shared`: an array costs a tenth of a map that grows. */
const places = new Map<string, number>()
/** What comes later is made for each request. A longer array with gaps would become a map. */
const MAX_PLACES = 1_000

function oncePerLead<T extends Scalar>(key: string, make: (wire: WireLead, said: Said) => T | null): typeof make {
  const place = places.get(key) ?? places.size
  if (place >= MAX_PLACES) return make
  places.set(key, place)
  return (wire, said) => {
    wire.shared ??= new Array(places.size)
    const { shared } = wire
    const known = shared[place] as T | null | undefined
    if (known !== undefined) return known
    const made = make(wire, said)
    shared[place] = made
    return made
  }
}

function valueOfText(text: Text, contract: string): ValueOf {
  const parts = text.map((part) => (typeof part === 'string' ? part : valueOfSlot(part, contract)))
  const [only] = parts
  if (parts.length === 1 && typeof only === 'function') return only
  return (wire, said) => {
    let [whole, found] = ['', false]
    for (const part of parts) {
      if (typeof part === 'string') {
        whole += part
        continue
      }
      const value = part(wire, said)
      if (value === null) continue
      whole += String(value)
      found = true
    }
    return found ? whole : null
  }
}

function valueOfSlot({ names, join, stages }: Slot, contract: string): ValueOf {
  const sources = names.map((name) => valueOfName(name, contract))
  const [only] = sources
  const source = join !== null ? joined(sources, join) : sources.length === 1 ? only! : firstOf(sources)
  const apply = stages.map(compileStage)
  if (apply.length === 0) return source
  return (wire, said) => {
    let value = source(wire, said)
    for (const stage of apply) value = stage(value)
    return value
  }
}

function firstOf(sources: readonly ValueOf[]): ValueOf {
  return (wire, said) => {
    for (const source of sources) {
      const value = source(wire, said)
      if (value !== null) return value
    }
    return null
  }
}

function joined(sources: readonly ValueOf[], between: string): ValueOf {
  return (wire, said) => {
    const values = sources.flatMap((source) => source(wire, said) ?? [])
    return values.length === 0 ? null : values.join(between)
  }
}

/** The same for every contract and every request of one lead. */
function isSharedSlot({ names }: Slot): boolean {
  return names.every(
    (name) =>
      'field' in name ||
      'output' in name ||
      'key' in name ||
      ('fact' in name && ['lead_id', 'source', 'campaign', 'test'].includes(name.fact)),
  )
}

function valueOfName(name: Name, contract: string): ValueOf {
  if ('key' in name) return () => name.key
  if ('signed' in name) return (_, said) => said.signed?.[name.signed] ?? null
  if ('field' in name) return valueOfField(name.field, name.part)
  if ('output' in name) return ({ lead }) => lead.outputs?.get(name.output) ?? null
  switch (name.fact) {
    case 'lead_id':
      return (wire) => wire.id
    case 'ping_id':
      return (wire) => `${wire.id}:${contract}`
    case 'price':
      return (_, said) => (said.price === null ? null : formatMoney(said.price))
    case 'buyer_reference':
      return (_, said) => said.buyerReference
    case 'source':
      return (wire) => wire.sourcePseudonym
    case 'campaign':
      return (wire) => wire.campaign
    case 'contract':
      return () => contract
    case 'timestamp':
      return (_, said) => new Date(said.at).toISOString()
    case 'test':
      return (wire) => wire.test
    default:
      return name.fact satisfies never
  }
}

function valueOfField(field: string, part: string | null): ValueOf {
  if (part !== null) return ({ lead }) => lead.values.get(field)?.parts?.[part] ?? null
  if (field === 'lead_ref') return ({ lead }) => lead.leadRef
  return ({ lead }) => lead.values.get(field)?.normal ?? lead.subs[field] ?? null
}

/** Only a default makes something of nothing. An empty text is nothing. */
function compileStage(stage: Stage): (value: Scalar | null) => Scalar | null {
  switch (stage.do) {
    case 'default':
      return (value) => (value === null || value === '' ? stage.value : value)
    case 'apply': {
      const { apply } = TRANSFORMS.get(stage.transform)!
      return (value) => (value === null ? null : apply(value, stage.args))
    }
    case 'lookup': {
      const table = new Map(Object.entries(stage.table))
      const otherwise = table.get('*') ?? null
      return (value) => (value === null ? null : (table.get(String(value)) ?? otherwise))
    }
    case 'hash': {
      const { key } = stage
      if (key === null) return (value) => (value === null ? null : hash(stage.hash, String(value), 'hex'))
      return (value) => (value === null ? null : createHmac(stage.hash, key).update(String(value)).digest('hex'))
    }
    default:
      return stage satisfies never
  }
}
