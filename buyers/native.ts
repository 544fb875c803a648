/** Our own dialect as an adapter: JSON out by template, JSON back, every post signed. */
import type { KeyObject } from 'node:crypto'
import type { Contract } from '../rules/version.ts'
import type { Adapter, PostFacts, WireLead, WireRequest } from './adapter.ts'
import { deliveryFaults, type Endpoint, readEndpoint } from './delivery.ts'
import { readPing, readPost } from './reply.ts'
import { readSecret, signature } from './sign.ts'
import { compilePing, compilePost } from './template.ts'

/** Compiles one contract's delivery. Throws, naming every fault, where `deliveryFaults` finds any: publishing checks that. */
export function compileAdapter(contract: Contract): Adapter {
  const { delivery } = contract
  const faults = deliveryFaults(delivery)
  if (faults.length > 0) {
    const list = faults.map((fault) => `${fault.path} ${fault.message}`).join('; ')
    throw new Error(`contract ${contract.id}: its delivery cannot be compiled: ${list}`)
  }
  const headers = ['content-type', 'application/json', 'accept', 'application/json']
  for (const [name, value] of Object.entries(delivery.headers)) headers.push(name, value)
  return {
    pingRequest: pingRequest(contract, headers),
    pingReply: (reply) => readPing(contract, reply),
    postRequest: postRequest(contract, headers),
    postReply: (reply) => readPost(contract, reply),
  }
}

function pingRequest(contract: Contract, headers: readonly string[]): Adapter['pingRequest'] {
  const { origin, path } = readEndpoint(contract.delivery.pingUrl ?? contract.delivery.postUrl) as Endpoint
  const render = compilePing(contract)
  return (wire) => ({ method: 'POST', origin, path, headers, body: render(wire) })
}

function postRequest(contract: Contract, headers: readonly string[]): Adapter['postRequest'] {
  const { origin, path } = readEndpoint(contract.delivery.postUrl) as Endpoint
  const keys = contract.delivery.secrets.map(readSecret) as readonly KeyObject[]
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
