/** The operations by which a buyer keeps leads of a source, or with a sub-id, from itself. */
import Type from 'typebox'
import type { Fault, Snapshot } from '../../rules/version.ts'
import { type Call, json, nothing, type Operation, type Page } from '../admin/operation.ts'
import { BLOCK_TERMS, id, moment, nullable, numeral, object, text, whole } from '../admin/shapes.ts'
import { timesOf } from '../admin/switches.ts'
import { liftSwitches, type SwitchRow, setSwitch, switchesOn } from '../configuration/switchboard.ts'
import * as problem from '../problem.ts'
import { mayChangeNow } from './changes.ts'
import { contractsOf } from './contracts.ts'
import type { PortalParts } from './operations.ts'
import { momentOf, NO_DAY } from './pages.ts'

/** Every process asks every lead about them. */
const MOST_OWN_BLOCKS = 100

const pseudonym = { minLength: 1, maxLength: 63, description: 'The name under which you know the source.' }
const Block = object({
  source: Type.Optional(Type.String(pseudonym)),
  ...BLOCK_TERMS,
  contract: Type.Optional(id('For this contract only; for all of yours where it is not given.')),
  note: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'Why.' })),
})
const Shown = object({
  id: whole('Its number, to lift it by.'),
  source: nullable(text('Leads of this source.')),
  sub: nullable(text('Leads with this sub-id ...')),
  value: nullable(text('... being this.')),
  contract: nullable(text('For this contract only.')),
  until: nullable(moment('When it ends by itself.')),
  note: nullable(text('Why.')),
  set_at: moment('When you set it.'),
})

export function blockOperations(parts: PortalParts): readonly Operation[] {
  const shared = { path: '/v1/buyer/blocks', tag: 'buyers', role: 'buyer' } as const
  const { db, snapshot } = parts
  return [
    {
      ...{ ...shared, id: 'listBlocks', method: 'GET', summary: 'What you have blocked.' },
      answers: {
        200: { description: 'In the order in which it was set.', schema: object({ items: Type.Array(Shown) }) },
      },
      run: async (call) => json({ items: (await ownBlocks(parts, call)).map((row) => shown(snapshot(), row)) }),
    },
    {
      ...{ ...shared, id: 'setBlock', method: 'POST', body: Block },
      summary: 'Keeps leads of a source, or with a sub-id, from you. It acts within a second.',
      answers: { 201: { description: 'It is on.', schema: Shown } },
      run: (call) => block(parts, call),
    },
    {
      ...{ ...shared, id: 'liftBlock', method: 'DELETE', path: `${shared.path}/{block}` },
      ...{ params: { block: numeral('Its number.') }, summary: 'Lifts a block of yours. It acts within a second.' },
      answers: { 204: { description: 'It is lifted.' } },
      run: async ({ actor, params }) => {
        const which = { id: Number(params['block']), kind: 'block', set_by: actor.label, set_role: 'buyer' } as const
        return (await liftSwitches(db, actor, which)) > 0 ? nothing() : problem.nothingHere()
      },
    },
  ]
}

const ownBlocks = async ({ db }: PortalParts, { actor }: Call): Promise<readonly SwitchRow[]> =>
  (await switchesOn(db)).filter(
    ({ kind, set_by, set_role }) => kind === 'block' && set_role === 'buyer' && set_by === actor.label,
  )

async function block(parts: PortalParts, call: Call): Promise<Page> {
  const { db, snapshot } = parts
  const { source, sub, value, contract } = call.body as Readonly<Record<string, string | undefined>>
  const sources = sourcesOf(snapshot(), call.actor.label)
  const faults = faultsOf(call, sources, snapshot())
  if (faults.length > 0) return problem.faulty('The block was not set.', faults)
  const wait = await mayChangeNow(db, call.actor)
  if (wait) return wait
  if ((await ownBlocks(parts, call)).length >= MOST_OWN_BLOCKS)
    return problem.conflict(`You have ${MOST_OWN_BLOCKS} blocks, which is as many as there may be: lift some.`)
  const row = await setSwitch(db, call.actor, {
    ...{ kind: 'block', sub: sub ?? null, value: value ?? null, campaign: null },
    source: source === undefined ? null : sources.get(source)!,
    ...(contract === undefined ? { buyer: call.actor.label, contract: null } : { buyer: null, contract }),
    ...timesOf(call),
  })
  return row
    ? json(shown(snapshot(), row), 201)
    : problem.conflict('As many blocks are on as there may be: ask your operator.')
}

function faultsOf({ body, actor }: Call, sources: ReadonlyMap<string, string>, snapshot: Snapshot): readonly Fault[] {
  const { source, sub, value, contract, until } = body as Readonly<Record<string, string | undefined>>
  const faults: Fault[] = []
  const fault = (path: string, message: string) => faults.push({ path: `body.${path}`, message })
  if (source === undefined && sub === undefined)
    fault('source', 'is missing: say which source or which sub-id to block.')
  if (sub !== undefined && value === undefined) fault('value', `is missing: say what stands in ${sub}.`)
  if (sub === undefined && value !== undefined) fault('sub', 'is missing: say in which sub-id the value stands.')
  if (source !== undefined && !sources.has(source)) fault('source', 'is no source that you buy from.')
  if (contract !== undefined && !contractsOf(snapshot, actor.label).some(({ id: one }) => one === contract))
    fault('contract', 'is no contract of yours.')
  if (until !== undefined && !momentOf(until)) fault('until', NO_DAY)
  return faults
}

/** By their pseudonyms: the sources of the campaigns that it buys in. */
function sourcesOf(snapshot: Snapshot, buyer: string): ReadonlyMap<string, string> {
  const campaigns = new Set(contractsOf(snapshot, buyer).map(({ campaign }) => campaign))
  const selling = [...snapshot.sources.values()].filter((source) =>
    [...source.campaigns].some((campaign) => campaigns.has(campaign)),
  )
  return new Map(selling.map(({ id: source, pseudonym: name }) => [name, source]))
}

function shown({ sources }: Snapshot, { id: number, source, sub, value, contract, until, note, set_at }: SwitchRow) {
  return {
    ...{ id: number, sub, value, contract, note },
    source: source === null ? null : (sources.get(source)?.pseudonym ?? null),
    until: until?.toISOString() ?? null,
    set_at: set_at.toISOString(),
  }
}
