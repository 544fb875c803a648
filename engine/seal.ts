/** Keeps what a lead says unreadable at rest: a random key for each lead, wrapped by a master key, and keyed fingerprints. */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeDataDir } from './datadir.ts'
import { random } from './random.ts'

export interface Sealed {
  /** Base64 of nonce, ciphertext and tag. */
  readonly sealed: string
  /** The lead's key in the master key's wrap: base64 of nonce, ciphertext and tag. Whoever deletes it erases the lead. */
  readonly wrappedKey: string
  /** Which master key wrapped it. */
  readonly keyVersion: number
}

/** One lead's own key, at hand while the lead is. */
export interface LeadKey {
  readonly wrappedKey: string
  readonly keyVersion: number
  /** The lead itself: base64 of nonce, ciphertext and tag. */
  seal(text: string): string
  /** What was said to buyers about it: nonce, ciphertext and tag. */
  sealExchanges(bytes: Buffer): Buffer
  /** Throws where it was altered, or is another lead's. */
  openExchanges(sealed: Buffer): Buffer
}

export interface Sealer {
  /** A new random key for a lead. */
  newKey(leadId: string): LeadKey
  /** The key of a lead that has one. Throws as `open` does. */
  keyOf(leadId: string, from: Pick<Sealed, 'wrappedKey' | 'keyVersion'>): LeadKey
  /** Encrypts under a new random key. The id is bound in: what is sealed for one lead does not open as another's. */
  seal(leadId: string, text: string): Sealed
  /** Throws where anything was altered, the id is another's, or the master key of that version is not at hand. */
  open(leadId: string, from: Sealed): string
  /** Keyed digest (43 base64url characters): equal texts give equal fingerprints, and nobody without the key can count their way back. */
  fingerprint(text: string): string
}

/** Master keys by version: the newest seals. The oldest one's pepper keys the fingerprints, so it stays listed. */
export type MasterKeys = ReadonlyMap<number, Buffer>

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'
const KEY_FILE = 'master.key'

/**
 * Reads GAVEL_MASTER_KEY: one key (base64 of 32 bytes, version 1), or `1:<key>,2:<key>` after a rotation.
 * Throws in words that name the fault and never the key.
 */
export function readMasterKeys(text: string): MasterKeys {
  const keys = new Map<number, Buffer>()
  for (const part of text.split(',')) {
    const [, version, encoded] = /^\s*(?:(\d{1,6}):)?([A-Za-z0-9+/_-]+={0,2})\s*$/.exec(part) ?? []
    const key = Buffer.from(encoded ?? '', 'base64')
    if (key.length !== KEY_BYTES) {
      throw new Error(
        `GAVEL_MASTER_KEY: key ${keys.size + 1} is not base64 of ${KEY_BYTES} bytes. Make one with: openssl rand -base64 32`,
      )
    }
    if (keys.has(Number(version ?? 1))) throw new Error(`GAVEL_MASTER_KEY: version ${version ?? 1} is listed twice`)
    keys.set(Number(version ?? 1), key)
  }
  return new Map([...keys].sort(([a], [b]) => a - b))
}

/** The data folder's own master key: made on the first start, readable by its owner only. */
export function keptMasterKeys(dataDir: string): MasterKeys {
  const file = join(dataDir, KEY_FILE)
  if (!existsSync(file)) {
    makeDataDir(dataDir)
    const draft = `${file}.${randomBytes(6).toString('hex')}`
    writeFileSync(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flush: true })
    try {
      linkSync(draft, file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(draft, { force: true })
    }
  }
  return readMasterKeys(readFileSync(file, 'utf8').trim())
}

export function createSealer(masters: MasterKeys): Sealer {
  const inOrder = [...masters].sort(([a], [b]) => a - b)
  const wraps = new Map(inOrder.map(([version, key]) => [version, createSecretKey(key)]))
  const first = inOrder[0]?.[1]
  if (!first) throw new Error('a sealer needs at least one master key')
  const pepper = createSecretKey(Buffer.from(hkdfSync('sha256', first, '', 'gavelpost fingerprints', KEY_BYTES)))
  const [keyVersion, wrap] = [...wraps].at(-1)!
  const unwrapped = (leadId: string, { wrappedKey, keyVersion }: Pick<Sealed, 'wrappedKey' | 'keyVersion'>): Buffer => {
    const master = wraps.get(keyVersion)
    if (master) return decrypt(master, `key:${leadId}`, Buffer.from(wrappedKey, 'base64'))
    throw new Error(`lead ${leadId} is sealed under master key ${keyVersion}: add it to GAVEL_MASTER_KEY`)
  }
  const newKey = (leadId: string): LeadKey => {
    const key = random(KEY_BYTES)
    return leadKey(leadId, key, encrypt(wrap, `key:${leadId}`, key).toString('base64'), keyVersion)
  }
  return {
    newKey,
    keyOf: (leadId, from) => leadKey(leadId, unwrapped(leadId, from), from.wrappedKey, from.keyVersion),
    seal(leadId, text) {
      const key = newKey(leadId)
      return { sealed: key.seal(text), wrappedKey: key.wrappedKey, keyVersion }
    },
    open(leadId, from) {
      const sealed = Buffer.from(from.sealed, 'base64')
      return decrypt(unwrapped(leadId, from), `lead:${leadId}`, sealed).toString('utf8')
    },
    fingerprint: (text) => createHmac('sha256', pepper).update(text).digest('base64url'),
  }
}

function leadKey(leadId: string, key: Buffer, wrappedKey: string, keyVersion: number): LeadKey {
  return {
    wrappedKey,
    keyVersion,
    seal: (text) => encrypt(key, `lead:${leadId}`, text).toString('base64'),
    sealExchanges: (bytes) => encrypt(key, `exchanges:${leadId}`, bytes),
    openExchanges: (sealed) => decrypt(key, `exchanges:${leadId}`, sealed),
  }
}

function encrypt(key: KeyObject | Buffer, bound: string, what: string | Buffer): Buffer {
  const nonce = random(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(bound))
  const body = typeof what === 'string' ? cipher.update(what, 'utf8') : cipher.update(what)
  cipher.final()
  return Buffer.concat([nonce, body, cipher.getAuthTag()])
}

function decrypt(key: KeyObject | Buffer, bound: string, bytes: Buffer): Buffer {
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(Buffer.from(bound)).setAuthTag(bytes.subarray(-TAG_BYTES))
  const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
  return Buffer.concat([text, decipher.final()])
}
