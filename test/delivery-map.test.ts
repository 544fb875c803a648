/** Deliveries as they are configured: field maps in every format, transforms, headers, proofs of the sender, and each fault with its path. */
import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileAdapter } from '../buyers/compile.ts'
import { factsOf, LEAD_ID } from './buyers-kit.ts'
import { contractWith, faultsOf, headersOf, leadOf, pingWith, postWith, RAW } from './delivery-kit.ts'

const sent = (text: string, raw: object = RAW): unknown =>
  JSON.parse(postWith({ post: { body: { a: text } } }, leadOf({ ...raw })).body).a
// biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 has no way to write these
const NOT_XML = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

describe('a JSON map', () => {
  it('nests, lists, keeps types, and leaves out what the lead does not have', () => {
    const body = {
      request: { key: 'k-1', version: 2, live: true, nothing: null },
      lead: { first: '{first_name}', zip: '{zip}', shade: '{roof_shade}', consent: '{tcpa_consent}' },
      tags: ['solar', '{utility}', '{state}'],
      gone: { deep: ['{utility}'] },
      empty: {},
    }
    expect(JSON.parse(postWith({ post: { body } }).body)).toEqual({
      request: { key: 'k-1', version: 2, live: true, nothing: null },
      lead: { first: 'Zoë', zip: '78701', consent: true },
      tags: ['solar', 'TX'],
      empty: {},
    })
    expect(postWith({ post: { body: { a: '{utility}' } } }).body).toBe('{}')
    expect(postWith({ post: { body: ['{utility}'] } }).body).toBe('[]')
  })

  it('says what the engine knows beside the lead', () => {
    const body = {
      id: '{lead_id}',
      ping: '{ping_id}',
      price: '{price}',
      number: '{price | number}',
      bid: '{buyer_reference}',
      src: '{source}',
      sub: '{sub1}',
      camp: '{campaign}/{contract}',
      at: '{timestamp}',
      unix: '{timestamp | date:unix}',
      local: '{timestamp | date:"MM/DD/YYYY hh:mm A",America/Chicago}',
      test: '{test}',
    }
    expect(JSON.parse(postWith({ post: { body } }).body)).toEqual({
      id: LEAD_ID,
      ping: `${LEAD_ID}:acme`,
      price: '18.50',
      number: 18.5,
      bid: 'B-77',
      src: 'S-1',
      sub: 'summer 26',
      camp: 'solar/acme',
      at: '2026-03-02T16:00:00.500Z',
      unix: 1772467200,
      local: '03/02/2026 10:00 AM',
      test: false,
    })
  })

  it('stays JSON with exactly the mapped values, whatever a lead holds', () => {
    const hard = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    fc.assert(
      fc.property(hard, hard, (one, two) => {
        const lead = leadOf()
        const values = new Map(lead.lead.values)
        values.set('utility', { raw: one, normal: one })
        const hardLead = { ...lead, lead: { ...lead.lead, values, subs: { sub2: two } } }
        const map = { a: '{utility}', b: '<{utility}> {sub2}' }
        expect(JSON.parse(postWith({ post: { body: map } }, hardLead).body)).toEqual({ a: one, b: `<${one}> ${two}` })
        const form = postWith({ post: { format: 'form', body: map } }, { ...hardLead, fragments: new Map() })
        expect(Object.fromEntries(new URLSearchParams(form.body))).toEqual({ a: one, b: `<${one}> ${two}` })
      }),
      { numRuns: 100 },
    )
  })
})

