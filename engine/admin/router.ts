/** Finds the operation that a method and a path mean. */
import type { Method, Operation } from './operation.ts'

export type Found =
  | { readonly operation: Operation; readonly params: Readonly<Record<string, string>> }
  /** The path is known, and takes only these methods. */
  | { readonly allow: string }

interface Place {
  readonly pattern: RegExp
  readonly names: readonly string[]
  readonly methods: ReadonlyMap<Method, Operation>
}

/** Null: nothing is at the path. HEAD is answered as GET is. */
export function createRouter(operations: readonly Operation[]): (method: string, path: string) => Found | null {
  const places = [...Map.groupBy(operations, (operation) => operation.path)].map(([path, at]) => placeOf(path, at))
  return (method, path) => {
    for (const place of places) {
      const match = place.pattern.exec(path)
      const values = match && decoded(match.slice(1))
      if (!values) continue
      const operation = place.methods.get((method === 'HEAD' ? 'GET' : method) as Method)
      if (!operation) return { allow: allowOf(place) }
      return { operation, params: Object.fromEntries(place.names.map((name, at) => [name, values[at]!])) }
    }
    return null
  }
}

function placeOf(path: string, operations: readonly Operation[]): Place {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!)
  const pattern = path.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '([^/:]+)')
  return { pattern: new RegExp(`^${pattern}$`), names, methods: new Map(operations.map((one) => [one.method, one])) }
}

function allowOf({ methods }: Place): string {
  return [...methods.keys()].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])).join(', ')
}

function decoded(values: readonly string[]): readonly string[] | null {
  try {
    return values.map(decodeURIComponent)
  } catch {
    return null
  }
}
