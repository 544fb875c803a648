/** Checks and reads the duplicate rules of campaigns and buyers. */

import { type CampaignDuplicates, type DuplicateRule, FOREVER_MS, MOST_KEYS } from '../duplicates.ts'
import { codeOf, LEVELS } from '../sightings.ts'
import { TRACKING_FIELDS, type Vertical } from '../verticals.ts'
import { type Check, checkField, idsOf } from './check.ts'
import { type BuyerDuplicatesFile, type CampaignDuplicatesFile, DEFAULTS, type Draft } from './schema.ts'

type RuleFile = Omit<Draft<CampaignDuplicatesFile>, 'counts' | 'action'>

const HOUR_MS = 3_600_000
const MOST_PARTS = 4

/** The campaign's rule: by default a sold lead with the same phone or email in 30 days. */
export function campaignDuplicates(
  file: Draft<CampaignDuplicatesFile> | undefined,
  vertical: Vertical,
): CampaignDuplicates {
  const rule = ruleOf(file, DEFAULTS.duplicate_days, file?.counts ?? 'sold')
  const known = DEFAULTS.duplicate_fields.filter((name) => vertical.fields.some((field) => field.name === name))
  return { ...rule, keys: file?.fields ? rule.keys : known, toOthers: file?.action === 'sell_to_others' }
}

/** A buyer's rule: by default what its group bought, or may have bought, in 90 days. */
export const buyerDuplicates = (file: Draft<BuyerDuplicatesFile> | undefined): DuplicateRule =>
  ruleOf(file, DEFAULTS.buyer_duplicate_days, file?.counts ?? 'sold')

function ruleOf(file: RuleFile | undefined, days: number, counts: keyof typeof LEVELS): DuplicateRule {
  const fields = file?.fields ?? DEFAULTS.duplicate_fields
  const hours = file?.hours ?? (file?.days ?? days) * 24
  return {
    keys: [...new Set(fields.flatMap((field) => (field === undefined ? [] : canonicalKey(field))))],
    windowMs: file?.forever ? FOREVER_MS : hours * HOUR_MS,
    level: LEVELS[counts],
  }
}

/** The parts in the order of their names: `zip+last_name` is `last_name+zip`. */
const canonicalKey = (field: string): string => partsOf(field).sort().join('+')

const partsOf = (field: string): string[] => field.split('+').map((part) => part.trim())

export function checkDuplicates(check: Check): void {
  const { draft, made } = check
  for (const id of idsOf(draft.campaigns)) {
    const rule = draft.campaigns![id]?.duplicates
    const vertical = made.verticals.get(id)
    const path = `campaigns.${id}.duplicates`
    if (rule === undefined) continue
    checkRule(check, path, rule, vertical === undefined ? [] : [vertical])
    if (rule.counts === 'received' && rule.action === 'sell_to_others') {
      const message = 'sell_to_others asks who had the lead, and counts: received says of nobody: count pinged or sold.'
      check.fault(`${path}.action`, message)
    }
  }
  const byBuyer = verticalsByBuyer(check)
  for (const id of idsOf(draft.buyers)) {
    const rule = draft.buyers![id]?.duplicates
    if (rule !== undefined) checkRule(check, `buyers.${id}.duplicates`, rule, [...(byBuyer.get(id) ?? [])])
  }
  checkKeyCount(check, byBuyer)
  checkCodes(check)
}

/** The verticals in which each buyer has contracts. */
function verticalsByBuyer({ draft, made }: Check): ReadonlyMap<string, ReadonlySet<Vertical>> {
  const byBuyer = new Map<string, Set<Vertical>>()
  for (const contract of Object.values(draft.contracts ?? {})) {
    const vertical = made.verticals.get(contract?.campaign ?? '')
    if (vertical === undefined || contract?.buyer === undefined) continue
    byBuyer.set(contract.buyer, (byBuyer.get(contract.buyer) ?? new Set()).add(vertical))
  }
  return byBuyer
}

/** A buyer's field needs to be known in one of its verticals; of a campaign there is but one. */
function checkRule(check: Check, path: string, rule: RuleFile, verticals: readonly Vertical[]): void {
  const windows = ['hours', 'days', 'forever'].filter((name) => rule[name as keyof RuleFile] !== undefined)
  if (windows.length > 1) check.fault(path, `says ${windows.join(' and ')}: give one of them.`)
  const keys = new Set<string>()
  rule.fields?.forEach((field, at) => {
    if (field === undefined) return
    const here = `${path}.fields[${at}]`
    const parts = partsOf(field)
    if (keys.has(canonicalKey(field))) check.fault(here, `"${field}" stands in the list already: remove it.`)
    keys.add(canonicalKey(field))
    if (new Set(parts).size < parts.length) check.fault(here, `"${field}" names one field twice: name each once.`)
    if (parts.length > MOST_PARTS) check.fault(here, `"${field}" joins more than ${MOST_PARTS} fields: join fewer.`)
    for (const part of parts) checkPart(check, here, part, verticals)
  })
}

function checkPart(check: Check, path: string, part: string, verticals: readonly Vertical[]): void {
  if (TRACKING_FIELDS.has(part)) {
    check.fault(path, `"${part}" is what the source tracks for itself: name the lead's.`)
  } else if (verticals.length > 0 && !verticals.some(({ fields }) => fields.some(({ name }) => name === part))) {
    checkField(check, path, part, verticals[0]!)
  }
}

/** Every lead of a vertical has a fingerprint for each key that any rule there names. */
function checkKeyCount(check: Check, byBuyer: ReadonlyMap<string, ReadonlySet<Vertical>>): void {
  const { draft, made } = check
  const keys = new Map<string, Set<string>>()
  const add = (vertical: Vertical, rule: RuleFile | undefined) => {
    const known = keys.get(vertical.id) ?? new Set(DEFAULTS.duplicate_fields)
    for (const field of rule?.fields ?? []) if (field !== undefined) known.add(canonicalKey(field))
    keys.set(vertical.id, known)
  }
  for (const [id, vertical] of made.verticals) add(vertical, draft.campaigns?.[id]?.duplicates)
  for (const id of idsOf(draft.buyers)) {
    for (const vertical of byBuyer.get(id) ?? []) add(vertical, draft.buyers![id]?.duplicates)
  }
  for (const [vertical, { size }] of keys) {
    if (size <= MOST_KEYS) continue
    const message = `the duplicate rules of vertical ${vertical} compare ${size} different fields and joins: ${MOST_KEYS} are the most, so let rules share some.`
    check.fault('campaigns', message)
  }
}

/** The hot store writes short codes for ids; two with one code would share what they have had. */
function checkCodes({ draft, fault }: Check): void {
  for (const [group, ids] of [
    ['campaigns', idsOf(draft.campaigns)] as const,
    ['buyers', idsOf(draft.buyers)] as const,
  ]) {
    const owners = new Map<string, string>()
    for (const id of ids) {
      const other = owners.get(codeOf(id))
      if (other !== undefined)
        fault(`${group}.${id}`, `has the same short code as "${other}": give one of them another id.`)
      owners.set(codeOf(id), id)
    }
  }
}
