/** Trying a contract on its buyer, and a check on its service, before they go live. */
import Type from 'typebox'
import type { Clock } from '../../buyers/wire.ts'
import { testCheck } from '../checks/trial.ts'
import type { Publishing } from '../configuration/publishing.ts'
import { testContract } from '../onboarding.ts'
import * as problem from '../problem.ts'
import { json, type Operation } from './operation.ts'
import { id, nullable, object, text, whole } from './shapes.ts'

const Headers = Type.Array(Type.Tuple([Type.String(), Type.String()]))
const Said = object({
  sent: object({ method: Type.String(), url: Type.String(), headers: Headers, body: Type.String() }),
  reply: nullable(object({ status: whole('The HTTP status.'), headers: Headers, body: Type.String() })),
  read: Type.Record(Type.String(), Type.Unknown(), { description: 'What the reply was understood to say.' }),
  took_ms: whole('How long the buyer took.'),
})
const Trial = object({
  contract: text('Its id.'),
  passed: Type.Boolean({ description: 'The buyer accepted the test lead.' }),
  ping: nullable(Said),
  post: nullable(Said),
  status: text('The status of the contract in the draft, after the trial.'),
  next: text('What to do next.'),
})

const CheckTrial = object({
  check: text('Its id.'),
  asked: Said,
  refuses: Type.Boolean({ description: 'A lead of which this is known is refused.' }),
})

export function trialOperations(publishing: Publishing, clock: Clock): readonly Operation[] {
  return [
    {
      ...{ id: 'testContract', method: 'POST', path: '/admin/v1/contracts/{id}:test', tag: 'contracts' },
      role: 'operator',
      params: { id: id('The contract.') },
      summary:
        'Sends a made-up lead to the buyer of a contract of the draft, at its test addresses where it has some, and shows every byte. A contract in test becomes active in the draft when it passes.',
      answers: { 200: { description: 'What was sent and heard, secrets starred out.', schema: Trial } },
      run: async ({ params, actor }) => {
        const tried = await testContract({ publishing, clock }, actor, params['id']!)
        if (tried.ok) return json(tried.page)
        return tried.code === 'UNKNOWN'
          ? problem.nothingHere()
          : problem.faulty('The draft has faults, so nothing was sent.', tried.faults)
      },
    },
    {
      ...{ id: 'testCheck', method: 'POST', path: '/admin/v1/checks/{id}:test', tag: 'checks' },
      role: 'operator',
      params: { id: id('The check.') },
      summary:
        'Asks the service of a check of the draft about a made-up lead, and shows every byte and what was found out. The call has its price.',
      answers: { 200: { description: 'What was sent and heard, secrets starred out.', schema: CheckTrial } },
      run: async ({ params }) => {
        const tried = await testCheck({ publishing, clock }, params['id']!)
        if (tried.ok) return json(tried.page)
        return tried.code === 'UNKNOWN' ? problem.nothingHere() : problem.faulty('Nothing was sent.', tried.faults)
      },
    },
  ]
}
