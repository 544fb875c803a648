/** Whom a contract trusts and how it shows itself in TLS: its own certificates, checked before they are used. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import type { Tls } from '../rules/delivery.ts'

/** What `tls.connect` takes. `name` tells identities apart: connections of one are never used for another. */
export interface TlsIdentity {
  readonly name: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export function identityOf(tls: Tls): TlsIdentity {
  const { ca, cert, key } = tls
  const name = createHash('sha256')
    .update(JSON.stringify([ca, cert, key]))
    .digest('hex')
  return { name, ...(ca === null ? {} : { ca }), ...(cert === null || key === null ? {} : { cert, key }) }
}

/** What is wrong with it: the key of the configuration and why. A key whose place a stand-in holds is believed. */
export function tlsFaults({ ca, cert, key }: Tls): readonly (readonly [key: 'ca' | 'cert' | 'key', message: string])[] {
  const faults: (readonly ['ca' | 'cert' | 'key', string])[] = []
  if (ca !== null && !certificates(ca)?.length) faults.push(['ca', 'is no certificate in PEM.'])
  const [own] = (cert === null ? null : certificates(cert)) ?? []
  if (cert !== null && own === undefined) faults.push(['cert', 'is no certificate in PEM.'])
  if (key === null || key.startsWith('sealed:')) return faults
  const secret = privateKey(key)
  if (secret === null) faults.push(['key', 'is no private key in PEM without a passphrase.'])
  else if (own !== undefined && !own.checkPrivateKey(secret)) faults.push(['key', 'is not the key of the certificate.'])
  return faults
}

/** Null where one of them is none. */
function certificates(pem: string): readonly X509Certificate[] | null {
  try {
    return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
      (one) => new X509Certificate(one),
    )
  } catch {
    return null
  }
}

function privateKey(pem: string) {
  try {
    return createPrivateKey(pem)
  } catch {
    return null
  }
}
