/** The condition language: which leads a contract, a campaign, a source or a price is for. */

import { suggest } from './configuration/nearest.ts'
import { isZone } from './configuration/zones.ts'
import { fieldType } from './fields.ts'
import {
  type Check,
  type Condition,
  conditionOf,
  groupOf,
  type Leaf,
  limitLeaf,
  memberLeaf,
  testLeaf,
} from './filter/check.ts'
import { minuteAt, WEEKDAYS, weekdayAt } from './filter/clock.ts'
import { membersOf } from './filter/members.ts'
import { type Asked, bareValue, isRecord, OF_MANY, OPERATORS, shown } from './filter/operators.ts'
import { fieldOfVertical, fieldsWithPart, type Scope, type Subject, scopeOf, subjectOf } from './filter/subject.ts'
import type { Fault } from './version.ts'
import type { Vertical } from './verticals.ts'

export type { Condition } from './filter/check.ts'
export { type Scope, scopeOf } from './filter/subject.ts'

export type ConditionCompiled = { readonly condition: Condition } | { readonly faults: readonly Fault[] }

const MAX_DEPTH = 8

/**
 * Compiles a map of conditions, every one of which must hold; they are tried in the map's order (a published
 * configuration has its keys sorted), and a lead that does not pass falls on the first that fails. Keys are
 *
 * - a field of the vertical, a part of one (`phone.area`, `zip.state`; one that a single field has may stand alone), `age`
 *   (of `dob`, else of `birth_year`), a sub-id, `source`, `consent_age_minutes`: with a value, a list, or a map of
 *   operators (`rules/filter/operators`), all of which must hold
 * - `received`: `{days: [mon, fri], hours: [9, 17], zone: America/Chicago}`, when the lead came; hours may pass midnight
 * - `all`, `any`, `none`: a list of such maps, or one map each of whose entries counts by itself
 *
 * A lead that does not have the value fails every operator but `not` and `blank`. Configured values are read by the
 * field's own type, so `Texas` matches `TX`; what the type does not know is a fault. Faults name their place below `path`.
 */
export function compileCondition(config: unknown, about: Vertical | Scope, path = 'filter'): ConditionCompiled {
  const scope = 'vertical' in about ? about : scopeOf(about)
  if (!isRecord(config)) {
    return { faults: [{ path, message: 'must be a map of fields to conditions, such as {state: [CA, TX]}.' }] }
  }
  const faults: Fault[] = []
  const checks = compileMap({ scope, faults, depth: 0 }, config, path)
  return faults.length > 0 ? { faults } : { condition: conditionOf(checks) }
}

interface Compiling {
  readonly scope: Scope
  readonly faults: Fault[]
  readonly depth: number
}

function compileMap(compiling: Compiling, config: Record<string, unknown>, path: string): Check[] {
  return Object.keys(config).flatMap((key) => compileEntry(compiling, key, config[key], `${path}.${key}`))
}

function compileEntry(compiling: Compiling, key: string, config: unknown, path: string): readonly Check[] {
  switch (key) {
    case 'all':
      return branchesOf(compiling, config, path).flatMap((branch) => branch.checks)
    case 'any':
    case 'none': {
      const branches = branchesOf(compiling, config, path)
      return branches.length === 0 ? [] : [groupOf(key, branches)]
    }
    case 'received':
      return compileReceived(compiling, config, path)
    default:
      return compileSubject(compiling, key, config, path)
  }
}

function branchesOf(compiling: Compiling, config: unknown, path: string): readonly Condition[] {
  const { faults, depth } = compiling
  const fault = (message: string, at = path) => {
    faults.push({ path: at, message })
    return []
  }
  if (depth === MAX_DEPTH) return fault(`nests deeper than ${MAX_DEPTH} groups: flatten it.`)
  const inside = { ...compiling, depth: depth + 1 }
  const entries: readonly (readonly [unknown, string, string])[] = Array.isArray(config)
    ? config.map((branch, at) => [branch, path, `[${at}]`])
    : isRecord(config)
      ? Object.keys(config).map((key) => [{ [key]: config[key] }, path, ''])
      : []
  if (entries.length === 0) return fault('takes a list of conditions, such as [{state: CA}, {zip: ["10001"]}].')
  return entries.flatMap(([branch, above, below]) => {
    const here = above + below
    if (!isRecord(branch)) return fault('must be a map of fields to conditions, such as {state: [CA, TX]}.', here)
    if (Object.keys(branch).length === 0) return fault('says nothing: name a field.', here)
    const before = faults.length
    const checks = compileMap(inside, branch, here)
    return faults.length > before ? [] : [conditionOf(checks)]
  })
}

function compileSubject({ scope, faults }: Compiling, name: string, config: unknown, path: string): readonly Leaf[] {
  const subject = subjectOf(scope, name)
  if (!subject) {
    faults.push({ path, message: unknownSubject(scope, name) })
    return []
  }
  const asked: Asked = { subject, scope, path, faults }
  const fault = (message: string, at = path): readonly Leaf[] => {
    faults.push({ path: at, message })
    return []
  }
  const many = `"${name}" holds several values: ask whether it contains one, or is present or blank.`
  if (!isRecord(config)) return subject.many ? fault(many) : bareValue(asked, config)
  const keys = Object.keys(config)
  if (keys.length === 0) return fault('says nothing: give a value, a list, or an operator such as min or not.')
  const leaves = keys.flatMap((key) => {
    const operator = OPERATORS.get(key)
    const here = `${path}.${key}`
    if (!operator) return fault(`is no operator.${suggest(key, OPERATORS.keys())}`, here)
    if (subject.many && !OF_MANY.has(key)) return fault(many, here)
    return operator({ ...asked, path: here }, config[key])
  })
  checkOrder(subject, leaves, config, path, faults)
  return leaves
}

