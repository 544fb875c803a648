/** What the engine expects of a buyer's endpoint, one check after the other, each with what would go wrong. */
import tls from 'node:tls'
import type { PingAnswer } from '../buyers/adapter.ts'
import type { PostEnd } from '../buyers/wire.ts'
import { formatMoney } from '../rules/units.ts'
import type { BuyerPlay, RawReply } from './buyer-play.ts'

/** `fail`: the engine would lose or spoil leads here. `warn`: it would work, and yet somebody should look. */
export interface Finding {
  readonly check: string
  readonly verdict: 'ok' | 'warn' | 'fail'
  readonly says: string
}

const ok = (check: string, says: string): Finding => ({ check, verdict: 'ok', says })
const warn = (check: string, says: string): Finding => ({ check, verdict: 'warn', says })
const fail = (check: string, says: string): Finding => ({ check, verdict: 'fail', says })

type Check = (play: BuyerPlay) => Promise<Finding>

export async function checkBuyer(play: BuyerPlay, heard: (finding: Finding) => void): Promise<readonly Finding[]> {
  const { pingUrl, postUrl } = play.contract.delivery
  const findings: Finding[] = []
  const run = async (checks: readonly Check[]): Promise<void> => {
    for (const check of checks) {
      const finding = await check(play)
      findings.push(finding)
      heard(finding)
    }
  }
  const addresses = [...new Set([postUrl, ...(pingUrl === null ? [] : [pingUrl])].map((url) => new URL(url).origin))]
  await run(addresses.map((origin) => () => checkAddress(origin)))
  if (pingUrl !== null) await run([checkPing, checkBadPing, checkManyPings])
  await run([checkPost, checkRepeat, checkMalformed, checkLarge, checkSlow, checkMethod, checkKeepAlive])
  if (play.contract.delivery.secrets.length > 0) await run([checkSignature])
  return findings
}

const DAY_MS = 86_400_000
const LEAST_DAYS = 14

function checkAddress(origin: string): Promise<Finding> {
  const { protocol, hostname, port } = new URL(origin)
  const name = 'address'
  if (protocol === 'http:')
    return Promise.resolve(warn(name, `${origin} is plain http: leads would travel unencrypted`))
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[|\]$/g, '')
    const socket = tls.connect({ host, port: Number(port || 443), servername: host, timeout: 2_000 }, () => {
      const days = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / DAY_MS)
      socket.destroy()
      if (days < LEAST_DAYS) resolve(warn(name, `the certificate of ${origin} ends in ${days} days`))
      else resolve(ok(name, `TLS ${socket.getProtocol() ?? ''}, the certificate is good for ${days} days`))
    })
    socket.once('timeout', () => socket.destroy(new Error('the TLS handshake hangs')))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(fail(name, `no TLS connection to ${origin}: ${error.code ?? error.message}; nothing would be sent`)),
    )
  })
}

const whole = (milliseconds: number): string => `${Math.round(milliseconds)} ms`

async function checkPing(play: BuyerPlay): Promise<Finding> {
  const { answer, tookMs } = await play.ping()
  const name = 'ping, a good lead'
  if (answer === null) return fail(name, `no answer within ${whole(play.pingMs)}: no bid would ever count`)
  if (answer.kind === 'noBid') return noBidFinding(name, answer)
  const said = `bids ${formatMoney(answer.price)} after ${whole(tookMs)}`
  if (tookMs > play.pingMs / 2) return warn(name, `${said}: more than half of the ${whole(play.pingMs)} that it has`)
  return ok(name, answer.buyerReference === null ? `${said}, without a buyer_reference` : said)
}

function noBidFinding(name: string, answer: Extract<PingAnswer, { kind: 'noBid' }>): Finding {
  if (answer.reason.startsWith('no_bid')) return warn(name, `${answer.reason}: a good lead got no bid`)
  return fail(name, `${answer.reason}: ${PING_WORDS[answer.reason] ?? 'the engine reads no bid from it'}`)
}

const PING_WORDS: Readonly<Record<string, string>> = {
  'ping_error:unreadable': 'the reply is not in the format that the contract says',
  'ping_error:price': 'the price must be a decimal, such as "18.50"',
  'ping_error:truncated': 'the reply ended early, was over 256 KB, or is not HTTP',
  'ping_error:reset': 'the connection was cut before a reply',
  'ping_error:connect': 'no connection within 2 s',
  'ping_error:tls': 'the certificate was refused',
  'ping_error:guard': 'the engine never connects to such an address; list its range with --allow if it is yours',
}

async function checkBadPing(play: BuyerPlay): Promise<Finding> {
  const reply = await play.raw(play.pingRequest(), { body: '{}' })
  const name = 'ping, an empty lead'
  if (reply.status === 0) return fail(name, `no reply (${reply.error}): a bad lead must be answered too`)
  if (reply.status >= 500)
    return fail(name, `HTTP ${reply.status}: a bad lead must not look like a server that is down`)
  const answer = play.adapter.pingReply(reply)
  return answer.kind === 'bid' ? warn(name, 'got a bid although it says nothing') : ok(name, answer.reason)
}

const AT_ONCE = 20

async function checkManyPings(play: BuyerPlay): Promise<Finding> {
  const all = await Promise.all(Array.from({ length: AT_ONCE }, () => play.ping()))
  const name = `${AT_ONCE} pings at once`
  const lost = all.filter(({ answer }) => answer === null || /^(?:ping_error|http_5|breaker)/.test(reasonOf(answer)))
  const slowest = Math.max(...all.map(({ tookMs }) => tookMs))
  if (lost.length > 0) return fail(name, `${lost.length} came to nothing: leads come in bursts`)
  return ok(name, `all answered within ${whole(slowest)}`)
}

