/** Checks every filter of a configuration against the fields of the campaign it is for, and compiles it. */

import { both } from '../filter/check.ts'
import { checksIn } from '../filter/late.ts'
import { type Condition, compileCondition, type Scope, scopeOf } from '../filter.ts'
import { type Check, idsOf } from './check.ts'
import { type Steps, stepEvery } from './steps.ts'
import { isZone } from './zones.ts'

/** Where a condition stands. */
export interface Place {
  readonly campaign: string | undefined
  readonly path: string
  /** The clock of `received` where the condition names none; unset: the campaign's. */
  readonly zone?: string | undefined
}

/** A condition on the leads of a campaign, by that campaign's fields; null where there is none or it has faults, which the check has heard. */
export function conditionAt(check: Check, config: unknown, { campaign, path, zone }: Place): Condition | null {
  const scope = campaign === undefined ? null : scopeIn(check, campaign)
  if (config === undefined || !scope) return null
  const compiled = compileCondition(config, zone !== undefined && isZone(zone) ? { ...scope, zone } : scope, path)
  if ('condition' in compiled) return compiled.condition
  for (const fault of compiled.faults) check.fault(fault.path, fault.message)
  return null
}

/** One scope for all conditions of a campaign: they share a dictionary. Ids of sources that have faults of their own do exist. */
export function scopeIn({ draft, made }: Check, campaign: string): Scope | null {
  const known = made.scopes.get(campaign)
  const vertical = made.verticals.get(campaign)
  if (known || !vertical) return known ?? null
  const zone = draft.campaigns?.[campaign]?.zone
  const sources = draft.sources && new Set(idsOf(draft.sources))
  const scope = scopeOf(vertical, {
    outputs: made.outputs,
    ...(sources && { sources }),
    ...(zone !== undefined && isZone(zone) && { zone }),
  })
  made.scopes.set(campaign, scope)
  return scope
}

export function* checkFilters(check: Check): Steps<void> {
  const { draft, made } = check
  for (const id of idsOf(draft.campaigns)) {
    const place = { campaign: id, path: `campaigns.${id}.filter` }
    const filter = conditionAt(check, draft.campaigns![id]?.filter, place)
    refuseOutputs(check, filter, place.path)
    if (filter) made.campaignFilters.set(id, filter)
  }
  for (const id of idsOf(draft.sources)) {
    const { filter, campaigns, zone } = draft.sources![id] ?? {}
    const byCampaign = new Map<string, Condition>()
    for (const campaign of campaigns ?? []) {
      const compiled = conditionAt(check, filter, { campaign, zone, path: `sources.${id}.filter` })
      refuseOutputs(check, compiled, `sources.${id}.filter`)
      if (compiled) byCampaign.set(campaign!, compiled)
    }
    made.sourceFilters.set(id, byCampaign)
  }
  yield* checkContractFilters(check)
}

/** Whoever the campaign or the source turns away is not worth a check. */
function refuseOutputs({ made, fault }: Check, filter: Condition | null, path: string): void {
  const [name] = checksIn(filter, made.outputs)
  if (name === undefined) return
  fault(path, `is asked before the check "${name}": list it in the campaign's checks, and say there what it refuses.`)
}

/** A contract has its buyer's filter before its own. */
function* checkContractFilters(check: Check): Steps<void> {
  const { draft, made } = check
  const ofBuyers = new Map<string, Condition | null>()
  let done = 0
  for (const id of idsOf(draft.contracts)) {
    if (stepEvery(++done)) yield
    const { buyer, campaign, filter } = draft.contracts![id] ?? {}
    const { filter: buyerFilter, zone } = draft.buyers?.[buyer ?? ''] ?? {}
    const key = `${buyer} ${campaign}`
    if (!ofBuyers.has(key)) {
      ofBuyers.set(key, conditionAt(check, buyerFilter, { campaign, zone, path: `buyers.${buyer}.filter` }))
    }
    const own = conditionAt(check, filter, { campaign, zone, path: `contracts.${id}.filter` })
    const whole = both(ofBuyers.get(key)!, own)
    if (whole) made.filters.set(id, whole)
  }
}
