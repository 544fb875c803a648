/** Filters in their places: a campaign's, a source's, a buyer's and a contract's, from the configuration to the opening. */
import { expect, test } from 'vitest'
import { openingOf } from '../rules/eligibility.ts'
import { EXAMPLE_NOW } from '../rules/fields.ts'
import { parseLead } from '../rules/lead.ts'
import { excludedSeats } from '../rules/seats.ts'
import { wallMs } from '../rules/units.ts'
import { compileVersion } from '../rules/version.ts'

const NO_HINTS = { exhausted: () => null, doubts: () => false, unwell: () => false }
const delivery = { post_url: 'https://acme.example/leads' }
const contract = { campaign: 'solar', status: 'active', price: '18.50', delivery }

interface Filters {
  readonly campaign?: object
  readonly fields?: object
  readonly source?: object
  readonly buyer?: object
  readonly contract?: object
}

/** Why the seats `one` and `two`, both of buyer acme, fell out; null where one may take part. */
function whyOut(filters: Filters, raw: Record<string, unknown> = {}): (string | null)[] {
  const solar = { vertical: 'solar', zone: 'America/Chicago', payout: { share: 0.7 } }
  const compiled = compileVersion(
    {
      sources: { mill: { pseudonym: 'S-1', status: 'active', campaigns: ['solar'], keys: [], filter: filters.source } },
      campaigns: {
        solar: {
          ...solar,
          fields: filters.fields,
          filter: filters.campaign,
          plan: [{ tier: 'a', strategy: 'auction' }],
        },
      },
      buyers: { acme: { zone: 'Asia/Tokyo', filter: filters.buyer } },
      contracts: {
        one: { ...contract, buyer: 'acme', filter: filters.contract },
        two: { ...contract, buyer: 'acme' },
      },
    },
    1,
  )
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  const { snapshot } = compiled
  const campaign = snapshot.campaigns.get('solar')!
  const person = { first_name: 'Jane', last_name: 'Doe', phone: '5125550123', email: 'jane@example.com' }
  const place = { state: 'TX', zip: '78701', ownership: 'own' }
  const parsed = parseLead(campaign.vertical, { ...person, ...place, ...raw }, EXAMPLE_NOW)
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
  const opened = openingOf(campaign, parsed.lead, snapshot.sources.get('mill')!, wallMs(EXAMPLE_NOW), NO_HINTS)
  const reasons = [...excludedSeats(opened, 2)]
  return [0, 1].map((seat) => reasons.find(([, seats]) => seats.includes(seat))?.[0] ?? null)
}

test('without filters all take part', () => {
  expect(whyOut({})).toEqual([null, null])
})

test("a contract's filter is its own, a buyer's is all its contracts' and comes first", () => {
  expect(whyOut({ contract: { state: 'CA' } })).toEqual(['filter_state', null])
  expect(whyOut({ buyer: { zip: '10001' } })).toEqual(['filter_zip', 'filter_zip'])
  expect(whyOut({ buyer: { zip: '10001' }, contract: { state: 'CA' } })).toEqual(['filter_zip', 'filter_zip'])
  expect(whyOut({ buyer: { zip: '78701' }, contract: { state: 'CA' } })).toEqual(['filter_state', null])
})

test("a campaign's filter turns the lead away from all, and so does the source's after it", () => {
  expect(whyOut({ campaign: { state: 'CA' } })).toEqual(['campaign_filter_state', 'campaign_filter_state'])
  expect(whyOut({ source: { ownership: 'rent' } })).toEqual(['source_filter_ownership', 'source_filter_ownership'])
  expect(whyOut({ campaign: { state: 'CA' }, source: { ownership: 'rent' } })[0]).toBe('campaign_filter_state')
  expect(whyOut({ campaign: { source: 'mill', state: 'TX' }, source: { ownership: 'own' } })).toEqual([null, null])
})

test('conditions are tried by name, whatever their order in the file', () => {
  expect(whyOut({ contract: { zip: '10001', ownership: 'rent', state: 'CA' } })[0]).toBe('filter_ownership')
  expect(whyOut({ contract: { all: [{ zip: '10001' }, { ownership: 'rent' }] } })[0]).toBe('filter_zip')
})

test("hours without a zone are the buyer's at a contract, and the campaign's at a campaign", () => {
  // Monday 14:00 in Chicago is Tuesday 05:00 in Tokyo.
  expect(whyOut({ contract: { received: { days: 'tue', hours: [5, 6] } } })[0]).toBe(null)
  expect(whyOut({ campaign: { received: { days: 'mon', hours: [14, 15] } } })[0]).toBe(null)
  expect(whyOut({ contract: { received: { days: 'mon' } } })[0]).toBe('filter_received')
})

test("a campaign's own fields may be filtered by, and sent in pings", () => {
  const fields = { score: { type: 'score', default: 50 } }
  expect(whyOut({ fields, contract: { score: { min: 60 } } })[0]).toBe('filter_score')
  expect(whyOut({ fields, contract: { score: { min: 60 } } }, { score: 61 })[0]).toBe(null)
})
