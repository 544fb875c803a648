/** A table of operations as a port serves it: finds the operation that a request means, who calls it and what it was given, and runs it. */

import type { Actor } from '../configuration/publishing.ts'
import * as problem from '../problem.ts'
import { readCall } from './call.ts'
import { type Call, mayCall, type Operation, type Page } from './operation.ts'
import { createRouter } from './router.ts'

/** One request, whatever port it came by. */
export interface Asked {
  readonly method: string
  readonly path: string
  /** Without its question mark. */
  readonly query: string
  /** The caller's key as it was sent; null where there is none. */
  readonly key: string | null
  /** Null where the header is absent. The name is in lower case. */
  readonly header: (name: 'accept' | 'content-type' | 'if-match' | 'if-none-match') => string | null
  /** Null where it has more than so many bytes. */
  readonly body: (limit: number) => Promise<string | null>
}

export interface PlaneOptions {
  readonly operations: readonly Operation[]
  /** Whose key it is; null: nobody's. */
  readonly callerOf: (key: string) => Actor | null
  readonly keyNeeded: () => Page
  /** Whether it may be called without a key. */
  readonly isOpen: (operation: Operation) => boolean
  /** Why whoever has this key must wait; null: it need not. */
  readonly limit?: (key: string) => Page | null
  /** Runs an operation when there is room for it. */
  readonly run?: (operation: Operation, call: Call) => Promise<Page>
}

export type Plane = (asked: Asked) => Promise<Page>

/** Rejects where a store that an operation needs is out of reach. */
export function createPlane(options: PlaneOptions): Plane {
  const find = createRouter(options.operations)
  const { callerOf, keyNeeded, isOpen, limit, run = (operation, call) => operation.run(call) } = options
  return async (asked) => {
    const found = find(asked.method, asked.path)
    if (found === null) return problem.noSuchPath()
    if ('allow' in found) return problem.methodNotAllowed(found.allow)
    const { operation, params } = found
    const caller = asked.key === null ? null : callerOf(asked.key)
    if (!isOpen(operation)) {
      if (caller === null) return keyNeeded()
      if (!mayCall(caller.role, operation.role)) return problem.roleNeeded(operation.role!, caller.role)
    }
    const wait = caller && limit?.(asked.key!)
    if (wait) return wait
    const call = await readCall(operation, asked, params, caller ?? NOBODY)
    return 'status' in call ? call : run(operation, call)
  }
}

const NOBODY: Actor = { label: 'nobody', role: 'viewer' }
