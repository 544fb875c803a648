/** Builds the snapshot out of a configuration without faults: defaults filled in, units exact, references resolved. */

import { readRange } from '../addresses.ts'
import { type DuplicatePolicy, type Market, policiesOf } from '../duplicates.ts'
import { prepareEligibility } from '../eligibility.ts'
import { splitLate } from '../filter/late.ts'
import { POSTBACK_EVENTS } from '../postback.ts'
import type { ReturnTerms } from '../returns.ts'
import type { Schedule } from '../schedule.ts'
import { selfServiceOf } from '../self-service.ts'
import type { Throttle } from '../throttle.ts'
import { type Micros, ms, PPM_PER_WHOLE, parseMoney, ppm, wallMs } from '../units.ts'
import type { AdForms, AdminKey, ApiKey, Buyer, Campaign, Contract, Snapshot, Source } from '../version.ts'
import { buildAlert, buildRecipient } from './alert-check.ts'
import { balanceRule, capRules } from './cap-rules.ts'
import { currencyOf, idsOf, type Made, sourceZone } from './check.ts'
import { isPinged, priceFrom, tierOf } from './contract-check.ts'
import { currencyDigits } from './currency.ts'
import { buyerDuplicates, campaignDuplicates } from './duplicate-check.ts'
import { healthOf } from './health.ts'
import { contractNeeds } from './lead-checks.ts'
import { payoutRule } from './price-check.ts'
import {
  type BuyerFile,
  type CampaignFile,
  type ConfigFile,
  type ContractFile,
  DEFAULTS,
  type SourceFile,
  type ThrottleFile,
} from './schema.ts'
import { type Steps, stepEvery } from './steps.ts'

/** `made`: what the checks compiled. The file must have passed every one. */
export function* buildSnapshot(file: ConfigFile, made: Made, version: number, canonical: string): Steps<Snapshot> {
  const buyers = mapOf(file.buyers, (id, buyer) => buildBuyer(id, buyer, file, made))
  const contracts = new Map<string, Contract[]>()
  let done = 0
  for (const id of idsOf(file.contracts)) {
    if (stepEvery(++done)) yield
    const { campaign } = file.contracts[id]!
    const seats = contracts.get(campaign) ?? []
    seats.push(buildContract(id, file, seats.length, buyers, made))
    contracts.set(campaign, seats)
  }
  const sources = mapOf(file.sources, (id, source) => buildSource(id, source, file, made))
  const markets = idsOf(file.campaigns).map((id) => buildMarket(id, file, made, contracts.get(id) ?? []))
  const policies = policiesOf(markets, buyers.values())
  const campaigns = mapOf(file.campaigns, (id, campaign) =>
    buildCampaign(id, campaign, file, made, contracts.get(id) ?? [], policies.get(id)!),
  )
  for (const campaign of campaigns.values()) {
    yield
    prepareEligibility(campaign)
  }
  return {
    version,
    canonical,
    example: file.example ?? false,
    sources,
    keys: keysOf(file),
    buyerKeys: buyerKeysOf(file),
    adminKeys: adminKeysOf(file),
    campaigns,
    buyers,
    lists: mapOf(file.lists ?? {}, (_, { of, hash, file: path }) => ({ of, hash: hash ?? null, file: path ?? null })),
    alerts: mapOf(file.alerts ?? {}, (id, alert) => buildAlert(id, alert, made)),
    recipients: mapOf(file.recipients ?? {}, (_, recipient) => buildRecipient(recipient, file)),
    adminUrl: file.admin?.url ?? null,
    allowedCidrs: file.network?.allowed_cidrs ?? [],
    trustedProxies: (file.network?.trusted_proxies ?? []).map(readRange).filter((range) => range !== null),
  }
}

function mapOf<T, U>(group: Readonly<Record<string, T>>, make: (id: string, value: T) => U): ReadonlyMap<string, U> {
  return new Map(idsOf(group).map((id) => [id, make(id, group[id]!)]))
}

/** A source in test has test keys only. */
function keysOf(file: ConfigFile): ReadonlyMap<string, ApiKey> {
  const keys = new Map<string, ApiKey>()
  for (const id of idsOf(file.sources)) {
    const source = file.sources[id]!
    const inTest = (source.status ?? 'test') === 'test'
    for (const key of source.keys) keys.set(key.sha256.toLowerCase(), { source: id, test: inTest || key.test === true })
  }
  return keys
}

function buyerKeysOf(file: ConfigFile): ReadonlyMap<string, string> {
  return new Map(
    idsOf(file.buyers).flatMap((id) =>
      (file.buyers[id]!.keys ?? []).map(({ sha256 }): [string, string] => [sha256.toLowerCase(), id]),
    ),
  )
}

