/** What is different between two configurations, in words. */

export interface Difference {
  /** `contracts.acme.caps.day`. */
  readonly path: string
  readonly kind: 'added' | 'removed' | 'changed'
  /** `contract acme: caps.day 50 -> 60`. Secrets are never told. */
  readonly words: string
}

/** What of the traffic a change can touch. `all`: every lead. */
export interface Scope {
  readonly all: boolean
  readonly campaigns: ReadonlySet<string>
  readonly sources: ReadonlySet<string>
}

type Group = Readonly<Record<string, unknown>>

/** In the order of their paths. Equal configurations have none. */
export function differences(before: unknown, after: unknown): readonly Difference[] {
  const found: Difference[] = []
  compare(before, after, [], found)
  return found
}

function compare(before: unknown, after: unknown, path: readonly string[], found: Difference[]): void {
  if (isGroup(before) && isGroup(after)) {
    for (const key of keysOf(before, after)) compare(own(before, key), own(after, key), [...path, key], found)
  } else if (Array.isArray(before) && Array.isArray(after)) {
    compareLists(before, after, path, found)
  } else if (before !== after) {
    const kind = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
    if (path.length === 1 && kind !== 'changed' && (isGroup(before) || isGroup(after))) {
      return compare(before ?? {}, after ?? {}, path, found)
    }
    found.push({ path: path.join('.'), kind, words: inWords(path, kind, before, after) })
  }
}

/** Lists of groups that have a name are compared by it, and their order is told apart; all others by what they hold. */
function compareLists(
  before: readonly unknown[],
  after: readonly unknown[],
  path: readonly string[],
  found: Difference[],
) {
  const [namesBefore, namesAfter] = [namesOf(before), namesOf(after)]
  if (namesBefore && namesAfter) {
    const groups = (names: readonly string[], list: readonly unknown[]) =>
      Object.fromEntries(names.map((name, i) => [name, list[i]]))
    compare(groups(namesBefore, before), groups(namesAfter, after), path, found)
    const stay = (names: readonly string[], others: readonly string[]) => names.filter((name) => others.includes(name))
    const order = stay(namesAfter, namesBefore).join(', ')
    if (order === stay(namesBefore, namesAfter).join(', ')) return
    found.push({ path: path.join('.'), kind: 'changed', words: `${subject(path)} are in another order: ${order}` })
    return
  }
  const [was, is] = [before.map((one) => JSON.stringify(one)), after.map((one) => JSON.stringify(one))]
  const [gone, come] = [was.filter((one) => !is.includes(one)), is.filter((one) => !was.includes(one))]
  if (gone.length + come.length === 0 && was.join() === is.join()) return
  const signed = [
    ...come.map((one) => `+ ${short(JSON.parse(one))}`),
    ...gone.map((one) => `- ${short(JSON.parse(one))}`),
  ]
  const words = signed.length === 0 ? 'is in another order' : listed(signed)
  found.push({ path: path.join('.'), kind: 'changed', words: `${subject(path)} ${words}` })
}

const NAMING = ['tier', 'sha256'] as const

/** Each group's own name in a list of groups; null where they have none. Two of one name: by place. */
function namesOf(list: readonly unknown[]): readonly string[] | null {
  const key = NAMING.find((one) => list.every((item) => isGroup(item) && typeof item[one] === 'string'))
  if (key === undefined || list.length === 0) return list.length === 0 ? [] : null
  const names = list.map((item) =>
    key === 'sha256' ? String((item as Group)[key]).slice(0, 12) : String((item as Group)[key]),
  )
  return new Set(names).size === names.length ? names : null
}

const MOST_LISTED = 12

function listed(signed: readonly string[]): string {
  const more = signed.length - MOST_LISTED
  return signed.slice(0, MOST_LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

function inWords(path: readonly string[], kind: Difference['kind'], before: unknown, after: unknown): string {
  const name = subject(path)
  if (kind === 'changed') {
    const [was, is] = [short(before), short(after)]
    return was === is && was.includes(A_SECRET) ? `${name} has another secret` : `${name} ${was} -> ${is}`
  }
  const value = short(kind === 'added' ? after : before)
  return path.length <= 2 && isGroup(after ?? before)
    ? `${name} was ${kind}: ${value}`
    : `${name} was ${kind} (${value})`
}

const SINGULAR: Readonly<Record<string, string>> = {
  sources: 'source',
  campaigns: 'campaign',
  buyers: 'buyer',
  contracts: 'contract',
  lists: 'list',
  alerts: 'alert',
  recipients: 'recipient',
  checks: 'check',
}

/** `contract acme: caps.day`. */
function subject(path: readonly string[]): string {
  const [kind = '', id, ...rest] = path
  const one = SINGULAR[kind]
  if (one === undefined || id === undefined) return path.join('.')
  return rest.length === 0 ? `${one} ${id}` : `${one} ${id}: ${rest.join('.')}`
}

const A_SECRET = '(a secret)'
const MOST_CHARACTERS = 100
const isSecret = (value: unknown): boolean => typeof value === 'string' && /^(?:sealed:|whsec_)/.test(value)

function short(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'string') return isSecret(value) ? A_SECRET : cut(hidden(value))
  const text = JSON.stringify(value, (key, inner) => (isSecret(inner) || key === 'sha256' ? A_SECRET : inner))
  return cut(hidden(text))
}

/** Stand-ins within an address. */
const hidden = (text: string): string => text.replace(/sealed:[\w-]{43}/g, A_SECRET)
const cut = (text: string): string => (text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text)

/** What no lead is decided by. */
const BESIDE: ReadonlySet<string> = new Set(['admin', 'network', 'alerts', 'recipients', 'mail'])

/** Which traffic the differences can touch, by both configurations. */
export function scopeOf(found: readonly Difference[], before: unknown, after: unknown): Scope {
  const campaigns = new Set<string>()
  const sources = new Set<string>()
  const contracts = [before, after].flatMap((config) => Object.entries(groupAt(config, 'contracts')))
  let all = false
  for (const { path } of found) {
    const [kind = '', id = ''] = path.split('.')
    const touched = contracts.filter(([name, one]) => name === id || groupText(one, 'buyer') === id)
    if (kind === 'campaigns') campaigns.add(id)
    else if (kind === 'sources') sources.add(id)
    else if (kind === 'contracts')
      addCampaigns(
        touched.filter(([name]) => name === id),
        campaigns,
      )
    else if (kind === 'buyers')
      addCampaigns(
        touched.filter(([, one]) => groupText(one, 'buyer') === id),
        campaigns,
      )
    else if (!BESIDE.has(kind)) all = true
  }
  return { all, campaigns, sources }
}

function addCampaigns(contracts: readonly (readonly [string, unknown])[], campaigns: Set<string>): void {
  for (const [, contract] of contracts) campaigns.add(groupText(contract, 'campaign'))
}

const groupAt = (value: unknown, key: string): Group => {
  const inner = isGroup(value) ? own(value, key) : undefined
  return isGroup(inner) ? inner : {}
}
const groupText = (value: unknown, key: string): string => String(isGroup(value) ? (own(value, key) ?? '') : '')

const isGroup = (value: unknown): value is Group => typeof value === 'object' && value !== null && !Array.isArray(value)
const own = (group: Group, key: string): unknown => (Object.hasOwn(group, key) ? group[key] : undefined)
const keysOf = (a: Group, b: Group): readonly string[] => [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
