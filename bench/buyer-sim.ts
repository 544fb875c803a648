/** `npm run buyer-sim`: scripted buyers as a program, well or at fault, to try an integration against. */
import fs from 'node:fs'
import { parseArgs } from 'node:util'
import { startMockBuyers } from './mock-buyer.ts'
import { FAULTS, type Fault } from './mock-faults.ts'
import { strictly } from './mock-strict.ts'
import type { Amount, BuyerConfig, Faults, MockAction, MockRequest, PingConfig, PostConfig } from './mock-temper.ts'

const USAGE = `npm run buyer-sim -- [flags]
Answers pings at /BUYER/ping and posts at /BUYER/post, whatever the buyer's name, in the engine's own JSON shape.
A post with an Idempotency-Key that was answered before is answered the same again. Unreadable bodies get 400, other
methods 405, a lead without fields no bid or 422. A check's service is at /NAME/check: it answers {"score": N}.

  --host ADDRESS     address to listen on (127.0.0.1)
  --port N           port; 0 takes a free one (9900)
  --tls-key FILE, --tls-cert FILE   PEM files: speaks TLS
  --bid AMOUNT       what a ping is bid: 18.50, or 5.00-25.00 (5.00-25.00)
  --no-bid SHARE     share of pings without a bid, 0 to 1 (0)
  --accept SHARE     share of posts that are accepted, 0 to 1 (1)
  --price AMOUNT     price that an acceptance names (none)
  --latency MS       before each answer (0)
  --fault NAME       what goes wrong with every request; --ping-fault, --post-fault with one kind of them
  --share SHARE      share of requests with that fault, 0 to 1 (1)
  --secret SECRET    whsec_...: posts that are not signed with it get 401; once for each during a rotation
  --config FILE      buyers by name, as JSON {"buyers": {"acme": {"ping": {...}, "post": {...}}}}, instead of all that
  --record FILE      one JSON line for each post, written before it is answered
  --seed N           seed of its dice (1)
  --quiet            one line for each request is not printed
  --until-stdin-ends ends with whoever started it
  --help

Faults, each also as any HTTP status (404, 500, 204, ...):
${Object.entries(FAULTS)
  .map(([name, what]) => `  ${name.padEnd(18)} ${what}`)
  .join('\n')}
A handshake that hangs: give the engine an https address of a sim without TLS. A refused connection: stop it.`

const OPTIONS = {
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '9900' },
  'tls-key': { type: 'string' },
  'tls-cert': { type: 'string' },
  bid: { type: 'string' },
  'no-bid': { type: 'string' },
  accept: { type: 'string' },
  price: { type: 'string' },
  latency: { type: 'string' },
  fault: { type: 'string' },
  'ping-fault': { type: 'string' },
  'post-fault': { type: 'string' },
  share: { type: 'string', default: '1' },
  secret: { type: 'string', multiple: true, default: [] as string[] },
  config: { type: 'string' },
  record: { type: 'string' },
  seed: { type: 'string', default: '1' },
  quiet: { type: 'boolean', default: false },
  'until-stdin-ends': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

async function main(): Promise<void> {
  const flags = parseArgs({ options: OPTIONS }).values
  if (flags.help) return console.log(USAGE)
  const buyers = flags.config === undefined ? { '*': buyerOf(flags) } : readConfig(flags.config)
  const [key, cert] = [flags['tls-key'], flags['tls-cert']]
  if ((key === undefined) !== (cert === undefined)) throw new Error('--tls-key and --tls-cert go together')
  const mock = await startMockBuyers({
    host: flags.host,
    port: numberOf(flags.port, '--port', 65_535),
    seed: numberOf(flags.seed, '--seed', 2 ** 32),
    buyers,
    script: strictly(flags.secret),
    ...(flags.record ? { record: flags.record } : {}),
    ...(key && cert ? { tls: { key: fs.readFileSync(key, 'utf8'), cert: fs.readFileSync(cert, 'utf8') } } : {}),
    ...(flags.quiet || flags['until-stdin-ends'] ? {} : { heard: tell }),
  })
  const stop = (): void => {
    void mock.close().then(() => process.exit(0))
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  if (flags['until-stdin-ends']) process.stdin.resume().on('end', stop)
  console.log(`ready ${mock.url}`)
}

/** No value of a lead is printed: terminals are copied. */
function tell({ buyer, kind, body }: MockRequest, { how, status, verdict, afterMs }: MockAction): void {
  const answer = [how === 'reply' ? status : how, verdict, afterMs > 0 ? `after ${afterMs} ms` : ''].filter(Boolean)
  console.log(`${kind} ${buyer} ${body.length} bytes: ${answer.join(' ')}`)
}

function buyerOf(flags: Flags): BuyerConfig {
  const latency = flags.latency === undefined ? {} : { latency: { fixed: numberOf(flags.latency, '--latency', 1e6) } }
  const faultsOf = (own: string | undefined): { readonly faults?: Faults } => {
    const fault = own ?? flags.fault
    return fault === undefined ? {} : { faults: { [faultOf(fault)]: shareOf(flags.share, '--share') } }
  }
  const ping: PingConfig = {
    ...latency,
    ...faultsOf(flags['ping-fault']),
    ...(flags.bid === undefined ? {} : { bid: amountOf(flags.bid, '--bid') }),
    ...(flags['no-bid'] === undefined ? {} : { noBid: shareOf(flags['no-bid'], '--no-bid') }),
  }
  const post: PostConfig = {
    ...latency,
    ...faultsOf(flags['post-fault']),
    ...(flags.price === undefined ? {} : { price: amountOf(flags.price, '--price') }),
    ...(flags.accept === undefined ? {} : { accept: shareOf(flags.accept, '--accept') }),
  }
  return { ping, post, check: { ...latency, ...faultsOf(undefined) } }
}

function faultOf(text: string): Fault {
  if (text in FAULTS || /^[1-5]\d\d$/.test(text)) return text as Fault
  throw new Error(`there is no fault "${text}": take a status, or one of ${Object.keys(FAULTS).join(', ')}`)
}

const AMOUNT = /^\d{1,6}(?:\.\d{1,2})?$/

function amountOf(text: string, flag: string): Amount {
  const [from, to] = text.split('-', 2)
  if (![from, to ?? from].every((one) => AMOUNT.test(one!))) throw new Error(`${flag} takes 18.50 or 5.00-25.00`)
  return to === undefined ? { fixed: from! } : { from: from!, to }
}

function shareOf(text: string, flag: string): number {
  const share = Number(text)
  if (text !== '' && share >= 0 && share <= 1) return share
  throw new Error(`${flag} takes a share from 0 to 1`)
}

function numberOf(text: string, flag: string, most: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value <= most) return value
  throw new Error(`${flag} takes a whole number from 0 to ${most}`)
}

function readConfig(file: string): Readonly<Record<string, BuyerConfig>> {
  const parsed = JSON.parse(fs.readFileSync(file, 'utf8')) as { readonly buyers?: Record<string, BuyerConfig> }
  if (parsed.buyers === undefined) throw new Error(`${file} has no "buyers": {"acme": {"ping": {...}, "post": {...}}}`)
  return parsed.buyers
}

main().catch((error: Error) => {
  console.error(`buyer-sim did not start: ${error.message} (--help says more)`)
  process.exitCode = 2
})
