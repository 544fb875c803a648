/** The admin plane's HTTP: hands its requests to the operations, and sends what they answer. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AdminKey } from '../../rules/version.ts'
import type { Actor } from '../configuration/publishing.ts'
import { listenFault } from '../listening.ts'
import type { Log } from '../log.ts'
import * as problem from '../problem.ts'
import type { Operation, Page } from './operation.ts'
import { type Asked, createPlane, type Plane } from './plane.ts'

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

const MAX_CONNECTIONS = 128
const PATIENCE_MS = 10_000

/** Rejects with words for the operator where the port cannot be had. */
export async function createAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer({ maxHeaderSize: 8_192, requestTimeout: PATIENCE_MS, headersTimeout: PATIENCE_MS })
  server.maxConnections = MAX_CONNECTIONS
  const { operations, log } = options
  const callerOf = (key: string) => callerWith(options, key)
  const isOpen = (operation: Operation) => isOpenOn(options.host, operation)
  const plane = createPlane({ operations, callerOf, isOpen, keyNeeded: problem.adminKeyNeeded })
  server.on('request', (request, response) => void serve(plane, log, request, response))
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

async function serve(plane: Plane, log: Log, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let page: Page
  try {
    page = await plane(askedBy(request))
  } catch (error) {
    log('admin_request_failed', { fault: error })
    page = problem.notReady()
  }
  // What nobody read of the body is skipped, for as long as a request may take: to close on it would lose the answer to a reset.
  const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  response.writeHead(page.status, { ...always, ...page.headers })
  response.end(page.body)
  request.resume()
}

function askedBy(request: IncomingMessage): Asked {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  return {
    ...{ method: request.method ?? '', path, query },
    key: /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? null,
    header: (name) => request.headers[name] ?? null,
    body: (limit) => bodyOf(request, limit),
  }
}

async function bodyOf(request: IncomingMessage, limit: number): Promise<string | null> {
  const parts: Buffer[] = []
  let size = 0
  // To leave the loop must not end the connection, which has to carry the refusal.
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    size += (part as Buffer).length
    if (size > limit) return null
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts).toString('utf8')
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** Whoever can reach a loopback port may know how the engine does. */
const isOpenOn = (host: string, { role, path }: Operation): boolean =>
  role === null || (path === '/metrics' && LOOPBACK.has(host))

/** Every key is compared, each in constant time. */
function callerWith({ keys, used }: AdminOptions, given: string): Actor | null {
  const hash = createHash('sha256').update(given).digest()
  let found: Actor | null = null
  for (const [key, actor] of keys()) if (timingSafeEqual(hash, Buffer.from(key, 'hex'))) found = actor
  if (found) used?.(hash.toString('hex'))
  return found
}
