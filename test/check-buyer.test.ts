/** The conformance kit: an exemplary buyer passes, and each fault is told in words and by the exit code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { checkBuyer } from '../bench/buyer-checks.ts'
import { BuyerPlay } from '../bench/buyer-play.ts'
import { type MockBuyers, type Script, startMockBuyers } from '../bench/mock-buyer.ts'
import { type Fault, faulty } from '../bench/mock-faults.ts'
import { strictly } from '../bench/mock-strict.ts'
import { acceptBody, bidBody, reply } from '../bench/mock-temper.ts'
import { ms } from '../rules/units.ts'
import { VERTICALS } from '../rules/verticals.ts'
import { BUYER, contractAt, LOOPBACK } from './buyers-kit.ts'

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`
const EASY = { failures: 10, retryMs: ms(1), retryMaxMs: ms(1), pings: 100, posts: 100 }

let mock: MockBuyers | null = null
let play: BuyerPlay | null = null
afterEach(async () => {
  await play?.close()
  await mock?.close()
})

/** Every finding that is not ok, by its check. */
async function findingsOf(script: Script, secrets: string[] = [SECRET]): Promise<Record<string, string>> {
  mock = await startMockBuyers({ script })
  const contract = contractAt(mock.url, { buyer: { ...BUYER, health: EASY }, postMs: ms(250), delivery: { secrets } })
  play = new BuyerPlay(contract, VERTICALS.get('solar')!, 300, LOOPBACK, 10)
  const findings = await checkBuyer(play, () => {})
  const troubled = findings.filter(({ verdict, check }) => verdict !== 'ok' && check !== 'address')
  return Object.fromEntries(troubled.map(({ check, verdict, says }) => [check, `${verdict} ${says.split(/[ :]/)[0]}`]))
}

/** As buyer-sim answers, with a fault in one kind of request. */
function buyer(
  faults: { readonly ping?: Fault; readonly post?: Fault; readonly check?: Fault } = {},
  secrets: string[] = [SECRET],
): Script {
  const strict = strictly(secrets)
  const taken = new Map<string, string>()
  return (request) => {
    const refused = strict(request)
    if (refused) return refused
    const key = /\r\nidempotency-key: *([^\r\n]+)/i.exec(request.head)?.[1] ?? ''
    const reference = taken.get(key) ?? `R-${taken.size}`
    taken.set(key, reference)
    const plain = reply(0, request.kind === 'ping' ? bidBody('18.50', 'B-1') : acceptBody(reference, null, null))
    const fault = faults[request.kind]
    return fault ? faulty(fault, plain) : plain
  }
}

describe('what it says of a buyer', () => {
  it('that is exemplary: nothing', async () => {
    expect(await findingsOf(buyer())).toEqual({})
  })

  it.each<[Fault, string]>([
    ['never', 'fail no'],
    ['price_text', 'fail ping_error'],
    ['wrong_type', 'fail ping_error'],
    ['half_body', 'fail ping_error'],
    ['500', 'fail http_500'],
    ['204', 'warn no_bid'],
  ])('whose pings suffer from %s', async (fault, said) => {
    expect((await findingsOf(buyer({ ping: fault })))['ping, a good lead']).toBe(said)
  })

  it.each<[Fault, string]>([
    ['never', 'fail timeout'],
    ['accept_500', 'fail http_500'],
    ['reset_at_accept', 'fail reset'],
    ['wrong_type', 'fail http_200'],
    ['redirect', 'warn http_302'],
    ['404', 'warn http_404'],
  ])('whose posts suffer from %s', async (fault, said) => {
    expect((await findingsOf(buyer({ post: fault })))['post, a good lead']).toBe(said)
  })

  it('that takes the same lead twice', async () => {
    let n = 0
    const forgetful: Script = (request) =>
      request.kind === 'post' ? (strictly()(request) ?? reply(0, acceptBody(`R-${n++}`, null, null))) : buyer()(request)
    expect(await findingsOf(forgetful)).toMatchObject({ 'post, the same key again': 'fail taken' })
  })

  it('that reads nothing of what it is sent', async () => {
    const careless: Script = ({ kind }) =>
      reply(0, kind === 'ping' ? bidBody('9.00', null) : acceptBody('R', null, null))
    expect(await findingsOf(careless)).toEqual({
      'ping, an empty lead': 'warn got',
      'post, a body cut in half': 'fail accepted',
      'GET instead of POST': 'fail accepted',
      'a forged signature': 'warn accepted',
    })
  })

  it('that keeps no connection', async () => {
    const curt: Script = (request) => {
      const said = buyer()(request)!
      return { ...said, how: 'raw', body: `HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${said.body}` }
    }
    expect(await findingsOf(curt)).toMatchObject({ 'connections are kept': 'warn each' })
  })
})

describe('the programs', () => {
  const bench = (program: string) => path.join(import.meta.dirname, '../bench', program)

  async function run(...args: string[]): Promise<{ readonly code: number | null; readonly stdout: string }> {
    const child = spawn(process.execPath, [bench('check-buyer.ts'), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk)
    })
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, stdout }
  }

  it('try each other: the sim passes, where nobody listens exit 1, and without an address exit 2', async () => {
    const flags = ['--port', '0', '--quiet', '--secret', SECRET]
    const sim = spawn(process.execPath, [bench('buyer-sim.ts'), ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const origin = String((await once(sim.stdout, 'data'))[0])
        .slice('ready '.length)
        .trim()
      const [well, absent, bare] = await Promise.all([
        run(`${origin}/acme/post`, `${origin}/acme/ping`, '--secret', SECRET, '--json'),
        run('http://127.0.0.1:1/post'),
        run(),
      ])
      expect(JSON.parse(well.stdout)).toMatchObject({ ok: true })
      expect(absent.stdout).toMatch(/^FAIL {2}post, a good lead +connect: nothing was sent$/m)
      expect([well.code, absent.code, bare.code]).toEqual([0, 1, 2])
    } finally {
      sim.kill('SIGTERM')
    }
  })
})
