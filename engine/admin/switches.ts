/** Operations that act at once, without a version of their own or with one published on the spot: pauses, blocks, caps. */
import type { Kysely } from 'kysely'
import Type, { type TSchema } from 'typebox'
import type { Fault } from '../../rules/version.ts'
import type { Publishing } from '../configuration/publishing.ts'
import {
  liftSwitches,
  MOST_SWITCHES,
  type SwitchGiven,
  type SwitchRow,
  setSwitch,
  switchesOn,
} from '../configuration/switchboard.ts'
import * as problem from '../problem.ts'
import { newestVersion } from '../store/queries.ts'
import type { LedgerTables } from '../store/tables.ts'
import { type Call, json, nothing, type Operation, type Page } from './operation.ts'
import { refusal } from './refusals.ts'
import { mergePatch, valueAt } from './resources.ts'
import { BLOCK_TERMS, id, KINDS, moment, nullable, numeral, object, Published, text, whole, words } from './shapes.ts'

type Db = Kysely<LedgerTables>

const note = Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'Why, for the audit.' }))
const { until } = BLOCK_TERMS
const Shown = object({
  id: whole('Its number, to lift it by.'),
  kind: words('pause', 'block'),
  contract: nullable(text('Whom it stops, or keeps leads from.')),
  buyer: nullable(text('The same of a buyer.')),
  campaign: nullable(text('A block of this campaign only.')),
  source: nullable(text('A pause of this source, or a block of its leads.')),
  sub: nullable(text('A block of leads with this sub-id ...')),
  value: nullable(text('... being this.')),
  until: nullable(moment('When it ends by itself.')),
  note: nullable(text('Why.')),
  set_by: text('Who set it.'),
  set_role: nullable(text('As what: buyers set their own.')),
  set_at: moment('When.'),
})
const Block = object({
  contract: Type.Optional(id('Keep the leads from this contract.')),
  buyer: Type.Optional(id('Keep the leads from this buyer.')),
  campaign: Type.Optional(id('In this campaign only.')),
  source: Type.Optional(id('Leads of this source.')),
  ...BLOCK_TERMS,
  note,
})

export function switchOperations(publishing: Publishing, db: Db): readonly Operation[] {
  return [
    ...blockOperations(db),
    ...['contracts', 'buyers', 'sources'].flatMap((kind) => pauseOperations(db, kind)),
    ...KINDS.flatMap(({ kind, shape }) => capsOperation(publishing, kind, shape)),
  ]
}

function blockOperations(db: Db): readonly Operation[] {
  const shared = { path: '/admin/v1/switches', tag: 'switches' } as const
  return [
    {
      ...{ ...shared, id: 'listSwitches', method: 'GET', role: 'viewer', summary: 'Every pause and block that is on.' },
      answers: {
        200: { description: 'In the order in which they were set.', schema: object({ items: Type.Array(Shown) }) },
      },
      run: async () => json({ items: (await switchesOn(db)).map(shown) }),
    },
    {
      ...{ ...shared, id: 'block', method: 'POST', role: 'operator', body: Block },
      summary:
        'Keeps leads of a source or with a sub-id from a buyer, a contract, or everybody. It acts within a second.',
      answers: { 201: { description: 'It is on.', schema: Shown } },
      run: (call) => block(db, call),
    },
    {
      ...{ id: 'lift', method: 'DELETE', path: '/admin/v1/switches/{switch}', tag: 'switches', role: 'operator' },
      ...{ params: { switch: numeral('Its number.') }, summary: 'Lifts a pause or block. It acts within a second.' },
      answers: { 204: { description: 'It is lifted.' } },
      run: async ({ actor, params }) =>
        (await liftSwitches(db, actor, { id: Number(params['switch']) })) > 0 ? nothing() : problem.nothingHere(),
    },
  ]
}

function pauseOperations(db: Db, kind: string): readonly Operation[] {
  const one = kind.replace(/s$/, '') as 'contract' | 'buyer' | 'source'
  const name = one[0]!.toUpperCase() + one.slice(1)
  const shared = { method: 'POST', tag: 'switches', role: 'operator', params: { id: id(`The ${one}.`) } } as const
  return [
    {
      ...{ ...shared, id: `pause${name}`, path: `/admin/v1/${kind}/{id}:pause`, body: object({ until, note }) },
      summary: `Pauses a ${one} at once, also for leads under way, until it is resumed.`,
      answers: { 201: { description: 'It is paused.', schema: Shown } },
      run: async (call) => {
        const target = call.params['id']!
        if (!(await isThere(db, kind, target))) return problem.nothingHere()
        return set(db, call, { ...NOBODY, ...timesOf(call), kind: 'pause', [one]: target })
      },
    },
    {
      ...{ ...shared, id: `resume${name}`, path: `/admin/v1/${kind}/{id}:resume`, body: object({}) },
      summary: `Lifts every pause of a ${one}.`,
      answers: { 200: { description: 'How many were lifted.', schema: object({ lifted: whole('How many.') }) } },
      run: async ({ actor, params }) =>
        json({ lifted: await liftSwitches(db, actor, { kind: 'pause', [one]: params['id']! }) }),
    },
  ]
}

