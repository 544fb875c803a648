/** Checks what a configuration says of the checks of leads, and compiles them for each campaign that needs them. */
import { type CheckOutput, type CheckService, type LeadCheck, outputName } from '../checks.ts'
import { readMessage, spreads } from '../delivery/message.ts'
import { FACTS } from '../delivery/placeholder.ts'
import { type ReplyFormat, readFinds, readTests } from '../delivery/reply.ts'
import { checksIn } from '../filter/late.ts'
import { RESERVED_WORDS } from '../filter/subject.ts'
import { type Condition, compileCondition } from '../filter.ts'
import { micros, ms, parseMoney } from '../units.ts'
import { canonicalJson } from './canonical.ts'
import { type Check, checkReference, currencyOf, idsOf } from './check.ts'
import { checkTables, checkUrl, tlsOf } from './delivery-check.ts'
import type { DeliveryFile } from './delivery-schema.ts'
import { scopeIn } from './filter-check.ts'
import { healthOf } from './health.ts'
import { type CampaignFile, type CheckFile, DEFAULTS, type Draft } from './schema.ts'

const KINDS = ['number', 'text', 'boolean'] as const
/** What means nothing where a list is looked up. */
const OF_SERVICES = [
  ...(['url', 'method', 'query', 'headers', 'auth', 'tls', 'format', 'soap', 'body', 'keys', 'tables'] as const),
  ...(['reply', 'outputs', 'fail', 'timeout_ms', 'keep_seconds', 'cost', 'health'] as const),
]
/** What a list finds out. */
const LISTED = 'listed'
const NAME = /^[a-z][a-z0-9_]{0,62}$/

/** Says what each check finds out, before conditions and maps ask for it. */
export function declareOutputs({ draft, made }: Check): void {
  for (const id of idsOf(draft.checks)) {
    const { list, outputs = {} } = draft.checks![id] ?? {}
    const kinds = list === undefined ? outputKinds(outputs) : [[LISTED, 'boolean'] as const]
    for (const [name, kind] of kinds) made.outputs.set(outputName(id, name), { kind, key: outputName(id, name) })
  }
}

type OutputsFile = NonNullable<Draft<CheckFile>['outputs']>

const outputKinds = (outputs: OutputsFile): (readonly [string, (typeof KINDS)[number]])[] =>
  Object.entries(outputs).flatMap(([name, output]) => {
    const kind = KINDS.find((one) => output?.[one] !== undefined)
    return kind === undefined ? [] : [[name, kind] as const]
  })

/** After filters, prices and deliveries were read: what they ask about is needed. */
export function checkLeadChecks(check: Check): void {
  const { draft } = check
  for (const id of idsOf(draft.checks)) checkOne(check, id, draft.checks![id] ?? {})
  const needed = neededByCampaign(check)
  const currencies = new Map<string, Set<string>>()
  for (const [campaign, names] of needed) {
    const all = new Map<string, LeadCheck>()
    for (const name of names.all) {
      currencies.set(name, (currencies.get(name) ?? new Set()).add(currencyOf(draft, campaign)))
      const made = compile(check, campaign, name)
      if (made !== null) all.set(name, made)
    }
    if (all.size > 0) check.made.checks.set(campaign, { all, own: names.own, needed: [...names.ofHouse] })
  }
  for (const id of idsOf(draft.checks)) {
    const [path, used] = [`checks.${id}`, currencies.get(id)]
    if (used === undefined && !check.broken('campaigns') && !check.broken('contracts'))
      check.warn(path, 'no campaign and no contract needs this check, so nobody is asked.')
    if (draft.checks![id]?.cost === undefined || (used?.size ?? 0) < 2) continue
    const mixed = [...used!].sort().join(' and ')
    check.fault(`${path}.cost`, `is in one currency, and leads in ${mixed} need it: make it a check for each.`)
  }
}

interface Needed {
  readonly own: readonly string[]
  /** Of the campaign's own and of its rules. */
  readonly ofHouse: Set<string>
  /** Those, and all of its sources and contracts. */
  readonly all: Set<string>
}

