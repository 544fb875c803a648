/** Checks what a configuration says of prices, and compiles the rules that make them depend on the lead. */

import { checksIn } from '../filter/late.ts'
import { type Adjustment, effectiveFloor } from '../money.ts'
import type { HouseRules, Rule } from '../prices.ts'
import { type Micros, micros, PPM_PER_WHOLE, parseMoney, ppm } from '../units.ts'
import type { PayoutRule } from '../version.ts'
import { type Check, currencyOf, idsOf } from './check.ts'
import { isPinged, priceFrom, tierOf } from './contract-check.ts'
import { currencyDigits } from './currency.ts'
import { conditionAt, type Place } from './filter-check.ts'
import type { AdjustFile, PayoutFile } from './price-schema.ts'
import { type CampaignFile, type ContractFile, DEFAULTS, type Draft, type SourceFile } from './schema.ts'

export function checkPrices(check: Check): void {
  const { draft } = check
  for (const id of idsOf(draft.campaigns)) checkCampaign(check, id, draft.campaigns![id] ?? {})
  for (const id of idsOf(draft.sources)) checkSource(check, id, draft.sources![id] ?? {})
  for (const id of idsOf(draft.contracts)) checkContract(check, id, draft.contracts![id] ?? {})
}

/** A payout that has passed its check. */
export function payoutRule(payout: Draft<PayoutFile>): PayoutRule {
  const { fixed, share = 0, margin_floor: marginFloor, payout_on: on } = payout
  if (fixed !== undefined) return { fixed: moneyOf(fixed), ...(on === 'accepted' && { on }) }
  const rule = { share: ppm(Math.round(share * PPM_PER_WHOLE)) }
  return marginFloor === undefined ? rule : { ...rule, marginFloor: moneyOf(marginFloor) }
}

function checkCampaign(check: Check, id: string, campaign: Draft<CampaignFile>): void {
  const path = `campaigns.${id}`
  checkPayout(check, `${path}.payout`, campaign.payout, id)
  keepHouseRules(check, path, houseRules(check, { campaign: id, path }, campaign))
  campaign.plan?.forEach((tier, at) => {
    if (tier?.early_close === undefined || tier.strategy === undefined || tier.strategy === 'auction') return
    check.warn(`${path}.plan[${at}].early_close`, `counts for nothing: a ${tier.strategy} waits for one bid at a time.`)
  })
}

function checkSource(check: Check, id: string, source: Draft<SourceFile>): void {
  const path = `sources.${id}`
  for (const campaign of source.campaigns ?? []) {
    const terms = check.draft.campaigns?.[campaign ?? '']
    if (campaign === undefined || !terms) continue
    checkPayout(check, `${path}.payout`, source.payout, campaign)
    keepHouseRules(check, `${path}/${campaign}`, houseRules(check, { campaign, zone: source.zone, path }, source))
    const least = source.min_payout === undefined ? null : moneyOf(source.min_payout)
    checkMinor(check, `${path}.min_payout`, source.min_payout, campaign)
    const fixed = (source.payout ?? terms.payout)?.fixed
    if (least !== null && fixed !== undefined && moneyOf(fixed) < least) {
      const message = `the payout for campaign "${campaign}" is "${fixed}", so nothing of this source is sold there.`
      check.warn(`${path}.min_payout`, message)
    }
  }
}

function keepHouseRules({ made }: Check, key: string, rules: HouseRules): void {
  if (rules.floors.length + rules.payouts.length > 0) made.houseRules.set(key, rules)
}

