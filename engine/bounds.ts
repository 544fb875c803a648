/** The bounds that every body keeps, whatever its format: how large, how many fields, how deep, which names. */

/**
 * One raw value by name, as it arrived. A nested value is kept as its JSON text under its own name, never flattened.
 * A number that a double would change (a long account number) is kept as its text. The object has no prototype.
 */
export type Fields = Readonly<Record<string, string | number | boolean | null>>

export const MAX_BODY_BYTES = 64 * 1024
export const MAX_FIELDS = 500
export const MAX_DEPTH = 8

/** Thrown and caught where bodies are read, with words for the caller: they name fields, never values. */
export class Unreadable extends Error {}

/** Names that reach a prototype in careless hands; nobody's field is called so. */
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** `count`: how many fields there are with this one. */
export function checkName(name: string, count: number): void {
  if (FORBIDDEN.has(name)) throw new Unreadable(`A field may not be called "${name}".`)
  if (count > MAX_FIELDS) throw new Unreadable(`The body has more than ${MAX_FIELDS} fields.`)
}

/** The JSON text of a value that came nested in the field `name`. */
export function nestedText(name: string, value: object): string {
  checkNested(name, value, MAX_DEPTH)
  return JSON.stringify(value)
}

function checkNested(name: string, value: object, depthLeft: number): void {
  if (depthLeft === 0) throw new Unreadable(`The field "${shown(name)}" is nested deeper than ${MAX_DEPTH} levels.`)
  for (const [key, one] of Object.entries(value)) {
    if (FORBIDDEN.has(key)) throw new Unreadable(`A member may not be called "${key}".`)
    if (typeof one === 'object' && one !== null) checkNested(name, one, depthLeft - 1)
  }
}

/** Refuses names and texts that Postgres and UTF-8 cannot hold. */
export function checkTexts(fields: Fields): void {
  for (const name in fields) {
    const value = fields[name]
    if (!storable(name) || (typeof value === 'string' && !storable(value)))
      throw new Unreadable(`The field "${shown(name)}" contains U+0000 or half of a surrogate pair.`)
  }
}

const storable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()
const shown = (name: string): string => name.toWellFormed().replaceAll('\0', '?').slice(0, 60)
