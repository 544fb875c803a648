/** A configuration becomes a version, or every one of its faults is told at once, with its path and what to do. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { inTurns } from '../engine/configuration/stepwise.ts'
import { canonicalJson } from '../rules/configuration/canonical.ts'
import { nearest } from '../rules/configuration/nearest.ts'
import { LEVELS } from '../rules/sightings.ts'
import { type Compiled, compileInSteps, compileVersion, type Snapshot } from '../rules/version.ts'

// biome-ignore lint/suspicious/noExplicitAny: a configuration that tests bend out of shape has none
type Loose = any

const DAY_MS = 86_400_000
const KEY = 'a'.repeat(64)
const SECRET = `whsec_${'A'.repeat(43)}=`

function good(): Loose {
  return {
    currency: 'USD',
    sources: {
      leadmill: {
        pseudonym: 'S-1',
        status: 'active',
        campaigns: ['solar'],
        keys: [{ sha256: KEY }, { sha256: 'b'.repeat(64), test: true }],
        floor: '4.00',
        caps: { day: 1000 },
      },
    },
    campaigns: {
      solar: {
        vertical: 'solar',
        zone: 'America/Chicago',
        floor: '5.00',
        payout: { share: 0.7 },
        plan: [
          { tier: 'house', strategy: 'waterfall' },
          { tier: 'open', strategy: 'auction', copies: 2, ping_ms: 800 },
        ],
      },
    },
    buyers: {
      acme: { zone: 'America/New_York', caps: { month: 900, spend: { day: '500.00' } } },
      bolt: { name: 'Bolt Energy', zone: 'America/Phoenix', group: 'sparks' },
    },
    contracts: {
      bolt: {
        buyer: 'bolt',
        campaign: 'solar',
        tier: 'open',
        status: 'active',
        filter: { state: ['TX', 'AZ'] },
        caps: { hour: 5, concurrency: 3 },
        delivery: { ...delivery('bolt'), ping_url: 'https://bolt.example/ping', ping_fields: ['state', 'zip'] },
      },
      acme: {
        buyer: 'acme',
        campaign: 'solar',
        tier: 'house',
        status: 'active',
        price: '18.50',
        delivery: delivery('acme'),
      },
      bolt2: {
        buyer: 'acme',
        campaign: 'solar',
        tier: 'open',
        status: 'active',
        price: '12.00',
        delivery: delivery('acme'),
      },
    },
    admin: { keys: [{ sha256: 'C'.repeat(64), label: 'ops' }] },
    network: { allowed_cidrs: ['10.2.0.0/16'] },
  }
}

function delivery(host: string): Loose {
  return {
    post_url: `https://${host}.example/leads?v=2`,
    headers: { Authorization: 'Bearer s3cret' },
    secrets: [SECRET],
  }
}

const bent = (bend: (config: Loose) => void): Loose => {
  const config = good()
  bend(config)
  return config
}

function faultsOf(config: unknown): string[] {
  const compiled = compileVersion(config, 1)
  return compiled.ok ? [] : compiled.faults.map((fault) => `${fault.path}: ${fault.message}`)
}

function snapshotOf(config: unknown): Snapshot {
  const compiled = compileVersion(config, 7)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults, null, 2))
  return compiled.snapshot
}

/** What a cap has that says nothing else of its windows. */
const MIDNIGHT = { dayStart: 0, minutes: 0, pace: null }

const acme = (c: Loose) => c.contracts.acme
const bolt = (c: Loose) => c.contracts.bolt
const solar = (c: Loose) => c.campaigns.solar
const mill = (c: Loose) => c.sources.leadmill

