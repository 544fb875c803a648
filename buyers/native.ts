/** Our own dialect as an adapter: JSON out by template, JSON back, every post signed. */
import type { KeyObject } from 'node:crypto'
import type { Contract } from '../rules/version.ts'
import type { Adapter, CompileAdapter, PostFacts, WireLead, WireRequest } from './adapter.ts'
import { readPing, readPost } from './reply.ts'
import { readSecret, signature } from './sign.ts'
import { compilePing, compilePost } from './template.ts'

/** Compiles one contract's delivery. Throws on a URL or a secret that the check of a configuration lets nobody publish. */
export const compileAdapter: CompileAdapter = (contract: Contract): Adapter => {
  const headers = ['content-type', 'application/json', 'accept', 'application/json']
  for (const [name, value] of Object.entries(contract.delivery.headers)) headers.push(name, value)
  return {
    pingRequest: pingRequest(contract, headers),
    pingReply: (reply) => readPing(contract, reply),
    postRequest: postRequest(contract, headers),
    postReply: (reply) => readPost(contract, reply),
  }
}

function pingRequest(contract: Contract, headers: readonly string[]): Adapter['pingRequest'] {
  const { origin, path } = endpoint(contract, contract.delivery.pingUrl ?? contract.delivery.postUrl)
  const render = compilePing(contract)
  return (wire) => ({ method: 'POST', origin, path, headers, body: render(wire) })
}

function postRequest(contract: Contract, headers: readonly string[]): Adapter['postRequest'] {
  const { origin, path } = endpoint(contract, contract.delivery.postUrl)
  const keys = contract.delivery.secrets.map((secret) => signingKey(contract, secret))
  const render = compilePost(contract)
  return (wire: WireLead, facts: PostFacts): WireRequest => {
    const body = render(wire, facts)
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
    if (keys.length > 0) own.push('webhook-signature', signature(keys, facts.idempotencyKey, timestamp, body))
    return { method: 'POST', origin, path, headers: headers.concat(own), body }
  }
}

/** Where a request goes, as a pool is keyed and a request line is written. */
function endpoint(contract: Contract, url: string): { readonly origin: string; readonly path: string } {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') {
    return { origin: parsed.origin, path: parsed.pathname + parsed.search }
  }
  throw new Error(`contract ${contract.id}: "${url.split('?')[0]}" is no http or https URL; correct its delivery`)
}

function signingKey(contract: Contract, secret: string): KeyObject {
  const key = readSecret(secret)
  if (key === null)
    throw new Error(`contract ${contract.id}: a signing secret is not whsec_ and base64; correct its delivery`)
  return key
}
