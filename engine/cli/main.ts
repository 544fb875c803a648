#!/usr/bin/env node
/** The command line: finds the command, reads its options, and turns what goes wrong into words. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { suggest } from '../../rules/configuration/nearest.ts'
import { apply, exportConfiguration, plan, rollback, validate } from './configuration.ts'
import type { Context } from './context.ts'
import { importLeads } from './import.ts'
import { lead, replay, tail } from './leads.ts'
import { Complaint, createOutput, table } from './output.ts'
import { openPlane } from './plane.ts'
import { report } from './report.ts'

interface Command {
  readonly usage: string
  readonly does: string
  readonly run: (context: Context) => Promise<void>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  export: {
    usage: 'export [--version N] [--out FILE]',
    does: 'the newest configuration, or an earlier one, as YAML',
    run: exportConfiguration,
  },
  plan: {
    usage: 'plan FILE',
    does: 'what a file would change, and how many leads of the last day that touches',
    run: plan,
  },
  apply: {
    usage: 'apply FILE [--base N] [--note WHY]',
    does: 'publishes a file, unless somebody else has published since',
    run: apply,
  },
  rollback: { usage: 'rollback VERSION [--note WHY]', does: 'publishes what an earlier version said', run: rollback },
  validate: { usage: 'validate FILE', does: 'every fault of a file; needs no engine', run: validate },
  lead: {
    usage: 'lead ID [--bytes]',
    does: "a lead's timeline, how each seat ended, and what would have won; or every byte that was said to its buyers",
    run: lead,
  },
  replay: { usage: 'replay ID', does: "runs a lead's trace through the machine again", run: replay },
  tail: { usage: 'tail [--count N]', does: 'leads as they are decided', run: tail },
  import: {
    usage: 'import FILE.csv --campaign ID --key KEY [--to URL] [--test] [--out FILE]',
    does: 'posts the leads of a file',
    run: importLeads,
  },
  report: {
    usage: 'report [--by source,state] [--per day] [--from DAY] [--to DAY]',
    does: 'what came, was bid, sold and earned; also --zone, --only buyer=acme, --columns sold,epl, --reasons, --csv',
    run: report,
  },
  verify: { usage: 'verify [...]', does: 'proves the invariants from the ledger', run: async () => {} },
}

const text = { type: 'string' } as const
const flag = { type: 'boolean' } as const
const OPTIONS = {
  ...{
    admin: text,
    base: text,
    by: text,
    campaign: text,
    columns: text,
    count: text,
    from: text,
    key: text,
    note: text,
    only: text,
    out: text,
    per: text,
    to: text,
    version: text,
    zone: text,
  },
  ...{ bytes: flag, csv: flag, help: flag, json: flag, reasons: flag, test: flag },
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const { message, code = 1 } = error as Complaint
  if (!(error instanceof Complaint)) throw error
  if (message !== '') process.stderr.write(`${message}\n`)
  process.exitCode = code
}

async function main([name, ...rest]: string[]): Promise<void> {
  if (name === undefined || name === 'help' || name === '--help') return void process.stdout.write(help())
  const command = COMMANDS[name]
  if (!command) throw new Complaint(`There is no command "${name}".${suggest(name, Object.keys(COMMANDS))}`, 2)
  if (name === 'verify') return verify(rest)
  const { values, positionals } = parsed(rest, command)
  if (values['help']) return void process.stdout.write(`gavelpost ${command.usage}\n  ${command.does}\n`)
  const options = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, value === true ? 'yes' : value]),
  ) as Context['options']
  const { GAVELPOST_ADMIN: admin, GAVELPOST_KEY: key, SOURCE_KEY: sourceKey } = process.env
  const origin = (options['admin'] ?? admin ?? 'http://127.0.0.1:9090').replace(/\/$/, '')
  await command.run({
    args: positionals,
    options: name === 'import' ? { key: sourceKey, ...options } : options,
    output: createOutput(options['json'] !== undefined),
    plane: () => openPlane(origin, key),
  })
}

function parsed(args: string[], { usage }: Command) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true })
  } catch (error) {
    throw new Complaint(`${(error as Error).message}\nIt is called as: gavelpost ${usage}`, 2)
  }
}

/** The verifier is a program of its own: it must not believe the engine's code. */
async function verify(args: readonly string[]): Promise<void> {
  const program = fileURLToPath(new URL('../../bench/verify.ts', import.meta.url))
  const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' })
  process.exitCode = await new Promise<number>((ended) => child.once('close', (code) => ended(code ?? 1)))
}

function help(): string {
  const rows = Object.values(COMMANDS).map(({ usage, does }) => [`  ${usage}`, does])
  return [
    'gavelpost COMMAND: works a running engine.',
    '',
    ...table(rows),
    '',
    '  --json prints JSON; --admin URL (or GAVELPOST_ADMIN) says where the admin plane is, by default',
    '  http://127.0.0.1:9090; GAVELPOST_KEY is a key of it.',
    '',
  ].join('\n')
}
