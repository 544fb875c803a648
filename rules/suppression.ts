/** Suppression lists: what of a lead may stand in one, and how entries are read and looked up. */
import { type FieldTypeName, fieldType, readField } from './fields.ts'
import type { Lead } from './lead.ts'
import { mailboxOf } from './mailbox.ts'
import type { Vertical } from './verticals.ts'

export const LIST_KINDS = ['phone', 'email', 'domain', 'ip'] as const
export type ListKind = (typeof LIST_KINDS)[number]
export const LIST_HASHES = ['sha256', 'sha1', 'md5'] as const
export type ListHash = (typeof LIST_HASHES)[number]

/** One list as the configuration names it. `hash`: entries are hex digests of it; null: they are plain. */
export interface ListSpec {
  readonly of: ListKind
  readonly hash: ListHash | null
  /** Where every process reads it; null: the ledger has it. */
  readonly file: string | null
}

const DIGEST: Readonly<Record<ListHash, RegExp>> = {
  sha256: /^[0-9a-f]{64}$/,
  sha1: /^[0-9a-f]{40}$/,
  md5: /^[0-9a-f]{32}$/,
}
const TYPE_OF: Readonly<Record<ListKind, FieldTypeName>> = { phone: 'phone', email: 'email', domain: 'email', ip: 'ip' }

/** What of the lead a list of this kind may hold, each in every form that lists are written in. */
export function listedTexts(kind: ListKind, lead: Lead, vertical: Vertical): string[] {
  const texts = new Set<string>()
  for (const { name, type } of vertical.fields) {
    const normal = type === TYPE_OF[kind] ? lead.values.get(name)?.normal : undefined
    if (normal !== undefined) for (const form of formsOf(kind, String(normal))) texts.add(form)
  }
  return [...texts]
}

/** Digits with and without the country's 1; a mailbox and what its provider delivers to it; a domain and those above it. */
function formsOf(kind: ListKind, normal: string): string[] {
  switch (kind) {
    case 'phone': {
      const digits = normal.replace(/\D/g, '')
      return digits.length === 11 && digits.startsWith('1') ? [digits, digits.slice(1)] : [digits]
    }
    case 'email':
      return [normal, mailboxOf(normal)]
    case 'domain': {
      const labels = normal.slice(normal.indexOf('@') + 1).split('.')
      return labels.slice(0, -1).map((_, at) => labels.slice(at).join('.'))
    }
    case 'ip':
      return [normal]
    default:
      return kind satisfies never
  }
}

/** An entry as it is looked for; `null` where the line is none. */
export function entryOf({ of, hash }: Pick<ListSpec, 'of' | 'hash'>, line: string): string | null {
  const text = line.trim().toLowerCase()
  if (hash !== null) return DIGEST[hash].test(text) ? text : null
  if (of === 'domain') return /^(?=.{4,253}$)([a-z0-9-]+\.)+[a-z0-9-]{2,}$/.test(text) ? text : null
  if (of === 'phone') {
    const digits = text.replace(/[\s().+-]/g, '')
    // The shape of an American number is enough, and a hundred times as quick.
    if (/^1?[2-9]\d{2}[2-9]\d{6}$/.test(digits)) return digits.slice(-10)
  }
  const read = readField(fieldType(TYPE_OF[of]), { type: TYPE_OF[of] }, line.trim(), { now: null })
  if (typeof read === 'string') return null
  return formsOf(of, String(read.normal)).at(-1)!
}

/** Numbers below 2^48, sorted: 8 bytes each. A stranger of a list of a million meets one once in 280 million leads. */
export class NumberSet {
  readonly #sorted: Float64Array

  /** Takes the numbers over and sorts them. */
  constructor(numbers: Float64Array) {
    this.#sorted = numbers.sort()
  }

  get size(): number {
    return this.#sorted.length
  }

  has(number: number): boolean {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#sorted[middle]! < number) low = middle + 1
      else high = middle
    }
    return this.#sorted[low] === number
  }
}
