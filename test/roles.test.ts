/** Who may call what: each operation of both ports with the key of each role, without a key, and with one that nobody has. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mayCall, type Operation } from '../engine/admin/operation.ts'
import type { Role } from '../rules/version.ts'
import { AdminKit } from './admin-kit/server.ts'
import { PortalKit } from './portal-kit.ts'

let admin: AdminKit
let portal: PortalKit
beforeAll(async () => {
  admin = await AdminKit.open()
  portal = await PortalKit.open({ patient: true })
})
afterAll(async () => {
  await admin.close()
  await portal.close()
})

/** Each key works on the port of its own. */
const KEYS: Readonly<Record<Role, { readonly key: string; readonly port: 'admin' | 'portal' }>> = {
  viewer: { key: 'viewer', port: 'admin' },
  operator: { key: 'operator', port: 'admin' },
  admin: { key: 'admin', port: 'admin' },
  buyer: { key: 'acme', port: 'portal' },
  source: { key: 'mill', port: 'portal' },
}
const NAMES: Readonly<Record<string, string>> = { id: 'acme', version: '1', switch: '1', block: '1' }
/** It throws the draft away for all who come after. */
const ONLY_ONCE = new Set(['discardDraft'])

const pathOf = ({ path }: Operation): string => path.replace(/\{(\w+)\}/g, (_, name) => NAMES[name] ?? 'a'.repeat(12))

async function statusOf(port: 'admin' | 'portal', operation: Operation, key: string | null): Promise<number> {
  const { method } = operation
  const path = pathOf(operation)
  // What is no JSON changes nothing where the caller gets as far as its body.
  const body = operation.body ? '{' : undefined
  const reply =
    port === 'admin' ? await admin.ask({ method, path, key, body }) : await portal.ask(method, path, key, body)
  await reply.arrayBuffer()
  return reply.status
}

describe.each(['admin', 'portal'] as const)('every operation of the %s', (port) => {
  const operations = () => (port === 'admin' ? admin : portal).operations
  const open = ({ role, path }: Operation) => role === null || path === '/metrics'

  it('is refused without a key, and with one that nobody has', async () => {
    for (const operation of operations())
      for (const key of [null, 'nobody'])
        expect((await statusOf(port, operation, key)) === 401, `${operation.id} with ${key}`).toBe(!open(operation))
  })

  it.each(Object.entries(KEYS))('does for the role %s what the table says', async (role, { key, port: own }) => {
    for (const operation of operations()) {
      if (ONLY_ONCE.has(operation.id) && role !== 'viewer') continue
      const status = await statusOf(port, operation, key)
      const what = `${operation.id} as ${role}: ${status}`
      if (open(operation)) expect([401, 403], what).not.toContain(status)
      else if (own !== port) expect(status, what).toBe(401)
      else {
        expect(status, what).not.toBe(401)
        expect(status === 403, what).toBe(!mayCall(role as Role, operation.role))
      }
    }
  })
})
