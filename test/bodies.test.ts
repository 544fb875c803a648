/** Bodies as sources send them, good, odd and hostile, and what becomes of each. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readBody } from '../engine/bodies.ts'
import { MAX_BODY_BYTES, MAX_DEPTH, MAX_FIELDS } from '../engine/bounds.ts'

const JSON_TYPE = 'application/json'
const FORM_TYPE = 'application/x-www-form-urlencoded'
const XML_TYPE = 'application/xml'

const read = (type: string, body: string | Uint8Array) => readBody(type, Buffer.from(body as string))

function fieldsOf(type: string, body: string | Uint8Array): Record<string, unknown> {
  const answer = read(type, body)
  if (!answer.ok) throw new Error(answer.refusal.body)
  expect(Object.getPrototypeOf(answer.fields)).toBeNull()
  return { ...answer.fields }
}

function refusalOf(type: string, body: string | Uint8Array): { status: number; detail: string } {
  const answer = read(type, body)
  if (answer.ok) throw new Error(`was read: ${JSON.stringify(answer.fields)}`)
  expect(answer.refusal.headers['content-type']).toBe('application/problem+json')
  const problem = JSON.parse(answer.refusal.body)
  expect(problem).toMatchObject({ type: 'about:blank', status: answer.refusal.status })
  return problem
}

describe('content types', () => {
  it.each([
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/vnd.lead+json',
    'text/json',
    '',
  ])('reads %j as JSON', (type) => {
    expect(fieldsOf(type, '{"a":"é"}')).toEqual({ a: 'é' })
  })

  it.each([
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'nonsense',
    'application/json; charset=utf-16',
  ])('refuses %j with 415 and says what is read', (type) => {
    const problem = refusalOf(type, '{"a":1}')
    expect(problem.status).toBe(415)
    expect(problem.detail).toContain('application/json')
  })

  it('knows a body without a type by its first character', () => {
    expect(fieldsOf('', ' \n{"a":"1"}')).toEqual({ a: '1' })
    expect(fieldsOf('', '<lead><a>1</a></lead>')).toEqual({ a: '1' })
    expect(fieldsOf('', 'a=1')).toEqual({ a: '1' })
  })

  it('reads ISO-8859-1 where it is named, and refuses bytes that are not UTF-8 where it is not', () => {
    const latin = Buffer.from('{"name":"Jos\u00e9"}', 'latin1')
    expect(fieldsOf('application/json; charset=ISO-8859-1', latin)).toEqual({ name: 'José' })
    expect(refusalOf(JSON_TYPE, latin).detail).toContain('UTF-8')
    const xml = Buffer.from('<?xml version="1.0" encoding="ISO-8859-1"?><l><name>Jos\u00e9</name></l>', 'latin1')
    expect(fieldsOf(XML_TYPE, xml)).toEqual({ name: 'José' })
  })

  it.each([JSON_TYPE, FORM_TYPE, XML_TYPE, ''])('refuses an empty body of type %j', (type) => {
    expect(refusalOf(type, '')).toMatchObject({ status: 400, detail: 'The body is empty.' })
    expect(refusalOf(type, ' \r\n')).toMatchObject({ status: 400 })
  })
})

describe('JSON', () => {
  it('keeps scalars as they are and nested values as their JSON text', () => {
    const body = '{"s":"x","n":1.5,"t":true,"z":null,"contact":{"phone":"1"},"list":["a",2]}'
    expect(fieldsOf(JSON_TYPE, body)).toEqual({
      s: 'x',
      n: 1.5,
      t: true,
      z: null,
      contact: '{"phone":"1"}',
      list: '["a",2]',
    })
  })

  it('keeps every digit of a number that a double would change', () => {
    expect(fieldsOf(JSON_TYPE, '{"account":12345678901234567890,"big":1e400,"zip":78701}')).toEqual({
      account: '12345678901234567890',
      big: '1e400',
      zip: 78701,
    })
  })

  it('takes the last of equal names and skips a byte order mark', () => {
    expect(fieldsOf(JSON_TYPE, '\ufeff{"a":"1","a":"2"}')).toEqual({ a: '2' })
  })

  it.each(['[]', '"x"', '1', 'null', '[{"a":1}]'])('refuses %s: it is not an object of fields', (body) => {
    expect(refusalOf(JSON_TYPE, body)).toMatchObject({ status: 400 })
  })

  it('says where the JSON breaks without repeating the body', () => {
    const { detail } = refusalOf(JSON_TYPE, '{"phone":"5125550100",}')
    expect(detail).toMatch(/at character \d+/)
    expect(detail).not.toContain('555')
  })

  it.each(['{"__proto__":{"admin":true}}', '{"constructor":1}', '{"a":{"prototype":1}}', '{"a":[{"__proto__":1}]}'])(
    'refuses the name in %s',
    (body) => {
      expect(refusalOf(JSON_TYPE, body)).toMatchObject({ status: 400 })
      expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
    },
  )

  it.each(['{"a":"x\\u0000y"}', '{"a":"\\ud800"}', '{"a\\u0000":"x"}'])('refuses %s: it cannot be stored', (body) => {
    expect(refusalOf(JSON_TYPE, body)).toMatchObject({ status: 400 })
  })

  it('bounds depth and number of fields', () => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    expect(fieldsOf(JSON_TYPE, nested(MAX_DEPTH))['a']).toBe('[[[[[[[[]]]]]]]]')
    expect(refusalOf(JSON_TYPE, nested(MAX_DEPTH + 1)).detail).toContain('deeper')
    const wide = (count: number) => JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [i, 1])))
    expect(Object.keys(fieldsOf(JSON_TYPE, wide(MAX_FIELDS)))).toHaveLength(MAX_FIELDS)
    expect(refusalOf(JSON_TYPE, wide(MAX_FIELDS + 1)).detail).toContain('more than 500 fields')
  })
})

describe('forms', () => {
  it('reads names and values, plus signs, escapes and blanks', () => {
    expect(fieldsOf(FORM_TYPE, 'a=1&b=x+y%26z&c=&d&e=a=b&%C3%A9=%C3%A9&&')).toEqual({
      a: '1',
      b: 'x y&z',
      c: '',
      d: '',
      e: 'a=b',
      é: 'é',
    })
  })

  it('takes the last of equal names', () => {
    expect(fieldsOf(FORM_TYPE, 'tcpa_consent=0&tcpa_consent=1')).toEqual({ tcpa_consent: '1' })
  })

  it('reads escapes that are not UTF-8 as ISO-8859-1, and a lone % as itself', () => {
    expect(fieldsOf(FORM_TYPE, 'name=Jos%E9&rate=5%&x=%zz&y=%C3%A9%zz')).toEqual({
      name: 'José',
      rate: '5%',
      x: '%zz',
      y: 'é%zz',
    })
  })

  it('tells a sender of JSON with the type of a form what to change', () => {
    expect(refusalOf(FORM_TYPE, '{"phone":"5125550100"}').detail).toContain('Content-Type: application/json')
  })

  it.each(['__proto__=1', 'a=1&constructor=2', '%5F_proto__=1', 'a=%00'])('refuses %s', (body) => {
    expect(refusalOf(FORM_TYPE, body)).toMatchObject({ status: 400 })
  })
})

describe('XML', () => {
  it('reads the children of the root, whatever it is called', () => {
    const xml = `<?xml version="1.0"?>
      <!-- a lead -->
      <ns:lead id="7"><zip>01234</zip> <name>A &amp; B &#233;&#x2F;</name><note><![CDATA[1 < 2 &amp; 3]]></note>
      <empty/><x:state>TX</x:state></ns:lead>`
    expect(fieldsOf(XML_TYPE, xml)).toEqual({
      zip: '01234',
      name: 'A & B é/',
      note: '1 < 2 &amp; 3',
      empty: '',
      state: 'TX',
    })
  })

  it('keeps nested and repeated elements as JSON text', () => {
    const xml = '<l><car><make>VW</make><year>2020</year></car><seller>A</seller><seller>B</seller></l>'
    expect(fieldsOf('text/xml', xml)).toEqual({ car: '{"make":"VW","year":"2020"}', seller: '["A","B"]' })
  })

  it.each([
    ['a document type', '<!DOCTYPE l [<!ENTITY x "boom">]><l><a>&x;</a></l>'],
    ['a document type in lower case', '<!doctype l SYSTEM "file:///etc/passwd"><l/>'],
    ['crossed tags', '<l><a></l></a>'],
    ['an open tag', '<l><a>1</a>'],
    ['two roots', '<a/><b/>'],
    ['no root', 'hello'],
    ['a forbidden name', '<l><__proto__>1</__proto__></l>'],
    ['a forbidden name inside', '<l><a><constructor>1</constructor></a></l>'],
    ['U+0000', '<l><a>&#0;</a></l>'],
    ['half a surrogate pair', '<l><a>&#xD800;</a></l>'],
    ['too deep a nest', `${'<a>'.repeat(40)}${'</a>'.repeat(40)}`],
  ])('refuses %s', (_, xml) => {
    expect(refusalOf(XML_TYPE, xml)).toMatchObject({ status: 400 })
  })

  it('does not expand entities that nobody defined', () => {
    expect(fieldsOf(XML_TYPE, '<l><a>&nbsp;&#x110000;</a></l>')).toEqual({ a: '&nbsp;&#x110000;' })
  })
})

describe('whatever comes', () => {
  const types = fc.constantFrom(JSON_TYPE, FORM_TYPE, XML_TYPE, '', 'application/json; charset=latin1')
  const answers = (type: string, body: Uint8Array) => {
    const answer = readBody(type, body)
    if (!answer.ok) expect([400, 415]).toContain(answer.refusal.status)
    else
      for (const value of Object.values(answer.fields)) expect(typeof value !== 'object' || value === null).toBe(true)
  }

  it('answers random bytes with fields or a refusal', () => {
    fc.assert(fc.property(types, fc.uint8Array({ maxLength: 200 }), answers), { numRuns: 3000 })
  })

  it('answers broken bodies with fields or a refusal', () => {
    const sound = fc.constantFrom(
      '{"a":"1","b":{"c":[1,2]},"n":12345678901234567890}',
      'a=1&b=%C3%A9&c=+x',
      '<?xml version="1.0"?><l a="1"><b>x &amp; y</b><c><![CDATA[z]]></c><!-- d --></l>',
    )
    const cut = fc.tuple(sound, fc.nat(90), fc.nat(8), fc.string({ maxLength: 4 }))
    fc.assert(
      fc.property(types, cut, (type, [body, at, drop, put]) =>
        answers(type, Buffer.from(body.slice(0, at) + put + body.slice(at + drop))),
      ),
      { numRuns: 6000 },
    )
  })

  it('takes what JSON.stringify makes of flat fields, unchanged', () => {
    const names = fc
      .string({ minLength: 1 })
      .filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name))
    const texts = fc.string().filter((text) => !text.includes('\0'))
    const fields = fc.dictionary(
      names.filter((name) => !name.includes('\0')),
      fc.oneof(texts, fc.integer(), fc.boolean(), fc.constant(null)),
      { minKeys: 1 },
    )
    fc.assert(
      fc.property(fields, (sent) => {
        expect(fieldsOf(JSON_TYPE, JSON.stringify(sent))).toEqual({ ...sent })
      }),
    )
  })

  it.each([
    ['brackets', JSON_TYPE, '['.repeat(MAX_BODY_BYTES)],
    ['objects', JSON_TYPE, '{"a":'.repeat(MAX_BODY_BYTES / 5)],
    ['names', FORM_TYPE, 'a&'.repeat(MAX_BODY_BYTES / 2)],
    ['broken escapes', FORM_TYPE, `a=${'%E9'.repeat(20_000)}`],
    ['tags', XML_TYPE, '<a>'.repeat(20_000)],
    ['open quotes', XML_TYPE, `<l ${'a="'.repeat(20_000)}`],
    ['open comments', XML_TYPE, `<l>${'<!--'.repeat(16_000)}`],
    ['references', XML_TYPE, `<l><a>${'&#x'.repeat(20_000)}</a></l>`],
    ['siblings', XML_TYPE, `<l>${'<a/>'.repeat(16_000)}</l>`],
    ['attributes', XML_TYPE, `<l ${Array.from({ length: 6000 }, (_, i) => `a${i}="1"`).join(' ')}/>`],
    ['closing brackets in CDATA', XML_TYPE, `<l><a><![CDATA[${']]'.repeat(30_000)}]]></a></l>`],
  ])('does not dwell on a full body of %s', (_, type, body) => {
    const startedAt = performance.now()
    readBody(type, Buffer.from(body.slice(0, MAX_BODY_BYTES)))
    expect(performance.now() - startedAt).toBeLessThan(100)
  })
})