const reasonOf = (answer: PingAnswer): string => (answer.kind === 'noBid' ? answer.reason : '')

async function checkPost(play: BuyerPlay): Promise<Finding> {
  const { end, tookMs } = await play.post(play.lead())
  return postFinding('post, a good lead', end, tookMs)
}

function postFinding(name: string, end: PostEnd, tookMs: number): Finding {
  switch (end.kind) {
    case 'accepted':
      if (end.buyerReference === null) return warn(name, 'accepted without a buyer_reference: a dispute has no handle')
      return ok(name, `accepted after ${whole(tookMs)}`)
    case 'rejected':
      if (end.reason.startsWith('http_2'))
        return fail(
          name,
          `${end.reason}: neither accepts nor rejects in the contract's format, so it counts as a rejection`,
        )
      return warn(name, `${end.reason}: a good test lead was rejected`)
    case 'unknown':
      return fail(name, `${end.reason}: in doubt. The engine could neither bill it nor sell it elsewhere`)
    case 'notSent':
      return fail(name, `${end.reason}: nothing was sent`)
    default:
      return end satisfies never
  }
}

/** The same lead again under the same key, as the engine sends it after a doubt. */
async function checkRepeat(play: BuyerPlay): Promise<Finding> {
  const lead = play.lead()
  const [first, again] = [(await play.post(lead)).end, (await play.post(lead)).end]
  const name = 'post, the same key again'
  if (first.kind !== 'accepted') return warn(name, 'not tried: the first one was not accepted')
  if (again.kind === 'unknown' || again.kind === 'notSent')
    return fail(name, `${again.reason}: a doubt could not be settled`)
  if (again.kind === 'rejected') {
    if (again.reason === 'duplicate')
      return ok(name, 'told as a duplicate: a doubt stays one until it is settled otherwise')
    return fail(name, `${again.reason}: a lead that it has taken is rejected, and would be sold to another`)
  }
  if (again.buyerReference === first.buyerReference) return ok(name, 'the same answer: the contract may be idempotent')
  return fail(name, 'taken a second time under another reference: it would be billed twice')
}

async function checkMalformed(play: BuyerPlay): Promise<Finding> {
  const request = play.postRequest()
  const reply = await play.raw(request, { body: request.body.slice(0, Math.floor(request.body.length / 2)) })
  return refusalFinding(play, 'post, a body cut in half', reply)
}

function refusalFinding(play: BuyerPlay, name: string, reply: RawReply): Finding {
  if (reply.status === 0) return warn(name, `no reply (${reply.error}): answer 4xx, and say what is wrong`)
  if (reply.status >= 500) return warn(name, `HTTP ${reply.status}: the engine would take it for a doubt; answer 4xx`)
  const answer = play.adapter.postReply(reply)
  if (answer.kind === 'accepted') return fail(name, 'accepted: it does not read what it is sent')
  return ok(name, `HTTP ${reply.status}`)
}

const LARGE = 40_000

async function checkLarge(play: BuyerPlay): Promise<Finding> {
  const request = play.postRequest()
  const body = request.body.replace(/\}\s*$/, `,"padding":"${'x'.repeat(LARGE)}"}`)
  const reply = await play.raw(request, { body })
  const name = 'post, 40 KB and a field that it does not know'
  if (reply.status === 0) return fail(name, `no reply (${reply.error}): a long consent text would be a doubt`)
  if (reply.status >= 500) return fail(name, `HTTP ${reply.status}: a long consent text would be a doubt`)
  return ok(name, `HTTP ${reply.status}`)
}

async function checkSlow(play: BuyerPlay): Promise<Finding> {
  const reply = await play.raw(play.postRequest(), { pauseMs: play.pauseMs })
  const name = 'post, in two pieces some time apart'
  if (reply.status === 0 || reply.status >= 500)
    return fail(name, `${reply.error ?? `HTTP ${reply.status}`}: packets do get lost`)
  return ok(name, `HTTP ${reply.status}`)
}

async function checkMethod(play: BuyerPlay): Promise<Finding> {
  const request = play.postRequest()
  const method = request.method === 'GET' ? 'POST' : 'GET'
  const reply = await play.raw(request, { method, body: '' })
  const name = `${method} instead of ${request.method}`
  if (reply.status > 0 && play.adapter.postReply(reply).kind === 'accepted')
    return fail(name, 'accepted: a crawler would buy leads')
  return ok(name, reply.status === 0 ? 'refused' : `HTTP ${reply.status}`)
}

async function checkKeepAlive(play: BuyerPlay): Promise<Finding> {
  const name = 'connections are kept'
  await play.raw(play.postRequest())
  const again = await play.raw(play.postRequest())
  if (again.reused) return ok(name, 'the second request took the first one’s')
  return warn(name, 'each request opens its own: slower, and more of them end in doubt')
}

async function checkSignature(play: BuyerPlay): Promise<Finding> {
  const name = 'a forged signature'
  const headers = { 'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}` }
  const reply = await play.raw(play.postRequest(), { headers })
  const answer = reply.status === 0 ? null : play.adapter.postReply(reply)
  if (answer?.kind === 'accepted') return warn(name, 'accepted: anybody who knows the address can send leads')
  return ok(name, reply.status === 0 ? 'refused' : `HTTP ${reply.status}`)
}
