/** Checks what the contracts of a configuration mean: seats in a plan, deadlines, sources, caps. */
import { checkCaps } from './cap-rules.ts'
import { type Check, checkReference, idsOf } from './check.ts'
import { checkDelivery } from './delivery-check.ts'
import { type CampaignFile, type ConfigFile, type ContractFile, DEFAULTS, type Draft } from './schema.ts'
import { checkSelfService } from './self-service-check.ts'
import { type Steps, stepEvery } from './steps.ts'

/** A contract with a ping address is pinged unless it says otherwise. */
export const isPinged = (contract: Draft<ContractFile>): boolean =>
  contract.pinged ?? contract.delivery?.ping_url !== undefined

/** A contract with a price means it; without one the price stands in the reply. */
export const priceFrom = (contract: Draft<ContractFile>): 'contract' | 'reply' =>
  contract.price_from ?? (contract.price === undefined ? 'reply' : 'contract')

export function* checkContracts(check: Check): Steps<void> {
  const groups = new Map<string, Set<string>>()
  let done = 0
  for (const id of idsOf(check.draft.contracts)) {
    if (stepEvery(++done)) yield
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
  if (campaign) {
    checkTier(check, path, contract, campaign)
    checkDeadlines(check, path, contract, campaign)
  }
  checkSources(check, path, contract)
  checkReturns(check, path, contract, campaign)
  checkContractCaps(check, path, contract)
  checkSelfService(check, `${path}.self_service`, contract.self_service)
  if (contract.throttle !== undefined && !isPinged(contract) && !check.broken(`${path}.delivery`)) {
    check.fault(`${path}.throttle`, 'says how often it may be pinged, and it is not pinged: cap its sales instead.')
  }
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

/** What nobody could give back, and money that a source keeps in any case. */
function checkReturns(
  check: Check,
  path: string,
  { returns }: Draft<ContractFile>,
  campaign: Draft<CampaignFile> | undefined,
): void {
  if (returns === undefined) return
  if (returns.reason_codes?.length === 0) {
    const codes = DEFAULTS.returns.reason_codes.join(', ')
    check.fault(`${path}.returns.reason_codes`, `is an empty list: name some, or remove the key to take ${codes}.`)
  }
  if (returns.share === 0) {
    check.warn(`${path}.returns.share`, 'is 0, so nothing may be returned: remove returns, or say how much may be.')
  }
  if (returns.clawback === 'source' && campaign?.payout?.payout_on === 'accepted') {
    const message = `takes nothing back where campaign "${check.draft.contracts![path.slice('contracts.'.length)]?.campaign}" pays for each lead that it takes: say "clawback: us".`
    check.warn(`${path}.returns.clawback`, message)
  }
}

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
