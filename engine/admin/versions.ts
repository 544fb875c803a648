/** Operations on the configuration as a whole: the draft, its check, publishing, going back, and who changed what. */
import type { Kysely } from 'kysely'
import Type from 'typebox'
import { differences } from '../../rules/configuration/difference.ts'
import type { Published as PublishedAnswer, Publishing, Refused } from '../configuration/publishing.ts'
import { consequencesFor, touchedLeads } from '../configuration/touched.ts'
import { Versions } from '../configuration/versions.ts'
import * as problem from '../problem.ts'
import type { Sealer } from '../seal.ts'
import { auditPage, newestVersion, versionsPage } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, nothing, type Operation, type Page } from './operation.ts'
import { refusal } from './refusals.ts'
import { Change, Checked, Config, moment, nullable, numeral, object, Published, text, whole } from './shapes.ts'

type Db = Kysely<LedgerTables>

const WHOLE_BYTES = 32_000_000
const PAGE = 50
const note = Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'Why, for the list of versions.' }))
const Draft = object({
  base: whole('The version that it was begun from.'),
  revision: whole('How often it was edited; 0: not at all.'),
  changes: Type.Array(Change, { description: 'What is different from its base.' }),
  config: Config,
})
const number = { version: numeral('The number of a version.') }
const pageQuery = Type.Object({ before: Type.Optional(numeral('Only those with a lower number.')) })

/** What a check asks. */
interface Checking {
  readonly publishing: Publishing
  readonly db: Db
  readonly sealer: Sealer
  readonly versions: Versions
}

export function versionOperations(publishing: Publishing, db: Db, sealer: Sealer): readonly Operation[] {
  const checking = { publishing, db, sealer, versions: new Versions(db) }
  return [...draftOperations(publishing), ...publishOperations(checking), ...historyOperations(publishing, db)]
}

function draftOperations(publishing: Publishing): readonly Operation[] {
  const shared = { path: '/admin/v1/draft', tag: 'draft' } as const
  const shown = { 200: { description: 'The draft, with its ETag.', schema: Draft } }
  return [
    {
      ...{ ...shared, id: 'readDraft', method: 'GET', role: 'viewer', answers: shown },
      summary: 'What was changed and not published yet; the newest version where nothing was.',
      run: () => readDraft(publishing),
    },
    {
      ...{ ...shared, id: 'putDraft', method: 'PUT', role: 'operator', body: Config, bodyBytes: WHOLE_BYTES },
      ...{ conditional: 'replace', answers: shown, summary: 'Replaces the whole draft.' },
      run: (call) => putDraft(publishing, call),
    },
    {
      ...{ ...shared, id: 'discardDraft', method: 'DELETE', role: 'operator' },
      summary: 'Forgets the draft: the newest version is begun from anew.',
      answers: { 204: { description: 'It is forgotten.' } },
      run: async ({ actor }) => {
        const done = await publishing.discard(actor)
        return done.ok ? nothing() : refusal(done, actor)
      },
    },
  ]
}

function publishOperations(checking: Checking): readonly Operation[] {
  const { publishing } = checking
  const published = {
    201: { description: 'It is published; every process has it within a second.', schema: Published },
  }
  const whole = { body: object({ config: Config }), bodyBytes: WHOLE_BYTES }
  const act = { method: 'POST', tag: 'publish', role: 'operator' } as const
  return [
    {
      ...{ id: 'check', method: 'POST', path: '/admin/v1/check', tag: 'publish', role: 'viewer', ...whole },
      summary:
        'Every fault of a configuration, what it would change, and how many leads that touches. Changes nothing.',
      answers: { 200: { description: 'What was found.', schema: Checked } },
      run: async ({ body }) => check(checking, (body as { config: unknown }).config),
    },
    {
      ...{ id: 'checkDraft', method: 'GET', path: '/admin/v1/draft/check', tag: 'draft', role: 'viewer' },
      summary: 'The same of the draft.',
      answers: { 200: { description: 'What was found.', schema: Checked } },
      run: async () => check(checking, (await publishing.draft()).config),
    },
    {
      ...{ ...act, id: 'publish', path: '/admin/v1/publish', body: object({ note }), answers: published },
      summary: 'Checks the draft as a whole and makes it the next version.',
      run: async (call) => told(await publishing.publish(call.actor, noteOf(call)), call),
    },
    {
      ...{ ...act, id: 'apply', path: '/admin/v1/apply', answers: published, bodyBytes: WHOLE_BYTES },
      summary: 'Makes a whole configuration the next version, where nobody has published since `base`.',
      body: object({
        config: Config,
        base: Type.Integer({ minimum: 0, description: 'The newest version that you know.' }),
        note,
      }),
      run: async (call) => {
        const { config, base } = call.body as { config: unknown; base: number }
        return told(await publishing.apply(call.actor, config, base, noteOf(call)), call)
      },
    },
    {
      ...{ ...act, id: 'rollback', path: '/admin/v1/rollback/{version}', params: number, body: object({ note }) },
      ...{ answers: published, summary: 'Makes what an earlier version said the next version.' },
      run: async (call) =>
        told(await publishing.rollback(call.actor, Number(call.params['version']), noteOf(call)), call),
    },
  ]
}