describe('a placeholder', () => {
  it.each([
    ['{phone}', '+15122340199'],
    ['{phone | e164}', '+15122340199'],
    ['{phone | digits}', '15122340199'],
    ['{phone | digits10}', '5122340199'],
    ['{phone | dashed}', '512-234-0199'],
    ['{phone|parens}', '(512) 234-0199'],
    ['{phone | area}', '512'],
    ['{phone | exchange}', '234'],
    ['{phone | line}', '0199'],
    ['{phone.area}', '512'],
    ['{email.domain}', 'example.com'],
    ['{consent_at | date:MM/DD/YYYY}', '03/02/2026'],
    ['{consent_at | date:"D MMM YY, HH:mm:ss"}', '2 Mar 26, 15:58:00'],
    ['{consent_at | date:unix}', 1772467080],
    ['{consent_at | date:YYYY-MM-DDTHH:mm:ssZ}', '2026-03-02T15:58:00Z'],
    ['{state | lower}', 'tx'],
    ['{city | upper}', 'AUSTIN'],
    ['{last_name | lower | title}', "O'Neil & <Sons>"],
    ['{tcpa_consent | boolean:Y,N}', 'Y'],
    ['{tcpa_consent | string}', 'true'],
    ['{tcpa_consent | number}', 1],
    ['{zip | number}', 78701],
    ['{zip | truncate:3}', '787'],
    ['{utility | default:Other}', 'Other'],
    ['{utility | default:"none, yet"}', 'none, yet'],
    ['{utility, city | upper}', 'AUSTIN'],
    ['{address, utility, city, state | join:", "}', '1100 Congress Ave, Austin, TX'],
    ['{first_name} {utility}{last_name}', "Zoë O'Neil & <Sons>"],
    ['{{literal}} {zip}', '{literal} 78701'],
    ['{phone | sha256}', sha256('15122340199')],
    ['{phone | digits10 | sha256}', sha256('5122340199')],
    ['{email | sha256}', sha256('zoe@example.com')],
    ['{email | md5 | upper}', createHash('md5').update('zoe@example.com').digest('hex').toUpperCase()],
    ['{email | sha1}', createHash('sha1').update('zoe@example.com').digest('hex')],
    ['{city | date:unix}', undefined],
    ['{roof_shade | upper}', undefined],
    ['Roof: {roof_shade}', undefined],
  ])('%s', (text, expected) => expect(sent(text)).toEqual(expected))

  it('looks words up in a table, and hashes with a key', () => {
    const more = { tables: { homes: { own: 'Y', rent: 2, '*': false } }, keys: { mine: 'k3y' } }
    const of = (text: string, raw: object = RAW) =>
      JSON.parse(postWith({ ...more, post: { body: { a: text } } }, leadOf({ ...raw })).body).a
    expect(of('{ownership | lookup:homes}')).toBe('Y')
    expect(of('{ownership | lookup:homes}', { ...RAW, ownership: 'rent' })).toBe(2)
    expect(of('{ownership | lookup:homes}', { ...RAW, ownership: 'other' })).toBe(false)
    expect(of('{key.mine}')).toBe('k3y')
    expect(of('{email | hmac_sha256:mine}')).toBe(createHmac('sha256', 'k3y').update('zoe@example.com').digest('hex'))
  })

  it('writes the phone of another country as it is', () => {
    const lead = leadOf()
    const values = new Map(lead.lead.values)
    values.set('phone', { raw: '', normal: '+442079460958' })
    const body = { a: '{phone | dashed}', b: '{phone | digits10}', c: '{phone | area}' }
    const abroad = { ...lead, lead: { ...lead.lead, values } }
    expect(JSON.parse(postWith({ post: { body } }, abroad).body)).toEqual({ a: '+442079460958', b: '442079460958' })
  })
})

describe('the other formats', () => {
  it('form: names and values, lists repeated', () => {
    const request = postWith({
      post: {
        format: 'form',
        body: { 'lead[name]': '{first_name} {last_name}', n: 1, t: ['a b', '{utility}', '{zip}'], u: '{utility}' },
      },
    })
    expect(request.body).toBe("lead%5Bname%5D=Zo%C3%AB+O'Neil+%26+%3CSons%3E&n=1&t=a+b&t=78701")
    expect(headersOf(request)['content-type']).toBe('application/x-www-form-urlencoded')
  })

  it('query: GET without a body', () => {
    const request = pingWith({
      ping_url: 'https://acme.example/ping?v=1',
      ping: { format: 'query', query: { a: '{sub1}' }, body: { zip: '{zip}', s: '{state}', u: '{utility}' } },
    })
    expect(request).toMatchObject({ method: 'GET', body: '', path: '/ping?v=1&a=summer%2026&zip=78701&s=TX' })
    expect(headersOf(request)).not.toHaveProperty('content-type')
  })

  it('XML: elements, attributes, repeats, text, and nothing that could be markup', () => {
    const body = {
      lead: {
        '@version': 1,
        name: '{first_name} {last_name}',
        zip: { '@type': 'us', '#text': '{zip}' },
        tag: ['a', '{utility}', 'b'],
        gone: { deep: '{utility}' },
        none: '{utility}',
        empty: {},
      },
    }
    const request = postWith({ post: { format: 'xml', body } })
    expect(request.body).toBe(
      '<?xml version="1.0" encoding="UTF-8"?><lead version="1"><name>Zoë O&apos;Neil &amp; &lt;Sons&gt;</name>' +
        '<zip type="us">78701</zip><tag>a</tag><tag>b</tag><empty></empty></lead>',
    )
  })

  it.each([
    ['1.1', 'text/xml; charset=utf-8', '"urn:submit"', 'http://schemas.xmlsoap.org/soap/envelope/'],
    [
      '1.2',
      'application/soap+xml; charset=utf-8; action="urn:submit"',
      undefined,
      'http://www.w3.org/2003/05/soap-envelope',
    ],
  ])('SOAP %s', (version, type, action, space) => {
    const request = postWith({
      post: {
        format: 'soap',
        soap: { version, action: 'urn:submit' },
        body: { 'm:Submit': { '@xmlns:m': 'urn:m', zip: '{zip}' } },
      },
    })
    expect(headersOf(request)).toMatchObject({ 'content-type': type, ...(action ? { soapaction: action } : {}) })
    expect(request.body).toBe(
      `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="${space}"><soap:Body><m:Submit xmlns:m="urn:m"><zip>78701</zip></m:Submit></soap:Body></soap:Envelope>`,
    )
  })

  it('text: as it is written', () => {
    const request = postWith({ post: { format: 'text', method: 'PUT', body: '{zip}|{state}|{utility}' } })
    expect(request).toMatchObject({ method: 'PUT', body: '78701|TX|' })
  })
})

