/** The configuration in the ledger: drafts, publishing, going back, sealed secrets, the audit, and who follows. */
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { followLedger, loadNewest } from '../engine/configuration/ledger.ts'
import { News } from '../engine/configuration/news.ts'
import { type Actor, Publishing } from '../engine/configuration/publishing.ts'
import { consequencesFor, touchedLeads } from '../engine/configuration/touched.ts'
import { Vault } from '../engine/configuration/vault.ts'
import { differences } from '../rules/configuration/difference.ts'
import { queryCredentials } from '../rules/configuration/secrets.ts'
import { leadJson, parseLead } from '../rules/lead.ts'
import { wallMs } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { goodConfig, SECRET, sha256, TOKEN } from './admin-kit/configs.ts'
import { clock, LedgerKit, received, sealer } from './ledger-kit.ts'

const ROOT: Actor = { label: 'root', role: 'admin' }
const OPS: Actor = { label: 'ops', role: 'operator' }
const vault = new Vault(sealer)
const ZIPS = { TX: '78701', AZ: '85001', NV: '89101' }

let kit: LedgerKit
let publishing: Publishing
beforeAll(async () => {
  kit = await LedgerKit.open()
  publishing = new Publishing({ db: kit.db, vault, governs: true, mayServeExample: true })
})
afterAll(() => kit.close())
beforeEach(async () => {
  await kit.ask('truncate versions, draft, secrets')
})

const begin = async () => {
  const first = await publishing.apply(ROOT, goodConfig(), 0, 'the first')
  expect(first).toMatchObject({ ok: true, version: 1 })
}
const setPrice = (price: string) => (config: object) => {
  const next = structuredClone(config) as ReturnType<typeof goodConfig>
  next.contracts.acme.price = price
  return { config: next }
}

