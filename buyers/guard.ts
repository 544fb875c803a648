/** Keeps the engine from being talked into its own network: decides, before any byte leaves, which addresses a buyer may have. */
import dns from 'node:dns'
import type net from 'node:net'
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import { type AddressRange, isAddress, mayBeBuyers, readRange } from '../rules/addresses.ts'
import type { TlsIdentity } from './identity.ts'

export type ConnectReason = 'dns' | 'connect' | 'tls' | 'guard'
export type LookupAll = (
  hostname: string,
  options: { readonly all: true },
  found: (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void,
) => void

/** No connection came about, hence no byte of a request left. The message names the host, never the request. */
export class ConnectFailure extends Error {
  readonly code = 'GAVEL_CONNECT'
  readonly reason: ConnectReason

  constructor(reason: ConnectReason, message: string, cause?: unknown) {
    super(message, { cause })
    this.reason = reason
  }
}

export interface Guard {
  /** True where a buyer may have this address: globally reachable unicast, or in the allow-list. */
  readonly allows: (address: string) => boolean
  /** Replaces the allow-list; connections that are open stay. Throws on what is no CIDR range. */
  readonly allow: (cidrs: readonly string[]) => void
  /** For undici's `connect`: checks literal hosts, every resolved address, and the address that it ended up at. */
  readonly connect: buildConnector.connector
  /** The same with certificates of a contract's own. */
  readonly connectAs: (identity: TlsIdentity) => buildConnector.connector
}

export interface GuardOptions {
  readonly allowedCidrs: readonly string[]
  /** Resolving, TCP and TLS together. undici's clock for it is coarse: up to half a second more. */
  readonly connectMs: number
  /** Replaces the system's resolver. */
  readonly lookup?: LookupAll
}

export function createGuard(options: GuardOptions): Guard {
  let allowed = readCidrs(options.allowedCidrs)
  const allows = (address: string): boolean => mayBeBuyers(address, allowed)
  const resolve: LookupAll = options.lookup ?? dns.lookup
  const baseWith = (certificates: Partial<Omit<TlsIdentity, 'name'>>) =>
    buildConnector({
      allowH2: false,
      timeout: options.connectMs,
      lookup: guardedLookup(resolve, allows),
      autoSelectFamily: true,
      ...certificates,
    })
  const guarded =
    (base: buildConnector.connector): buildConnector.connector =>
    (target, connected) =>
      connect(base, allows, target, connected)
  return {
    allows,
    allow: (cidrs) => {
      allowed = readCidrs(cidrs)
    },
    connect: guarded(baseWith({})),
    connectAs: ({ name: _name, ...certificates }) => guarded(baseWith(certificates)),
  }
}

function readCidrs(cidrs: readonly string[]): readonly AddressRange[] {
  return cidrs.map((cidr) => {
    const range = readRange(cidr)
    if (range !== null) return range
    throw new Error(`allowed ranges of buyers: "${cidr}" is not a CIDR range; write it as 10.1.0.0/16`)
  })
}

/** One forbidden address among those resolved refuses the name: which of them is used is not ours to choose. */
function guardedLookup(resolve: LookupAll, allows: (address: string) => boolean): net.LookupFunction {
  return (hostname, options, found) => {
    resolve(hostname, { all: true }, (error, addresses) => {
      const first = addresses?.[0]
      if (error || first === undefined) {
        const failure = new ConnectFailure('dns', `the buyer's host ${hostname} has no address`, error)
        return found(failure, '', 0)
      }
      const forbidden = addresses.find((one) => !allows(one.address))
      if (forbidden !== undefined) return found(forbiddenAddress(hostname, forbidden.address), '', 0)
      if (options.all) found(null, addresses)
      else found(null, first.address, first.family)
    })
  }
}

function forbiddenAddress(host: string, address: string): ConnectFailure {
  return new ConnectFailure(
    'guard',
    `the buyer's host ${host} is at ${address}, where buyers may not be; if it belongs there, list its range in allowedCidrs`,
  )
}

function connect(
  base: buildConnector.connector,
  allows: (address: string) => boolean,
  target: buildConnector.Options,
  connected: buildConnector.Callback,
): void {
  const { hostname } = target
  if (isAddress(hostname) && !allows(hostname)) {
    connected(forbiddenAddress(hostname, hostname), null)
    return
  }
  let tcpConnected = false
  // undici's connector gives back the socket that it works on, which its types leave out.
  const socket = base(target, (error, open) => {
    if (error !== null) {
      connected(connectFailure(error, hostname, target.protocol === 'https:' && tcpConnected), null)
      return
    }
    const address = open.remoteAddress ?? ''
    if (allows(address)) {
      connected(null, open)
      return
    }
    open.destroy()
    connected(forbiddenAddress(hostname, address), null)
  }) as unknown as Socket
  socket.once('connect', () => {
    tcpConnected = true
  })
}

/** Beyond a TCP connection only TLS can fail, but for a peer that hangs up or says nothing. */
function connectFailure(error: Error, host: string, inTls: boolean): ConnectFailure {
  if (error instanceof ConnectFailure) return error
  const code = (error as NodeJS.ErrnoException).code ?? error.name
  const isTls = inTls && code !== 'ECONNRESET' && code !== 'UND_ERR_CONNECT_TIMEOUT'
  const failure = isTls ? `TLS with the buyer's host ${host} failed` : `no connection to the buyer's host ${host}`
  return new ConnectFailure(isTls ? 'tls' : 'connect', `${failure}: ${code}`, error)
}
