/** Canonical JSON: equal values give equal text, whatever the order of their keys. */

/** What a buyer is sent: the order of its members is part of what is said, for XML has schemas that ask for one. */
const IN_ORDER = 'body'

/**
 * Keys sorted by code unit, no spaces, absent values left out. Numbers that JSON cannot write become null. What lies in a
 * member named `body` keeps its order.
 */
export function canonicalJson(value: unknown, sorted = true): string {
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonicalJson(item, sorted)).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const record = value as Readonly<Record<string, unknown>>
  const members: string[] = []
  const keys = Object.keys(record)
  for (const key of sorted ? keys.sort() : keys) {
    const member = record[key]
    if (member === undefined) continue
    members.push(`${JSON.stringify(key)}:${canonicalJson(member, sorted && key !== IN_ORDER)}`)
  }
  return `{${members.join(',')}}`
}
