/** Compiles a contract's delivery into its adapter: address, headers, proof of the sender and body out, replies in. */
import { createHmac, type KeyObject } from 'node:crypto'
import type { Mail, Message } from '../rules/delivery.ts'
import type { Contract } from '../rules/version.ts'
import type { Adapter, CompileAdapter, PostFacts, WireLead, WireRequest } from './adapter.ts'
import { compileAttachment } from './attachment.ts'
import { compileBody, formatHeaders, QUERY_VALUE } from './body.ts'
import { identityOf } from './identity.ts'
import { bareAddress, writeLetter } from './letter.ts'
import { readPing, readPost } from './reply.ts'
import { compileReply } from './reply-rules.ts'
import { readSecret, signature } from './sign.ts'
import { AS_TEXT, compileText, type Rendered, type Said } from './slot.ts'
import { compilePing, compilePost } from './template.ts'

/** Whose requests are compiled: a contract's, or a check's. */
export interface Sender {
  readonly id: string
  readonly delivery: Pick<Contract['delivery'], 'tls'>
}

/** Compiles one contract's delivery. Throws on a URL or a secret that the check of a configuration lets nobody publish. */
export const compileAdapter: CompileAdapter = (contract: Contract): Adapter => {
  const [pingReply, postReply] = [contract.delivery.ping.reply, contract.delivery.post.reply]
  const readPingBody = pingReply === null ? undefined : compileReply(pingReply)
  const readPostBody = postReply === null ? undefined : compileReply(postReply)
  return {
    pingRequest: pingRequest(contract),
    pingReply: (reply) => readPing(contract, reply, readPingBody),
    postRequest: postRequest(contract),
    postReply: (reply) => readPost(contract, reply, readPostBody),
  }
}

function pingRequest(contract: Contract): Adapter['pingRequest'] {
  const { ping, pingUrl } = contract.delivery
  if (pingUrl === null) return () => neverPinged(contract)
  const request = compileRequest(contract, ping, pingUrl)
  if (ping.body === null) {
    const render = compilePing(contract)
    return (wire, at) => request(wire, { at, price: null, buyerReference: null }, render(wire), NO_HEADERS)
  }
  const render = compileBody(ping, ping.body, contract.id)
  return (wire, at) => {
    const said = { at, price: null, buyerReference: null }
    return request(wire, said, render(wire, said) ?? '', NO_HEADERS)
  }
}

const NO_HEADERS: readonly string[] = []

function neverPinged(contract: Contract): never {
  throw new Error(`contract ${contract.id} has no address for pings, and was pinged`)
}

function postRequest(contract: Contract): Adapter['postRequest'] {
  const { post, postUrl, secrets } = contract.delivery
  if (post.mail !== null) return letterRequest(contract, post.mail)
  const keys = secrets.map((secret) => signingKey(contract, secret))
  const request = compileRequest(contract, post, postUrl)
  const native = post.body === null ? compilePost(contract) : null
  const mapped = post.body === null ? null : compileBody(post, post.body, contract.id)
  return (wire: WireLead, facts: PostFacts): WireRequest => {
    const body = native ? native(wire, facts) : (mapped!(wire, facts) ?? '')
    const timestamp = Math.floor(facts.at / 1000)
    const own = [
      'idempotency-key',
      facts.idempotencyKey,
      'webhook-id',
      facts.idempotencyKey,
      'webhook-timestamp',
      String(timestamp),
      'traceparent',
      facts.traceparent,
    ]
    if (keys.length > 0) {
      const sent = post.format === 'query' ? '' : body
      own.push('webhook-signature', signature(keys, facts.idempotencyKey, timestamp, sent))
      own.push('webhook-callback', `/v1/callbacks/${facts.idempotencyKey}`)
    }
    return request(wire, facts, body, own)
  }
}

/** A post by mail: its body is the whole letter, its origin the mail server. */
function letterRequest(contract: Contract, mail: Mail): Adapter['postRequest'] {
  const { post, postUrl } = contract.delivery
  const text = compileBody(post, post.body!, contract.id)
  const subject = compileText(mail.subject, contract.id, AS_TEXT)
  const attachment = mail.attach && compileAttachment(mail.attach, contract.id)
  const { protocol, host } = new URL(postUrl)
  const domain = bareAddress(mail.from).split('@')[1]!
  return (wire, facts) => {
    const id = `${facts.idempotencyKey.replace(':', '.')}@${domain}`
    const body = writeLetter({
      ...{ from: mail.from, to: mail.to, replyTo: mail.replyTo, id, at: facts.at },
      subject: subject(wire, facts) ?? '',
      text: text(wire, facts) ?? '',
      attachment: attachment?.(wire, facts) ?? null,
    })
    return { method: 'POST', origin: `${protocol}//${host}`, path: '', headers: [], body }
  }
}

/** Everything of a request but what its body says. */
export type Request = (wire: WireLead, said: Said, body: string, own: readonly string[]) => WireRequest

