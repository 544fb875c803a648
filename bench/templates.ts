/** Measures the templates: ten pings of one lead of 26 fields, rendered to the last byte, in our own shape and by maps that differ. */
import type { WireLead } from '../buyers/adapter.ts'
import { compileAdapter } from '../buyers/compile.ts'
import { compileConfiguration } from '../buyers/configuration.ts'
import { parseLead } from '../rules/lead.ts'
import { wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { microsPer } from './timing.ts'

const BUYERS = 10
const SOLAR = VERTICALS.get('solar')!
const FIELDS = SOLAR.fields.filter((field) => field.ping).map((field) => field.name)
const AT = wallMs(Date.UTC(2026, 2, 2, 18))

/** A map as integrators write them: other names, a few forms, a key, and a nested group; one in three is a form, one XML. */
function mapOf(buyer: number): object {
  const fields = FIELDS.map((name, at) => [
    `${name}_${buyer}`,
    at % 8 === buyer % 8 ? `{${name} | upper}` : `{${name}}`,
  ])
  const lead = {
    ...Object.fromEntries(fields),
    consent: '{tcpa_consent | boolean:Yes,No}',
    at: '{consent_at | date:MM/DD/YYYY}',
    id: '{ping_id}',
    sub: '{source}-{sub1}',
  }
  switch (buyer % 3) {
    case 0:
      return { body: { key: 'k-1', mode: 'ping', lead } }
    case 1:
      return { format: 'form', body: { key: 'k-1', mode: 'ping', ...lead } }
    default:
      return { format: 'xml', body: { request: { '@key': 'k-1', mode: 'ping', lead } } }
  }
}

function contractsOf(deliveryOf: (buyer: number) => object): readonly Contract[] {
  const ids = Array.from({ length: BUYERS }, (_, at) => `b${at}`)
  const compiled = compileConfiguration(
    {
      sources: {},
      campaigns: {
        solar: {
          vertical: 'solar',
          zone: 'America/Chicago',
          payout: { share: 0.7 },
          plan: [{ tier: 'main', strategy: 'auction' }],
        },
      },
      buyers: Object.fromEntries(ids.map((id) => [id, { zone: 'America/Chicago' }])),
      contracts: Object.fromEntries(
        ids.map((id, at) => [
          id,
          {
            buyer: id,
            campaign: 'solar',
            status: 'active',
            delivery: {
              ping_url: `https://${id}.example/ping`,
              post_url: `https://${id}.example/post`,
              ...deliveryOf(at),
            },
          },
        ]),
      ),
    },
    1,
  )
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults.slice(0, 5)))
  return compiled.snapshot.campaigns.get('solar')!.contracts
}

/** Ten buyers in our own shape, with ten lists of fields, and ten that differ by their maps. */
export const ownShape = (): readonly Contract[] => contractsOf((buyer) => ({ ping_fields: FIELDS.slice(buyer % 3) }))
export const mapped = (): readonly Contract[] => contractsOf((buyer) => ({ ping: mapOf(buyer) }))

/** Requests of ten buyers for one lead. */
function pingsOf(contracts: readonly Contract[]): (wire: WireLead) => number {
  const adapters = contracts.map(compileAdapter)
  return (wire) => {
    let bytes = 0
    for (const adapter of adapters) bytes += adapter.pingRequest(wire, AT).body.length
    return bytes
  }
}

/** Gives a lead of 26 fields whose values nobody has rendered yet. */
export function freshLead(): () => WireLead {
  const parsed = parseLead(SOLAR, Object.fromEntries(SOLAR.fields.map(({ name, example }) => [name, example])), AT)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  return () => ({
    id: '0197a0b0-1111-7222-8333-944455556666',
    campaign: 'solar',
    sourcePseudonym: 'S-1',
    lead: parsed.lead,
    fragments: new Map(),
    test: false,
  })
}

/** `ten_pings_us`: our own shape; `ten_mapped_pings_us`: ten maps. */
export function templates(batchMs: number): Readonly<Record<string, number>> {
  const [fresh, own, maps] = [freshLead(), pingsOf(ownShape()), pingsOf(mapped())]
  return {
    ten_pings_us: microsPer(batchMs, () => own(fresh())),
    ten_mapped_pings_us: microsPer(batchMs, () => maps(fresh())),
  }
}