describe('publishing', () => {
  it('numbers the draft, tells what changed, and begins anew from there', async () => {
    await begin()
    expect(await publishing.edit(OPS, 'contracts.acme', setPrice('19.00'))).toMatchObject({
      ok: true,
      draft: { revision: 1 },
    })
    const published = await publishing.publish(OPS, 'acme pays more')
    expect(published).toMatchObject({ ok: true, version: 2 })
    expect(published.ok && published.changes.map(({ words }) => words)).toEqual(['contract acme: price 18.00 -> 19.00'])
    expect(await publishing.draft()).toMatchObject({ base: 2, revision: 0 })
    expect(await publishing.publish(OPS, null)).toEqual({ ok: false, code: 'SAME', newest: 2 })
  })

  it('tells every fault at once and changes nothing', async () => {
    await begin()
    const config = goodConfig()
    config.contracts.acme.price = '18'
    config.contracts.bolt.buyer = 'nobody'
    config.campaigns.solar.plan[0].strategy = 'lottery'
    const refused = await publishing.apply(ROOT, config, 1, null)
    expect(refused.ok === false && refused.code === 'FAULTY' && refused.faults.map(({ path }) => path).sort()).toEqual([
      'campaigns.solar.plan[0].strategy',
      'contracts.bolt.buyer',
    ])
    expect(await publishing.version(2)).toBeNull()
  })

  it('is refused where somebody else has published since', async () => {
    await begin()
    await publishing.edit(OPS, 'contracts.acme', setPrice('19.00'))
    const other = setPrice('21.00')(goodConfig()).config
    expect(await publishing.apply(ROOT, other, 1, null)).toMatchObject({ ok: true, version: 2 })
    expect(await publishing.publish(OPS, null)).toEqual({ ok: false, code: 'STALE', newest: 2 })
    expect(await publishing.apply(ROOT, goodConfig(), 1, null)).toEqual({ ok: false, code: 'STALE', newest: 2 })
    await publishing.discard(OPS)
    expect(await publishing.draft()).toMatchObject({ base: 2, revision: 0 })
  })

  it('lets one of many win, and loses no edit', async () => {
    await begin()
    const configs = Array.from({ length: 8 }, (_, n) => setPrice(`${20 + n}.00`)(goodConfig()).config)
    const said = await Promise.all(configs.map((config) => publishing.apply(ROOT, config, 1, null)))
    expect(said.filter(({ ok }) => ok)).toHaveLength(1)
    const edits = Array.from({ length: 8 }, (_, n) =>
      publishing.edit(OPS, 'x', (config) => ({
        config: { ...config, sources: { ...(config['sources'] as object), [`s${n}`]: {} } },
      })),
    )
    await Promise.all(edits)
    const { config, revision } = await publishing.draft()
    expect(revision).toBe(8)
    expect(Object.keys(config['sources'] as object)).toHaveLength(10)
  })

  it('goes back to an earlier version as a new one', async () => {
    await begin()
    await publishing.apply(ROOT, setPrice('19.00')(goodConfig()).config, 1, null)
    expect(await publishing.rollback(OPS, 1, 'too dear')).toMatchObject({ ok: true, version: 3 })
    expect(await publishing.version(3)).toEqual(await publishing.version(1))
    expect(await publishing.rollback(OPS, 9, null)).toEqual({ ok: false, code: 'UNKNOWN' })
  })

  it('lets admins alone change who is an operator and where hosts may lie', async () => {
    await begin()
    const withKey = (config: object) => ({
      config: { ...config, admin: { keys: [{ sha256: sha256('mine'), label: 'mine' }] } },
    })
    expect(await publishing.edit(OPS, 'admin', withKey)).toEqual({ ok: false, code: 'ROLE' })
    const open = { ...goodConfig(), network: { allowed_cidrs: ['10.0.0.0/8'] } }
    expect(await publishing.apply(OPS, open, 1, null)).toEqual({ ok: false, code: 'ROLE' })
    expect(await publishing.edit(ROOT, 'admin', withKey)).toMatchObject({ ok: true })
    expect(await publishing.publish(OPS, null)).toMatchObject({ ok: true, version: 2 })
    expect(await publishing.rollback(OPS, 1, null)).toEqual({ ok: false, code: 'ROLE' })
  })

  it('publishes nothing where a file governs, and no example where others could use its keys', async () => {
    await begin()
    const governed = new Publishing({ db: kit.db, vault, governs: false, mayServeExample: true })
    expect(await governed.publish(ROOT, null)).toEqual({ ok: false, code: 'FILE' })
    const open = new Publishing({ db: kit.db, vault, governs: true, mayServeExample: false })
    expect(await open.apply(ROOT, { ...goodConfig(), example: true }, 1, null)).toEqual({ ok: false, code: 'EXAMPLE' })
  })
})

describe('the audit', () => {
  it('says who changed what, and cannot be changed', async () => {
    await begin()
    await publishing.edit(OPS, 'contracts.acme', setPrice('19.00'))
    await publishing.publish(OPS, 'why not')
    const rows = await kit.ask<{ actor: string; action: string; version: number | null; changes: string[] }>(
      'select actor, action, version, changes from audit order by id desc limit 2',
    )
    const changes = ['contract acme: price 18.00 -> 19.00']
    expect(rows).toEqual([
      { actor: 'ops', action: 'publish', version: 2, changes },
      { actor: 'ops', action: 'edit', version: null, changes },
    ])
    await kit.ask(`update audit set actor = 'nobody'`)
    await kit.ask('delete from audit')
    expect(await kit.ask(`select 1 from audit where actor = 'ops' and version = 2`)).not.toEqual([])
  })
})

