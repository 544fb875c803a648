/** A contract's own certificates, over real TLS: an authority of the buyer's, a certificate of ours, and neither for anybody else. */
import https from 'node:https'
import type net from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PingAnswer } from '../buyers/adapter.ts'
import type { Tape } from '../buyers/tape.ts'
import { createBuyersWire, type OpenBuyersWire } from '../buyers/wire.ts'
import type { Contract } from '../rules/version.ts'
import { contractAt, HandClock, LOOPBACK, pingOf, postOf, wireLead } from './buyers-kit.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { faultsOf } from './delivery-kit.ts'

let certificates: Certificates
let server: https.Server
let wire: OpenBuyersWire
let url: string
/** Whose certificate each request came with. */
const seen: string[] = []

beforeAll(async () => {
  certificates = makeCertificates()
  const { ca, server: own } = certificates
  server = https.createServer({ ...own, ca, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const socket = request.socket as TLSSocket
    // A resumed session without a certificate counts as authorized.
    seen.push(String((socket.authorized && socket.getPeerCertificate().subject?.CN) || 'nobody'))
    request.resume().on('end', () => response.end('{"accept":true,"price":"9.00"}'))
  })
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up))
  url = `https://127.0.0.1:${(server.address() as net.AddressInfo).port}`
  wire = createBuyersWire({ clock: new HandClock(), allowedCidrs: LOOPBACK })
})

afterAll(async () => {
  await wire.close()
  server.closeAllConnections()
  await new Promise((down) => server.close(down))
})

describe('a contract', () => {
  it('without certificates of its own refuses an authority that nobody knows', async () => {
    expect(await postOf(wire, contractAt(url)).end).toEqual({ kind: 'notSent', reason: 'tls' })
    expect(await pingOf(wire, contractAt(url))).toEqual({ kind: 'noBid', reason: 'ping_error:tls' })
  })

  it('trusts its own authority, and nobody else’s', async () => {
    const { ca, stranger } = certificates
    const trusting = contractAt(url, { id: 'trusting', delivery: { tls: { ca, cert: null, key: null } } })
    const wrong = contractAt(url, { id: 'wrong', delivery: { tls: { ca: stranger.cert, cert: null, key: null } } })
    expect(await postOf(wire, trusting).end).toMatchObject({ kind: 'accepted' })
    expect(seen.splice(0)).toEqual(['nobody'])
    expect(await postOf(wire, wrong).end).toEqual({ kind: 'notSent', reason: 'tls' })
    expect(await postOf(wire, contractAt(url, { id: 'plain' })).end).toEqual({ kind: 'notSent', reason: 'tls' })
  })

  it('shows its own certificate, on connections of its own', async () => {
    const { ca, client } = certificates
    const known = contractAt(url, { id: 'known', delivery: { tls: { ca, ...client } } })
    const unknown = contractAt(url, { id: 'unknown', delivery: { tls: { ca, cert: null, key: null } } })
    expect(await pingOf(wire, known)).toMatchObject({ kind: 'bid' })
    expect(await postOf(wire, known).end).toMatchObject({ kind: 'accepted' })
    expect(await postOf(wire, unknown).end).toMatchObject({ kind: 'accepted' })
    expect(seen.splice(0)).toEqual(['client', 'client', 'nobody'])
  })
})

describe('what is recorded of an exchange', () => {
  const recorded = (pinged: Contract, tapes: Tape[]): Promise<PingAnswer> => {
    const witness = { wantsPings: true, began: (tape: Tape) => void tapes.push(tape), ended: () => {} }
    return pingOf(wire, pinged, { ...wireLead(), witness })
  }
  const textOf = (chunks: Tape['sent']): string =>
    chunks.map((one) => Buffer.from(one as Uint8Array).toString()).join('')

  it('is what lies within TLS, and of its own lead alone where others use the connection before and after', async () => {
    const tapes: Tape[] = []
    const { ca } = certificates
    const contract = contractAt(url, { id: 'taped', delivery: { tls: { ca, cert: null, key: null } } })
    await pingOf(wire, contract)
    await recorded(contract, tapes)
    await pingOf(wire, contract)
    await recorded(contract, tapes)
    expect(tapes).toHaveLength(2)
    for (const { sent, heard, sentBytes, heardBytes } of tapes) {
      expect(textOf(sent)).toMatch(
        /^POST \/taped\/ping HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n[^{]*\r\n\r\n\{"ping_id":[^\r]*\}$/,
      )
      expect(textOf(heard)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^{]*\{"accept":true,"price":"9\.00"\}/)
      expect(textOf(heard).match(/HTTP/g)).toHaveLength(1)
      expect([textOf(sent).length, textOf(heard).length]).toEqual([sentBytes, heardBytes])
    }
  })
})

describe('a configuration', () => {
  const TLS = 'contracts.acme.delivery.tls'
  it('is told of certificates that are none, and of keys of others', () => {
    const { ca, client, stranger } = certificates
    expect(faultsOf({ tls: { ca, ...client }, ping_fields: ['zip'] })).toEqual([])
    expect(faultsOf({ tls: { ca: 'x' } })).toEqual([`${TLS}.ca: is no certificate in PEM.`])
    expect(faultsOf({ tls: { cert: client.cert, key: 'secret-k' } })).toEqual([
      `${TLS}.key: is no private key in PEM without a passphrase.`,
    ])
    expect(faultsOf({ tls: { cert: client.cert, key: stranger.key } })).toEqual([
      `${TLS}.key: is not the key of the certificate.`,
    ])
    expect(faultsOf({ tls: { cert: client.cert } })).toEqual([
      `${TLS}: needs cert and key together: one proves nothing without the other.`,
    ])
    expect(faultsOf({ tls: { cert: client.cert, key: `sealed:${'A'.repeat(43)}` } })).toEqual([])
    expect(faultsOf({ tls: { ca }, post_url: 'http://acme.example/' })).toEqual([
      `${TLS}: means nothing where an address is plain http: write https.`,
    ])
  })
})