/** Each bends a good configuration, and names the only fault that it must have: path, then words. */
const FAULTY: readonly (readonly [why: string, bend: (c: Loose) => void, path: string, words: RegExp])[] = [
  [
    'money as a number',
    (c) => (acme(c).price = 18.5),
    'contracts.acme.price',
    /18\.5.*text in quotes, such as "18\.50"/,
  ],
  ['money with a sign', (c) => (solar(c).floor = '-1.00'), 'campaigns.solar.floor', /"-1\.00".*no sign/],
  ['an empty value', (c) => (solar(c).floor = null), 'campaigns.solar.floor', /is empty: .* or remove the key/],
  [
    'a missing key',
    (c) => delete solar(c).payout,
    'campaigns.solar.payout',
    /is missing: give either .*fixed.* or .*share/,
  ],
  [
    'an unknown key',
    (c) => (solar(c).flor = '5.00'),
    'campaigns.solar.flor',
    /not a known key: Did you mean "floor"\?/,
  ],
  ['an unknown section', (c) => (c.buyer = {}), 'buyer', /Did you mean "buyers"\?/],
  ['a key of another age', (c) => (acme(c).postMs = 5), 'contracts.acme.postMs', /Did you mean "post_ms"\?/],
  ['a bad id', (c) => (c.buyers['Acme Inc'] = c.buyers.acme), 'buyers["Acme Inc"]', /not an id: an id begins with/],
  [
    'a wrong word',
    (c) => (solar(c).plan[1].strategy = 'action'),
    'campaigns.solar.plan[1].strategy',
    /Did you mean "auction"\?/,
  ],
  ['no tiers', (c) => (solar(c).plan = []), 'campaigns.solar.plan', /1 to 20 tiers/],
  [
    'a tier that pings too long',
    (c) => (solar(c).plan[1].ping_ms = 26_000),
    'campaigns.solar.plan[1].ping_ms',
    /10 to 25000/,
  ],
  ['a fraction of a copy', (c) => (solar(c).plan[1].copies = 1.5), 'campaigns.solar.plan[1].copies', /whole number/],
  ['both payouts', (c) => (solar(c).payout.fixed = '1.00'), 'campaigns.solar.payout', /one of them/],
  ['a share in percent', (c) => (solar(c).payout.share = 70), 'campaigns.solar.payout.share', /from 0 to 1/],
  ['a share too fine', (c) => (solar(c).payout.share = 0.12345678), 'campaigns.solar.payout.share', /6 decimals/],
  [
    'a payout of fractions',
    (c) => (solar(c).payout = { fixed: '1.005' }),
    'campaigns.solar.payout.fixed',
    /2 decimals/,
  ],
  ['a key in clear', (c) => (mill(c).keys[0].sha256 = 'hunter2'), 'sources.leadmill.keys[0].sha256', /SHA-256/],
  [
    'one key twice',
    (c) => (c.admin.keys[0].sha256 = KEY),
    'admin.keys[0].sha256',
    /stands at sources\.leadmill\.keys\[0\]/,
  ],
  [
    'a key of the example',
    (c) => (c.admin.keys[0].sha256 = 'cce7a2cf1ae045989cfc914fb95a41526f167a838b3c7d33745143614abace7c'),
    'admin.keys[0].sha256',
    /published with the example/,
  ],
  [
    'three keys of a buyer',
    (c) => (c.buyers.acme.keys = ['1', '2', '3'].map((n) => ({ sha256: n.repeat(64) }))),
    'buyers.acme.keys',
    /more than two keys/,
  ],
  [
    "a source's key that a buyer has too",
    (c) => (c.buyers.acme.keys = [{ sha256: KEY }]),
    'buyers.acme.keys[0].sha256',
    /stands at sources\.leadmill\.keys\[0\]/,
  ],
  [
    'bounds that nothing lies between',
    (c) => (c.buyers.acme.self_service = { caps: { day: { min: 9, max: 8 } } }),
    'buyers.acme.self_service.caps.day',
    /min over its max/,
  ],
  [
    'bounds of money that nothing lies between',
    (c) => (c.contracts.acme.self_service = { caps: { spend: { day: { min: '9.01', max: '9.00' } } } }),
    'contracts.acme.self_service.caps.spend.day',
    /min over its max/,
  ],
  [
    'a bound that is none',
    (c) => (c.contracts.acme.self_service = { caps: { day: { most: 8 } } }),
    'contracts.acme.self_service.caps.day.most',
    /not a known key/,
  ],
  [
    'three live keys',
    (c) => mill(c).keys.push({ sha256: '1'.repeat(64) }, { sha256: '2'.repeat(64) }),
    'sources.leadmill.keys',
    /more than two live keys/,
  ],
  ['a telling pseudonym', (c) => (mill(c).pseudonym = 'leadmill'), 'sources.leadmill.pseudonym', /does not tell/],
  [
    'an unknown campaign',
    (c) => (mill(c).campaigns[0] = 'soler'),
    'sources.leadmill.campaigns[0]',
    /Did you mean "solar"\?/,
  ],
  [
    'an unknown buyer',
    (c) => (acme(c).buyer = 'acmee'),
    'contracts.acme.buyer',
    /no buyer "acmee"\. Did you mean "acme"\?/,
  ],
  ['an unknown tier', (c) => (acme(c).tier = 'home'), 'contracts.acme.tier', /no tier "home".*(house|Known here)/],
  ['a tier not named', (c) => delete acme(c).tier, 'contracts.acme.tier', /several tiers, so name one of house, open/],
  [
    'a tier twice',
    (c) => solar(c).plan.push({ tier: 'open', strategy: 'auction' }),
    'campaigns.solar.plan[2].tier',
    /already/,
  ],
  ['an unknown source', (c) => (acme(c).sources = ['mill']), 'contracts.acme.sources[0]', /no source "mill"/],
  ['no source at all', (c) => (acme(c).sources = []), 'contracts.acme.sources', /buy from nobody/],
  ['an unknown vertical', (c) => (solar(c).vertical = 'solr'), 'campaigns.solar.vertical', /Did you mean "solar"\?/],
  [
    'a zone that is none',
    (c) => (solar(c).zone = 'America/Chicgo'),
    'campaigns.solar.zone',
    /Did you mean "America\/Chicago"\?/,
  ],
  ['a zone without summer', (c) => (c.buyers.acme.zone = 'EST'), 'buyers.acme.zone', /no IANA time zone/],
  ['a currency that is none', (c) => (c.currency = 'USX'), 'currency', /no currency "USX"\. Did you mean "USD"\?/],
  [
    'a field that is none',
    (c) => bolt(c).delivery.ping_fields.push('stat'),
    'contracts.bolt.delivery.ping_fields[2]',
    /Did you mean "state"\?/,
  ],
  [
    'an alias',
    (c) => (bolt(c).delivery.post_fields = ['postalCode']),
    'contracts.bolt.delivery.post_fields[0]',
    /Did you mean "zip"\?/,
  ],
  [
    'a name in a ping',
    (c) => bolt(c).delivery.ping_fields.push('email'),
    'contracts.bolt.delivery.ping_fields[2]',
    /may not leave in a ping/,
  ],
  [
    'a field twice',
    (c) => bolt(c).delivery.ping_fields.push('zip'),
    'contracts.bolt.delivery.ping_fields[2]',
    /already/,
  ],
  [
    'a duplicate rule on nothing',
    (c) => (solar(c).duplicates = { fields: ['fone'] }),
    'campaigns.solar.duplicates.fields[0]',
    /no field "fone"/,
  ],
  [
    'a duplicate rule on tracking',
    (c) => (solar(c).duplicates = { fields: ['sub1'] }),
    'campaigns.solar.duplicates.fields[0]',
    /tracks for itself/,
  ],
  ['a filter on nothing', (c) => (bolt(c).filter = { stat: ['TX'] }), 'contracts.bolt.filter.stat', /./],
  ['neither price nor ping', (c) => delete acme(c).price, 'contracts.acme.price', /not pinged, so nothing else says/],
  ['a ping to nowhere', (c) => (acme(c).pinged = true), 'contracts.acme.delivery.ping_url', /is missing: .* say where/],
  [
    'a price by nobody',
    (c) => (bolt(c).price_from = 'contract'),
    'contracts.bolt.price',
    /is missing: price_from is contract/,
  ],
  [
    'a price never used',
    (c) => Object.assign(bolt(c), { price: '9.00', price_from: 'reply' }),
    'contracts.bolt.price',
    /never used/,
  ],
  [
    'an address of no kind',
    (c) => (acme(c).delivery.post_url = 'ftp://acme.example'),
    'contracts.acme.delivery.post_url',
    /http or https/,
  ],
  [
    'a placeholder left',
    (c) => (acme(c).delivery.post_url = '$' + '{buyers}/x'),
    'contracts.acme.delivery.post_url',
    /nobody filled in/,
  ],
  [
    'a password in the address',
    (c) => (acme(c).delivery.post_url = 'https://u:p@acme.example'),
    'contracts.acme.delivery.post_url',
    /put them into auth/,
  ],
  [
    'a header that frames',
    (c) => (acme(c).delivery.headers.HOST = 'x'),
    'contracts.acme.delivery.headers.HOST',
    /set by the engine/,
  ],
  [
    'a header in two lines',
    (c) => (acme(c).delivery.headers.X = 'a\r\nHost: b'),
    'contracts.acme.delivery.headers.X',
    /line break/,
  ],
  [
    'a header twice',
    (c) => (acme(c).delivery.headers.authorization = 'x'),
    'contracts.acme.delivery.headers.authorization',
    /twice/,
  ],
  [
    'a header of no name',
    (c) => (acme(c).delivery.headers['a b'] = 'x'),
    'contracts.acme.delivery.headers["a b"]',
    /no header name/,
  ],
  [
    'a weak secret',
    (c) => (acme(c).delivery.secrets = ['whsec_abc']),
    'contracts.acme.delivery.secrets[0]',
    /32 base64 digits/,
  ],
  [
    'a range that is none',
    (c) => (c.network.allowed_cidrs = ['10.0.0.1']),
    'network.allowed_cidrs[0]',
    /10\.0\.0\.0\/8/,
  ],
  [
    'a post that does not fit',
    (c) => {
      solar(c).total_ms = 30_000
      acme(c).post_ms = c.contracts.bolt2.post_ms = 10_000
    },
    'contracts.bolt.post_ms',
    /ping of 800 ms and a post of 30000 ms do not fit into the 30000 ms/,
  ],
  [
    'a ping that takes all',
    (c) => {
      solar(c).total_ms = 2_000
      for (const contract of Object.values<Loose>(c.contracts)) contract.post_ms = 100
      solar(c).plan[0].ping_ms = 2_000
      solar(c).plan[1].ping_ms = 100
    },
    'campaigns.solar.plan[0].ping_ms',
    /the pings alone \(2000 ms\)/,
  ],
  [
    'a cap over two currencies',
    (c) => {
      c.campaigns.north = { ...solar(c), currency: 'CAD' }
      c.contracts.acme2 = { ...acme(c), campaign: 'north' }
    },
    'buyers.acme.caps.spend',
    /CAD and USD/,
  ],
  [
    'a cap over two zones',
    (c) => {
      c.campaigns.west = { ...solar(c), zone: 'America/Los_Angeles' }
      mill(c).campaigns.push('west')
    },
    'sources.leadmill.zone',
    /America\/Chicago and America\/Los_Angeles/,
  ],
  [
    'a group named as a stranger',
    (c) => (c.buyers.acme.group = 'bolt'),
    'buyers.acme.group',
    /"bolt" is also a buyer, and that buyer is in group "sparks"/,
  ],
  [
    'a margin of nothing',
    (c) => Object.assign(solar(c), { min_margin: '1.00', payout: { share: 1 } }),
    'campaigns.solar.min_margin',
    /whole price/,
  ],
]

