/** The house laws: who may import whom, what `rules` may not touch, how long a function may be, and what may lie where. */
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Each may import what stands to its left. */
const ROOMS = ['rules', 'buyers', 'engine', 'bench', 'test'] as const
const ROOT_ENTRIES = [
  ...ROOMS,
  'deploy',
  '.ci',
  '.gitignore',
  'LICENSE',
  'README.md',
  'biome.json',
  'package-lock.json',
  'package.json',
  'tsconfig.json',
]
/** Libraries that neither wait nor touch the world. */
const PURE = new Set([
  'typebox',
  'luxon',
  'libphonenumber-js',
  'validator',
  're2js',
  'ipaddr.js',
  'tldts',
  'disposable-email-domains',
  'email-providers',
])
const MAX_FUNCTION_LINES = 60
/** Waiting, clocks, dice and the world, by the names under which code reaches them. */
const IMPURE =
  /(?<![.\w$])(?:(?:Date\.now|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|await|async|performance|process|fetch|console|crypto)\b(?!:)|new Date\(\s*\)|DateTime\.(?:now|local|utc)\(\s*\))/g
const UWS_LINUX_X64_127 = '8cabc918bbf9a07323e54f89a33882491080b2eb35df0607f473ccdb1f3c31af'

interface SourceFile {
  /** From the root: `rules/units.ts`. */
  readonly path: string
  readonly room: string
  readonly text: string
  /** Without comments. */
  readonly code: string
  /** Without comments and without what stands in quotes. */
  readonly bare: string
}

interface Package {
  readonly scripts: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Package

/** A slash begins a pattern, not a division, after one of these. */
const BEFORE_PATTERN = /(?:^|[=(,:;[!&|?{}>+\n]|\breturn|\btypeof|\bcase)\s*$/
const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/g

/** Splits comments, quotes and patterns off. A template's code counts as quoted. */
function strip(text: string): { readonly code: string; readonly bare: string } {
  let [code, bare, end] = ['', '', 0]
  const token = new RegExp(TOKEN)
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const between = text.slice(end, match.index)
    const [found] = match
    const isComment = found.startsWith('//') || found.startsWith('/*')
    code += between
    bare += between
    if (found.startsWith('/') && !isComment && !BEFORE_PATTERN.test(bare)) {
      token.lastIndex = match.index + 1
      code += '/'
      bare += '/'
    } else {
      code += isComment ? ' ' : found
      bare += isComment ? ' ' : "''"
    }
    end = token.lastIndex
  }
  return { code: code + text.slice(end), bare: bare + text.slice(end) }
}

const everyFile: readonly string[] = [...ROOMS, 'deploy'].flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/')),
)
const sources: readonly SourceFile[] = everyFile
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    return { path, room: path.split('/')[0]!, text, ...strip(text) }
  })
const inRooms = (...rooms: string[]): readonly SourceFile[] => sources.filter((file) => rooms.includes(file.room))

/** A word in quotes, or behind a point or a hyphen, imports nothing. */
const SPECIFIER = /(?<!['".-])(?:\bfrom\s*|\bimport\s*\(?\s*)(['"])([^'"\n]+)\1/g
const importsOf = (file: SourceFile): string[] => [...file.code.matchAll(SPECIFIER)].map((match) => match[2]!)
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** Every breach of a law, as `file: what`. */
function breaches(files: readonly SourceFile[], find: (file: SourceFile) => Iterable<string>): string[] {
  return files.flatMap((file) => [...find(file)].map((what) => `${file.path}: ${what}`))
}

function matches(files: readonly SourceFile[], law: RegExp): string[] {
  return breaches(files, (file) => [...file.bare.matchAll(law)].map((match) => match[0].trim()))
}