describe('secrets', () => {
  it('lie sealed in the ledger, in versions, drafts and the audit alike', async () => {
    await begin()
    const rotate = (config: object) => {
      const next = structuredClone(config) as ReturnType<typeof goodConfig>
      next.contracts.acme.delivery.headers.Authorization = 'Bearer another-token'
      return { config: next }
    }
    await publishing.edit(OPS, 'contracts.acme', rotate)
    const published = await publishing.publish(OPS, null)
    expect(published.ok && published.changes.map(({ words }) => words)).toEqual([
      'contract acme: delivery.headers.Authorization has another secret',
    ])
    const rows = await kit.ask<{ row: string }>(`
      select v::text as row from versions v union all select s::text from secrets s union all select a::text from audit a`)
    for (const secret of [SECRET, TOKEN, 'another-token'])
      expect(rows.filter(({ row }) => row.includes(secret))).toEqual([])
  })

  it('are there again for the engine, and the text with stand-ins compiles to the same but for them', async () => {
    await begin()
    const served = await loadNewest({ db: kit.db, vault, buyersOrigin: null })
    if (!served.ok) throw new Error(JSON.stringify(served.faults))
    const { delivery } = served.snapshot.campaigns.get('solar')!.contracts[0]!
    expect(delivery).toMatchObject({ post: { headers: [['Authorization', [TOKEN]]] }, secrets: [SECRET] })
    const stored = await publishing.version(1)
    expect(compileVersion(stored, 1)).toMatchObject({ ok: true })
    // What was read may be given back as it is.
    expect(await publishing.apply(ROOT, stored, 1, null)).toEqual({ ok: false, code: 'SAME', newest: 1 })
    expect(await publishing.apply(ROOT, goodConfig(), 1, null)).toEqual({ ok: false, code: 'SAME', newest: 1 })
  })

  it('cannot be guessed at: a stand-in of none is a fault', async () => {
    const config = goodConfig()
    config.contracts.acme.delivery.headers.Authorization = `sealed:${'A'.repeat(43)}`
    const refused = await publishing.apply(ROOT, config, 0, null)
    expect(refused).toMatchObject({
      code: 'FAULTY',
      faults: [{ path: 'contracts.acme.delivery.headers.Authorization' }],
    })
  })

  it('in the query of an address, or in the path of a webhook, lie sealed as well', async () => {
    const config = (key: string) => {
      const { contracts, sources, ...rest } = goodConfig()
      contracts.acme.delivery.post_url = `https://acme.example/post?v=1&campaign=${key}&flag-secret`
      contracts.acme.delivery.test_url = 'https://acme.example/post?token=tok%2Fen='
      sources.mill.postbacks = { solar: { url: `https://mill.example/pb?lead={lead_id}&auth=${key}&x=y-{sub1}` } }
      const recipients = { hook: { webhook: { url: `https://hooks.example/services/${key}?x` } } }
      return { ...rest, contracts, sources, recipients, alerts: { a: { on: 'outbox_stuck', to: ['hook'] } } }
    }
    await publishing.apply(ROOT, config('first-key'), 0, null)
    const stored = (await publishing.version(1)) as ReturnType<typeof goodConfig>
    expect(stored.contracts.acme.delivery.post_url).toMatch(
      /^https:\/\/acme\.example\/post\?v=1&campaign=sealed:[\w-]{43}&sealed:[\w-]{43}$/,
    )
    expect(stored.sources.mill.postbacks.solar.url).toMatch(/\?lead=\{lead_id\}&auth=sealed:[\w-]{43}&x=y-\{sub1\}$/)
    expect(stored.recipients.hook.webhook.url).toMatch(/^https:\/\/hooks\.example\/sealed:[\w-]{43}$/)
    expect(compileVersion(stored, 1)).toMatchObject({ ok: true })
    expect(await publishing.apply(ROOT, stored, 1, null)).toEqual({ ok: false, code: 'SAME', newest: 1 })
    const served = await loadNewest({ db: kit.db, vault, buyersOrigin: null })
    if (!served.ok) throw new Error(JSON.stringify(served.faults))
    const { snapshot } = served
    expect(snapshot.campaigns.get('solar')!.contracts[0]!.delivery).toMatchObject({
      postUrl: 'https://acme.example/post?v=1&campaign=first-key&flag-secret',
      testUrl: 'https://acme.example/post?token=tok%2Fen=',
    })
    expect(snapshot.recipients.get('hook')).toMatchObject({ url: 'https://hooks.example/services/first-key?x' })
    const published = await publishing.apply(ROOT, config('other-key'), 1, null)
    expect(published.ok && published.changes.map(({ words }) => words)).toEqual([
      'contract acme: delivery.post_url has another secret',
      'recipient hook: webhook.url has another secret',
      'source mill: postbacks.solar.url has another secret',
    ])
    const rows = await kit.ask<{ row: string }>(`
      select v::text as row from versions v union all select s::text from secrets s union all select a::text from audit a`)
    for (const secret of ['first-key', 'other-key', 'flag-secret', 'tok%2Fen'])
      expect(rows.filter(({ row }) => row.includes(secret))).toEqual([])
    const forged = {
      ...config('x'),
      recipients: { hook: { webhook: { url: `https://h.example/sealed:${'A'.repeat(43)}` } } },
    }
    expect(await publishing.apply(ROOT, forged, 2, null)).toMatchObject({
      code: 'FAULTY',
      faults: [{ path: 'recipients.hook.webhook.url' }],
    })
  })

  it('of versions from before they were sealed are sealed at the next start', async () => {
    await kit.ask('insert into versions (number, canonical) values (1, $1)', [JSON.stringify(goodConfig())])
    await vault.sealOldVersions(kit.db)
    await vault.sealOldVersions(kit.db)
    const [row] = await kit.ask<{ canonical: string; sealed: boolean }>('select canonical, sealed from versions')
    expect(row!.sealed).toBe(true)
    expect(row!.canonical).not.toContain(TOKEN)
    expect(await loadNewest({ db: kit.db, vault, buyersOrigin: null })).toMatchObject({ ok: true })
  })
})

