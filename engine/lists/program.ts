/** `npm run list`: imports suppression lists into the ledger, and shows which it has. */
import { parseArgs } from 'node:util'
import { LIST_HASHES, LIST_KINDS, type ListHash, type ListKind } from '../../rules/suppression.ts'
import { openPostgres } from '../embedded.ts'
import { type Env, readEnv } from '../env.ts'
import { createSealer, keptMasterKeys } from '../seal.ts'
import { migrate, openPool, queriesOver } from '../store/postgres.ts'
import { type ImportTask, importList } from './import.ts'
import { faultsInWords } from './lists.ts'

const USAGE = `npm run list -- import NAME FILE --of KIND [--hash HASH]
npm run list -- show
  NAME    the list's name in the configuration (lists)
  FILE    one entry a line; of a CSV the first column counts
  --of    what its entries are: ${LIST_KINDS.join(', ')}
  --hash  how they are hashed, in hex: ${LIST_HASHES.join(', ')}; plain where left out`

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/

/** A text is what is wrong with the command line. */
function readTask(args: readonly string[]): ImportTask | 'show' | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { of: { type: 'string' }, hash: { type: 'string' } },
    })
    const [command, name = '', path = ''] = positionals
    if (command === 'show') return 'show'
    if (path === '' || !/^import$/.test(command ?? '')) return 'say which list to take in, and from which file'
    if (!NAME.test(name)) return `"${name}" is no name of a list: write a-z, 0-9, - and _`
    if (!LIST_KINDS.includes(values.of as ListKind)) return `--of takes one of ${LIST_KINDS.join(', ')}`
    if (values.hash !== undefined && !LIST_HASHES.includes(values.hash as ListHash))
      return `--hash takes one of ${LIST_HASHES.join(', ')}`
    return { name, path, of: values.of as ListKind, hash: (values.hash as ListHash | undefined) ?? null }
  } catch (error) {
    return (error as Error).message
  }
}

async function run(env: Env, task: ImportTask | 'show'): Promise<void> {
  const embedded = env.databaseUrl === null ? await openPostgres({ dataDir: env.dataDir, log: () => {} }) : null
  const pool = openPool({ url: env.databaseUrl ?? embedded!.url })
  try {
    await migrate(pool)
    const db = queriesOver(pool)
    if (task === 'show') {
      for (const one of await db.selectFrom('lists').selectAll().orderBy('name').execute())
        console.log(`${one.name}  ${one.kind}  ${one.entries} entries  ${one.imported_at.toISOString()}`)
      return
    }
    const seal = createSealer(env.masterKeys ?? keptMasterKeys(env.dataDir))
    const read = await importList(db, seal, task, (lines) => process.stderr.write(`\r${lines} lines`))
    process.stderr.write('\n')
    if (read.faults > 0) console.error(faultsInWords(task.name, task, read.faults, read.faultyLines))
    console.log(`${task.name}: ${read.numbers.length} entries imported, ${read.faults} lines refused`)
  } finally {
    await pool.end()
    await embedded?.stop()
  }
}

async function main(): Promise<number> {
  const task = readTask(process.argv.slice(2))
  if (typeof task === 'string' && task !== 'show') {
    console.error(`${task}\n\n${USAGE}`)
    return 2
  }
  const reading = readEnv(process.env)
  if (!reading.ok) {
    console.error(reading.faults.map(({ name, message }) => `${name} ${message}`).join('\n'))
    return 2
  }
  await run(reading.env, task as ImportTask | 'show')
  return 0
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: Error) => {
    console.error(`the list was not imported, and is as it was: ${error.message}`)
    process.exitCode = 1
  },
)
