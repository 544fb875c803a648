/** Posting instructions: the document is valid and true, and the page says all of it and cannot be broken out of. */
import { createHash } from 'node:crypto'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Compile } from 'typebox/schema'
import { describe, expect, it } from 'vitest'
import type { EdgeRequest } from '../engine/edge.ts'
import { html } from '../engine/spec/html.ts'
import { readSpec } from '../engine/spec/route.ts'
import { FIELD_TYPES } from '../rules/fields.ts'
import { parseLead } from '../rules/lead.ts'
import { pingFields } from '../rules/offer.ts'
import { exampleOf, fieldsFor, leadSchema, valueWords } from '../rules/posting.ts'
import { compileVersion, type Snapshot } from '../rules/version.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { houseConfig } from './inbound-kit.ts'

const snapshotOf = (change: Parameters<typeof houseConfig>[1]): Snapshot => {
  const compiled = compileVersion(houseConfig('https://buyers.example', change), 1)
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.faults))
  return compiled.snapshot
}
const EVERY = snapshotOf((config) => {
  const { solar } = config.campaigns
  for (const vertical of VERTICALS.keys()) config.campaigns[vertical.replaceAll('_', '-')] = { ...solar, vertical }
})
const campaigns = [...EVERY.campaigns.values()]

function requestOf(campaign: string, headers: Partial<EdgeRequest['headers']> = {}, query = ''): EdgeRequest {
  return {
    route: 'spec',
    params: [campaign],
    query: new URLSearchParams(query),
    headers: { accept: null, host: 'leads.example', forwardedProto: null, ...headers },
  } as unknown as EdgeRequest
}

describe('the document', () => {
  it.each(campaigns)('of $id is OpenAPI 3.1, and its examples are what is taken', async (campaign) => {
    const { status, headers, body } = readSpec(EVERY, requestOf(campaign.id, { accept: 'application/json' }))
    expect([status, headers!['content-type']]).toEqual([200, 'application/json'])
    const document = JSON.parse(body)
    expect(await new Validator().validate(document)).toEqual({ valid: true })
    expect(document.servers).toEqual([{ url: 'http://leads.example' }])
    const now = Date.UTC(2026, 2, 2, 20)
    for (const demand of ['lead', 'ping'] as const) {
      const example = exampleOf(campaign, demand)
      expect(Compile(leadSchema(campaign, demand) as never).Check(example)).toBe(true)
      const read = parseLead(campaign.vertical, example, now, demand)
      expect(read.ok ? [] : read.issues).toEqual([])
    }
    expect(pingFields(campaign.vertical, exampleOf(campaign, 'ping')).dropped).toEqual([])
    const whole = Object.fromEntries(campaign.vertical.fields.map(({ name, example }) => [name, example]))
    const read = parseLead(campaign.vertical, whole, now)
    expect(read.ok ? [] : read.issues).toEqual([])
    expect(Compile(leadSchema(campaign, 'lead') as never).Check(whole)).toBe(true)
  })

  it('says in words what each type takes', () => {
    for (const type of FIELD_TYPES.keys()) {
      const words = valueWords({
        ...campaigns[0]!.vertical.fields[0]!,
        type,
        ...(type === 'enum' ? { options: ['a'] } : {}),
      })
      expect(words).not.toBe(type)
    }
  })
})

describe('the page', () => {
  const pageOf = (campaign: string, headers: Partial<EdgeRequest['headers']> = {}) =>
    readSpec(EVERY, requestOf(campaign, { accept: 'text/html,application/json;q=0.9', ...headers }))

  it('tells every field, status and error, and lines to copy', () => {
    const { status, headers, body } = pageOf('solar', { forwardedProto: 'https' })
    expect([status, headers!['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    for (const field of fieldsFor(EVERY.campaigns.get('solar')!, 'lead'))
      expect(body).toContain(`<td>${field.name}</td>`)
    for (const id of ['post', 'fields', 'answers', 'ping', 'errors', 'trying'])
      expect(body).toContain(`<section id="${id}">`)
    expect(body).toContain('curl https://leads.example/v1/campaigns/solar/leads')
    expect(body).toContain('curl https://leads.example/v1/campaigns/solar/pings')
    for (const code of [400, 401, 403, 404, 409, 413, 415, 422, 429, 503]) expect(body).toContain(`<td>${code}</td>`)
    expect(body).toContain('data-lead="/v1/campaigns/solar/leads"')
  })

  it('is closed: every tag ends, and nothing is loaded from elsewhere', () => {
    const { body, headers } = pageOf('solar')
    const open: string[] = []
    const bare = body.replace(/<(script|style)>[\s\S]*?<\/\1>/g, '<$1></$1>').replace('<!doctype html>', '')
    for (const [, end, tag] of bare.matchAll(/<(\/?)([a-z0-9]+)[^>]*>/g)) {
      if (end) expect(open.pop()).toBe(tag)
      else if (!['meta', 'input'].includes(tag!)) open.push(tag!)
    }
    expect(open).toEqual([])
    expect(body).not.toMatch(/<(?:script|img|link|iframe)[^>]*(?:src|href)=/)
    const [, script] = /<script>([\s\S]*?)<\/script>/.exec(body)!
    const hash = createHash('sha256').update(script!).digest('base64')
    expect(headers!['content-security-policy']).toContain(`script-src 'sha256-${hash}'`)
  })

  it('has no key filled in and tests by default, save in the example', () => {
    expect(pageOf('solar').body).toContain('required value=""')
    expect(pageOf('solar').body).toContain('name="test" value="1" checked')
    const example = readSpec({ ...EVERY, example: true }, requestOf('solar'))
    expect(example.body).toContain('required value="demo"')
    expect(example.body).not.toContain('value="1" checked')
  })

  it('is not broken by what a caller or an operator writes', () => {
    const evil = '"><script>alert(1)</script>'
    expect(pageOf('solar', { host: evil }).body).toContain('curl http://localhost/v1/')
    const snapshot = snapshotOf((config) => {
      config.campaigns.solar.fields = { roof: { type: 'text', label: evil, example: evil } }
    })
    const { body } = readSpec(snapshot, requestOf('solar'))
    expect(body).toContain('&quot;&gt;&lt;script&gt;')
    expect(body.match(/<script>/g)).toHaveLength(1)
    expect(html`${evil}${1}${[html`<b>${'&'}</b>`]}`.text).toBe(
      `&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;1<b>&amp;</b>`,
    )
  })

  it('of no campaign is not there', () => {
    expect(pageOf('nowhere').status).toBe(404)
    expect(readSpec(EVERY, requestOf('solar', {}, 'format=openapi')).headers!['content-type']).toBe('application/json')
    expect(readSpec(EVERY, requestOf('solar')).headers!['content-type']).toContain('text/html')
  })
})