const Version = object({
  version: whole('Its number.'),
  created_at: moment('When it was published.'),
  published_by: text('The label of the key.'),
  note: nullable(text('Why.')),
})
const Entry = object({
  id: whole('Its number.'),
  at: moment('When.'),
  actor: text('The label of the key.'),
  role: text('Its role then.'),
  action: text('publish, apply, rollback to 3, edit, discard, pause ...'),
  subject: text('What was changed.'),
  changes: Type.Array(text('One change in words.')),
  version: nullable(whole('The version that came of it.')),
})

function historyOperations(publishing: Publishing, db: Db): readonly Operation[] {
  const read = { method: 'GET', tag: 'versions', role: 'viewer' } as const
  const fromTo = Type.Object({ from: numeral('The earlier version.'), to: numeral('The later version.') })
  return [
    {
      ...{
        ...read,
        id: 'listVersions',
        path: '/admin/v1/versions',
        summary: 'Versions, the newest first.',
        query: pageQuery,
      },
      answers: { 200: { description: 'At most 50.', schema: object({ items: Type.Array(Version) }) } },
      run: async ({ query }) => json({ items: await versionsPage(db, beforeOf(query), PAGE) }),
    },
    {
      ...{ ...read, id: 'readVersion', path: '/admin/v1/versions/{version}', params: number },
      summary: 'The whole configuration of a version.',
      answers: { 200: { description: 'The configuration.', schema: Config } },
      run: async ({ params }) => shown(await publishing.version(Number(params['version']))),
    },
    {
      ...{
        ...read,
        id: 'readConfig',
        path: '/admin/v1/config',
        summary: 'The newest version and its whole configuration.',
      },
      answers: { 200: { description: 'It.', schema: object({ version: whole('Its number.'), config: Config }) } },
      run: async () => {
        const { number, canonical } = await newestVersion(db)
        return json({ version: number, config: JSON.parse(canonical) })
      },
    },
    {
      ...{
        ...read,
        id: 'diff',
        path: '/admin/v1/diff',
        query: fromTo,
        summary: 'What is different between two versions, in words.',
      },
      answers: {
        200: { description: 'In the order of paths.', schema: object({ changes: Type.Array(Change) }) },
        404: { description: 'There is no such version.', schema: Type.Unknown() },
      },
      run: ({ query }) => diff(publishing, query),
    },
    {
      ...{
        ...read,
        id: 'listAudit',
        path: '/admin/v1/audit',
        query: pageQuery,
        summary: 'Who changed what, the latest first.',
      },
      answers: { 200: { description: 'At most 50.', schema: object({ items: Type.Array(Entry) }) } },
      run: async ({ query }) => json({ items: await auditPage(db, beforeOf(query), PAGE) }),
    },
  ]
}

const beforeOf = (query: Readonly<Record<string, string>>): number => Number(query['before'] ?? Number.MAX_SAFE_INTEGER)
const noteOf = ({ body }: Call): string | null => (body as { note?: string }).note ?? null
const etagOf = ({ base, revision }: { readonly base: number; readonly revision: number }): string =>
  `"${base}.${revision}"`

function shown(config: unknown): Page {
  return config === null ? problem.nothingHere() : json(config)
}

async function readDraft(publishing: Publishing): Promise<Page> {
  const draft = await publishing.draft()
  const { base, revision, config } = draft
  const changes = differences(await publishing.version(base), config)
  return json({ base, revision, changes, config }, 200, { etag: etagOf(draft) })
}

async function putDraft(publishing: Publishing, { actor, body, ifMatch }: Call): Promise<Page> {
  const seen = await publishing.draft()
  if (etagOf(seen) !== ifMatch) return problem.changedSince(etagOf(seen))
  const edited = await publishing.edit(actor, 'draft', (_config, draft) =>
    etagOf(draft) === ifMatch ? { config: body as Record<string, unknown> } : 'STALE',
  )
  if (edited.ok) return readDraft(publishing)
  return edited.code === 'STALE' ? problem.changedSince(null) : refusal(edited, actor)
}

async function check({ publishing, db, sealer, versions }: Checking, config: unknown): Promise<Page> {
  const { faults, warnings, base, changes, snapshot } = await publishing.check(config)
  const touched = await touchedLeads(db, changes, (await publishing.version(base)) ?? {}, config)
  const before = snapshot === null || touched.touched === 0 ? null : await versions.get(base)
  const sampled = before && snapshot ? await consequencesFor(db, sealer, before, snapshot) : null
  const counts = { touched_leads: touched.touched, leads: touched.leads }
  return json({ base, faults, warnings, changes, ...counts, sampled })
}

function told(answer: PublishedAnswer | Refused, { actor }: Call): Page {
  if (!answer.ok) return refusal(answer, actor)
  const { version, changes, warnings } = answer
  return json({ version, changes, warnings }, 201)
}

async function diff(publishing: Publishing, { from, to }: Readonly<Record<string, string>>): Promise<Page> {
  const [before, after] = await Promise.all([publishing.version(Number(from)), publishing.version(Number(to))])
  if (before === null || after === null) return problem.nothingHere()
  return json({ changes: differences(before, after) })
}
