/** Reads the text of a configuration file, YAML or JSON, into plain data or the places where it cannot be read. */
import { parseDocument } from 'yaml'
import type { Fault } from '../../rules/version.ts'

export type Parsed =
  | { readonly ok: true; readonly config: unknown }
  | { readonly ok: false; readonly faults: readonly Fault[] }

/** JSON is read as the YAML that it also is: a key that stands twice is a fault in both. `<<` merges an anchor. */
export function parseConfiguration(text: string): Parsed {
  try {
    const document = parseDocument(text, { merge: true, prettyErrors: false, uniqueKeys: true })
    if (document.errors.length > 0) {
      return { ok: false, faults: document.errors.map(({ pos, message }) => ({ path: place(text, pos[0]), message })) }
    }
    return { ok: true, config: document.toJS({ maxAliasCount: 100_000 }) }
  } catch (error) {
    return { ok: false, faults: [{ path: 'file', message: `cannot be read: ${(error as Error).message}` }] }
  }
}

function place(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n')
  return `line ${before.length}, column ${before.at(-1)!.length + 1}`
}
