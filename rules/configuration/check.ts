/** Checks what a configuration means: references, money, zones and deadlines of all but the contracts. */
import { readRange } from '../addresses.ts'
import type { CampaignChecks } from '../checks.ts'
import type { Delivery } from '../delivery.ts'
import type { OutputSubject } from '../filter/subject.ts'
import type { Condition, Scope } from '../filter.ts'
import { ONWARD_MACROS } from '../onward.ts'
import type { ContractRules, HouseRules } from '../prices.ts'
import type { Schedule } from '../schedule.ts'
import type { WallMs } from '../units.ts'
import type { Vertical } from '../verticals.ts'
import { campaignVertical } from './campaign-fields.ts'
import { checkCaps } from './cap-rules.ts'
import { currencyDigits } from './currency.ts'
import { checkGraphs, checkPostbacks } from './postback-check.ts'
import { type BuyerFile, type CampaignFile, type ConfigFile, DEFAULTS, type Draft, type SourceFile } from './schema.ts'
import { checkSelfService } from './self-service-check.ts'
import { isZone } from './zones.ts'

/** SHA-256 of `demo`, `demo-buyer` and `demo-admin`: everybody knows these keys. */
const WELL_KNOWN_KEYS: ReadonlySet<string> = new Set([
  '2a97516c354b68848cdbd8f54a226a0a55b21ed138e207ad6c5cbb9c00aa5aea',
  'cce7a2cf1ae045989cfc914fb95a41526f167a838b3c7d33745143614abace7c',
  '177edd9016867e29535a0f9201fba5270cfb7611220f79b77ec391817e553ab2',
])

/** What a check compiles on its way, for the snapshot to take. */
export interface Made {
  /** By campaign: the vertical with the campaign's own fields. */
  readonly verticals: Map<string, Vertical>
  /** By campaign: what its conditions share. */
  readonly scopes: Map<string, Scope>
  /** By contract: the buyer's filter and its own. */
  readonly filters: Map<string, Condition>
  readonly campaignFilters: Map<string, Condition>
  /** By contract. */
  readonly deliveries: Map<string, Delivery>
  /** By source, by campaign. */
  readonly sourceFilters: Map<string, ReadonlyMap<string, Condition>>
  /** By contract. */
  readonly contractRules: Map<string, ContractRules>
  /** By `campaigns.solar` and `sources.mill/solar`. */
  readonly houseRules: Map<string, HouseRules>
  /** By alert: when its sources are expected to send. */
  readonly expected: Map<string, Schedule>
  /** By path: `buyers.acme`, `contracts.acme-solar`. */
  readonly schedules: Map<string, Schedule>
  readonly pausedUntil: Map<string, WallMs>
  /** Outputs of all checks, by the name under which conditions and maps ask for them. */
  readonly outputs: Map<string, OutputSubject>
  /** By campaign, where it has some. */
  readonly checks: Map<string, CampaignChecks>
}

export const newMade = (): Made => ({
  verticals: new Map(),
  scopes: new Map(),
  filters: new Map(),
  campaignFilters: new Map(),
  deliveries: new Map(),
  sourceFilters: new Map(),
  contractRules: new Map(),
  houseRules: new Map(),
  expected: new Map(),
  schedules: new Map(),
  pausedUntil: new Map(),
  outputs: new Map(),
  checks: new Map(),
})

/** One check of one file. Where `broken(path)` is true the shape was at fault already, and silence is right. */
export interface Check {
  readonly draft: Draft<ConfigFile>
  readonly verticals: ReadonlyMap<string, Vertical>
  readonly made: Made
  readonly broken: (path: string) => boolean
  readonly fault: (path: string, message: string) => void
  /** What to say beside an unknown name: the nearest known one. Falls silent after some hundred, which cost too much. */
  readonly hint: (word: string, known: () => Iterable<string>) => string
  /** What is allowed and yet surely not meant. */
  readonly warn: (path: string, message: string) => void
}