export function compileRequest(contract: Sender, message: Message, url: string): Request {
  const { method, format } = message
  const { origin, path } = endpoint(contract, url)
  const pathOf = compilePath(contract, message, path)
  const headersOf = compileHeaders(contract, message)
  const sign = compileSignature(contract, message)
  const { tls } = contract.delivery
  const identity = tls === null ? null : { tls: identityOf(tls) }
  return (wire, said, content, own) => {
    const whole = format === 'query' ? withQuery(pathOf(wire, said), content) : pathOf(wire, said)
    const body = format === 'query' ? '' : content
    const headers = own.length === 0 ? headersOf(wire, said) : headersOf(wire, said).concat(own)
    const request =
      identity === null
        ? { method, origin, path: whole, headers, body }
        : { method, origin, path: whole, headers, body, ...identity }
    return sign ? { ...request, headers: headers.concat(sign(wire, said, request)) } : request
  }
}

/** Where a request goes, as a pool is keyed and a request line is written. */
function endpoint(contract: Sender, url: string): { readonly origin: string; readonly path: string } {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') {
    return { origin: parsed.origin, path: parsed.pathname + parsed.search }
  }
  throw new Error(`${contract.id}: "${url.split('?')[0]}" is no http or https URL; correct its delivery`)
}

function signingKey(contract: Contract, secret: string): KeyObject {
  const key = readSecret(secret)
  if (key === null)
    throw new Error(`contract ${contract.id}: a signing secret is not whsec_ and base64; correct its delivery`)
  return key
}

const withQuery = (path: string, query: string): string =>
  query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`

function compilePath(contract: Sender, { query, auth }: Message, path: string): (wire: WireLead, said: Said) => string {
  const key = auth?.kind === 'query' ? `${QUERY_VALUE.write(auth.name)}=${QUERY_VALUE.write(auth.value)}` : ''
  const start = withQuery(path, key)
  if (query.length === 0) return () => start
  const pairs = query.map(
    ([name, value]) => [QUERY_VALUE.write(name), compileText(value, contract.id, QUERY_VALUE)] as const,
  )
  return (wire, said) => {
    let whole = start
    for (const [name, render] of pairs) {
      const value = render(wire, said)
      if (value !== null) whole = withQuery(whole, `${name}=${value}`)
    }
    return whole
  }
}

/** What the format and the kind of reply ask for, then the configured ones, then the key. A header without a value is left out. */
function compileHeaders(contract: Sender, message: Message): (wire: WireLead, said: Said) => string[] {
  const { headers, reply, auth } = message
  const named = new Set(headers.map(([name]) => name.toLowerCase()))
  const fixed: string[] = []
  const accept = reply === null || reply.format === 'json' ? 'application/json' : '*/*'
  const usual = [...formatHeaders(message), 'accept', accept]
  for (let at = 0; at < usual.length; at += 2) if (!named.has(usual[at]!)) fixed.push(usual[at]!, usual[at + 1]!)
  if (auth?.kind === 'basic') fixed.push('authorization', `Basic ${base64(`${auth.user}:${auth.password}`)}`)
  if (auth?.kind === 'bearer') fixed.push('authorization', `Bearer ${auth.token}`)
  if (auth?.kind === 'header') fixed.push(auth.name, auth.value)
  const written: (readonly [string, Rendered])[] = []
  for (const [name, text] of headers) {
    const render = compileText(text, contract.id, AS_TEXT)
    if (text.every((part) => typeof part === 'string')) fixed.push(name, text.join(''))
    else written.push([name, render])
  }
  if (written.length === 0) return () => fixed
  return (wire, said) => {
    const all = [...fixed]
    for (const [name, render] of written) {
      const value = render(wire, said)
      if (value !== null) all.push(name, headerValue(value))
    }
    return all
  }
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

/** One line of what a header may carry: a value can neither end it nor begin another. */
function headerValue(text: string): string {
  return text
    .replace(/[\r\n\0]+/g, ' ')
    .replace(/[^\t\x20-\x7e\x80-\xff]/g, '?')
    .trim()
}

type Signature = (wire: WireLead, said: Said, request: Omit<WireRequest, 'headers' | 'origin'>) => readonly string[]

function compileSignature(contract: Sender, { auth }: Message): Signature | null {
  if (auth?.kind !== 'hmac') return null
  const { algorithm, secret, encoding, header } = auth.hmac
  const signs = compileText(auth.hmac.signs, contract.id, AS_TEXT)
  const value = compileText(auth.hmac.value, contract.id, AS_TEXT)
  return (wire, { at, price, buyerReference }, { body, method, path }) => {
    const signed = { body, method, path, signature: '' }
    const said = { at, price, buyerReference, signed }
    const made = createHmac(algorithm, secret)
      .update(signs(wire, said) ?? '')
      .digest(encoding)
    return [header, headerValue(value(wire, { ...said, signed: { ...signed, signature: made } }) ?? '')]
  }
}