function houseRules(
  check: Check,
  place: Place & { readonly campaign: string },
  {
    floor_rules: floors,
    payout_rules: payouts,
    payout,
  }: Pick<Draft<CampaignFile>, 'floor_rules' | 'payout_rules' | 'payout'>,
): HouseRules {
  const ofFloor = rulesAt(check, place, 'floor_rules', floors, ({ floor }) => optionalMoney(floor))
  const ofPayout = rulesAt(check, place, 'payout_rules', payouts, (rule, path) => {
    checkPayout(check, `${path}.payout`, rule.payout, place.campaign)
    return rule.payout === undefined ? null : payoutRule(rule.payout)
  })
  const checks = checksOf(check, ofPayout)
  const own = payout ?? check.draft.campaigns?.[place.campaign]?.payout
  const isOwed = own?.payout_on === 'accepted' || ofPayout.some(({ is }) => 'fixed' in is && is.on === 'accepted')
  if (checks.length > 0 && isOwed) {
    check.fault(
      `${place.path}.payout_rules`,
      `ask about the check "${checks[0]}", and a payout on acceptance is owed before it has answered: pay such leads alike.`,
    )
  }
  return { floors: ofFloor, payouts: ofPayout, checks: [...new Set([...checksOf(check, ofFloor), ...checks])] }
}

const checksOf = ({ made }: Check, rules: readonly Rule<unknown>[]): readonly string[] => [
  ...new Set(rules.flatMap(({ when }) => checksIn(when, made.outputs))),
]

function rulesAt<F extends { readonly when?: unknown }, T>(
  check: Check,
  place: Place,
  key: string,
  rules: readonly (F | undefined)[] | undefined,
  read: (rule: F, path: string) => T | null,
): Rule<T>[] {
  return (rules ?? []).flatMap((rule, at) => {
    const path = `${place.path}.${key}[${at}]`
    if (rule === undefined) return []
    if (rule.when === undefined && at > 0) {
      check.warn(`${path}.when`, 'is missing, so this rule always holds, and none before it ever counts.')
    }
    const when = conditionAt(check, rule.when, { ...place, path: `${path}.when` })
    const is = read(rule, path)
    return is === null ? [] : [{ when, is }]
  })
}

function checkPayout(check: Check, path: string, payout: Draft<PayoutFile> | undefined, campaign: string): void {
  if (payout === undefined || check.broken(path)) return
  const { fixed, share, margin_floor: marginFloor, payout_on: on } = payout
  if ((fixed === undefined) === (share === undefined)) {
    check.fault(path, 'needs either {fixed: "6.00"} or {share: 0.7}, one of them.')
    return
  }
  if (share !== undefined) checkDecimals(check, `${path}.share`, share)
  if (fixed !== undefined && marginFloor !== undefined) {
    check.fault(
      `${path}.margin_floor`,
      'limits a share, and this payout is fixed: remove it (min_margin raises the floor).',
    )
  }
  if (share !== undefined && on === 'accepted') {
    check.fault(`${path}.payout_on`, 'is accepted, and a share of what is not sold is nothing: make the payout fixed.')
  }
  checkMinor(check, `${path}.fixed`, fixed, campaign)
  const { allow_loss: allowLoss, min_margin: minMargin } = check.draft.campaigns?.[campaign] ?? {}
  const margin = moneyOf(minMargin ?? DEFAULTS.min_margin)
  if (share === 1 && allowLoss !== true && moneyOf(marginFloor ?? '0') < margin) {
    const message = `the source earns the whole price, so no margin can be left: lower ${path}.share.`
    check.fault(`campaigns.${campaign}.min_margin`, message)
  }
}

function checkDecimals(check: Check, path: string, number: number): void {
  const parts = number * PPM_PER_WHOLE
  if (Math.abs(parts - Math.round(parts)) > 1e-6) check.fault(path, 'has more than 6 decimals: round it.')
}

function checkMinor(check: Check, path: string, amount: string | undefined, campaign: string): void {
  const currency = currencyOf(check.draft, campaign)
  const digits = currencyDigits(currency)
  if (amount === undefined || digits === null || moneyOf(amount) % 10 ** (6 - digits) === 0) return
  check.fault(path, `"${amount}" is no whole minor unit of ${currency}: round it to ${digits} decimals.`)
}

