/** Tries a contract before it goes live: a made-up lead to its buyer, everything that was said, and whether it passed. */
import { v7 as uuidv7 } from 'uuid'
import type { PingAnswer, WireReply, WireRequest } from '../buyers/adapter.ts'
import { type Step, type Trial, tryContract } from '../buyers/trial.ts'
import type { Clock, PostEnd } from '../buyers/wire.ts'
import { withOutputs } from '../rules/checks.ts'
import { parseLead } from '../rules/lead.ts'
import { formatMoney, type WallMs } from '../rules/units.ts'
import type { Campaign, Contract, Fault, Snapshot } from '../rules/version.ts'
import type { Vertical } from '../rules/verticals.ts'
import type { Actor, Publishing } from './configuration/publishing.ts'
import { type Hide, hiding } from './masking.ts'

export interface OnboardingPorts {
  readonly clock: Clock
  readonly publishing: Publishing
}

export interface SaidPage {
  readonly sent: { readonly method: string; readonly url: string; readonly headers: Headers; readonly body: string }
  readonly reply: { readonly status: number; readonly headers: Headers; readonly body: string } | null
  readonly read: Readonly<Record<string, unknown>>
  readonly took_ms: number
}
type Headers = readonly (readonly [name: string, value: string])[]

/** Secrets of the delivery are starred out; the lead is nobody's. */
export interface TrialPage {
  readonly contract: string
  readonly passed: boolean
  readonly ping: SaidPage | null
  readonly post: SaidPage | null
  /** Of the contract in the draft, after the trial. */
  readonly status: string
  /** What to do next. */
  readonly next: string
}

export type Tried =
  | { readonly ok: true; readonly page: TrialPage }
  | { readonly ok: false; readonly code: 'UNKNOWN' }
  | { readonly ok: false; readonly code: 'FAULTY'; readonly faults: readonly Fault[] }

/** Tries a contract of the draft. One in test goes `active` in the draft when it passes, where the ledger governs. */
export async function testContract(ports: OnboardingPorts, actor: Actor, id: string): Promise<Tried> {
  const compiled = await ports.publishing.compiledDraft()
  if (!compiled.ok) return { ok: false, code: 'FAULTY', faults: compiled.faults }
  const { snapshot, config } = compiled
  const found = contractOf(snapshot, id)
  if (found === null) return { ok: false, code: 'UNKNOWN' }
  const { campaign, contract } = found
  const lead = madeUp(campaign, ports.clock.wall())
  const { allowedCidrs } = snapshot
  const trial = await tryContract({ clock: ports.clock, allowedCidrs }, contract, lead)
  const before = statusIn(config, id)
  const activated = trial.passed && before === 'test' && (await activate(ports.publishing, actor, id))
  return { ok: true, page: pageOf(contract, trial, activated ? 'active' : before, nextOf(trial, before, activated)) }
}

function contractOf(snapshot: Snapshot, id: string): { campaign: Campaign; contract: Contract } | null {
  for (const campaign of snapshot.campaigns.values()) {
    const contract = campaign.contracts.find((one) => one.id === id)
    if (contract) return { campaign, contract }
  }
  return null
}

/** The examples of the campaign's fields, as a test lead, with what its checks tell test leads. */
export function madeUp({ id, vertical, checks }: Campaign, now: WallMs) {
  const said = Array.from(checks?.all.values() ?? [], (check) => ({
    ...{ check: check.id, via: 'test' as const, outputs: check.testOutputs },
  }))
  return {
    id: uuidv7(),
    campaign: id,
    sourcePseudonym: 'S-TEST',
    lead: withOutputs(exampleLead(vertical, now), said),
    fragments: new Map<string, string>(),
    test: true,
  }
}

/** A field of the campaign's own may have an example that does not hold: it is left out. */
function exampleLead(vertical: Vertical, now: WallMs) {
  const raw = new Map(vertical.fields.flatMap(({ name, example }) => (example === '' ? [] : [[name, example]])))
  const first = parseLead(vertical, Object.fromEntries(raw), now)
  if (first.ok) return first.lead
  for (const { field } of first.issues) raw.delete(field)
  const spared = parseLead(
    { ...vertical, fields: vertical.fields.map((field) => ({ ...field, required: false })) },
    Object.fromEntries(raw),
    now,
  )
  if (spared.ok) return spared.lead
  throw new Error(`the examples of the vertical ${vertical.id} make no lead: ${spared.issues[0]?.field}`)
}

type Group = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>

const statusIn = (config: Readonly<Record<string, unknown>>, id: string): string =>
  String((config['contracts'] as Group | undefined)?.[id]?.['status'] ?? 'test')

async function activate(publishing: Publishing, actor: Actor, id: string): Promise<boolean> {
  const edited = await publishing.edit(actor, `contracts.${id}`, (config) => {
    const contracts = config['contracts'] as Group
    return { config: { ...config, contracts: { ...contracts, [id]: { ...contracts[id], status: 'active' } } } }
  })
  return edited.ok
}

function nextOf({ passed, post }: Trial, before: string, activated: boolean): string {
  if (activated) return 'It passed, and is active in the draft: publish the draft to let it buy.'
  if (passed && before === 'test') return 'It passed: say "status: active" in the file that CONFIG names.'
  if (passed) return `It passed; its status is ${before}.`
  if (post === null) return 'The ping got no bid: see how its reply was read, and correct the delivery or the buyer.'
  return 'The post was not accepted: see how its reply was read, and correct the delivery or the buyer.'
}

function pageOf(contract: Contract, { ping, post, passed }: Trial, status: string, next: string): TrialPage {
  const hide = hiding(contract)
  return {
    contract: contract.id,
    passed,
    ping: ping && saidPage(ping, pingRead(ping.read), hide),
    post: post && saidPage(post, postRead(post.read), hide),
    status,
    next,
  }
}

export function saidPage({ sent, heard, tookMs }: Step<unknown>, read: SaidPage['read'], hide: Hide): SaidPage {
  return { sent: sentPage(sent, hide), reply: heard && heardPage(heard, hide), read, took_ms: Math.round(tookMs) }
}

function sentPage({ method, origin, path, headers, body }: WireRequest, hide: Hide): SaidPage['sent'] {
  const pairs: [string, string][] = []
  for (let at = 0; at < headers.length; at += 2) pairs.push([headers[at]!, hide(headers[at + 1]!)])
  return { method, url: hide(origin + path), headers: pairs, body: hide(body) }
}

function heardPage({ status, headers, body }: WireReply, hide: Hide): SaidPage['reply'] {
  const pairs = Object.entries(headers).map(([name, value]): [string, string] => [name, hide(String(value ?? ''))])
  return { status, headers: pairs, body: hide(body) }
}

function pingRead(read: PingAnswer): SaidPage['read'] {
  if (read.kind === 'noBid') return { outcome: 'no_bid', reason: read.reason }
  return { outcome: 'bid', price: formatMoney(read.price), buyer_reference: read.buyerReference }
}

function postRead(read: PostEnd): SaidPage['read'] {
  switch (read.kind) {
    case 'accepted': {
      const { price, buyerReference, redirectUrl } = read
      const paid = price === null ? null : formatMoney(price)
      return { outcome: 'accepted', price: paid, buyer_reference: buyerReference, onward: redirectUrl }
    }
    case 'rejected':
      return { outcome: 'rejected', reason: read.reason }
    case 'unknown':
      return { outcome: 'in_doubt', reason: read.reason }
    case 'notSent':
      return { outcome: 'not_sent', reason: read.reason }
    default:
      return read satisfies never
  }
}
