/** Measures what it costs to keep what was said about a lead: ten pings and a post, put into records and sealed under its key. */
import { randomBytes } from 'node:crypto'
import { compileAdapter } from '../buyers/compile.ts'
import { Tape } from '../buyers/tape.ts'
import { writeRecord } from '../engine/exchanges/record.ts'
import { createSealer } from '../engine/seal.ts'
import { ms, wallMs } from '../rules/units.ts'
import type { Contract } from '../rules/version.ts'
import { freshLead, mapped, ownShape } from './templates.ts'
import { microsPer } from './timing.ts'

const AT = wallMs(Date.UTC(2026, 2, 2, 18))
const REPLY = '{"accept":true,"price":"18.50","buyer_reference":"B-77","reason":null,"redirect_url":null}'

/** The tapes of the ten pings, with heads as they go over the wire. */
function pingsTo(contracts: readonly Contract[]): readonly Tape[] {
  const wire = freshLead()()
  return contracts.map((contract, buyer) => {
    const { method, origin, path, headers, body } = compileAdapter(contract).pingRequest(wire, AT)
    const pairs: string[] = []
    for (let at = 0; at < headers.length; at += 2) pairs.push(`${headers[at]}: ${headers[at + 1]}\r\n`)
    const bytes = Buffer.from(body)
    const tape = new Tape('ping', contract, AT, ms(0))
    const host = `host: ${new URL(origin).host}\r\nconnection: keep-alive\r\n`
    tape.send(`${method} ${path} HTTP/1.1\r\n${host}${pairs.join('')}content-length: ${bytes.length}\r\n\r\n`)
    tape.send(bytes)
    const reply = REPLY.replace('18.50', `${buyer}8.50`)
    tape.hear(
      Buffer.from(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${reply.length}\r\n\r\n${reply}`,
      ),
    )
    tape.finish('whole', ms(40 + buyer))
    return tape
  })
}

/** `keep_exchanges_us`: our own shape; `keep_mapped_exchanges_us`: ten maps. `kept_bytes`, `kept_mapped_bytes`: of the ten pings. */
export function exchanges(batchMs: number): Readonly<Record<string, number>> {
  const key = createSealer(new Map([[1, randomBytes(32)]])).newKey('0197a0b0-1111-7222-8333-944455556666')
  const [own, maps] = [pingsTo(ownShape()), pingsTo(mapped())]
  const keep = (pings: readonly Tape[]): void => {
    key.sealExchanges(writeRecord(pings, 'post'))
    key.sealExchanges(writeRecord(pings.slice(0, 1), 'post'))
  }
  return {
    keep_exchanges_us: microsPer(batchMs, () => keep(own)),
    keep_mapped_exchanges_us: microsPer(batchMs, () => keep(maps)),
    kept_bytes: writeRecord(own, 'post').length,
    kept_mapped_bytes: writeRecord(maps, 'post').length,
  }
}
