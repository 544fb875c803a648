/** Tries a check of the draft: its service is asked about a made-up lead, and everything that was said is shown. */
import { tryCheck } from '../../buyers/trial.ts'
import { type LeadCheck, withOutputs } from '../../rules/checks.ts'
import { PLAIN } from '../../rules/delivery.ts'
import type { Campaign, Fault, Snapshot } from '../../rules/version.ts'
import { hiding } from '../masking.ts'
import { madeUp, type OnboardingPorts, type SaidPage, saidPage } from '../onboarding.ts'

export interface CheckTrialPage {
  readonly check: string
  readonly asked: SaidPage
  readonly refuses: boolean
}

export type CheckTried =
  | { readonly ok: true; readonly page: CheckTrialPage }
  | { readonly ok: false; readonly code: 'UNKNOWN' }
  | { readonly ok: false; readonly code: 'FAULTY'; readonly faults: readonly Fault[] }

/** About the example lead of the first campaign that needs the check. */
export async function testCheck({ publishing, clock }: OnboardingPorts, id: string): Promise<CheckTried> {
  const compiled = await publishing.compiledDraft()
  if (!compiled.ok) return { ok: false, code: 'FAULTY', faults: compiled.faults }
  const { snapshot, config } = compiled
  if (!Object.hasOwn((config['checks'] as object | undefined) ?? {}, id)) return { ok: false, code: 'UNKNOWN' }
  const refuse = (message: string): CheckTried => ({
    ...{ ok: false, code: 'FAULTY', faults: [{ path: `checks.${id}`, message }] },
  })
  const found = checkOf(snapshot, id)
  if (found === null) return refuse('no campaign needs it, so there is no lead to ask about: list it in one.')
  const { campaign, check } = found
  if ('list' in check.by) return refuse('looks a list up: there is no service to try.')
  const lead = madeUp(campaign, clock.wall())
  const { service } = check.by
  const tried = await tryCheck({ clock, allowedCidrs: snapshot.allowedCidrs }, check, service, lead)
  const { outputs, failed } = tried.read
  const urls = { pingUrl: null, postUrl: service.url, testPingUrl: null, testUrl: null }
  const hide = hiding({ delivery: { ...urls, secrets: [], ping: PLAIN, post: service.message } })
  const read = outputs === null ? { failed } : { outputs }
  return { ok: true, page: { check: id, asked: saidPage(tried, read, hide), refuses: refuses(check, outputs, lead) } }
}

function checkOf({ campaigns }: Snapshot, id: string): { campaign: Campaign; check: LeadCheck } | null {
  for (const campaign of campaigns.values()) {
    const check = campaign.checks?.all.get(id)
    if (check) return { campaign, check }
  }
  return null
}

function refuses(check: LeadCheck, outputs: object | null, { lead }: ReturnType<typeof madeUp>): boolean {
  if (outputs === null) return check.failClosed
  const known = withOutputs(lead, [{ check: check.id, via: 'asked', outputs: { ...outputs } }])
  return check.refuses !== null && check.refuses.fallsOn(known, '') === null
}