/** A cap belongs to a version, or a store's counters could not tell which limit holds: it is published on the spot. */
function capsOperation(publishing: Publishing, kind: string, shape: TSchema): readonly Operation[] {
  const { caps } = (shape as unknown as { properties: { caps?: TSchema } }).properties
  if (!caps) return []
  const one = kind.replace(/s$/, '')
  return [
    {
      ...{ id: `cap${one[0]!.toUpperCase()}${one.slice(1)}`, method: 'POST', path: `/admin/v1/${kind}/{id}:caps` },
      ...{ tag: 'switches', role: 'operator', params: { id: id(`The ${one}.`) } },
      summary: `Changes caps of a ${one} at once: a JSON merge patch on them, published on the spot, in the draft too.`,
      body: object({ caps: Type.Record(Type.String(), Type.Unknown()), note }),
      answers: { 201: { description: 'Every process has it within a second.', schema: Published } },
      run: (call) => changeCaps(publishing, kind, call),
    },
  ]
}

async function changeCaps(publishing: Publishing, kind: string, call: Call): Promise<Page> {
  const { caps, note } = call.body as { caps: object; note?: string }
  const path = [kind, call.params['id']!]
  const patch = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), { caps })
  const done = await publishing.urgent(call.actor, `caps of ${path.join('.')}`, note ?? null, (config) =>
    valueAt(config, path) === undefined ? null : (mergePatch(config, patch) as Record<string, unknown>),
  )
  if (!done.ok) return refusal(done, call.actor)
  const { version, changes, warnings } = done
  return json({ version, changes, warnings }, 201)
}

const NOBODY = { contract: null, buyer: null, campaign: null, source: null, sub: null, value: null }

async function block(db: Db, call: Call): Promise<Page> {
  const { until: _until, note: _note, ...named } = call.body as Readonly<Record<string, string>>
  const faults = await blockFaults(db, named)
  if (faults.length > 0) return problem.faulty('The block was not set.', faults)
  return set(db, call, { ...NOBODY, ...named, ...timesOf(call), kind: 'block' })
}

async function blockFaults(db: Db, named: Readonly<Record<string, string>>): Promise<readonly Fault[]> {
  const faults: Fault[] = []
  const fault = (path: string, message: string) => faults.push({ path: `body.${path}`, message })
  const { source, sub, value, contract, buyer } = named
  if (source === undefined && sub === undefined)
    fault('source', 'is missing: say which source or which sub-id to block.')
  if (sub !== undefined && value === undefined) fault('value', `is missing: say what stands in ${sub}.`)
  if (sub === undefined && value !== undefined) fault('sub', 'is missing: say in which sub-id the value stands.')
  if (contract !== undefined && buyer !== undefined) fault('buyer', 'stands beside a contract: name one of them.')
  for (const one of ['contract', 'buyer', 'campaign', 'source']) {
    const target = named[one]
    if (target !== undefined && !(await isThere(db, `${one}s`, target))) fault(one, `there is no ${one} "${target}".`)
  }
  return faults
}

/** Where it is in the newest version. */
export async function isThere(db: Db, kind: string, id: string): Promise<boolean> {
  const { canonical } = await newestVersion(db)
  return valueAt(JSON.parse(canonical), [kind, id]) !== undefined
}

export function timesOf({ body }: Pick<Call, 'body'>): Pick<SwitchGiven, 'until' | 'note'> {
  const { until, note } = body as { until?: string; note?: string }
  return { until: until === undefined ? null : (Date.parse(until) as SwitchGiven['until']), note: note ?? null }
}

async function set(db: Db, { actor }: Call, given: SwitchGiven): Promise<Page> {
  const row = await setSwitch(db, actor, given)
  return row
    ? json(shown(row), 201)
    : problem.conflict(`${MOST_SWITCHES} switches are on, which is as many as there may be: lift some.`)
}

const shown = ({ lifted_by: _by, lifted_at: _at, until, set_at, ...row }: SwitchRow): object => ({
  ...row,
  until: until?.toISOString() ?? null,
  set_at: set_at.toISOString(),
})
