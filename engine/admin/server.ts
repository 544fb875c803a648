/** The admin plane's HTTP: one lead with its trace, metrics, the hot store, the state of the engine; read-only, by admin key. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { validate } from 'uuid'
import { listenFault } from '../listening.ts'
import type { Log } from '../log.ts'
import { METRICS_TYPE } from '../metrics.ts'
import * as problem from '../problem.ts'
import type { AdminPort } from './port.ts'
import { waterfall } from './waterfall.ts'

export interface AdminOptions {
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  /** SHA-256 of each admin key in hex, as in force now. */
  readonly keys: () => ReadonlySet<string>
  readonly data: AdminPort
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
  server.on('request', (request, response) => void serve(options, request, response))
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

interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

async function serve(options: AdminOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let page: Page
  try {
    page = await pageFor(options, request)
  } catch (error) {
    options.log('admin_request_failed', { fault: error })
    page = problem.notReady()
  }
  response.writeHead(page.status, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', ...page.headers })
  response.end(page.body)
}

async function pageFor(options: AdminOptions, request: IncomingMessage): Promise<Page> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
  const show = pageAt(options, path)
  if (show === null) return problem.noSuchPath()
  if (request.method !== 'GET' && request.method !== 'HEAD') return problem.methodNotAllowed('GET, HEAD')
  if (!isOpen(options, path) && !hasKey(options, request)) return problem.adminKeyNeeded()
  return show(wantsText(request, query))
}

type Show = (asText: boolean) => Promise<Page>

const LEAD_PATH = /^\/admin\/v1\/leads\/([^/]+)$/

function pageAt({ data }: AdminOptions, path: string): Show | null {
  if (path === '/healthz') return async () => json({ status: 'alive' })
  if (path === '/metrics') return async () => text(await data.metrics(), METRICS_TYPE)
  if (path === '/admin/v1/hot') return async () => json(await data.hotDump())
  if (path === '/admin/v1/status') return async () => json(await data.status())
  const leadId = LEAD_PATH.exec(path)?.[1]
  return leadId === undefined ? null : (asText) => leadPage(data, leadId, asText)
}

async function leadPage(data: AdminPort, leadId: string, asText: boolean): Promise<Page> {
  const page = validate(leadId) ? await data.leadPage(leadId) : null
  if (page === null) return problem.noSuchLead()
  return asText ? text(waterfall(page), 'text/plain; charset=utf-8') : json(page)
}

const json = (value: unknown): Page => text(JSON.stringify(value), 'application/json')
const text = (body: string, type: string): Page => ({ status: 200, headers: { 'content-type': type }, body })

/** `format` decides, then Accept; JSON where neither asks for text. */
function wantsText(request: IncomingMessage, query: string): boolean {
  const format = new URLSearchParams(query).get('format')
  if (format !== null) return format === 'text'
  const accept = request.headers.accept ?? ''
  return accept.includes('text/plain') && !accept.includes('json')
}

const LOOPBACK: ReadonlySet<string> = new Set(['127.0.0.1', '::1', 'localhost'])

/** Whoever can reach a loopback port may know that the engine lives and how it does. */
const isOpen = ({ host }: AdminOptions, path: string): boolean =>
  path === '/healthz' || (path === '/metrics' && LOOPBACK.has(host))

/** Every key is compared, each in constant time. */
function hasKey({ keys }: AdminOptions, request: IncomingMessage): boolean {
  const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1]
  if (given === undefined) return false
  const hash = createHash('sha256').update(given).digest()
  let found = false
  for (const key of keys()) if (timingSafeEqual(hash, Buffer.from(key, 'hex'))) found = true
  return found
}
