/** Checks the suppression lists and who names them. */
import { type Check, checkReference, idsOf } from './check.ts'

export function checkLists(check: Check): void {
  const { draft, broken, warn } = check
  const used = new Set<string>()
  const named = (path: string, lists: readonly (string | undefined)[] | undefined) =>
    lists?.forEach((name, at) => {
      if (name === undefined) return
      const here = `${path}.suppress[${at}]`
      checkReference(check, here, 'list', name, draft.lists ?? {})
      if (lists.indexOf(name) !== at) check.fault(here, `"${name}" stands in the list already: remove it.`)
      used.add(name)
    })
  for (const id of idsOf(draft.campaigns)) named(`campaigns.${id}`, draft.campaigns![id]?.suppress)
  for (const id of idsOf(draft.buyers)) named(`buyers.${id}`, draft.buyers![id]?.suppress)
  for (const id of idsOf(draft.checks)) used.add(draft.checks![id]?.list ?? '')
  for (const id of idsOf(draft.lists)) {
    if (!used.has(id) && !broken('campaigns') && !broken('buyers'))
      warn(`lists.${id}`, 'no campaign, no buyer and no check names this list, so it keeps nobody out.')
  }
}
