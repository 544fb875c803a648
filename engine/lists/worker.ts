/** The thread in which a suppression list's file is read, for a million entries take seconds: answers what was read. */
import { parentPort, workerData } from 'node:worker_threads'
import type { ListSpec } from '../../rules/suppression.ts'
import { createSealer, type MasterKeys } from '../seal.ts'
import { readList } from './reader.ts'

export interface ListTask {
  readonly path: string
  readonly spec: ListSpec
  /** Master keys by version: copies of their bytes. */
  readonly masters: ReadonlyMap<number, Uint8Array>
}

const { path, spec, masters } = workerData as ListTask
const keys: MasterKeys = new Map(Array.from(masters, ([version, key]) => [version, Buffer.from(key)]))
const read = await readList(path, spec, createSealer(keys))
parentPort!.postMessage(read, [read.numbers.buffer as ArrayBuffer])