describe('a body in any format, to the byte', () => {
  const EXPECTED: Readonly<Record<string, (there: readonly (readonly [name: string, value: string])[]) => string>> = {
    json: (there) => JSON.stringify(Object.fromEntries(there)),
    form: (there) => there.map(([name, value]) => `${name}=${uri(value).replaceAll('%20', '+')}`).join('&'),
    query: (there) => there.map(([name, value]) => `${name}=${uri(value)}`).join('&'),
    xml: (there) => `<r a="1">${there.map(([name, value]) => `<${name}>${markedUp(value)}</${name}>`).join('')}</r>`,
  }
  const uri = (text: string) => encodeURIComponent(text.toWellFormed())
  const markedUp = (text: string) =>
    text
      .toWellFormed()
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      .replaceAll("'", '&apos;')

  it.each(Object.keys(EXPECTED))(
    '%s: every value as the standard writes it, and nothing of one that is missing',
    (format) => {
      const names = ['utility', 'first_name', 'last_name', 'city', 'address']
      const flat = Object.fromEntries(names.map((name) => [name, `{${name}}`]))
      const body = format === 'xml' ? { r: { '@a': '1', ...flat } } : flat
      const adapter = compileAdapter(contractWith({ post: { format, body } }))
      const text = fc.oneof(
        fc.stringMatching(/^[ -~]{0,20}$/),
        fc.string({ unit: 'grapheme', maxLength: 20 }).filter((drawn) => !NOT_XML.test(drawn)),
      )
      fc.assert(
        fc.property(fc.array(fc.option(text), { minLength: names.length, maxLength: names.length }), (drawn) => {
          const there = names.flatMap((name, at) => (drawn[at] == null ? [] : [[name, drawn[at]] as const]))
          const lead = leadOf()
          const values = new Map(there.map(([name, value]) => [name, { raw: value, normal: value }]))
          const wire = { ...lead, lead: { ...lead.lead, values } }
          const { path, body: sent } = adapter.postRequest(wire, factsOf(contractWith({})))
          const bytes = format === 'query' ? path.replace(/^.*?v=2&?/, '') : sent.replace(/^<[?].*?[?]>/, '')
          expect(bytes).toBe(EXPECTED[format]!(there))
        }),
        { numRuns: 300 },
      )
    },
  )
})

describe('headers', () => {
  it('are templates; the message’s own replace those of the delivery; one without a value is left out', () => {
    const headers = headersOf(
      postWith({
        headers: { 'X-Partner': 'us', 'X-Zip': '{zip}', 'X-Utility': '{utility}' },
        post: { headers: { 'x-partner': '{source}', 'Content-Type': 'text/json', Accept: 'text/xml' } },
      }),
    )
    expect(headers).toMatchObject({
      'x-partner': 'S-1',
      'x-zip': '78701',
      'content-type': 'text/json',
      accept: 'text/xml',
    })
    expect(headers).not.toHaveProperty('x-utility')
    expect(headers['idempotency-key']).toBe(`${LEAD_ID}:acme`)
  })

  it('carry one line, whatever a value holds', () => {
    const lead = leadOf({ ...RAW, sub1: 'a\r\nHost: evil', sub2: 'Zoë → ∞' })
    const headers = headersOf(postWith({ post: { headers: { a: '{sub1}', b: '{sub2}' } } }, lead))
    expect(headers).toMatchObject({ a: 'a Host: evil', b: 'Zoë ? ?' })
  })
})