/** A key without a role may do everything; one without a label is known by the beginning of its hash. */
function adminKeysOf(file: ConfigFile): ReadonlyMap<string, AdminKey> {
  const keys = (file.admin?.keys ?? []).map(({ sha256, label, role }): [string, AdminKey] => {
    const hash = sha256.toLowerCase()
    return [hash, { label: label ?? `key ${hash.slice(0, 8)}`, role: role ?? 'admin' }]
  })
  return new Map(keys)
}

/** A paused source may send to no campaign; it still may ask for its earlier leads. */
function buildSource(id: string, source: SourceFile, file: ConfigFile, made: Made): Source {
  const ratePerSecond = source.rate_per_second ?? DEFAULTS.rate_per_second
  return {
    id,
    name: source.name ?? id,
    pseudonym: source.pseudonym,
    campaigns: new Set(source.status === 'paused' ? [] : source.campaigns),
    ratePerSecond,
    burst: source.burst ?? 2 * ratePerSecond,
    floor: money(source.floor ?? DEFAULTS.floor),
    payout: source.payout ? payoutRule(source.payout) : null,
    pendingAs: source.pending_as ?? 'unsold',
    inTest: (source.status ?? 'test') === 'test',
    adForms: buildAdForms(source),
    postbacks: mapOf(source.postbacks ?? {}, (_, { url, method, secrets, events }) => ({
      url,
      method: method ?? 'GET',
      secrets: secrets ?? [],
      events: new Set(events ?? POSTBACK_EVENTS),
    })),
    minPayout: money(source.min_payout ?? DEFAULTS.floor),
    rules: new Map(
      source.campaigns.flatMap((campaign) => {
        const rules = made.houseRules.get(`sources.${id}/${campaign}`)
        return rules ? [[campaign, rules]] : []
      }),
    ),
    filters: made.sourceFilters.get(id) ?? new Map(),
    answerWithinMs: ms(source.answer_within_ms ?? DEFAULTS.answer_within_ms),
    caps: capRules('source', id, sourceZone(file, source), source.caps),
  }
}

function buildAdForms({ ad_forms: forms }: SourceFile): AdForms {
  const { meta } = forms ?? {}
  return {
    fields: forms?.fields ?? {},
    meta: meta
      ? {
          appSecret: meta.app_secret,
          verifyToken: meta.verify_token,
          accessToken: meta.access_token,
          graphUrl: meta.graph_url ?? DEFAULTS.graph_url,
        }
      : null,
  }
}

function buildBuyer(id: string, buyer: BuyerFile, file: ConfigFile, made: Made): Buyer {
  const name = buyer.name ?? id
  return {
    id,
    name,
    zone: buyer.zone,
    group: buyer.group ?? id,
    legalEntity: buyer.legal_entity ?? name,
    health: healthOf(buyer.health),
    tcpaText: buyer.tcpa_text ?? null,
    duplicates: buyerDuplicates(buyer.duplicates),
    suppress: buyer.suppress ?? [],
    throttles: throttlesOf(`buyer:${id}`, buyer.zone, buyer.throttle),
    lowBalance: buyer.balance?.low === undefined ? null : money(buyer.balance.low),
    caps: [
      ...capRules('buyer', id, buyer.zone, buyer.caps, schedulesAt(made, [`buyers.${id}`])),
      ...(buyer.balance ? [balanceRule(id, buyer.zone, buyerCurrency(file, id), buyer.balance.credit ?? '0.00')] : []),
    ],
  }
}

function buildMarket(campaign: string, file: ConfigFile, made: Made, contracts: readonly Contract[]): Market {
  const vertical = made.verticals.get(campaign)!
  return {
    campaign,
    vertical: vertical.id,
    rule: campaignDuplicates(file.campaigns[campaign]!.duplicates, vertical),
    buyers: [...new Set(contracts.map(({ buyer }) => buyer))],
  }
}

function buildCampaign(
  id: string,
  campaign: CampaignFile,
  file: ConfigFile,
  made: Made,
  contracts: readonly Contract[],
  duplicates: DuplicatePolicy,
): Campaign {
  const vertical = made.verticals.get(id)!
  const currency = currencyOf(file, id)
  return {
    id,
    vertical,
    filter: made.campaignFilters.get(id) ?? null,
    zone: campaign.zone,
    currency,
    minorDigits: currencyDigits(currency)!,
    floor: money(campaign.floor ?? DEFAULTS.floor),
    minMargin: money(campaign.min_margin ?? DEFAULTS.min_margin),
    allowLoss: campaign.allow_loss ?? false,
    payout: payoutRule(campaign.payout),
    rules: made.houseRules.get(`campaigns.${id}`) ?? null,
    hasContractRules: contracts.some(({ rules }) => rules !== null),
    totalMs: ms(campaign.total_ms ?? DEFAULTS.total_ms),
    duplicates,
    suppress: campaign.suppress ?? [],
    checks: made.checks.get(id) ?? null,
    allowsGet: campaign.allow_get ?? false,
    form: { honeypot: campaign.form?.honeypot ?? DEFAULTS.honeypot },
    redirects: {
      thankYou: campaign.redirects?.thank_you ?? null,
      reject: campaign.redirects?.reject ?? null,
      tracked: campaign.redirects?.tracked ?? null,
    },
    offers: {
      lifeMs: ms((campaign.offers?.seconds ?? DEFAULTS.offer_seconds) * 1_000),
      shortfall: campaign.offers?.shortfall ?? 'eat_to_zero_margin',
      personal: campaign.offers?.personal ?? 'drop',
      choice: campaign.offers?.consumer_choice ?? false,
    },
    tiers: campaign.plan.map((tier) => ({
      name: tier.tier,
      strategy: tier.strategy,
      copies: tier.copies ?? 1,
      pingMs: ms(tier.ping_ms ?? DEFAULTS.ping_ms),
      earlyClose: tier.early_close ?? true,
    })),
    contracts,
    caps: capRules('campaign', id, campaign.zone, campaign.caps),
  }
}

