/** Checks what the contracts of a configuration mean: seats in a plan, prices, deadlines, filters, and their delivery. */
import { type Check, checkField, checkReference, idsOf } from './config-check.ts'
import { type CampaignFile, type ConfigFile, type ContractFile, DEFAULTS, type Draft } from './config-schema.ts'
import { effectiveFloor } from './money.ts'
import { type Micros, PPM_PER_WHOLE, parseMoney, ppm } from './units.ts'
import type { Vertical } from './verticals.ts'

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
  checkDelivery(check, `${path}.delivery`, contract, vertical)
  if ((contract.status ?? 'test') === 'test' && !check.broken(`${path}.status`)) {
    check.warn(`${path}.status`, 'the contract is in test, so it buys nothing: say "status: active" to let it buy.')
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

function checkDelivery(
  check: Check,
  path: string,
  contract: Draft<ContractFile>,
  vertical: Vertical | undefined,
): void {
  const { delivery } = contract
  if (delivery?.ping_url !== undefined) checkUrl(check, `${path}.ping_url`, delivery.ping_url)
  if (delivery?.post_url !== undefined) checkUrl(check, `${path}.post_url`, delivery.post_url)
  checkHeaders(check, `${path}.headers`, delivery?.headers ?? {})
  if (vertical) {
    checkFields(check, `${path}.ping_fields`, delivery?.ping_fields, vertical)
    checkFields(check, `${path}.post_fields`, delivery?.post_fields, vertical)
    delivery?.ping_fields?.forEach((name, at) => {
      const field = vertical.fields.find((one) => one.name === name)
      if (field && !field.ping) {
        const message = `"${name}" may not leave in a ping of the vertical ${vertical.id}: take it out; the post carries it.`
        check.fault(`${path}.ping_fields[${at}]`, message)
      }
    })
  }
  const empty = (delivery?.ping_fields ?? []).length === 0 && !check.broken(`${path}.ping_fields`)
  if (delivery?.ping_url !== undefined && isPinged(contract) && empty) {
    check.warn(`${path}.ping_fields`, 'names no field, so the ping says nothing about the lead.')
  }
}

function checkFields(check: Check, path: string, names: Draft<string[]> | undefined, vertical: Vertical): void {
  names?.forEach((name, at) => {
    if (name === undefined) return
    checkField(check, `${path}[${at}]`, name, vertical)
    if (names.indexOf(name) !== at) check.fault(`${path}[${at}]`, `"${name}" stands in the list already: remove it.`)
  })
}

function checkUrl(check: Check, path: string, text: string): void {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const place = /\$\{/.test(text) ? ' It holds a placeholder that nobody filled in.' : ''
    const shown = text.split('?')[0]
    check.fault(path, `"${shown}" is no absolute http or https address, such as https://acme.example/leads.${place}`)
    return
  }
  if (url.username || url.password) {
    check.fault(path, 'holds a user or a password: put them into an Authorization header.')
  }
  if (url.hash) check.fault(path, `"${url.hash}" would never be sent: remove it.`)
  const loopback = /^(127\.|\[::1\]$|localhost$)/.test(url.hostname)
  if (url.protocol === 'http:' && !loopback) check.warn(path, 'is plain http: leads would travel unencrypted.')
}

/** What frames a message, and what the engine itself says of every request. */
const FRAMING = 'host content-length transfer-encoding connection keep-alive upgrade expect te trailer'.split(' ')
const OWN = 'content-type accept idempotency-key webhook-id webhook-timestamp webhook-signature traceparent'.split(' ')

function checkHeaders(check: Check, path: string, headers: Draft<Record<string, string>>): void {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase()
    const here = /^[\w-]+$/.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) check.fault(here, 'is no header name: use letters, digits and -.')
    else if (FRAMING.includes(lower) || OWN.includes(lower)) {
      check.fault(here, `${name} is set by the engine and cannot be changed: remove it.`)
    } else if (seen.has(lower)) check.fault(here, 'stands twice, in different letters: remove one.')
    seen.add(lower)
    if (value !== undefined && !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      check.fault(here, 'holds a line break or another character that no header may carry: write it on one line.')
    }
  }
}
