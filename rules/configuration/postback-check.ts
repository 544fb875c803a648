/** Checks the addresses of the sources' side: postbacks with their macros, and Meta's graph. */

import { MACROS, macrosIn } from '../postback.ts'
import { type Check, checkReference } from './check.ts'
import { checkUrl } from './delivery-check.ts'
import type { Draft, SourceFile } from './schema.ts'

export function checkPostbacks(check: Check, path: string, source: Draft<SourceFile>): void {
  for (const [campaign, postback] of Object.entries(source.postbacks ?? {})) {
    const here = `${path}.postbacks.${campaign}`
    checkReference(check, here, 'campaign', campaign, check.draft.campaigns)
    if (source.campaigns && !source.campaigns.includes(campaign) && check.draft.campaigns?.[campaign]) {
      check.fault(here, `the source does not send to campaign "${campaign}": add it to its campaigns, or remove this.`)
    }
    if (postback?.url !== undefined) checkAddress(check, `${here}.url`, postback.url)
  }
}

function checkAddress(check: Check, path: string, url: string): void {
  const known: readonly string[] = MACROS
  for (const macro of new Set(macrosIn(url))) {
    if (known.includes(macro)) continue
    check.fault(path, `there is no macro "{${macro}}".${check.hint(macro, () => known)}`)
  }
  checkUrl(check, path, url)
  if (/^[^/]*\/\/[^/?]*\{/.test(url)) check.fault(path, 'has a macro in its host: only the path and the query may.')
}

/** Where Meta's leads are fetched from. */
export function checkGraphs(check: Check): void {
  for (const [id, source] of Object.entries(check.draft.sources ?? {})) {
    const url = source?.ad_forms?.meta?.graph_url
    if (url !== undefined) checkUrl(check, `sources.${id}.ad_forms.meta.graph_url`, url)
  }
}
