/** What the suites of configured deliveries share: a configuration around one delivery, a lead read by its vertical, and the requests made of both. */
import { readdirSync, readFileSync } from 'node:fs'
import type { WireLead, WireRequest } from '../buyers/adapter.ts'
import { compileAdapter } from '../buyers/compile.ts'
import { compileConfiguration } from '../buyers/configuration.ts'
import { parseLead } from '../rules/lead.ts'
import { micros } from '../rules/units.ts'
import type { Contract, Fault } from '../rules/version.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { AT, factsOf, LEAD_ID } from './buyers-kit.ts'

const SOLAR = VERTICALS.get('solar')!

/** As a source sends it. */
export const RAW = {
  first_name: 'Zoë',
  last_name: "O'Neil & <Sons>",
  phone: '(512) 234-0199',
  email: 'Zoe@Example.com',
  address: '1100 Congress Ave',
  city: 'Austin',
  state: 'TX',
  zip: '78701',
  ownership: 'own',
  bill_band: '100-200',
  tcpa_consent: 'yes',
  tcpa_text: 'By pressing "Get quotes" I agree.',
  consent_at: '2026-03-02T15:58:00Z',
  ip_address: '203.0.113.9',
  sub1: 'summer 26',
} as const

export function leadOf(raw: Readonly<Record<string, unknown>> = RAW, test = false): WireLead {
  const parsed = parseLead(SOLAR, raw, AT)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return {
    id: LEAD_ID,
    campaign: 'solar',
    sourcePseudonym: 'S-1',
    lead: parsed.lead,
    fragments: new Map(),
    test,
  }
}

/** The configuration of one contract with this delivery. Addresses are given where it names none. */
export function configWith(delivery: object, contract: object = {}): object {
  return {
    sources: { mill: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [] } },
    campaigns: {
      solar: {
        vertical: 'solar',
        zone: 'America/Chicago',
        payout: { share: 0.7 },
        plan: [{ tier: 'open', strategy: 'auction' }],
      },
    },
    network: { allowed_cidrs: ['127.0.0.0/8'] },
    buyers: { acme: { zone: 'America/New_York' } },
    contracts: {
      acme: {
        buyer: 'acme',
        campaign: 'solar',
        status: 'active',
        ...contract,
        delivery: { ping_url: 'https://acme.example/ping', post_url: 'https://acme.example/post?v=2', ...delivery },
      },
    },
  }
}

export function contractWith(delivery: object, contract: object = {}): Contract {
  const compiled = compileConfiguration(configWith(delivery, contract), 1)
  if (!compiled.ok) throw new Error(inWords(compiled.faults).join('\n'))
  return compiled.snapshot.campaigns.get('solar')!.contracts[0]!
}

export function faultsOf(delivery: object): readonly string[] {
  const compiled = compileConfiguration(configWith(delivery), 1)
  return compiled.ok ? [] : inWords(compiled.faults)
}

const inWords = (faults: readonly Fault[]): string[] => faults.map(({ path, message }) => `${path}: ${message}`)

export function pingWith(delivery: object, lead = leadOf()): WireRequest {
  return compileAdapter(contractWith(delivery)).pingRequest(lead, AT)
}

export function postWith(delivery: object, lead = leadOf()): WireRequest {
  const contract = contractWith(delivery)
  return compileAdapter(contract).postRequest(lead, factsOf(contract, { price: micros(18_500_000) }))
}

/** By lower-case name. */
export function headersOf({ headers }: WireRequest): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (let at = 0; at < headers.length; at += 2) found[headers[at]!.toLowerCase()] = headers[at + 1]!
  return found
}

/** A story of one buyer's wire: what a preset sends, and how it reads what its platform answers. */
export interface PresetStory {
  readonly why: string
  readonly contract: object
  readonly delivery: Readonly<Record<string, unknown>>
  /** As the source sends it; else the usual one. */
  readonly lead?: Readonly<Record<string, string>>
  readonly test?: boolean
  readonly ping?: object
  readonly post: object
  readonly replies: readonly {
    readonly to: 'ping' | 'post'
    readonly status: number
    readonly headers?: Readonly<Record<string, string>>
    readonly body: string
    readonly is: { readonly kind: string; readonly buyerReference?: string | null }
  }[]
}

const FOLDER = new URL('./golden/buyers/', import.meta.url)

/** By the preset's name. */
export const PRESET_STORIES = readdirSync(FOLDER).map((file): [string, PresetStory] => [
  file.replace('.json', ''),
  JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as PresetStory,
])
