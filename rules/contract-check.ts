/** Checks what the contracts of a configuration mean: seats in a plan, prices, deadlines, filters. */
import { checkCaps } from './cap-rules.ts'
import { type Check, checkReference, idsOf } from './config-check.ts'
import { type CampaignFile, type ConfigFile, type ContractFile, DEFAULTS, type Draft } from './config-schema.ts'
import { checkDelivery } from './delivery-check.ts'
import { effectiveFloor } from './money.ts'
import { type Micros, PPM_PER_WHOLE, parseMoney, ppm } from './units.ts'

/** A contract with a ping address is pinged unless it says otherwise. */
export const isPinged = (contract: Draft<ContractFile>): boolean =>
  contract.pinged ?? contract.delivery?.ping_url !== undefined

/** A contract with a price means it; without one the price stands in the reply. */
export const priceFrom = (contract: Draft<ContractFile>): 'contract' | 'reply' =>
  contract.price_from ?? (contract.price === undefined ? 'reply' : 'contract')

export function checkContracts(check: Check): void {
  const groups = new Map<string, Set<string>>()
  for (const id of idsOf(check.draft.contracts)) {
    const contract = check.draft.contracts![id] ?? {}
    checkContract(check, id, contract)
    if (contract.buyer === undefined) continue
    const seat = `${contract.campaign}/${tierOf(check.draft, contract)}`
    const group = check.draft.buyers?.[contract.buyer]?.group ?? contract.buyer
    groups.set(seat, (groups.get(seat) ?? new Set()).add(group))
  }
  if (!check.broken('contracts')) checkTiersAreFilled(check, groups)
}

/** The tier a contract sits in: the one it names, or the plan's only one. */
export function tierOf(file: Draft<ConfigFile>, contract: Draft<ContractFile>): string | undefined {
  const plan = contract.campaign === undefined ? undefined : file.campaigns?.[contract.campaign]?.plan
  return contract.tier ?? (plan?.length === 1 ? plan[0]?.tier : undefined)
}

/** An empty tier may be waiting for its buyers, so it is no fault. */
function checkTiersAreFilled(check: Check, groups: ReadonlyMap<string, ReadonlySet<string>>): void {
  for (const id of idsOf(check.draft.campaigns)) {
    check.draft.campaigns![id]?.plan?.forEach((tier, at) => {
      if (tier?.tier === undefined) return
      const buyers = groups.get(`${id}/${tier.tier}`)?.size ?? 0
      const path = `campaigns.${id}.plan[${at}]`
      if (buyers === 0) check.warn(path, `no contract sits in tier "${tier.tier}", so it sells nothing.`)
      else if (buyers < (tier.copies ?? 1)) {
        const message = `sells ${tier.copies} copies, but its contracts belong to ${buyers} groups of buyers, each of which gets one copy at most.`
        check.warn(`${path}.copies`, message)
      }
    })
  }
}

function checkContract(check: Check, id: string, contract: Draft<ContractFile>): void {
  const { draft } = check
  const path = `contracts.${id}`
  if (contract.buyer !== undefined) checkReference(check, `${path}.buyer`, 'buyer', contract.buyer, draft.buyers)
  if (contract.campaign !== undefined) {
    checkReference(check, `${path}.campaign`, 'campaign', contract.campaign, draft.campaigns)
  }
  const campaign = contract.campaign === undefined ? undefined : draft.campaigns?.[contract.campaign]
  const vertical = check.made.verticals.get(contract.campaign ?? '')
  checkPrice(check, path, contract)
  if (campaign) {
    checkTier(check, path, contract, campaign)
    checkDeadlines(check, path, contract, campaign)
    checkFloors(check, path, contract, campaign)
  }
  checkSources(check, path, contract)
  checkContractCaps(check, path, contract)
  const deliverer = { vertical, pinged: isPinged(contract) }
  check.made.deliveries.set(id, checkDelivery(check, `${path}.delivery`, contract.delivery ?? {}, deliverer))
  if ((contract.status ?? 'test') === 'test' && !check.broken(`${path}.status`)) {
    check.warn(`${path}.status`, 'the contract is in test, so it buys nothing: say "status: active" to let it buy.')
  }
}

/** A contract has one campaign, hence one currency. */
function checkContractCaps(check: Check, path: string, contract: Draft<ContractFile>): void {
  checkCaps(check, `${path}.caps`, contract.caps, new Set())
  for (const [source, caps] of Object.entries(contract.source_caps ?? {})) {
    checkReference(check, `${path}.source_caps.${source}`, 'source', source, check.draft.sources)
    checkCaps(check, `${path}.source_caps.${source}`, caps, new Set())
  }
}

function checkTier(check: Check, path: string, contract: Draft<ContractFile>, campaign: Draft<CampaignFile>): void {
  if (!campaign.plan || check.broken(`campaigns.${contract.campaign}.plan`)) return
  const tiers = campaign.plan.flatMap((tier) => tier?.tier ?? [])
  if (contract.tier !== undefined && !tiers.includes(contract.tier)) {
    const message = `the plan of campaign "${contract.campaign}" has no tier "${contract.tier}".`
    check.fault(`${path}.tier`, message + check.hint(contract.tier, () => tiers))
  }
  if (contract.tier === undefined && tiers.length > 1 && !check.broken(`${path}.tier`)) {
    check.fault(`${path}.tier`, `is missing: the plan has several tiers, so name one of ${tiers.join(', ')}.`)
  }
  checkPlace(
    check,
    path,
    contract,
    campaign.plan.find((tier) => tier?.tier === tierOf(check.draft, contract))?.strategy,
  )
}

