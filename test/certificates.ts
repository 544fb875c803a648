/** Certificates for tests, made by openssl in a folder that goes away again: an authority, and what it vouches for. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Pem {
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  readonly ca: string
  /** For 127.0.0.1 and localhost. */
  readonly server: Pem
  readonly client: Pem
  /** Of nobody's authority. */
  readonly stranger: Pem
}

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'gavelpost-certificates-'))
  const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const pem = (name: string): Pem => ({ cert: read(`${name}.pem`), key: read(`${name}.key`) })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const selfSigned = (name: string) =>
    run(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
    )
  const signed = (name: string) => {
    run('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names']
    run('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...by)
  }
  try {
    writeFileSync(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost')
    selfSigned('ca')
    selfSigned('stranger')
    signed('server')
    signed('client')
    return { ca: read('ca.pem'), server: pem('server'), client: pem('client'), stranger: pem('stranger') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