describe('whoever follows', () => {
  it('puts each version in force as it is published, without being told by the database where need be', async () => {
    await begin()
    const current = await loadNewest({ db: kit.db, vault, buyersOrigin: null })
    if (!current.ok) throw new Error('faulty')
    const open = (everyMs: number) => new News({ url: kit.url, clock, everyMs })
    // One hears of it, the other only looks.
    const [hinted, looking] = [open(60_000), open(20)]
    const heard = [hinted, looking].map((news) => {
      const waiting = Promise.withResolvers<Snapshot>()
      const follow = { current: current.snapshot, changed: (next: Snapshot) => waiting.resolve(next), report: () => {} }
      const watch = followLedger({ db: kit.db, vault, buyersOrigin: null }, news, follow)
      return waiting.promise.finally(() => watch.close())
    })
    await hinted.listening()
    await publishing.apply(ROOT, setPrice('19.00')(goodConfig()).config, 1, null)
    for (const snapshot of await Promise.all(heard)) expect(snapshot.version).toBe(2)
    await Promise.all([hinted.stop(), looking.stop()])
  })
})

describe('what a change touches', () => {
  it('is counted among the leads of the last day', async () => {
    const { ledger } = await kit.engine()
    await Promise.all([
      ledger.received(received({ source: 'mill' })),
      ledger.received(received({ source: 'forge' })),
      ledger.received(received({ source: 'forge', campaign: 'roofing' })),
      ledger.received(received({ source: 'forge', test: true })),
    ])
    const before = goodConfig()
    const touched = (change: (config: ReturnType<typeof goodConfig>) => void) => {
      const after = goodConfig()
      change(after)
      return touchedLeads(kit.db, differences(before, after), before, after)
    }
    expect(await touched((config) => (config.contracts.acme.price = '19.00'))).toEqual({ touched: 2, leads: 3 })
    expect(await touched((config) => (config.buyers.bolt.zone = 'UTC'))).toEqual({ touched: 2, leads: 3 })
    expect(await touched((config) => (config.sources.mill.floor = '3.00'))).toEqual({ touched: 1, leads: 3 })
    expect(await touched((config) => (config.currency = 'CAD'))).toEqual({ touched: 3, leads: 3 })
    expect(await touched((config) => (config.admin.keys[0].label = 'me'))).toEqual({ touched: 0, leads: 3 })
  })
})

