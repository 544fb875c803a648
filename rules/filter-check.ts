/** Checks every filter of a configuration against the fields of the campaign it is for, and compiles it. */
import { type Check, idsOf } from './config-check.ts'
import { both } from './filter/check.ts'
import { type Condition, compileCondition, type Scope, scopeOf } from './filter.ts'
import { isZone } from './zones.ts'

export function checkFilters(check: Check): void {
  const { draft, made } = check
  const scopes = scopesOf(check)
  const compile = (config: unknown, campaign: string | undefined, zone: string | undefined, path: string) => {
    const scope = campaign === undefined ? undefined : scopes.get(campaign)
    if (config === undefined || !scope) return null
    const compiled = compileCondition(config, zone !== undefined && isZone(zone) ? { ...scope, zone } : scope, path)
    if ('condition' in compiled) return compiled.condition
    for (const fault of compiled.faults) check.fault(fault.path, fault.message)
    return null
  }
  for (const id of idsOf(draft.campaigns)) {
    const filter = compile(draft.campaigns![id]?.filter, id, undefined, `campaigns.${id}.filter`)
    if (filter) made.campaignFilters.set(id, filter)
  }
  for (const id of idsOf(draft.sources)) {
    const { filter, campaigns, zone } = draft.sources![id] ?? {}
    const byCampaign = new Map<string, Condition>()
    for (const campaign of campaigns ?? []) {
      const compiled = compile(filter, campaign, zone, `sources.${id}.filter`)
      if (compiled) byCampaign.set(campaign!, compiled)
    }
    made.sourceFilters.set(id, byCampaign)
  }
  const ofBuyers = new Map<string, Condition | null>()
  for (const id of idsOf(draft.contracts)) {
    const { buyer, campaign, filter } = draft.contracts![id] ?? {}
    const { filter: buyerFilter, zone } = draft.buyers?.[buyer ?? ''] ?? {}
    const key = `${buyer} ${campaign}`
    if (!ofBuyers.has(key)) ofBuyers.set(key, compile(buyerFilter, campaign, zone, `buyers.${buyer}.filter`))
    const whole = both(ofBuyers.get(key)!, compile(filter, campaign, zone, `contracts.${id}.filter`))
    if (whole) made.filters.set(id, whole)
  }
}

/** By campaign. Ids of sources that have faults of their own do exist. */
function scopesOf({ draft, made, broken }: Check): ReadonlyMap<string, Scope> {
  const sources = broken('sources') && draft.sources === undefined ? undefined : new Set(idsOf(draft.sources))
  const scopes = new Map<string, Scope>()
  for (const [id, vertical] of made.verticals) {
    const zone = draft.campaigns?.[id]?.zone
    scopes.set(id, scopeOf(vertical, { sources, ...(zone !== undefined && isZone(zone) ? { zone } : {}) }))
  }
  return scopes
}
