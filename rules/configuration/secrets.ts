/** Where a configuration holds secrets, by its schema: what may not lie in the clear in a store, a page or a log. */
import { ConfigShape } from './schema.ts'

/**
 * The schema's words that matter here. A `hashed` secret is the hash of one, which may be kept as it is. Of an `address`
 * the values in its query are secrets, whatever they are called, or all that follows the host (`path`).
 */
interface Node {
  readonly secret?: boolean
  readonly hashed?: boolean
  readonly address?: 'query' | 'path'
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly patternProperties?: Readonly<Record<string, Node>>
  readonly items?: Node
  readonly anyOf?: readonly Node[]
}

/** Gives the text that stands for a secret; `path` as faults show it, `pattern`: what the schema asks of it. */
export type Replace = (secret: string, path: string, pattern: string | null) => string

/** The same configuration with each of its secrets replaced. Whatever its shape, what the schema knows as a secret is found. */
export function mapSecrets(config: unknown, replace: Replace): unknown {
  return walk(ConfigShape as Node, config, '', replace)
}

function walk(node: Node, value: unknown, path: string, replace: Replace): unknown {
  if (typeof value === 'string') {
    if (isSecret(node)) return replace(value, path, node.pattern ?? null)
    const of = addressOf(node)
    return of === null ? value : mapAddress(value, of, (secret) => replace(secret, path, null))
  }
  if (Array.isArray(value)) {
    return value.map((item, at) => walkAll(itemsOf(node), item, `${path}[${at}]`, replace))
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, member]) => {
    return [key, walkAll(membersOf(node, key), member, path === '' ? key : `${path}.${key}`, replace)]
  })
  return Object.fromEntries(entries)
}

const walkAll = (nodes: readonly Node[], value: unknown, path: string, replace: Replace): unknown =>
  nodes.reduce((walked, node) => walk(node, walked, path, replace), value)

const isSecret = (node: Node): boolean =>
  (node.secret === true && node.hashed !== true) || (node.anyOf?.some(isSecret) ?? false)

const addressOf = (node: Node): 'query' | 'path' | null =>
  node.address ?? node.anyOf?.map(addressOf).find((one) => one !== null) ?? null

/** A shorter one guards nothing, and `v=1` is good to read. */
const SHORTEST = 4

function mapAddress(address: string, of: 'query' | 'path', replace: (secret: string) => string): string {
  if (of === 'path')
    return address.replace(/^(\w+:\/\/[^/?#]+\/)(.+)$/s, (_, host: string, rest: string) => host + replace(rest))
  const [before, query] = splitAt(address, '?')
  return query === null
    ? address
    : `${before}?${query
        .split('&')
        .map((pair) => mapPair(pair, replace))
        .join('&')}`
}

/** What a macro fills in is no secret of the configuration. */
function mapPair(pair: string, replace: (secret: string) => string): string {
  const [name, value] = splitAt(pair, '=')
  const secret = value ?? name
  if (secret.length < SHORTEST || secret.includes('{')) return pair
  return value === null ? replace(secret) : `${name}=${replace(secret)}`
}

const CREDENTIAL = /key|token|secret|pass|pwd|auth|sign/i
const SURELY_RANDOM = 20

/**
 * What in the query of an address is a credential by its name or its length. All of it is sealed; yet to star `solar` out
 * of what a buyer was sent would only spoil the evidence.
 */
export function queryCredentials(address: string): readonly string[] {
  const [, query] = splitAt(address, '?')
  return (query ?? '').split('&').flatMap((pair) => {
    const [name, value] = splitAt(pair, '=')
    const secret = value ?? name
    const isCredential = (value !== null && CREDENTIAL.test(name)) || secret.length >= SURELY_RANDOM
    return isCredential && !secret.includes('{') ? [secret] : []
  })
}

function splitAt(text: string, mark: string): readonly [before: string, after: string | null] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 1)]
}

const itemsOf = (node: Node): readonly Node[] => [
  ...(node.items ? [node.items] : []),
  ...(node.anyOf ?? []).flatMap(itemsOf),
]

function membersOf(node: Node, key: string): readonly Node[] {
  const named = node.properties && Object.hasOwn(node.properties, key) ? [node.properties[key]!] : []
  const matching = Object.entries(node.patternProperties ?? {})
    .filter(([pattern]) => new RegExp(pattern).test(key))
    .map(([, member]) => member)
  return [...named, ...matching, ...(node.anyOf ?? []).flatMap((one) => membersOf(one, key))]
}