function buildContract(
  id: string,
  file: ConfigFile,
  seat: number,
  buyers: ReadonlyMap<string, Buyer>,
  made: Made,
): Contract {
  const contract = file.contracts[id]!
  const buyer = buyers.get(contract.buyer)!
  const tier = tierOf(file, contract)
  const price = priceFrom(contract)
  const paths = [`buyers.${buyer.id}`, `contracts.${id}`]
  const schedules = schedulesAt(made, paths)
  const { early, late } = splitLate(made.filters.get(id) ?? null, made.outputs)
  return {
    id,
    seat,
    buyer,
    active: contract.status === 'active',
    tier: file.campaigns[contract.campaign]!.plan.findIndex((one) => one.tier === tier),
    priority: contract.priority ?? 1,
    weight: contract.weight ?? 1,
    price: price === 'contract' ? money(contract.price!) : null,
    priceFrom: price,
    pinged: isPinged(contract),
    bidLifeMs: contract.bid_seconds === undefined ? null : ms(contract.bid_seconds * 1_000),
    floor: money(contract.floor ?? DEFAULTS.floor),
    minBid: money(contract.min_bid ?? DEFAULTS.floor),
    maxBid: contract.max_bid === undefined ? null : money(contract.max_bid),
    rules: made.contractRules.get(id) ?? null,
    filter: early,
    lateFilter: late,
    checks: contract.checks ?? [],
    needs: [...new Set([...(contract.checks ?? []), ...contractNeeds(made, id)])],
    sources: contract.sources ? new Set(contract.sources) : null,
    schedules,
    queueForMs: contract.when_closed === 'queue' ? (contract.queue_for_ms ?? DEFAULTS.queue_for_ms) : 0,
    pausedUntil: wallMs(Math.max(...paths.map((path) => made.pausedUntil.get(path) ?? 0))),
    throttles: throttlesOf(`contract:${id}`, buyer.zone, contract.throttle),
    caps: capRules('contract', id, buyer.zone, contract.caps, schedules),
    sourceCaps: mapOf(contract.source_caps ?? {}, (source, caps) =>
      capRules('source_contract', `${source}/${id}`, buyer.zone, caps, schedules),
    ),
    postMs: ms(contract.post_ms ?? DEFAULTS.post_ms),
    serverError: contract.server_error ?? 'in_doubt',
    idempotent: contract.idempotent ?? false,
    inDoubt: contract.in_doubt ?? 'hold_unbilled',
    returns: contract.returns ? returnTerms(contract.returns) : null,
    selfService: selfServiceOf(file.buyers[contract.buyer]?.self_service, contract.self_service),
    delivery: made.deliveries.get(id)!,
  }
}

/** What a group leaves out is as the defaults have it. */
export function returnTerms(file: NonNullable<ContractFile['returns']>): ReturnTerms {
  const { max_age_days, share, reason_codes, approval, clawback } = { ...DEFAULTS.returns, ...file }
  const terms = { share: ppm(Math.round(share * PPM_PER_WHOLE)), reasonCodes: reason_codes, approval, clawback }
  return { ...terms, maxAgeDays: max_age_days }
}

const schedulesAt = ({ schedules }: Made, paths: readonly string[]): readonly Schedule[] =>
  paths.flatMap((path) => schedules.get(path) ?? [])

/** Of its contracts, which have one currency where it pays in advance. */
function buyerCurrency(file: ConfigFile, buyer: string): string {
  const contract = Object.values(file.contracts).find((one) => one.buyer === buyer)
  return contract ? currencyOf(file, contract.campaign) : (file.currency ?? DEFAULTS.currency)
}

const THROTTLED = ['second', 'minute', 'day'] as const

function throttlesOf(owner: string, zone: string, file: ThrottleFile = {}): readonly Throttle[] {
  return THROTTLED.flatMap((window) => {
    const limit = file[window]
    return limit === undefined ? [] : { owner, window, limit, zone }
  })
}

const money = (text: string): Micros => parseMoney(text)!
