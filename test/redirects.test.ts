/** Where consumers go on: the buyer's page, the campaign's own, tracked or not, and what a number to call is to a source. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answerReply } from '../engine/answer.ts'
import { conceal, reveal } from '../engine/conceal.ts'
import type { EdgeRequest } from '../engine/edge.ts'
import { leadIdOf, tokenOf } from '../engine/inbound/onward.ts'
import { countRedirect, follow, type RedirectPorts } from '../engine/inbound/redirects.ts'
import type { Answer } from '../engine/live.ts'
import { joinOnward, NO_REDIRECTS, type Redirects } from '../rules/onward.ts'
import { micros } from '../rules/units.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { configWith } from './delivery-kit.ts'
import { final, intended, LedgerKit, received, result, sealer, type TestEngine } from './ledger-kit.ts'

const OWN: Redirects = {
  thankYou: 'https://mill.example/thanks?ref={lead_ref}',
  reject: 'https://mill.example/sorry?lead={lead_id}&why={status}',
  tracked: null,
}
const LEAD = '0197a0b0-1111-7222-8333-944455556666'

const answer = (more: Partial<Answer>): Answer => ({
  leadId: LEAD,
  status: 'sold',
  payout: micros(12_600_000),
  currency: 'USD',
  copies: 1,
  reasons: [],
  redirectUrl: null,
  leadRef: 'S 1&2',
  ...more,
})
const told = (redirects: Redirects, more: Partial<Answer>) => JSON.parse(answerReply(answer(more), redirects).body)

describe('the answer to a source', () => {
  it('names the buyer’s page, else the campaign’s', () => {
    expect(told(OWN, { redirectUrl: 'https://buyer.example/t' }).redirect_url).toBe('https://buyer.example/t')
    expect(told(OWN, {}).redirect_url).toBe('https://mill.example/thanks?ref=S%201%262')
    expect(told(NO_REDIRECTS, {}).redirect_url).toBeNull()
    const sorry = `https://mill.example/sorry?lead=${LEAD}&why=`
    expect(told(OWN, { status: 'unsold', reasons: ['no_buyer'] }).redirect_url).toBe(`${sorry}unsold`)
    expect(told(OWN, { status: 'duplicate' }).redirect_url).toBe(`${sorry}duplicate`)
    for (const status of ['pending', 'expired', 'review'] as const)
      expect(told(OWN, { status })).not.toHaveProperty('redirect_url')
    expect(told(NO_REDIRECTS, { status: 'unsold' })).not.toHaveProperty('redirect_url')
  })

  it('names a number to transfer the call to, alone or beside a page', () => {
    const both = joinOnward('https://buyer.example/t', '+15125550143')
    expect(told(NO_REDIRECTS, { redirectUrl: both })).toMatchObject({
      redirect_url: 'https://buyer.example/t',
      transfer_phone: '+15125550143',
    })
    const alone = told(NO_REDIRECTS, { redirectUrl: joinOnward(null, '+15125550143') })
    expect(alone).toMatchObject({ redirect_url: null, transfer_phone: '+15125550143' })
  })

  it('names an address of ours where the campaign is tracked', () => {
    const tracked = { ...OWN, tracked: 'https://go.mill.example/x/' }
    const address = `https://go.mill.example/x/r/${tokenOf(LEAD)}`
    expect(told(tracked, { redirectUrl: 'https://buyer.example/t' }).redirect_url).toBe(address)
    expect(told(tracked, { status: 'unsold' }).redirect_url).toBe(address)
    expect(told({ ...NO_REDIRECTS, tracked: tracked.tracked }, {}).redirect_url).toBeNull()
  })

  it('has a token that leads back to its lead, and no other text does', () => {
    expect(tokenOf(LEAD)).toMatch(/^[\w-]{22}$/)
    expect(leadIdOf(tokenOf(LEAD))).toBe(LEAD)
    for (const text of ['', 'x', LEAD, `${tokenOf(LEAD)}=`, '-'.repeat(22)]) expect(leadIdOf(text)).toBeNull()
  })
})

describe('a tracked redirect', () => {
  let kit: LedgerKit
  let engine: TestEngine
  let ports: RedirectPorts

  beforeAll(async () => {
    kit = await LedgerKit.open()
    engine = await kit.engine()
    ports = {
      snapshot: () =>
        snapshotWith({ thank_you: OWN.thankYou!, reject: OWN.reject!, tracked: 'https://go.mill.example' }),
      ledger: engine.ledger,
      reveal: (leadId, text) => reveal(sealer, leadId, text),
      followed: (leadId) => countRedirect(kit.db, leadId),
    }
  })
  afterAll(() => kit.close())

  const followed = (token: string) => follow(ports, { params: [token] } as unknown as EdgeRequest)

  it('sends on to the sealed page of the buyer, and counts', async () => {
    const leadId = await intended(engine)
    const page = 'https://buyer.example/welcome?name=Ada'
    const sealed = conceal(sealer, leadId, page)
    await engine.ledger.result(final(leadId, [result({ redirectUrl: sealed })], { redirectUrl: sealed }))
    const seen = () => kit.ask('select redirects, redirected_at from leads where id = $1', [leadId])
    expect(await seen()).toEqual([{ redirects: 0, redirected_at: null }])
    const headers = { location: page, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }
    expect(await followed(tokenOf(leadId))).toEqual({ status: 302, headers, body: '' })
    const [first] = await seen()
    await followed(tokenOf(leadId))
    expect(await seen()).toEqual([{ redirects: 2, redirected_at: first!['redirected_at'] }])
  })

  it('leads nowhere for a lead that is undecided, unknown or no token, and waits for a ledger that is away', async () => {
    const row = received()
    await engine.ledger.received(row)
    for (const token of [tokenOf(row.leadId), tokenOf(LEAD), 'nonsense'])
      expect(await followed(token)).toMatchObject({ status: 404 })
    const away = { ...ports, ledger: { lead: () => Promise.reject(new Error('away')) } }
    expect(await follow(away, { params: [tokenOf(LEAD)] } as unknown as EdgeRequest)).toMatchObject({ status: 503 })
  })
})

function snapshotWith(redirects: Readonly<Record<string, string>>): Snapshot {
  const config = configWith({ ping_fields: ['zip'] }) as { campaigns: { solar: { redirects?: object } } }
  config.campaigns.solar.redirects = redirects
  const compiled = compileVersion(config, 1)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  return compiled.snapshot
}
