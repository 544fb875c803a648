/** `npm run check-buyer`: plays the engine against a buyer's endpoint and says what would go wrong. */
import fs from 'node:fs'
import { parseArgs } from 'node:util'
import { parse } from 'yaml'
import { compileConfiguration } from '../buyers/configuration.ts'
import type { Campaign, Contract } from '../rules/version.ts'
import { checkBuyer, type Finding } from './buyer-checks.ts'
import { BuyerPlay } from './buyer-play.ts'

const USAGE = `npm run check-buyer -- POST_URL [PING_URL] [flags]
npm run check-buyer -- --config FILE --contract ID [flags]
Sends test leads (test: true) to a buyer's endpoint as the engine would, good ones and bad ones, and says what would go
wrong. Exit 0: nothing would. 1: something would. 2: it could not be tried.

  --vertical NAME   whose example lead is sent (solar)
  --secret SECRET   whsec_...: signs the posts, and tries a forged signature
  --header LINE     "name: value", once for each header
  --ping-ms N       how long a ping may take (3000)
  --post-ms N       how long a post may take (30000)
  --allow CIDR      a range of addresses inside that may be connected to; loopback always may
  --json            findings as one JSON line
  --help`

const OPTIONS = {
  vertical: { type: 'string', default: 'solar' },
  secret: { type: 'string', multiple: true, default: [] as string[] },
  header: { type: 'string', multiple: true, default: [] as string[] },
  'ping-ms': { type: 'string', default: '3000' },
  'post-ms': { type: 'string', default: '30000' },
  allow: { type: 'string', multiple: true, default: [] as string[] },
  config: { type: 'string' },
  contract: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

type Flags = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']
const LOOPBACK = ['127.0.0.0/8', '::1/128']

async function main(): Promise<void> {
  const { values: flags, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true })
  if (flags.help) return console.log(USAGE)
  const { contract, campaign } = flags.config === undefined ? fromUrls(positionals, flags) : fromFile(flags)
  const tier = campaign.tiers[contract.tier]!
  const play = new BuyerPlay(contract, campaign.vertical, tier.pingMs, [...LOOPBACK, ...flags.allow!])
  try {
    const findings = await checkBuyer(play, flags.json ? () => {} : tell)
    const bad = findings.filter(({ verdict }) => verdict === 'fail').length
    if (flags.json) console.log(JSON.stringify({ ok: bad === 0, findings }))
    else console.log(bad === 0 ? 'Nothing would go wrong.' : `${bad} of ${findings.length} would go wrong.`)
    if (bad > 0) process.exitCode = 1
  } finally {
    await play.close()
  }
}

const tell = ({ check, verdict, says }: Finding): void =>
  console.log(`${verdict.toUpperCase().padEnd(4)}  ${check.padEnd(46)} ${says}`)

function fromUrls([postUrl, pingUrl]: readonly string[], flags: Flags): Found {
  if (postUrl === undefined) throw new Error('name the address that takes posts')
  const headers = flags.header!.map((line) => {
    const colon = line.indexOf(':')
    if (colon < 1) throw new Error(`--header takes "name: value", not "${line}"`)
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
  })
  const [pingMs, postMs] = [Number(flags['ping-ms']), Number(flags['post-ms'])]
  const delivery = {
    ...{ post_url: postUrl, headers: Object.fromEntries(headers), secrets: flags.secret },
    ...(pingUrl === undefined ? {} : { ping_url: pingUrl, ping_fields: ['state', 'zip'] }),
  }
  const price = pingUrl === undefined ? { price: '1.00' } : { price_from: 'reply' }
  return found(
    {
      sources: {},
      campaigns: {
        check: {
          ...{ vertical: flags.vertical, zone: 'UTC', payout: { share: 0 }, total_ms: Math.max(100, pingMs + postMs) },
          plan: [{ tier: 'check', strategy: 'auction', ping_ms: pingMs }],
        },
      },
      buyers: { buyer: { zone: 'UTC', health: { failures: 10, pings: 10_000, posts: 10_000 } } },
      contracts: {
        check: { buyer: 'buyer', campaign: 'check', status: 'active', post_ms: postMs, ...price, delivery },
      },
      network: { allowed_cidrs: [...LOOPBACK, ...flags.allow!] },
    },
    'check',
  )
}

function fromFile({ config, contract }: Flags): Found {
  if (contract === undefined) throw new Error('--config needs --contract: whose delivery is to be tried')
  return found(parse(fs.readFileSync(config!, 'utf8')), contract)
}

interface Found {
  readonly contract: Contract
  readonly campaign: Campaign
}

function found(config: unknown, id: string): Found {
  const compiled = compileConfiguration(config, 1)
  if (!compiled.ok) throw new Error(compiled.faults.map(({ path, message }) => `${path} ${message}`).join('\n'))
  for (const campaign of compiled.snapshot.campaigns.values()) {
    const contract = campaign.contracts.find((one) => one.id === id)
    if (contract) return { contract, campaign }
  }
  throw new Error(`there is no contract "${id}"`)
}

main().catch((error: Error) => {
  console.error(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
})
