/** The operations by which a buyer reads its contracts, pauses them and changes their caps, as far as the operator lets it. */
import Type from 'typebox'
import type { ConfigFile } from '../../rules/configuration/schema.ts'
import { type CapsGiven, COUNT_CAPS, capFaults, SPEND_CAPS, selfServiceOf } from '../../rules/self-service.ts'
import { formatMoney, micros } from '../../rules/units.ts'
import type { Contract, Fault, Snapshot } from '../../rules/version.ts'
import { type CapPage, Line, lineOf, SHOWN_CAPS } from '../admin/caps-page.ts'
import { type Call, json, type Operation, type Page } from '../admin/operation.ts'
import { mergePatch, valueAt } from '../admin/resources.ts'
import { id, moment, money, nullable, object, text, whole, words } from '../admin/shapes.ts'
import { capLines } from '../cap-lines.ts'
import { liftSwitches, type SwitchRow, setSwitch, switchesOn } from '../configuration/switchboard.ts'
import * as problem from '../problem.ts'
import { newestVersion } from '../store/queries.ts'
import { mayChangeNow } from './changes.ts'
import type { PortalParts } from './operations.ts'

const count = () => nullable(whole('Leads; null takes the cap away.'))
const amount = () =>
  nullable(Type.String({ pattern: '^\\d{1,9}(\\.\\d{1,6})?$', description: 'Money; null takes the cap away.' }))
const each = <T>(names: readonly string[], one: () => T): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, one()]))
const opt = Type.Optional
const Caps = object({
  ...each(COUNT_CAPS, () => opt(count())),
  spend: opt(object(each(SPEND_CAPS, () => opt(amount())))),
})
const Change = object({
  paused: opt(Type.Boolean({ description: 'Pauses the contract, or lifts the pause that you set.' })),
  caps: opt(Caps),
  note: opt(Type.String({ minLength: 1, maxLength: 500, description: 'Why, for the audit.' })),
})
const bound = nullable(Type.Union([whole('Of leads.'), money('Of money.')]))
const Shown = object({
  id: text('Its id.'),
  campaign: text('In which campaign it buys.'),
  state: words('active', 'paused', 'inactive'),
  paused_by: nullable(words('buyer', 'operator')),
  paused_until: nullable(moment('When the pause ends by itself.')),
  price: nullable(money('Its own price; null where it comes with the bid.')),
  currency: text('USD'),
  caps: Type.Array(Line, { description: 'What is used and what remains.' }),
  self_service: object({
    pause: Type.Boolean({ description: 'Whether you may pause it.' }),
    caps: Type.Record(Type.String(), object({ min: bound, max: bound }), {
      description: 'Which caps you may set, and how far.',
    }),
  }),
})

export function contractOperations(parts: PortalParts): readonly Operation[] {
  const shared = { tag: 'buyers', role: 'buyer' } as const
  return [
    {
      ...{ ...shared, id: 'listContracts', method: 'GET', path: '/v1/buyer/contracts' },
      summary: 'Your contracts: whether they buy, and what remains of their caps and of yours.',
      answers: {
        200: {
          description: 'In the order of their ids.',
          schema: object({ contracts: Type.Array(Shown), caps: Type.Array(Line) }),
        },
      },
      run: (call) => list(parts, call),
    },
    {
      ...{ ...shared, id: 'changeContract', method: 'PATCH', path: '/v1/buyer/contracts/{id}', body: Change },
      ...{ params: { id: id('A contract of yours.') } },
      summary: 'Pauses or resumes a contract and changes its caps, as far as you may. It acts within a second.',
      answers: {
        200: {
          description: 'How it is from now on.',
          schema: object({
            id: text('Its id.'),
            paused: Type.Boolean(),
            caps: Type.Record(Type.String(), Type.Unknown()),
          }),
        },
      },
      run: (call) => change(parts, call),
    },
  ]
}

interface Owned {
  readonly id: string
  readonly campaign: string
  readonly currency: string
  readonly contract: Contract
}

/** In the order of their ids. */
export const contractsOf = ({ campaigns }: Snapshot, buyer: string): readonly Owned[] =>
  [...campaigns.values()]
    .flatMap(({ id: campaign, currency, contracts }) =>
      contracts.flatMap((contract) =>
        contract.buyer.id === buyer ? [{ id: contract.id, campaign, currency, contract }] : [],
      ),
    )
    .sort((a, b) => (a.id < b.id ? -1 : 1))

async function list({ db, hot, clock, snapshot }: PortalParts, { actor }: Call): Promise<Page> {
  const version = snapshot()
  const buyer = actor.label
  const [lines, switches] = await Promise.all([
    capLines(version, hot, clock.wall(), { buyer }, SHOWN_CAPS),
    switchesOn(db),
  ])
  const shown = lines.filter(({ scope }) => scope === 'contract' || scope === 'buyer').map(lineOf)
  const contracts = contractsOf(version, buyer).map((owned) => {
    const pauses = pausesOf(switches, owned.id, buyer)
    return contractPage(owned, pauses, shown, clock.wall())
  })
  return json({ contracts, caps: shown.filter(({ scope }) => scope === 'buyer') })
}

const pausesOf = (switches: readonly SwitchRow[], contract: string, buyer: string): readonly SwitchRow[] =>
  switches.filter((one) => one.kind === 'pause' && (one.contract === contract || one.buyer === buyer))

