/** The admin plane's HTTP: finds the operation, who calls it and what it was given, and sends what it answers. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminKey } from '../../rules/version.ts'
import type { Actor } from '../configuration/publishing.ts'
import { listenFault } from '../listening.ts'
import type { Log } from '../log.ts'
import * as problem from '../problem.ts'
import { readCall } from './call.ts'
import { mayCall, type Operation, type Page } from './operation.ts'
import { createRouter } from './router.ts'

export interface AdminOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** SHA-256 of each admin key in hex, as in force now, and whose it is. */
  readonly keys: () => ReadonlyMap<string, AdminKey>
  readonly operations: readonly Operation[]
  /** Told of each key that was used. */
  readonly used?: (sha256: string) => void
  readonly log: Log
}

export interface Admin {
  readonly port: number
  close(): Promise<void>
}

type Serving = AdminOptions & { readonly find: ReturnType<typeof createRouter> }

const MAX_CONNECTIONS = 128
const PATIENCE_MS = 10_000

/** Rejects with words for the operator where the port cannot be had. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer({ maxHeaderSize: 8_192, requestTimeout: PATIENCE_MS, headersTimeout: PATIENCE_MS })
  server.maxConnections = MAX_CONNECTIONS
  const serving = { ...options, find: createRouter(options.operations) }
  server.on('request', (request, response) => void serve(serving, request, response))
  await listen(server, options)
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function listen(server: Server, { host, port }: AdminOptions): Promise<void> {
  server.listen({ host, port, exclusive: true })
  try {
    await once(server, 'listening')
  } catch (error) {
    throw listenFault(host, port, (error as NodeJS.ErrnoException).code)
  }
}

async function serve(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let page: Page
  try {
    page = await pageFor(serving, request)
  } catch (error) {
    serving.log('admin_request_failed', { fault: error })
    page = problem.notReady()
  }
  // A body that nobody read would hold up the connection's next request.
  const unread = request.complete ? {} : { connection: 'close' }
  const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  response.writeHead(page.status, { ...always, ...unread, ...page.headers })
  response.end(page.body)
}

async function pageFor(serving: Serving, request: IncomingMessage): Promise<Page> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  const found = serving.find(request.method ?? '', path)
  if (found === null) return problem.noSuchPath()
  if ('allow' in found) return problem.methodNotAllowed(found.allow)
  const { operation, params } = found
  const actor = callerOf(serving, request)
  if (!isOpen(serving, operation)) {
    if (actor === null) return problem.adminKeyNeeded()
    if (!mayCall(actor.role, operation.role)) return problem.roleNeeded(operation.role!, actor.role)
  }
  const call = await readCall(operation, request, { params, query, actor: actor ?? NOBODY })
  return 'status' in call ? call : operation.run(call)
}

const NOBODY: Actor = { label: 'nobody', role: 'viewer' }
const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** Whoever can reach a loopback port may know how the engine does. */
const isOpen = ({ host }: AdminOptions, { role, path }: Operation): boolean =>
  role === null || (path === '/metrics' && LOOPBACK.has(host))

/** Every key is compared, each in constant time. */
function callerOf({ keys, used }: AdminOptions, request: IncomingMessage): Actor | null {
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
  if (given === undefined) return null
  const hash = createHash('sha256').update(given).digest()
  let found: Actor | null = null
  for (const [key, actor] of keys()) if (timingSafeEqual(hash, Buffer.from(key, 'hex'))) found = actor
  if (found) used?.(hash.toString('hex'))
  return found
}
