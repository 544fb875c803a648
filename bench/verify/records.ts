/** What clients and buyers wrote down themselves, read from their files of JSON lines. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Acknowledgement } from '../load.ts'

/** One post as a buyer received it; moments are milliseconds since the Unix epoch. */
export interface PostRecord {
  readonly at: number
  readonly leadId: string
  readonly contract: string
  readonly answer: string
}

export interface Records {
  /** By lead; null where no record was given. Answers that name no lead are only counted. */
  readonly answers: ReadonlyMap<string, readonly Acknowledgement[]> | null
  readonly unnamed: number
  readonly posts: ReadonlyMap<string, readonly PostRecord[]> | null
}

/** Rejects where a file cannot be read or a line of it is no record. */
export async function readRecords(acks: readonly string[], posts: readonly string[]): Promise<Records> {
  const answers = new Map<string, Acknowledgement[]>()
  const received = new Map<string, PostRecord[]>()
  let unnamed = 0
  for await (const one of linesOf<Acknowledgement>(acks)) {
    if (one.lead_id !== null && (one.http === 200 || one.http === 202)) push(answers, one.lead_id, one)
    else unnamed++
  }
  for await (const { at, key, answer } of linesOf<{ at: number; key: string; answer: string }>(posts)) {
    const cut = key.indexOf(':')
    const [leadId, contract] = [key.slice(0, cut), key.slice(cut + 1)]
    push(received, leadId, { at, leadId, contract, answer })
  }
  return { answers: acks.length > 0 ? answers : null, unnamed, posts: posts.length > 0 ? received : null }
}

async function* linesOf<T>(files: readonly string[]): AsyncGenerator<T> {
  for (const file of files) {
    let number = 0
    for await (const line of createInterface({ input: createReadStream(file) })) {
      number++
      if (line === '') continue
      try {
        yield JSON.parse(line) as T
      } catch {
        throw new Error(`line ${number} of ${file} is no JSON: was it written to the end?`)
      }
    }
  }
}

function push<T>(map: Map<string, T[]>, key: string, one: T): void {
  const list = map.get(key)
  if (list) list.push(one)
  else map.set(key, [one])
}