describe('what a change would have done', () => {
  it('is seen in leads of the last day, opened under both versions', async () => {
    await kit.ask('truncate leads, lead_keys')
    const { ledger } = await kit.engine()
    const compiled = (config: unknown) => {
      const made = compileVersion(config, 1)
      if (!made.ok) throw new Error(JSON.stringify(made.faults))
      return made.snapshot
    }
    const before = compiled(goodConfig())
    const vertical = before.campaigns.get('solar')!.vertical
    for (const [at, state] of (['TX', 'TX', 'AZ', 'NV'] as const).entries()) {
      const raw = {
        ...Object.fromEntries(
          vertical.fields.filter(({ required }) => required).map(({ name, example }) => [name, example]),
        ),
        state,
        zip: ZIPS[state],
      }
      const lead = parseLead(vertical, raw, Date.now())
      if (!lead.ok) throw new Error(JSON.stringify(lead.issues))
      const leadId = uuidv7({ msecs: Date.now() - (4 - at) * 3_600_000 })
      const sealed = sealer.seal(leadId, leadJson(lead.lead))
      await ledger.received(received({ leadId, source: 'mill', receivedAt: wallMs(Date.now()), ...sealed }))
    }
    await ledger.received(received({ source: 'mill', test: true }))
    const sampled = (change: (config: ReturnType<typeof goodConfig>) => void) => {
      const after = goodConfig()
      change(after)
      return consequencesFor(kit.db, sealer, before, compiled(after))
    }
    const found = (other_seats: number, other_terms: number) => ({ sampled: 4, other_seats, other_terms })
    expect(await sampled(() => {})).toEqual(found(0, 0))
    expect(await sampled((config) => (config.contracts.acme.filter.state = ['TX']))).toEqual(found(1, 0))
    expect(await sampled((config) => (config.contracts.acme.price = '19.00'))).toEqual(found(0, 3))
    expect(await sampled((config) => (config.campaigns.solar.floor = '3.00'))).toEqual(found(0, 4))
    const rules = [{ when: { state: ['AZ'] }, price: '25.00' }]
    expect(await sampled((config) => (config.contracts.acme.price_rules = rules))).toEqual(found(0, 1))
    expect(await sampled((config) => (config.sources.mill.status = 'paused'))).toEqual(found(3, 1))
    expect(await sampled((config) => (config.contracts.acme.caps = { day: 1 }))).toEqual(found(0, 0))
    // An erased person's lead cannot be looked into.
    await kit.ask('delete from lead_keys where lead_id = (select min(id::text)::uuid from leads)')
    expect((await sampled(() => {})).sampled).toBe(3)
  })
})

describe('a difference', () => {
  it.each([
    ['a value', (c) => (c.contracts.acme.caps.day = 60), ['contract acme: caps.day 50 -> 60']],
    [
      'a member of a list',
      (c) => (c.contracts.acme.filter.state = ['TX', 'NV']),
      ['contract acme: filter.state + NV, - AZ'],
    ],
    ['an order', (c) => c.contracts.acme.filter.state.reverse(), ['contract acme: filter.state is in another order']],
    ['a key', (c) => (c.contracts.acme.priority = 2), ['contract acme: priority was added (2)']],
    ['a group', (c) => delete c.buyers.bolt, ['buyer bolt was removed: {"zone":"America/Phoenix"}']],
    ['a tier', (c) => (c.campaigns.solar.plan[0].ping_ms = 400), ['campaign solar: plan.open.ping_ms 300 -> 400']],
    [
      'a secret',
      (c) => (c.contracts.acme.delivery.secrets = ['whsec_x']),
      ['contract acme: delivery.secrets + (a secret), - (a secret)'],
    ],
    ['nothing', () => {}, []],
  ] as const satisfies readonly [string, (config: ReturnType<typeof goodConfig>) => unknown, readonly string[]][])(
    'of %s',
    (_, change, words) => {
      const after = goodConfig()
      change(after)
      expect(differences(goodConfig(), after).map((one) => one.words)).toEqual(words)
    },
  )

  it('of tiers tells what moved', () => {
    const [before, after] = [goodConfig(), goodConfig()]
    before.campaigns.solar.plan = [{ tier: 'a' }, { tier: 'b' }]
    after.campaigns.solar.plan = [{ tier: 'b' }, { tier: 'c' }, { tier: 'a' }]
    expect(differences(before, after).map((one) => one.words)).toEqual([
      'campaign solar: plan.c was added ({"tier":"c"})',
      'campaign solar: plan are in another order: b, a',
    ])
  })
})

it('what is starred out of what a buyer was sent is what looks like a credential', () => {
  const url = 'https://acme.example/p?v=solar&campaign=roofing&api_key=k1&lead={lead_id}&x=0123456789abcdef0123&zzzz'
  expect(queryCredentials(url)).toEqual(['k1', '0123456789abcdef0123'])
  expect(queryCredentials('https://acme.example/p')).toEqual([])
})