describe('the proof of the sender', () => {
  it.each([
    [
      { basic: { user: 'me', password: 'pä:ss' } },
      'authorization',
      `Basic ${Buffer.from('me:pä:ss').toString('base64')}`,
    ],
    [{ bearer: 't0ken' }, 'authorization', 'Bearer t0ken'],
    [{ header: { name: 'X-Api-Key', value: 'k' } }, 'x-api-key', 'k'],
  ])('%j', (auth, name, value) => {
    expect(headersOf(postWith({ auth }))[name]).toBe(value)
    expect(headersOf(pingWith({ auth, ping_fields: ['zip'] }))[name]).toBe(value)
    expect(headersOf(postWith({ auth, post: { auth: { none: true } } }))).not.toHaveProperty(name)
  })

  it('a key in the query', () => {
    expect(postWith({ auth: { query: { name: 'api key', value: 'a&b' } } }).path).toBe('/post?v=2&api%20key=a%26b')
  })

  it('an HMAC over what is named', () => {
    const hmac = {
      secret: 's3cret',
      algorithm: 'sha512',
      encoding: 'base64',
      header: 'X-Signature',
      signs: '{method}\n{path}\n{timestamp | date:unix}\n{body}',
      value: 't={timestamp | date:unix},v1={signature}',
    }
    const request = postWith({ auth: { hmac }, post: { body: { zip: '{zip}' } } })
    const made = createHmac('sha512', 's3cret').update('POST\n/post?v=2\n1772467200\n{"zip":"78701"}').digest('base64')
    expect(headersOf(request)['x-signature']).toBe(`t=1772467200,v1=${made}`)
    const bare = pingWith({ auth: { hmac: { secret: 'k', header: 'sig' } }, ping: { body: { z: '{zip}' } } })
    expect(headersOf(bare)['sig']).toBe(createHmac('sha256', 'k').update('{"z":"78701"}').digest('hex'))
  })
})

describe('a delivery', () => {
  it('tells of a placeholder that lost its quotes in YAML', () => {
    expect(faultsOf({ post: { body: { lead: { zip: { zip: null } } } } })).toEqual([
      'contracts.acme.delivery.post.body.lead.zip: lost its quotes: YAML reads {zip} as a group, so write "{zip}".',
    ])
  })

  it('keeps the order of a body, for XML has schemas that ask for one', () => {
    const [one, two] = [{ a: { z: 1, b: 2 } }, { a: { b: 2, z: 1 } }]
    expect(postWith({ post: { format: 'xml', body: one } }).body).toContain('<a><z>1</z><b>2</b></a>')
    expect(postWith({ post: { format: 'xml', body: two } }).body).toContain('<a><b>2</b><z>1</z></a>')
  })

  it('never repeats a literal or a key in its faults', () => {
    const secret = 'pass-w0rd'
    const faults = faultsOf({
      headers: { Authorization: `${secret} {` },
      auth: { bearer: `${secret}\n`, basic: { user: secret, password: secret } },
      keys: { mine: [secret] },
      post: { query: { key: `{${secret}` }, body: { key: `${secret} {nothing}`, list: [`}${secret}`] } },
    })
    expect(faults.length).toBeGreaterThan(5)
    expect(faults.join()).not.toContain(secret)
  })
})

describe('a ping', () => {
  it('may show a phone or an email as a hash, where its map names one', () => {
    const request = pingWith({ ping: { body: { p: '{phone | digits10 | sha256}', z: '{zip}' } } })
    expect(JSON.parse(request.body)).toEqual({ p: sha256('5122340199'), z: '78701' })
    expect(request.body + request.path + request.headers.join()).not.toContain('512234')
  })

  const PING = 'contracts.acme.delivery.ping'
  it.each([
    ['{phone}', 'out, or send its hash: {phone | sha256}.'],
    ['{phone.area}', 'out, or send its hash: {phone | sha256}.'],
    ['{phone, zip | digits}', 'out, or send its hash: {phone | sha256}.'],
    ['{zip}{email}', 'out, or send its hash: {email | sha256}.'],
    ['{first_name | sha256}', 'out; the post carries it.'],
    ['{lead_ref}', 'out; the post carries it.'],
    ['{price}', '{price} is not known before the post: take it out of the ping.'],
    ['{buyer_reference}', '{buyer_reference} is not known before the post: take it out of the ping.'],
  ])('never carries %s', (text, why) => {
    for (const [place, ping] of [
      ['body.a', { body: { a: text } }],
      ['query.a', { query: { a: text } }],
      ['headers.a', { headers: { a: text } }],
    ] as const) {
      const faults = faultsOf({ ping })
      expect(faults).toHaveLength(1)
      expect(faults[0]).toContain(`${PING}.${place}: `)
      expect(faults[0]).toContain(why)
    }
    const shared = faultsOf({ headers: { a: text }, ping: { body: { z: '{zip}' } } })
    expect(shared[0]).toContain('contracts.acme.delivery.headers.a: ')
  })
})