function neededByCampaign(check: Check): ReadonlyMap<string, Needed> {
  const { draft, made } = check
  const needed = new Map<string, Needed>()
  for (const id of idsOf(draft.campaigns)) {
    const own = namedAt(check, `campaigns.${id}.checks`, draft.campaigns![id]?.checks)
    const ofHouse = new Set([...own, ...(made.houseRules.get(`campaigns.${id}`)?.checks ?? [])])
    needed.set(id, { own, ofHouse, all: new Set(ofHouse) })
  }
  for (const [key, { checks }] of made.houseRules) {
    const campaign = key.slice(key.indexOf('/') + 1)
    if (key.startsWith('sources.')) for (const name of checks) needed.get(campaign)?.all.add(name)
  }
  for (const id of idsOf(draft.contracts)) {
    const { campaign, checks } = draft.contracts![id] ?? {}
    const names = [...namedAt(check, `contracts.${id}.checks`, checks), ...contractNeeds(check.made, id)]
    for (const name of names) needed.get(campaign ?? '')?.all.add(name)
  }
  return needed
}

/** Checks whose outputs a contract's filter, prices or messages ask about. */
export function contractNeeds({ filters, contractRules, deliveries, outputs }: Check['made'], id: string): string[] {
  if (outputs.size === 0) return []
  const ofFilter = checksIn(filters.get(id) ?? null, outputs)
  return [...ofFilter, ...(contractRules.get(id)?.checks ?? []), ...(deliveries.get(id)?.checks ?? [])]
}

/** Checks that there are, of those that somebody lists. */
function namedAt(check: Check, path: string, names: readonly (string | undefined)[] | undefined): readonly string[] {
  return (names ?? []).filter((name, at): name is string => {
    if (name === undefined) return false
    checkReference(check, `${path}[${at}]`, 'check', name, check.draft.checks ?? {})
    if (names!.indexOf(name) !== at) check.fault(`${path}[${at}]`, `"${name}" stands in the list already: remove it.`)
    return check.draft.checks?.[name] !== undefined && names!.indexOf(name) === at
  })
}

function checkOne(check: Check, id: string, file: Draft<CheckFile>): void {
  const path = `checks.${id}`
  const isWord = RESERVED_WORDS.has(id) || id === 'key' || FACTS.some((fact) => fact === id)
  if (!NAME.test(id) || isWord)
    check.fault(path, 'cannot be named in conditions and maps: use a-z, 0-9 and _, and no word of theirs.')
  if (file.list !== undefined) return checkListed(check, path, file)
  if (file.url === undefined && !check.broken(`${path}.url`))
    check.fault(`${path}.url`, 'is missing: say which service is asked, or with list which list is looked up.')
  if (file.url !== undefined) checkUrl(check, `${path}.url`, file.url)
  if (file.body === undefined && !check.broken(`${path}.body`))
    check.fault(`${path}.body`, 'is missing: a service is told only what its map names, such as {phone: "{phone}"}.')
  if (spreads(file.body))
    check.fault(`${path}.body`, 'names every field with "...": name those that the service needs.')
  checkTables(check, `${path}.tables`, file.tables)
  if (Object.keys(file.outputs ?? {}).length === 0 && !check.broken(`${path}.outputs`))
    check.fault(
      `${path}.outputs`,
      'is missing: say what is found out and where, such as {score: {number: risk.score}}.',
    )
  for (const name of Object.keys(file.outputs ?? {}))
    if (!NAME.test(name)) check.fault(`${path}.outputs.${name}`, 'is no name: use a-z, 0-9 and _.')
  checkTestOutputs(check, `${path}.test_outputs`, id, file)
}

function checkListed(check: Check, path: string, file: Draft<CheckFile>): void {
  checkReference(check, `${path}.list`, 'list', file.list!, check.draft.lists ?? {})
  for (const key of OF_SERVICES)
    if (file[key] !== undefined) check.fault(`${path}.${key}`, 'means nothing where a list is looked up: remove it.')
  checkTestOutputs(check, `${path}.test_outputs`, path.slice('checks.'.length), file)
}

function checkTestOutputs(
  check: Check,
  path: string,
  id: string,
  { test_outputs: given = {} }: Draft<CheckFile>,
): void {
  for (const [name, value] of Object.entries(given)) {
    const output = check.made.outputs.get(outputName(id, name))
    const known = () =>
      [...check.made.outputs.keys()].flatMap((one) => (one.startsWith(`${id}.`) ? [one.slice(id.length + 1)] : []))
    if (output === undefined) check.fault(`${path}.${name}`, `is no output of this check.${check.hint(name, known)}`)
    else if (typeof value !== (output.kind === 'text' ? 'string' : output.kind))
      check.fault(`${path}.${name}`, `must be a ${output.kind}: that is what the check finds out.`)
  }
}