export const idsOf = (group: object | undefined): string[] => Object.keys(group ?? {}).sort()

/** Faults a reference to an id that the group does not have. Ids whose entry has faults of its own do exist. */
export function checkReference(check: Check, path: string, what: string, id: string, group: object | undefined): void {
  if (group === undefined || Object.hasOwn(group, id)) return
  check.fault(path, `there is no ${what} "${id}".${check.hint(id, () => Object.keys(group))}`)
}

/** Gives every campaign the vertical that it names, with its own fields. */
export function checkFields(check: Check): void {
  for (const id of idsOf(check.draft.campaigns)) {
    const campaign = check.draft.campaigns![id] ?? {}
    const path = `campaigns.${id}`
    if (campaign.vertical === undefined) continue
    const vertical = check.verticals.get(campaign.vertical)
    if (!vertical) {
      const hint = check.hint(campaign.vertical, () => check.verticals.keys())
      check.fault(`${path}.vertical`, `there is no vertical "${campaign.vertical}".${hint}`)
      continue
    }
    const fault = (below: string, message: string) => check.fault(`${path}.${below}`, message)
    check.made.verticals.set(id, campaignVertical(vertical, campaign, { fault, hint: check.hint }))
  }
}

export function checkHouse(check: Check): void {
  const { draft } = check
  if (draft.currency !== undefined) checkCurrency(check, 'currency', draft.currency)
  for (const id of idsOf(draft.campaigns)) checkCampaign(check, id, draft.campaigns![id] ?? {})
  const currencies = currenciesByBuyer(draft)
  for (const id of idsOf(draft.buyers)) checkBuyer(check, id, draft.buyers![id] ?? {}, currencies.get(id) ?? new Set())
  const pseudonyms = new Map<string, string>()
  for (const id of idsOf(draft.sources)) checkSource(check, id, draft.sources![id] ?? {}, pseudonyms)
  checkGraphs(check)
  checkKeys(check)
  for (const key of ['allowed_cidrs', 'trusted_proxies'] as const)
    draft.network?.[key]?.forEach((cidr, at) => {
      if (cidr !== undefined && readRange(cidr) === null)
        check.fault(`network.${key}[${at}]`, `"${cidr}" is no address range: write it as 10.0.0.0/8 or fd00::/8.`)
    })
}

function checkCampaign(check: Check, id: string, campaign: Draft<CampaignFile>): void {
  const path = `campaigns.${id}`
  checkZone(check, `${path}.zone`, campaign.zone)
  if (campaign.currency !== undefined) checkCurrency(check, `${path}.currency`, campaign.currency)
  checkRedirects(check, `${path}.redirects`, campaign.redirects ?? {})
  checkPlan(check, path, campaign)
  checkCaps(check, `${path}.caps`, campaign.caps, new Set())
}

/** Pages may name macros; where tracked redirects begin is an address to which `/r/` is added. */
function checkRedirects(check: Check, path: string, redirects: NonNullable<Draft<CampaignFile>['redirects']>): void {
  for (const [key, page] of Object.entries(redirects)) {
    if (page === undefined) continue
    const bare = key === 'tracked' ? page : page.replaceAll(/\{(?:lead_id|lead_ref|status)\}/g, 'x')
    const url = URL.canParse(bare) ? new URL(bare) : null
    if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
      check.fault(`${path}.${key}`, 'is no absolute http or https address, such as https://example.com/thanks.')
    else if (/[{}\s]/.test(bare))
      check.fault(`${path}.${key}`, `may hold {${ONWARD_MACROS.join('}, {')}}, and no other brace or space.`)
    else if (key === 'tracked' && (url.search || url.hash))
      check.fault(`${path}.tracked`, 'must end with its path: the lead is added behind it.')
  }
}