describe('a faulty configuration', () => {
  it.each(FAULTY)('names %s', (_why, bend, path, words) => {
    const faults = faultsOf(bent(bend))
    expect(faults).toHaveLength(1)
    expect(faults[0]!.slice(0, path.length + 2)).toBe(`${path}: `)
    expect(faults[0]).toMatch(words)
  })

  it('hears of every fault in one reading, although parts of it have no shape', () => {
    const bends = FAULTY.filter(([why]) =>
      [
        'money as a number',
        'a wrong word',
        'an unknown buyer',
        'a zone without summer',
        'a header that frames',
      ].includes(why),
    )
    const config = bent((c) => {
      for (const [, bend] of bends) bend(c)
      for (let n = 0; n < 40; n++) c[`stray${n}`] = n
    })
    const faults = faultsOf(config)
    for (const [, , path] of bends) expect(faults.some((fault) => fault.startsWith(`${path}: `))).toBe(true)
    expect(faults).toHaveLength(bends.length + 40)
  })

  it('is told that it is no configuration at all', () => {
    for (const config of [null, [], 'solar', 4, undefined]) {
      expect(faultsOf(config)[0]).toMatch(/^\(file\): is /)
    }
    expect(faultsOf({}).map((fault) => fault.split(':')[0])).toEqual(['sources', 'campaigns', 'buyers', 'contracts'])
  })

  it('shows no secret in its words', () => {
    const config = bent((c) => {
      mill(c).keys[0].sha256 = 'my-password-1'
      acme(c).delivery.secrets = ['my-password-2']
      acme(c).delivery.headers.Authorization = ['my-password-3']
      acme(c).delivery.headers.X = 'my-password-4\n'
      acme(c).delivery.post_url = 'gopher://acme.example/?key=my-password-5'
    })
    const faults = faultsOf(config)
    expect(faults).toHaveLength(5)
    expect(faults.join('\n')).not.toContain('my-password')
  })

  it('is told where it refers to itself or nests without end', () => {
    const itself = bent((c) => {
      c.campaigns.solar.filter = { any: [c.campaigns] }
    })
    let deep: Loose = 1
    for (let level = 0; level < 10_000; level++) deep = [deep]
    for (const config of [itself, deep, { ...good(), sources: deep }]) {
      expect(faultsOf(config)).toEqual([expect.stringMatching(/^\(file\): nests deeper than 64 /)])
    }
  })

  it('cannot reach the machinery of objects', () => {
    const config = JSON.parse(`{"__proto__": {"x": 1}, "constructor": {}, "sources": {"__proto__": {}}}`)
    const paths = faultsOf(config).map((fault) => fault.split(': ')[0])
    expect(paths).toEqual(expect.arrayContaining(['__proto__', 'constructor', 'sources.__proto__']))
    expect(({} as Loose).x).toBeUndefined()
  })

  it('never throws, whatever is put anywhere', () => {
    const places = pathsOf(good())
    const anything = fc.oneof(fc.jsonValue(), fc.constantFrom(null, '', -1, 1e9, [], {}, '18.5', 'x'.repeat(300)))
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...places), anything), { minLength: 1, maxLength: 5 }), (bends) => {
        const config = good()
        for (const [place, value] of bends) put(config, place, value)
        const compiled = compileVersion(config, 1)
        if (!compiled.ok) expect(compiled.faults.length).toBeGreaterThan(0)
      }),
      { numRuns: 600 },
    )
  })
})