/** A weight or a priority where the tier's strategy does not ask for it. */
function checkPlace(
  check: Check,
  path: string,
  { weight, priority }: Draft<ContractFile>,
  strategy: string | undefined,
): void {
  const drawn = strategy === 'weighted' || strategy === 'round_robin'
  if (weight !== undefined && strategy !== undefined && !drawn) {
    check.warn(
      `${path}.weight`,
      `counts in weighted and round_robin tiers only, and this one is ${strategy}: remove it.`,
    )
  }
  if (priority !== undefined && drawn) {
    check.warn(`${path}.priority`, `counts for nothing in a ${strategy} tier: give a weight instead.`)
  }
}

function checkPrice(check: Check, path: string, contract: Draft<ContractFile>): void {
  if (check.broken(`${path}.price`) || check.broken(`${path}.price_from`) || check.broken(`${path}.delivery`)) return
  const pinged = isPinged(contract)
  if (contract.pinged === true && contract.delivery?.ping_url === undefined) {
    check.fault(`${path}.delivery.ping_url`, 'is missing: the contract is pinged, so say where.')
  }
  if (contract.price_from === 'contract' && contract.price === undefined) {
    check.fault(`${path}.price`, 'is missing: price_from is contract, so an acceptance needs a price of the contract.')
  } else if (contract.price_from === 'reply' && contract.price !== undefined) {
    check.fault(
      `${path}.price`,
      'is never used: price_from is reply. Remove one of the two (a floor sets the least bid).',
    )
  } else if (!pinged && contract.price === undefined) {
    check.fault(`${path}.price`, 'is missing: the contract is not pinged, so nothing else says what it pays.')
  } else if (!pinged && contract.price_from === 'reply') {
    check.fault(
      `${path}.price_from`,
      'is reply, but the contract is not pinged: give it delivery.ping_url, or a price.',
    )
  }
}

/** A ping and a whole post must fit into the lead's time, or the seat could never sell. */
function checkDeadlines(
  check: Check,
  path: string,
  contract: Draft<ContractFile>,
  campaign: Draft<CampaignFile>,
): void {
  const from = `campaigns.${contract.campaign}`
  const unclear = [`${path}.post_ms`, `${path}.delivery`, `${from}.total_ms`, `${from}.plan`].some(check.broken)
  const at = campaign.plan?.findIndex((tier) => tier?.tier === tierOf(check.draft, contract)) ?? -1
  if (unclear || at < 0) return
  const total = campaign.total_ms ?? DEFAULTS.total_ms
  const post = contract.post_ms ?? DEFAULTS.post_ms
  const pings = campaign.plan!.slice(0, at + 1).map((tier) => tier?.ping_ms ?? DEFAULTS.ping_ms)
  const ping = isPinged(contract) ? pings[at]! : 0
  if (ping + post > total) {
    const message = `a ping of ${ping} ms and a post of ${post} ms do not fit into the ${total} ms of campaign "${contract.campaign}": lower post_ms or the tier's ping_ms, or raise total_ms.`
    check.fault(`${path}.post_ms`, message)
    return
  }
  const earlier = pings.slice(0, at).reduce((sum, one) => sum + one, 0)
  if (earlier + ping + post > total) {
    const message = `where the ${at} tiers before use all their ${earlier} ms of pings, a post of ${post} ms no longer fits into ${total} ms.`
    check.warn(`${path}.post_ms`, message)
  }
}

function checkFloors(check: Check, path: string, contract: Draft<ContractFile>, campaign: Draft<CampaignFile>): void {
  const from = `campaigns.${contract.campaign}`
  if (contract.price === undefined || check.broken(path) || check.broken(from) || !campaign.payout) return
  const { fixed, share } = campaign.payout
  const floor = effectiveFloor(
    {
      floor: moneyOf(campaign.floor ?? DEFAULTS.floor),
      payout:
        fixed !== undefined ? { fixed: moneyOf(fixed) } : { share: ppm(Math.round((share ?? 0) * PPM_PER_WHOLE)) },
      minMargin: moneyOf(campaign.min_margin ?? DEFAULTS.min_margin),
      allowLoss: campaign.allow_loss ?? false,
    },
    moneyOf(contract.floor ?? DEFAULTS.floor),
  )
  if (moneyOf(contract.price) < floor) {
    const message = `"${contract.price}" is under what a sale must bring (floors, payout and margin of campaign "${contract.campaign}"), so the contract never buys.`
    check.warn(`${path}.price`, message)
  }
}

const moneyOf = (text: string): Micros => parseMoney(text)!

function checkSources(check: Check, path: string, contract: Draft<ContractFile>): void {
  contract.sources?.forEach((source, at) => {
    if (source === undefined) return
    const here = `${path}.sources[${at}]`
    checkReference(check, here, 'source', source, check.draft.sources)
    const campaigns = check.draft.sources?.[source]?.campaigns
    if (contract.campaign !== undefined && campaigns && !campaigns.includes(contract.campaign)) {
      check.warn(here, `source "${source}" may not send to campaign "${contract.campaign}".`)
    }
  })
  if (contract.sources?.length === 0) {
    check.fault(`${path}.sources`, 'is an empty list, which would buy from nobody: remove the key to buy from all.')
  }
}