function checkPlan(check: Check, path: string, campaign: Draft<CampaignFile>): void {
  const names = new Set<string>()
  campaign.plan?.forEach((tier, at) => {
    if (tier?.tier === undefined) return
    if (names.has(tier.tier)) {
      check.fault(`${path}.plan[${at}].tier`, `the plan has a tier "${tier.tier}" already: give this one its own name.`)
    }
    names.add(tier.tier)
    const total = campaign.total_ms ?? DEFAULTS.total_ms
    const ping = tier.ping_ms ?? DEFAULTS.ping_ms
    if (!check.broken(`${path}.total_ms`) && ping >= total) {
      const message = `the pings alone (${ping} ms) take all of the lead's ${total} ms: lower ping_ms or raise total_ms.`
      check.fault(`${path}.plan[${at}].ping_ms`, message)
    }
  })
}

function currenciesByBuyer(draft: Draft<ConfigFile>): ReadonlyMap<string, ReadonlySet<string>> {
  const byBuyer = new Map<string, Set<string>>()
  for (const contract of Object.values(draft.contracts ?? {})) {
    if (contract?.buyer === undefined || !draft.campaigns?.[contract.campaign ?? '']) continue
    const currencies = byBuyer.get(contract.buyer) ?? new Set()
    byBuyer.set(contract.buyer, currencies.add(currencyOf(draft, contract.campaign!)))
  }
  return byBuyer
}

function checkBuyer(check: Check, id: string, buyer: Draft<BuyerFile>, currencies: ReadonlySet<string>): void {
  checkZone(check, `buyers.${id}.zone`, buyer.zone)
  const namesake = buyer.group === undefined || buyer.group === id ? undefined : check.draft.buyers?.[buyer.group]
  if (namesake?.group !== undefined && namesake.group !== buyer.group) {
    const message = `"${buyer.group}" is also a buyer, and that buyer is in group "${namesake.group}": put both in one group, or name this group otherwise.`
    check.fault(`buyers.${id}.group`, message)
  }
  checkCaps(check, `buyers.${id}.caps`, buyer.caps, currencies)
  checkSelfService(check, `buyers.${id}.self_service`, buyer.self_service)
  if (buyer.balance !== undefined && currencies.size > 1) {
    const mixed = [...currencies].sort().join(' and ')
    check.fault(
      `buyers.${id}.balance`,
      `is paid in advance in one currency, and it buys in ${mixed}: make it a buyer for each.`,
    )
  }
}

function checkSource(check: Check, id: string, source: Draft<SourceFile>, pseudonyms: Map<string, string>): void {
  const path = `sources.${id}`
  const currencies = new Set<string>()
  source.campaigns?.forEach((campaign, at) => {
    if (campaign === undefined) return
    checkReference(check, `${path}.campaigns[${at}]`, 'campaign', campaign, check.draft.campaigns)
    if (check.draft.campaigns?.[campaign]) currencies.add(currencyOf(check.draft, campaign))
  })
  checkCaps(check, `${path}.caps`, source.caps, currencies)
  checkPostbacks(check, path, source)
  checkZone(check, `${path}.zone`, source.zone)
  const zones = new Set(source.campaigns?.map((campaign) => check.draft.campaigns?.[campaign ?? '']?.zone))
  zones.delete(undefined)
  if (source.caps !== undefined && source.zone === undefined && zones.size > 1 && !check.broken(`${path}.zone`)) {
    const message = `is missing: its campaigns lie in ${[...zones].sort().join(' and ')}, so say whose day its caps count.`
    check.fault(`${path}.zone`, message)
  }
  if (source.pseudonym !== undefined) {
    const other = pseudonyms.get(source.pseudonym)
    if (other !== undefined) {
      check.fault(`${path}.pseudonym`, `source "${other}" is "${source.pseudonym}" to buyers already: choose another.`)
    }
    if (source.pseudonym === id || source.pseudonym === source.name) {
      check.fault(`${path}.pseudonym`, 'buyers would see who the source is: choose a name that does not tell.')
    }
    pseudonyms.set(source.pseudonym, id)
  }
  if ((source.status ?? 'test') === 'test' && !check.broken(`${path}.status`)) {
    check.warn(
      `${path}.status`,
      'the source is in test, so its leads sell nothing: say "status: active" to let it sell.',
    )
  }
}

