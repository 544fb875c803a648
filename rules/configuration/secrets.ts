/** Where a configuration holds secrets, by its schema: what may not lie in the clear in a store, a page or a log. */
import { ConfigShape } from './schema.ts'

/** The schema's words that matter here. A `hashed` secret is the hash of one, which may be kept as it is. */
interface Node {
  readonly secret?: boolean
  readonly hashed?: boolean
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
  if (typeof value === 'string') return isSecret(node) ? replace(value, path, node.pattern ?? null) : value
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
