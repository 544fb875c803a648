/** Presets: what each sends and how it reads what its platform answers, exemplary and faulty; parameters and overrides. */
import { describe, expect, it, test } from 'vitest'
import type { WireRequest } from '../buyers/adapter.ts'
import { compileAdapter } from '../buyers/compile.ts'
import { compileConfiguration } from '../buyers/configuration.ts'
import { PRESETS } from '../buyers/presets.ts'
import { mapSecrets } from '../rules/configuration/secrets.ts'
import { AT, factsOf } from './buyers-kit.ts'
import { makeCertificates } from './certificates.ts'
import { configWith, contractWith, faultsOf, leadOf, PRESET_STORIES, type PresetStory, RAW } from './delivery-kit.ts'

/** Headers of ours that every post has. */
const COMMON = /^(?:idempotency-key|traceparent|webhook-)/

/** A request as a story shows it: JSON bodies as they parse, the rest as text. */
function shown({ method, origin, path, headers, body }: WireRequest): object {
  const pairs: Record<string, string> = {}
  for (let at = 0; at < headers.length; at += 2)
    if (!COMMON.test(headers[at]!.toLowerCase())) pairs[headers[at]!.toLowerCase()] = headers[at + 1]!
  return { method, url: origin + path, headers: pairs, body: /^[{[]/.test(body) ? JSON.parse(body) : body }
}

function told(story: PresetStory): Pick<PresetStory, 'ping' | 'post' | 'replies'> {
  const contract = contractWith({ ping_url: undefined, post_url: undefined, ...story.delivery }, story.contract)
  const adapter = compileAdapter(contract)
  const lead = leadOf(story.lead ?? RAW, story.test)
  const replies = story.replies.map((reply) => {
    const { to, status, headers = { 'content-length': '1' }, body } = reply
    const wire = { status, headers, body }
    return { ...reply, is: to === 'ping' ? adapter.pingReply(wire) : adapter.postReply(wire) }
  })
  const post = shown(adapter.postRequest(lead, factsOf(contract)))
  return { ...(contract.pinged ? { ping: shown(adapter.pingRequest(lead, AT)) } : {}), post, replies }
}

describe('a preset', () => {
  test.each(PRESET_STORIES)('%s', (name, whole) => {
    const { ping, post, replies, ...story } = whole
    expect({ ...story, ...told(whole) }).toEqual({ ...story, ...(ping ? { ping } : {}), post, replies })
    expect(story.delivery['preset']).toBe(name)
  })

  it('has a story each', () => {
    expect([...PRESETS.keys()].sort()).toEqual(PRESET_STORIES.map(([name]) => name).sort())
  })

  it.each([...PRESETS.keys()])('%s fits every vertical', (name) => {
    const preset = PRESETS.get(name)!
    const given = Object.fromEntries(Object.keys(preset.with).map((key) => [key, 'x']))
    const urls = {
      ping_url: preset.delivery['ping'] ? 'https://a.example/' : undefined,
      post_url: 'https://a.example/',
    }
    for (const vertical of [
      'auto_insurance',
      'medicare',
      'home_services',
      'mortgage',
      'personal_loan',
      'legal',
      'education',
    ]) {
      const config = configWith({ ...urls, preset: name, with: given }, { price: '20.00' }) as {
        campaigns: { solar: { vertical: string } }
      }
      config.campaigns.solar.vertical = vertical
      const compiled = compileConfiguration(config, 1)
      expect(compiled.ok ? [] : compiled.faults).toEqual([])
    }
  })
})

describe('a contract that names a preset', () => {
  const DELIVERY = 'contracts.acme.delivery'

  it('hears of every parameter that is unknown or missing, and of a preset that is not there', () => {
    expect(faultsOf({ preset: 'boberdo' })).toEqual([
      `${DELIVERY}.preset: there is no preset "boberdo". Did you mean "boberdoo"?`,
    ])
    expect(faultsOf({ preset: 'boberdoo', with: { key: 'k', typ: '19' } })).toEqual([
      `${DELIVERY}.with.typ: the preset boberdoo does not ask for "typ". Did you mean "type"?`,
      `${DELIVERY}.with.type: is missing: the preset boberdoo needs TYPE, the number of the lead type.`,
      `${DELIVERY}.with.src: is missing: the preset boberdoo needs SRC, the name of this source there.`,
    ])
    expect(faultsOf({ preset: 'boberdoo', with: { key: 'k', type: 19, src: 's' } })).toEqual([
      `${DELIVERY}.with.type: is not that: give a text in quotes.`,
    ])
    expect(faultsOf({ with: { key: 'k' } })).toEqual([
      `${DELIVERY}.with: is what a preset asks for, and none is named: say preset, or remove it.`,
    ])
  })

  it('says what it says over it: groups are merged, null takes away', () => {
    const delivery = {
      preset: 'leadprosper',
      with: { campaign_id: '1', supplier_id: '2', key: 'a{b}"c' },
      post: {
        headers: { 'X-Own': '1' },
        body: { gender: null, phone: '{phone}', own: '{sub1}' },
        reply: { reason: 'why' },
      },
    }
    const contract = contractWith({ ...delivery, ping_url: undefined, post_url: undefined }, { price: '9.00' })
    const adapter = compileAdapter(contract)
    const request = adapter.postRequest(leadOf(), factsOf(contract))
    expect(request.origin + request.path).toBe('https://api.leadprosper.io/post')
    expect(JSON.parse(request.body)).toMatchObject({ lp_key: 'a{b}"c', phone: '+15122340199', own: 'summer 26' })
    expect(request.body).not.toContain('"gender"')
    expect(request.headers).toContain('X-Own')
    const reply = { status: 200, headers: {}, body: '{"status":"ERROR","why":"late"}' }
    expect(adapter.postReply(reply)).toEqual({ kind: 'rejected', reason: 'rejected:late' })
  })

  it('is stored as it was written, and its parameters are secrets', () => {
    const config = configWith(
      { preset: 'hubspot', with: { token: 'pat-1' }, ping_url: undefined, post_url: undefined },
      { price: '9.00' },
    )
    const compiled = compileConfiguration(config, 1)
    if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
    expect(JSON.parse(compiled.snapshot.canonical)).toEqual(JSON.parse(JSON.stringify(config)))
  })

  it('compiles with stand-ins in the place of its secrets too, wherever a delivery holds some', () => {
    const { client } = makeCertificates()
    const deliveries: Readonly<Record<string, object>> = {
      boberdoo: {
        with: { key: 'secret-1', type: '19', src: 's' },
        headers: { 'X-A': 'secret-2' },
        ping_fields: ['zip'],
      },
      'twilio-sms': { with: { account_sid: 'secret-3', auth_token: 'secret-4', from: '+1', to: '+1' } },
      'generic-json': {
        auth: { hmac: { secret: 'secret-5', header: 'X-Sig' } },
        keys: { mine: 'secret-6' },
        tls: client,
        secrets: [`whsec_${'secretsevenSEVEN'.repeat(3)}`],
        post: {
          query: { k: 'secret-8' },
          body: { h: '{email | hmac_sha256:mine}' },
          auth: { basic: { user: 'u', password: 'secret-9' } },
        },
      },
    }
    for (const [preset, delivery] of Object.entries(deliveries)) {
      const urls = preset === 'twilio-sms' ? { ping_url: undefined, post_url: undefined } : {}
      const config = JSON.parse(JSON.stringify(configWith({ preset, ...urls, ...delivery }, { price: '9.00' })))
      expect(compileConfiguration(config, 1)).toMatchObject({ ok: true })
      const concealed = mapSecrets(config, (_secret, _path, pattern) =>
        pattern === null || new RegExp(pattern).test('sealed:x')
          ? `sealed:${'A'.repeat(43)}`
          : `whsec_${'A'.repeat(43)}`,
      )
      expect(JSON.stringify(concealed)).not.toMatch(/secret-|secretseven|PRIVATE KEY/)
      expect(compileConfiguration(concealed, 1)).toMatchObject({ ok: true })
    }
  })
})