/** Ends that exclude each other let no lead pass: surely not meant. */
function checkOrder(
  subject: Subject,
  leaves: readonly Leaf[],
  config: Record<string, unknown>,
  path: string,
  faults: Fault[],
): void {
  for (const lower of leaves) {
    if (lower.kind !== 'min' || lower.readKey !== subject.ends.min.readKey) continue
    for (const upper of leaves) {
      if (upper.kind !== 'max' || upper.readKey !== subject.ends.max.readKey) continue
      const crossed = lower.limit > upper.limit || (lower.limit === upper.limit && (lower.open || upper.open))
      if (!crossed) continue
      const least = (config.min ?? config.greater ?? config.between) as unknown
      const greatest = (config.max ?? config.less ?? config.between) as unknown
      const words =
        config.between === undefined
          ? `min ${least} is over max ${greatest}`
          : `${shown(config.between)} ends before it begins`
      faults.push({ path, message: `${words}, so no lead passes: change one of them.` })
      return
    }
  }
}

function unknownSubject({ vertical, outputs }: Scope, name: string): string {
  const [head] = name.split('.')
  const siblings = [...outputs.keys()].filter((one) => one.startsWith(`${head}.`))
  if (siblings.length > 0) return `the check "${head}" finds out ${siblings.join(', ')}: write one of these.`
  const field = fieldOfVertical(vertical, head!)
  if (field) {
    const parts = Object.keys(fieldType(field.type).parts)
    const which = parts.length === 0 ? 'it has no parts' : `it has ${parts.join(', ')}`
    return `"${field.name}" has no part "${name.slice(field.name.length + 1)}": ${which}.`
  }
  const alias = vertical.fields.find((one) => one.aliases.includes(name))
  if (alias) return `the vertical ${vertical.id} calls "${name}" by the name ${alias.name}: write that.`
  const having = fieldsWithPart(vertical, name).map((one) => `${one.name}.${name}`)
  if (having.length > 1) return `several fields have a part "${name}": write one of ${having.join(', ')}.`
  const names = [...outputs.keys(), ...vertical.fields.map((one) => one.name)]
  return `the vertical ${vertical.id} has no field "${name}".${suggest(name, names)}`
}

const CLOCK = /^(?:([01]?\d|2[0-3])(?::([0-5]\d))?|24(?::00)?)$/
const MIDNIGHT = 1440

/** Minutes of the day that `9`, `"9:30"` or `"24:00"` stand for; null for anything else. */
function minuteOf(value: unknown): number | null {
  const text = typeof value === 'number' || typeof value === 'string' ? String(value) : ''
  const match = CLOCK.exec(text)
  if (!match) return null
  return match[1] === undefined ? MIDNIGHT : Number(match[1]) * 60 + Number(match[2] ?? 0)
}

function compileReceived({ scope, faults }: Compiling, config: unknown, path: string): readonly Leaf[] {
  const fault = (key: string, message: string) => {
    faults.push({ path: `${path}${key}`, message })
    return []
  }
  if (!isRecord(config) || (config.days === undefined && config.hours === undefined))
    return fault('', 'takes days, hours or both, such as {days: [mon, tue], hours: [9, 17]}.')
  const { days, hours, zone = scope.zone, ...rest } = config
  const odd = Object.keys(rest).flatMap((key) =>
    fault(`.${key}`, `is not a known key:${suggest(key, ['days', 'hours', 'zone'])}`),
  )
  if (typeof zone !== 'string' || !isZone(zone))
    return fault('.zone', `${shown(zone)} is no IANA time zone: write it as America/Chicago, or UTC.`)
  return [
    ...odd,
    ...(days === undefined ? [] : daysLeaf(days, zone, scope, (message, at) => fault(`.days${at}`, message))),
    ...(hours === undefined ? [] : hoursLeaves(hours, zone, (message) => fault('.hours', message))),
  ]
}

function daysLeaf(
  config: unknown,
  zone: string,
  { dictionary }: Scope,
  fault: (message: string, at: string) => readonly Leaf[],
): readonly Leaf[] {
  const list: readonly unknown[] = Array.isArray(config) ? config : [config]
  if (list.length === 0) return fault('is an empty list, so no lead passes: name days.', '')
  const odd = list.flatMap((day, at) =>
    WEEKDAYS.includes(day as 'mon')
      ? []
      : fault(
          `${shown(day)} is no day: write sun, mon, tue, wed, thu, fri or sat.`,
          Array.isArray(config) ? `[${at}]` : '',
        ),
  )
  const read = (lead: { readonly receivedAt: number }) => weekdayAt(zone, lead.receivedAt)
  const days = membersOf(new Set(list as readonly string[]), dictionary)
  return [...odd, memberLeaf({ field: 'received', read, readKey: `weekday ${zone}` }, 'in', days)]
}

function hoursLeaves(config: unknown, zone: string, fault: (message: string) => readonly Leaf[]): readonly Leaf[] {
  const [from, to] = Array.isArray(config) && config.length === 2 ? config.map(minuteOf) : [null, null]
  if (from == null || to == null || from === to || from === MIDNIGHT)
    return fault('takes when it begins and when it ends, such as [9, 17] or ["22:30", "6:00"].')
  const asked = {
    field: 'received',
    read: (lead: { readonly receivedAt: number }) => minuteAt(zone, lead.receivedAt),
    readKey: `minute ${zone}`,
  }
  if (from < to) return [limitLeaf(asked, 'min', from, false), limitLeaf(asked, 'max', to, true)]
  return [testLeaf(asked, `hours ${from} ${to}`, (minute) => Number(minute) >= from || Number(minute) < to)]
}