/** The check as the leads of one campaign meet it; null where there are faults, of which the check of the file has heard. */
function compile(check: Check, campaign: string, id: string): LeadCheck | null {
  const file = check.draft.checks?.[id]
  const vertical = check.made.verticals.get(campaign)
  if (file === undefined || vertical === undefined) return null
  const path = `checks.${id}`
  if (vertical.fields.some(({ name }) => name === id))
    check.fault(path, `bears the name of a field of campaign "${campaign}": name it otherwise.`)
  const service = file.list === undefined ? serviceOf(check, campaign, id, file) : null
  if (file.list === undefined && service === null) return null
  const timeoutMs = ms(service === null ? 0 : (file.timeout_ms ?? DEFAULTS.check_timeout_ms))
  checkTime(check, path, timeoutMs, campaign)
  return {
    id,
    by: service === null ? { list: file.list! } : { service },
    refuses: refusalOf(check, campaign, id, file),
    failClosed: file.fail === 'closed',
    timeoutMs,
    keepMs: (file.keep_seconds ?? 0) * 1_000,
    cost: file.cost === undefined ? micros(0) : parseMoney(file.cost)!,
    testOutputs: (file.test_outputs ?? {}) as LeadCheck['testOutputs'],
    health: healthOf(file.health as CheckFile['health']),
  }
}

function checkTime(check: Check, path: string, timeoutMs: number, campaign: string): void {
  const { total_ms: total = DEFAULTS.total_ms, plan = [] } = (check.draft.campaigns?.[campaign] ??
    {}) as Draft<CampaignFile>
  const longest = Math.max(0, ...plan.map((tier) => tier?.ping_ms ?? DEFAULTS.ping_ms))
  if (timeoutMs === 0 || timeoutMs + longest < total) return
  const message = `and the pings of campaign "${campaign}" (${timeoutMs} and ${longest} ms) take all of the lead's ${total} ms: lower one, or raise total_ms.`
  check.fault(`${path}.timeout_ms`, message)
}

function serviceOf(check: Check, campaign: string, id: string, file: Draft<CheckFile>): CheckService | null {
  const path = `checks.${id}`
  const { url, method, query, headers, auth, tls, format, soap, body, keys, tables, reply = {}, outputs = {} } = file
  const delivery = { keys, tables, post: { method, query, headers, auth, format, soap, body } } as Draft<DeliveryFile>
  const here: Check = {
    ...check,
    fault: (at, text) => check.fault(at.replace(`${path}.post`, path), text.replace('delivery.keys', `${path}.keys`)),
    warn: (at, text) => check.warn(at.replace(`${path}.post`, path), text),
  }
  const vertical = check.made.verticals.get(campaign)!
  if (url === undefined || body === undefined) return null
  const { message, used, checks, facts } = readMessage({ check: here, kind: 'post', delivery, vertical, path })
  if (checks.length > 0)
    check.fault(
      `${path}.body`,
      `names an output of "${checks[0]}": all checks are asked at once, so none knows another's.`,
    )
  const replyFormat: ReplyFormat = reply.format ?? 'json'
  const flat = replyFormat === 'html' || replyFormat === 'text'
  return {
    url,
    message,
    tls: tlsOf(check, `${path}.tls`, { tls, post_url: url }),
    format: replyFormat,
    accept: reply.accept === undefined ? [] : readTests(reply.accept, `${path}.reply.accept`, flat, check.fault),
    outputs: outputKinds(outputs).map(
      ([name, kind]): CheckOutput => ({
        ...{ name, kind },
        finds: readFinds(outputs[name]![kind], `${path}.outputs.${name}.${kind}`, flat, check.fault),
      }),
    ),
    fields: [...used].sort(),
    facts: facts.filter((fact) => fact === 'source' || fact === 'campaign').sort(),
    identity: canonicalJson([
      id,
      { url, method, query, headers, auth, format, soap, body, keys, tables, reply, outputs },
    ]),
  }
}

/** Conditions on its outputs by their own names, and on the fields of the lead. */
function refusalOf(check: Check, campaign: string, id: string, file: Draft<CheckFile>): Condition | null {
  const scope = scopeIn(check, campaign)
  const refuse = file.refuse ?? (file.list === undefined ? undefined : { [LISTED]: true })
  if (refuse === undefined || scope === null) return null
  const outputs = new Map(
    [...check.made.outputs].flatMap(([name, output]) =>
      name.startsWith(`${id}.`) ? [[name.slice(id.length + 1), output] as const] : [],
    ),
  )
  const compiled = compileCondition(refuse, { ...scope, outputs, subjects: new Map() }, `checks.${id}.refuse`)
  if ('condition' in compiled) return compiled.condition
  for (const { path, message } of compiled.faults) check.fault(path, message)
  return null
}