function contractPage(
  { id: contractId, campaign, currency, contract }: Owned,
  pauses: readonly SwitchRow[],
  lines: readonly CapPage[],
  now: number,
): object {
  const { pause, caps } = contract.selfService
  // The operator's outlasts one that the buyer may lift.
  const first = pauses.find((one) => one.set_role !== 'buyer') ?? pauses[0]
  const configured = contract.pausedUntil > now ? new Date(contract.pausedUntil) : null
  const paused = configured !== null || first !== undefined
  const until = first ? first.until : configured
  return {
    ...{ id: contractId, campaign, currency },
    state: !contract.active ? 'inactive' : paused ? 'paused' : 'active',
    paused_by: !paused ? null : first?.set_role === 'buyer' && configured === null ? 'buyer' : 'operator',
    paused_until: until?.toISOString() ?? null,
    price: contract.price === null ? null : formatMoney(contract.price),
    caps: lines.filter(({ scope, owner }) => scope === 'contract' && owner === contractId),
    self_service: {
      pause,
      caps: Object.fromEntries(
        [...caps].map(([name, { min, max }]) => [name, { min: shownBound(name, min), max: shownBound(name, max) }]),
      ),
    },
  }
}

const shownBound = (name: string, value: number | null): number | string | null =>
  value !== null && name.startsWith('spend.') ? formatMoney(micros(value)) : value

interface Given {
  readonly paused?: boolean
  readonly caps?: CapsGiven
  readonly note?: string
}

async function change(parts: PortalParts, call: Call): Promise<Page> {
  const { db, snapshot } = parts
  const { paused, caps, note = null } = call.body as Given
  const contract = call.params['id']!
  const owned = contractsOf(snapshot(), call.actor.label).find((one) => one.id === contract)
  if (!owned) return problem.nothingHere()
  if (paused !== undefined && !owned.contract.selfService.pause)
    return problem.operatorsAlone('Your operator alone pauses and resumes this contract.')
  const wait = await mayChangeNow(db, call.actor)
  if (wait) return wait
  if (caps !== undefined) {
    const refused = await setCaps(parts, call, contract, caps, note)
    if (refused) return refused
  }
  const own = { set_by: call.actor.label, set_role: 'buyer' }
  if (paused === false) await liftSwitches(db, call.actor, { kind: 'pause', contract, ...own })
  if (paused === true && !(await pause(parts, call, contract, note)))
    return problem.conflict('As many pauses and blocks are on as there may be: ask your operator.')
  return changed(parts, call, contract)
}

/** True where it is paused by the buyer: it is not paused twice. */
async function pause({ db }: PortalParts, { actor }: Call, contract: string, note: string | null): Promise<boolean> {
  const own = pausesOf(await switchesOn(db), contract, actor.label)
  if (own.some(({ set_by, set_role }) => set_role === 'buyer' && set_by === actor.label)) return true
  const nobody = { buyer: null, campaign: null, source: null, sub: null, value: null, until: null }
  return (await setSwitch(db, actor, { kind: 'pause', contract, ...nobody, note })) !== null
}

/** Publishes them on the spot; what is allowed is looked at in the version that they change. Null: they are in force within a second. */
async function setCaps(
  { publishing }: PortalParts,
  { actor }: Call,
  contract: string,
  caps: CapsGiven,
  note: string | null,
): Promise<Page | null> {
  let faults: readonly Fault[] = []
  const done = await publishing.urgent(actor, `caps of contracts.${contract}`, note, (config) => {
    const { buyers, contracts } = config as unknown as ConfigFile
    const now = contracts[contract]
    if (now?.buyer !== actor.label) return null
    const allowed = selfServiceOf(buyers[now.buyer]?.self_service, now.self_service)
    faults = capFaults(caps, allowed, formatMoney)
    if (faults.length > 0) return null
    return mergePatch(config, { contracts: { [contract]: { caps } } }) as Readonly<Record<string, unknown>>
  })
  if (faults.length > 0) return capsRefused(faults)
  if (done.ok || done.code === 'SAME') return null
  if (done.code === 'FAULTY')
    return capsRefused(done.faults.filter(({ path }) => path.startsWith(`contracts.${contract}.caps`)))
  return done.code === 'UNKNOWN'
    ? problem.nothingHere()
    : problem.conflict('Caps cannot be changed here at the moment: ask your operator.')
}

const capsRefused = (faults: readonly Fault[]): Page =>
  problem.faulty(
    'The caps were not changed.',
    faults.map(({ path, message }) => ({ path: `body.${path.replace(/^contracts\.[^.]+\./, '')}`, message })),
  )

async function changed({ db }: PortalParts, { actor }: Call, contract: string): Promise<Page> {
  const [{ canonical }, switches] = await Promise.all([newestVersion(db), switchesOn(db)])
  const caps = (valueAt(JSON.parse(canonical), ['contracts', contract, 'caps']) ?? {}) as Readonly<
    Record<string, unknown>
  >
  const named = [...COUNT_CAPS, 'spend'].flatMap((name) => (caps[name] === undefined ? [] : [[name, caps[name]]]))
  const paused = pausesOf(switches, contract, actor.label).length > 0
  return json({ id: contract, paused, caps: Object.fromEntries(named) })
}