describe('the scanner', () => {
  it('tells code from what is only said', () => {
    const said = strip("a('it\\'s // no') /* await */ + /[/'\"]+/g.x / 2 // fetch(\nb = `await c`")
    expect(said.bare).toBe("a('')   + ''.x / 2  \nb = ''")
    expect(said.code).toContain("'it\\'s // no'")
  })

  it.each(['Date.now()', 'await x', 'async () => 1', 'new Date()', 'process.exit()', 'DateTime.now()', 'fetch(x)'])(
    'knows %s as impure',
    (code) => {
      expect(strip(`const a = ${code}`).bare).toMatch(new RegExp(IMPURE))
    },
  )

  it.each(['new Date(at)', 'line.process', '{ process: 1 }', 'asynchronous', 'DateTime.fromMillis(at)', "'await'"])(
    'lets %s pass',
    (code) => {
      expect(strip(`const a = ${code}`).bare).not.toMatch(new RegExp(IMPURE))
    },
  )

  it('sees the whole house', () => {
    expect(inRooms('rules').length).toBeGreaterThan(10)
    const all = sources.flatMap(importsOf)
    for (const known of ['./units.ts', 'vitest', 'node:fs', '../engine/env.ts']) expect(all).toContain(known)
  })
})

describe('imports', () => {
  it('go one way', () => {
    const found = breaches(sources, (file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith('.'))
        .filter((specifier) => {
          const target = relative(ROOT, join(ROOT, dirname(file.path), specifier)).split('/')[0]!
          const [from, to] = [ROOMS.indexOf(file.room as 'test'), ROOMS.indexOf(target as 'test')]
          return to < 0 || to > from
        }),
    )
    expect(found).toEqual([])
  })

  it('name files that there are', () => {
    const found = breaches(sources, (file) =>
      importsOf(file).filter((one) => one.startsWith('.') && !existsSync(join(ROOT, dirname(file.path), one))),
    )
    expect(found).toEqual([])
  })

  it('name packages that are listed, and the engine needs none that only tests have', () => {
    const needed = new Set(Object.keys(manifest.dependencies))
    const known = new Set([...needed, ...Object.keys(manifest.devDependencies)])
    const found = breaches(sources, (file) => {
      const allowed = ['bench', 'test'].includes(file.room) ? known : needed
      const packages = importsOf(file).filter((one) => !one.startsWith('.') && !one.startsWith('node:'))
      return packages.filter((one) => !allowed.has(packageOf(one)))
    })
    expect(found).toEqual([])
  })

  it('bring uWebSockets.js into the edge alone, and into the yardstick that the engine is measured by', () => {
    const importers = sources.filter((file) => importsOf(file).includes('uWebSockets.js')).map((file) => file.path)
    expect(importers.filter((path) => path !== 'engine/edge.ts' && path !== 'bench/floor.ts')).toEqual([])
  })
})

describe('rules', () => {
  const rules = inRooms('rules')

  it('neither wait, nor read a clock, nor throw dice, nor touch the process', () => {
    expect(matches(rules, IMPURE)).toEqual([])
  })

  it('import nothing that could', () => {
    const found = breaches(rules, (file) =>
      importsOf(file).filter((one) => !one.startsWith('.') && !PURE.has(packageOf(one))),
    )
    expect(found).toEqual([])
  })
})

