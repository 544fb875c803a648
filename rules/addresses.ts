/** Addresses: which a buyer may have, and which is the consumer's behind the operator's proxies. */
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6
export type AddressRange = readonly [Address, number]

/** The only block from which global IPv6 unicast is given out. */
const GLOBAL_V6: AddressRange = ipaddr.parseCIDR('2000::/3')
/** Public addresses that clouds answer on with credentials or configuration of the machine. */
const METADATA: readonly AddressRange[] = [ipaddr.parseCIDR('168.63.129.16/32')]

/** Null where the text is no CIDR range. */
export function readRange(cidr: string): AddressRange | null {
  return ipaddr.isValidCIDR(cidr) ? ipaddr.parseCIDR(cidr) : null
}

/** True where a host is written as an address, in any form that a resolver would take for one. */
export const isAddress = (host: string): boolean => readAddress(host) !== null

/** True for an address that a buyer may have; false for any other, and for what is no address. */
export function mayBeBuyers(host: string, allowed: readonly AddressRange[]): boolean {
  const address = readAddress(host)
  return address !== null && (isPublic(address) || isListed(address, allowed))
}

/**
 * Where a browser connects from. Each trusted proxy adds to `forwarded` whom it heard; what stands before the first
 * address that is no such proxy anybody may have written. Null where nobody knows: an address inside, a trusted proxy that
 * says nothing, or a stranger that says it forwards, which is a proxy nobody told of, or invented.
 */
export function consumerAddress(
  connected: string,
  forwarded: string | null,
  trusted: readonly AddressRange[],
): string | null {
  const hops = forwarded === null ? [] : forwarded.split(',')
  let address = plainAddress(connected)
  if (address !== null && hops.length > 0 && !isListed(address, trusted)) return null
  while (address !== null && isListed(address, trusted)) {
    const before = hops.pop()
    address = before === undefined ? null : plainAddress(before)
  }
  return address !== null && isPublic(address) ? address.toString() : null
}

/** As an address is written down: with or without a port, a mapped one as the IPv4 address that it is. */
function plainAddress(text: string): Address | null {
  const written = text.trim()
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(written)?.[1] ?? /^([\d.]+):\d+$/.exec(written)?.[1] ?? written
  return ipaddr.IPv6.isValid(bare) || ipaddr.IPv4.isValidFourPartDecimal(bare) ? ipaddr.process(bare) : null
}

/**
 * Reads every form that a resolver would take for a literal: dotted, decimal, hexadecimal, octal, shortened, bracketed,
 * with a zone. Null: it is a name. An IPv4 address mapped into IPv6 stays IPv6 here, and is thereby forbidden.
 */
function readAddress(host: string): Address | null {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  const text = bare.endsWith('.') ? bare.slice(0, -1) : bare
  return ipaddr.isValid(text) ? ipaddr.parse(text) : null
}

function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false
  if (address.kind() === 'ipv6' && !inRange(address, GLOBAL_V6)) return false
  return !METADATA.some((range) => inRange(address, range))
}

/** A mapped address counts as the IPv4 address that it leads to. */
function isListed(address: Address, allowed: readonly AddressRange[]): boolean {
  const plain = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address
  return allowed.some((range) => inRange(plain, range))
}

function inRange(address: Address, range: AddressRange): boolean {
  return address.kind() === range[0].kind() && address.match(range[0] as ipaddr.IPv4 & ipaddr.IPv6, range[1])
}