function checkKeys(check: Check): void {
  const owners = new Map<string, string>()
  const claim = (path: string, sha256: string | undefined) => {
    if (sha256 === undefined) return
    const hash = sha256.toLowerCase()
    const owner = owners.get(hash)
    if (owner !== undefined) check.fault(path, `the same key stands at ${owner} already: each key has one place.`)
    owners.set(hash, path)
    if (WELL_KNOWN_KEYS.has(hash) && check.draft.example !== true) {
      check.fault(path, 'this key is published with the example: make your own (openssl rand -hex 32).')
    }
  }
  for (const id of idsOf(check.draft.sources)) {
    const keys = check.draft.sources![id]?.keys ?? []
    keys.forEach((key, at) => {
      claim(`sources.${id}.keys[${at}].sha256`, key?.sha256)
    })
    if (keys.filter((key) => key !== undefined && key.test !== true).length > 2) {
      check.fault(`sources.${id}.keys`, 'has more than two live keys: two are enough to rotate, so remove the oldest.')
    }
    if (keys.length === 0 && !check.broken(`sources.${id}.keys`)) {
      check.warn(`sources.${id}.keys`, 'the source has no key, so it cannot post.')
    }
  }
  for (const id of idsOf(check.draft.buyers)) {
    const keys = check.draft.buyers![id]?.keys ?? []
    keys.forEach((key, at) => {
      claim(`buyers.${id}.keys[${at}].sha256`, key?.sha256)
    })
    if (keys.length > 2)
      check.fault(`buyers.${id}.keys`, 'has more than two keys: two are enough to rotate, so remove the oldest.')
  }
  const adminKeys = check.draft.admin?.keys ?? []
  adminKeys.forEach((key, at) => {
    claim(`admin.keys[${at}].sha256`, key?.sha256)
  })
  if (adminKeys.length === 0 && !check.broken('admin')) {
    check.warn('admin.keys', 'there is no admin key, so the admin port answers nobody.')
  }
}

/** The campaign's currency, else the file's, else the default. */
export function currencyOf(file: Draft<ConfigFile>, campaign: string): string {
  return file.campaigns?.[campaign]?.currency ?? file.currency ?? DEFAULTS.currency
}

/** The zone of a source's caps: its own, else its first campaign's. */
export function sourceZone(file: Draft<ConfigFile>, source: Draft<SourceFile>): string {
  return source.zone ?? file.campaigns?.[source.campaigns?.[0] ?? '']?.zone ?? 'UTC'
}

function checkCurrency(check: Check, path: string, code: string): void {
  if (currencyDigits(code) === null) {
    check.fault(path, `there is no currency "${code}".${check.hint(code, () => ['USD', 'CAD', 'EUR', 'GBP', 'AUD'])}`)
  }
}

function checkZone(check: Check, path: string, zone: string | undefined): void {
  if (zone === undefined || isZone(zone)) return
  const hint = check.hint(zone, () => Intl.supportedValuesOf('timeZone')).replace(/ Known here.*/, '')
  check.fault(path, `"${zone}" is no IANA time zone: write it as America/Chicago, or UTC.${hint}`)
}

/** Faults a field that the vertical does not have; names the canonical one where an alias was written. */
export function checkField(check: Check, path: string, name: string, vertical: Vertical): void {
  if (vertical.fields.some((field) => field.name === name)) return
  const folded = foldName(name)
  const canonical = vertical.fields.find((field) =>
    [field.name, ...field.aliases].some((one) => foldName(one) === folded),
  )?.name
  const hint = canonical
    ? ` Did you mean "${canonical}"?`
    : check.hint(name, () => vertical.fields.map((field) => field.name))
  check.fault(path, `the vertical ${vertical.id} has no field "${name}".${hint}`)
}

const foldName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')