describe('a configuration', () => {
  it('is compiled with the presets, wherever one is served or proven', () => {
    const found = breaches(inRooms('engine', 'bench'), (file) =>
      [...file.bare.matchAll(/\bcompile(?:Version|InSteps)\(/g)].map(String),
    )
    expect(found).toEqual([])
  })
})

describe('the wire', () => {
  it('never uses fetch, which follows redirects and costs ten times as much', () => {
    expect(matches(inRooms('rules', 'buyers', 'engine'), /(?<![.\w$])fetch\s*\(/g)).toEqual([])
  })
})

describe('a file', () => {
  it('opens with one sentence that says what it is for', () => {
    const found = breaches(sources, (file) =>
      /^(?:#!.*\n)?\/\*\*\s+(?:\* )?[^\s*][^.:]*[^*]*?[.:](?:\s|\*)/.test(file.text) ? [] : [file.text.split('\n')[0]!],
    )
    expect(found).toEqual([])
  })

  it('is used by another', () => {
    expect(deadFiles()).toEqual([])
  })

  it('has functions that fit a screen', () => {
    expect(longFunctions()).toEqual([])
  })
})

/** Files that nothing leads to from what a script starts or a test runs. */
function deadFiles(): string[] {
  const started = Object.values({ ...manifest.scripts, ...manifest.bin }).join(' ')
  const alive = new Set(everyFile.filter((path) => path.startsWith('deploy/') || path.endsWith('.test.ts')))
  for (const path of everyFile) if (started.includes(path)) alive.add(path)
  const told = (path: string) => sources.find((file) => file.path === path)?.code ?? ''
  let unread = [...alive]
  while (unread.length > 0) {
    const text = unread.map(told).join('\n')
    unread = everyFile.filter((path) => !alive.has(path) && isNamed(path, text))
    for (const path of unread) alive.add(path)
  }
  return everyFile.filter((path) => !alive.has(path))
}

/** By its own name; what is not code also by the name of its folder, which may be read as a whole. */
function isNamed(path: string, text: string): boolean {
  const quoted = (name: string) => new RegExp(`['"\`/]${name.replaceAll('.', '\\.')}(?:\\.\\w+)*['"\`/?]`).test(text)
  const name = basename(path).replace(/(?:\.d)?\.\w+$/, '')
  return quoted(name) || (!path.endsWith('.ts') && quoted(basename(dirname(path))))
}

/** As the linter counts them, a canary included. A test file's groups are lists of cases, not functions. */
function longFunctions(): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'gavelpost-house-'))
  try {
    const rule = { level: 'error', options: { maxLines: MAX_FUNCTION_LINES } }
    const config = {
      root: true,
      linter: { rules: { preset: 'none', complexity: { noExcessiveLinesPerFunction: rule } } },
    }
    writeFileSync(join(folder, 'biome.json'), JSON.stringify(config))
    const canary = join(folder, 'canary.ts')
    writeFileSync(canary, `export function long() {\n${'  long()\n'.repeat(MAX_FUNCTION_LINES + 1)}}\n`)
    const files = sources.filter((file) => !file.path.endsWith('.test.ts')).map((file) => file.path)
    const args = ['lint', `--config-path=${folder}`, '--reporter=github', '--max-diagnostics=none', canary, ...files]
    const run = spawnSync(join(ROOT, 'node_modules/.bin/biome'), args, { cwd: ROOT, encoding: 'utf8' })
    const lines = run.stdout.split('\n').filter((line) => line.includes('noExcessiveLinesPerFunction'))
    if (!lines.some((line) => line.includes('canary.ts'))) throw new Error(`the linter did not run: ${run.stderr}`)
    return lines.filter((line) => !line.includes('canary.ts'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the root', () => {
  it('holds what it must and nothing else', () => {
    const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    const entries = new Set(listed.split('\n').flatMap((path) => (path === '' ? [] : [path.split('/')[0]!])))
    expect([...entries].filter((entry) => !ROOT_ENTRIES.includes(entry))).toEqual([])
  })

  it('pins every package to one version', () => {
    const { dependencies, devDependencies, optionalDependencies } = manifest
    const all = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    const loose = all.filter(([, version]) => !/^(?:npm:[\w@/.-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    expect(loose).toEqual([])
  })

  it('locks every package that npm ci asks for, those of other machines included', () => {
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Lock }
    const missing = Object.entries(packages).flatMap(([place, needs]) =>
      Object.keys({ ...needs?.dependencies, ...needs?.optionalDependencies })
        .filter((name) => !isLocked(packages, place, name))
        .map((name) => `${place || 'package.json'} needs ${name}`),
    )
    expect(missing).toEqual([])
  })

  it('runs the server binary that was checked', () => {
    const file = join(ROOT, 'node_modules/uWebSockets.js/dist/bin/uws_linux_x64_127.node')
    expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(UWS_LINUX_X64_127)
  })
})

type Lock = Readonly<
  Record<string, { readonly dependencies?: object; readonly optionalDependencies?: object } | undefined>
>

/** Looks where Node would: in the package's own folder of packages, then in each above. */
function isLocked(packages: Lock, place: string, name: string): boolean {
  if (packages[`${place === '' ? '' : `${place}/`}node_modules/${name}`]) return true
  return place !== '' && isLocked(packages, place.slice(0, Math.max(0, place.lastIndexOf('/node_modules/'))), name)
}