describe('a configuration of many contracts', () => {
  it('is compiled in steps, so that leads get their turns, to the same snapshot', async () => {
    const config = good()
    for (let at = 0; at < 1_000; at++) config.contracts[`more-${at}`] = config.contracts.bolt
    let turns = 0
    const steps = (function* () {
      for (const compiling = compileInSteps(config, 1, new Map()); ; turns++) {
        const { done, value } = compiling.next()
        if (done) return value
        yield
      }
    })()
    const compiled = await inTurns(steps)
    expect(turns).toBeGreaterThan(30)
    const canonicalOf = (one: Compiled) => one.ok && one.snapshot.canonical
    expect(canonicalOf(compiled)).toBe(canonicalOf(compileVersion(config, 1)))
  })
})

function pathsOf(value: Loose, above: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [above]
  return [above, ...Object.keys(value).flatMap((key) => pathsOf(value[key], [...above, key]))].filter(
    (p) => p.length > 0,
  )
}

function put(config: Loose, place: readonly string[], value: unknown): void {
  let at = config
  for (const key of place.slice(0, -1)) {
    if (typeof at[key] !== 'object' || at[key] === null) return
    at = at[key]
  }
  at[place.at(-1)!] = value
}

describe('a good configuration', () => {
  it('becomes a snapshot with the defaults filled in', () => {
    const snapshot = snapshotOf(good())
    expect(snapshot).toMatchObject({ version: 7, example: false, allowedCidrs: ['10.2.0.0/16'] })
    expect(snapshot.keys.get(KEY)).toEqual({ source: 'leadmill', test: false })
    expect(snapshot.keys.get('b'.repeat(64))).toEqual({ source: 'leadmill', test: true })
    expect(snapshot.adminKeys).toEqual(new Map([['c'.repeat(64), { label: 'ops', role: 'admin' }]]))
    expect(snapshot.sources.get('leadmill')).toEqual({
      id: 'leadmill',
      name: 'leadmill',
      pseudonym: 'S-1',
      campaigns: new Set(['solar']),
      ratePerSecond: 100,
      burst: 200,
      floor: 4_000_000,
      payout: null,
      minPayout: 0,
      answerWithinMs: 60_000,
      pendingAs: 'unsold',
      inTest: false,
      adForms: { fields: {}, meta: null },
      postbacks: new Map(),
      filters: new Map(),
      rules: new Map(),
      caps: [
        {
          scope: 'source',
          owner: 'leadmill',
          window: 'day',
          kind: 'count',
          limit: 1000,
          zone: 'America/Chicago',
          ...MIDNIGHT,
        },
      ],
    })
    const campaign = snapshot.campaigns.get('solar')!
    expect(campaign).toMatchObject({
      currency: 'USD',
      minorDigits: 2,
      floor: 5_000_000,
      minMargin: 0,
      allowLoss: false,
      payout: { share: 700_000 },
      totalMs: 75_000,
      duplicates: {
        rule: { keys: ['phone', 'email'], windowMs: 30 * DAY_MS, level: LEVELS.sold, toOthers: false },
        keepMs: 90 * DAY_MS,
      },
      tiers: [
        { name: 'house', strategy: 'waterfall', copies: 1, pingMs: 3_000, earlyClose: true },
        { name: 'open', strategy: 'auction', copies: 2, pingMs: 800, earlyClose: true },
      ],
    })
    expect(snapshot.buyers.get('acme')).toMatchObject({ name: 'acme', group: 'acme', legalEntity: 'acme' })
    expect(snapshot.buyers.get('acme')!.health).toEqual({
      failures: 8,
      retryMs: 5_000,
      retryMaxMs: 60_000,
      pings: 512,
      posts: 128,
    })
    expect(snapshot.buyers.get('bolt')).toMatchObject({
      name: 'Bolt Energy',
      group: 'sparks',
      legalEntity: 'Bolt Energy',
    })
  })

  it('seats its contracts in the order of their ids', () => {
    const { contracts } = snapshotOf(good()).campaigns.get('solar')!
    expect(contracts.map((contract) => [contract.id, contract.seat, contract.tier])).toEqual([
      ['acme', 0, 0],
      ['bolt', 1, 1],
      ['bolt2', 2, 1],
    ])
    expect(contracts[0]).toMatchObject({
      active: true,
      priority: 1,
      price: 18_500_000,
      priceFrom: 'contract',
      pinged: false,
      floor: 0,
      filter: null,
      sources: null,
      postMs: 30_000,
      serverError: 'in_doubt',
      inDoubt: 'hold_unbilled',
      delivery: { pingUrl: null, pingFields: [], postFields: null, secrets: [SECRET] },
    })
    expect(contracts[1]).toMatchObject({ price: null, priceFrom: 'reply', pinged: true })
    expect(contracts[1]!.filter).not.toBeNull()
  })

  it('counts caps of contracts and buyers in the buyer’s zone', () => {
    const snapshot = snapshotOf(good())
    const zone = 'America/Phoenix'
    expect(snapshot.campaigns.get('solar')!.contracts[1]!.caps).toEqual([
      { scope: 'contract', owner: 'bolt', window: 'hour', kind: 'count', limit: 5, zone, ...MIDNIGHT },
      { scope: 'contract', owner: 'bolt', window: 'concurrency', kind: 'count', limit: 3, zone, ...MIDNIGHT },
    ])
    expect(snapshot.buyers.get('acme')!.caps).toEqual([
      {
        scope: 'buyer',
        owner: 'acme',
        window: 'month',
        kind: 'count',
        limit: 900,
        zone: 'America/New_York',
        ...MIDNIGHT,
      },
      {
        scope: 'buyer',
        owner: 'acme',
        window: 'day',
        kind: 'spend',
        limit: 500_000_000,
        zone: 'America/New_York',
        ...MIDNIGHT,
      },
    ])
  })

  it('gives the same text and the same version whatever the order of its keys', () => {
    const reversed = (value: Loose): Loose => {
      if (typeof value !== 'object' || value === null) return value
      if (Array.isArray(value)) return value.map(reversed)
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, member]) => [key, reversed(member)]),
      )
    }
    const [one, other] = [snapshotOf(good()), snapshotOf(reversed(good()))]
    expect(other.canonical).toBe(one.canonical)
    expect(other.campaigns.get('solar')!.contracts.map(({ id }) => id)).toEqual(['acme', 'bolt', 'bolt2'])
    expect(snapshotOf(JSON.parse(one.canonical)).canonical).toBe(one.canonical)
  })

  it('keeps what is new in test until it is said to be active, and says so', () => {
    const compiled = compileVersion(
      bent((c) => {
        delete acme(c).status
        delete mill(c).status
      }),
      1,
    )
    if (!compiled.ok) throw new Error('faulty')
    expect(compiled.warnings.map(({ path }) => path)).toEqual(['sources.leadmill.status', 'contracts.acme.status'])
    expect(compiled.snapshot.keys.get(KEY)!.test).toBe(true)
    expect(compiled.snapshot.campaigns.get('solar')!.contracts[0]!.active).toBe(false)
  })

  it('lets a paused source send to no campaign and a paused contract buy nothing', () => {
    const snapshot = snapshotOf(
      bent((c) => {
        mill(c).status = 'paused'
        acme(c).status = 'paused'
      }),
    )
    expect(snapshot.sources.get('leadmill')!.campaigns.size).toBe(0)
    expect(snapshot.campaigns.get('solar')!.contracts[0]!.active).toBe(false)
  })

  it.each([
    [
      'an empty tier',
      (c: Loose) => solar(c).plan.push({ tier: 'last', strategy: 'auction' }),
      'campaigns.solar.plan[2]',
    ],
    ['more copies than groups', (c: Loose) => (solar(c).plan[1].copies = 3), 'campaigns.solar.plan[1].copies'],
    ['a price under the floor', (c: Loose) => (acme(c).price = '4.99'), 'contracts.acme.price'],
    ['a price that leaves no margin', (c: Loose) => (solar(c).payout = { fixed: '15.00' }), 'contracts.bolt2.price'],
    [
      'plain http',
      (c: Loose) => (acme(c).delivery.post_url = 'http://acme.example/'),
      'contracts.acme.delivery.post_url',
    ],
    ['an empty ping', (c: Loose) => (bolt(c).delivery.ping_fields = []), 'contracts.bolt.delivery.ping_fields'],
    ['a tier that may come too late', (c: Loose) => (bolt(c).post_ms = 72_000), 'contracts.bolt.post_ms'],
    ['a weight where nothing is drawn', (c: Loose) => (acme(c).weight = 2), 'contracts.acme.weight'],
    ['nobody who may look', (c: Loose) => delete c.admin, 'admin.keys'],
  ])('warns of %s', (_why, bend, path) => {
    const compiled = compileVersion(bent(bend), 1)
    expect(compiled.ok && compiled.warnings.map((warning) => warning.path)).toEqual([path])
  })

  it('needs no tier of its contracts where the plan has one', () => {
    const config = bent((c) => {
      solar(c).plan.shift()
      delete acme(c).tier
    })
    expect(snapshotOf(config).campaigns.get('solar')!.contracts[0]!.tier).toBe(0)
  })

  it('reads yen without decimals', () => {
    const campaign = snapshotOf(bent((c) => (c.currency = 'JPY'))).campaigns.get('solar')!
    expect(campaign).toMatchObject({ currency: 'JPY', minorDigits: 0 })
  })
})

describe('canonical text', () => {
  it('is JSON of the same value, equal for equal values', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value)
        expect(canonicalJson(JSON.parse(text))).toBe(text)
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })
})

describe('the nearest word', () => {
  it.each([
    ['flor', 'floor'],
    ['Floor', 'floor'],
    ['floro', 'floor'],
    ['pric', 'price'],
    ['elephant', null],
  ])('to %s is %s', (word, expected) => {
    expect(nearest(word, ['price', 'floor', 'priority'])).toBe(expected)
  })
})