function checkContract(check: Check, id: string, contract: Draft<ContractFile>): void {
  const path = `contracts.${id}`
  const zone = check.draft.buyers?.[contract.buyer ?? '']?.zone
  const place = { campaign: contract.campaign, zone, path }
  const prices = rulesAt(check, place, 'price_rules', contract.price_rules, ({ price }) => optionalMoney(price))
  const floors = rulesAt(check, place, 'floor_rules', contract.floor_rules, ({ floor }) => optionalMoney(floor))
  const adjustments = rulesAt(check, place, 'adjust', contract.adjust, (rule, at) => adjustmentAt(check, at, rule))
  if (prices.length + floors.length + adjustments.length > 0) {
    const checks = checksOf(check, [...prices, ...floors, ...adjustments])
    check.made.contractRules.set(id, { prices, floors, adjustments, checks })
  }
  checkPrice(check, path, contract)
  checkBids(check, path, contract)
  const campaign = check.draft.campaigns?.[contract.campaign ?? '']
  if (campaign) checkFloor(check, path, contract, campaign)
  const strategy = campaign?.plan?.find((tier) => tier?.tier === tierOf(check.draft, contract))?.strategy
  if (contract.adjust !== undefined && strategy !== undefined && strategy !== 'auction') {
    check.warn(`${path}.adjust`, `counts for nothing in a ${strategy} tier, where bids are not compared.`)
  }
}

function adjustmentAt(check: Check, path: string, { factor, amount }: Draft<AdjustFile>): Adjustment | null {
  if (check.broken(path)) return null
  if ((factor === undefined) === (amount === undefined)) {
    check.fault(path, 'needs either {factor: 0.9} or {amount: "-2.00"}, one of them.')
    return null
  }
  if (factor === undefined) {
    const sum = moneyOf(amount!.replace(/^[+-]/, ''))
    return { amount: micros(amount!.startsWith('-') ? -sum : sum) }
  }
  checkDecimals(check, `${path}.factor`, factor)
  return { factor: ppm(Math.round(factor * PPM_PER_WHOLE)) }
}

function checkPrice(check: Check, path: string, contract: Draft<ContractFile>): void {
  if (['price', 'price_from', 'delivery'].some((key) => check.broken(`${path}.${key}`))) return
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
  if (pinged && contract.price_rules !== undefined && priceFrom(contract) === 'reply') {
    check.fault(
      `${path}.price_rules`,
      'are never used: the price comes by ping. Give a price for all other leads, too.',
    )
  }
}

/** Limits are for bids that come by ping. */
function checkBids(check: Check, path: string, contract: Draft<ContractFile>): void {
  const { min_bid: least, max_bid: most } = contract
  if (check.broken(path)) return
  for (const key of ['min_bid', 'max_bid'] as const) {
    if (contract[key] !== undefined && priceFrom(contract) === 'contract') {
      check.fault(
        `${path}.${key}`,
        'limits bids that come by ping, and this contract buys at its own price: remove it.',
      )
    }
  }
  if (least !== undefined && most !== undefined && moneyOf(least) > moneyOf(most)) {
    check.fault(`${path}.max_bid`, `"${most}" is under min_bid "${least}", so no bid passes: change one of them.`)
  }
}

/** Where no rule can change it: a price, or a most bid, under what a sale must bring. */
function checkFloor(check: Check, path: string, contract: Draft<ContractFile>, campaign: Draft<CampaignFile>): void {
  const from = `campaigns.${contract.campaign}`
  const key = contract.price === undefined ? 'max_bid' : 'price'
  const most = contract[key]
  const ruled = contract.price_rules ?? contract.floor_rules ?? campaign.floor_rules ?? campaign.payout_rules
  if (most === undefined || ruled !== undefined || check.broken(path) || check.broken(from) || !campaign.payout) return
  const terms = {
    floor: moneyOf(campaign.floor ?? DEFAULTS.floor),
    payout: payoutRule(campaign.payout),
    minPayout: micros(0),
    minMargin: moneyOf(campaign.min_margin ?? DEFAULTS.min_margin),
    allowLoss: campaign.allow_loss ?? false,
  }
  if (moneyOf(most) >= effectiveFloor(terms, moneyOf(contract.floor ?? DEFAULTS.floor))) return
  const message = `"${most}" is under what a sale must bring (floors, payout and margin of campaign "${contract.campaign}"), so the contract never buys.`
  check.warn(`${path}.${key}`, message)
}

const moneyOf = (text: string): Micros => parseMoney(text)!

const optionalMoney = (text: string | undefined): Micros | null => (text === undefined ? null : moneyOf(text))
