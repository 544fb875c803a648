/** A TCP proxy between an engine and one of its stores: it can cut the line, refuse new ones, and keep answers back. */

import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'

interface Line {
  readonly client: Socket
  readonly store: Socket
  /** Answers that were kept back. */
  kept: Buffer[]
  keeping: boolean
  /** What came while the proxy was silent, in its order. */
  readonly swallowed: { readonly to: 'client' | 'store'; readonly chunk: Buffer }[]
}

export class StoreProxy {
  readonly #server: Server
  readonly #target: { readonly host: string; readonly port: number }
  readonly #lines = new Set<Line>()
  #refusing = false
  #silent = false
  #trigger: ((sent: string) => boolean) | null = null
  #triggered: () => void = () => {}

  private constructor(target: URL) {
    this.#target = { host: target.hostname, port: Number(target.port) }
    this.#server = createServer({ noDelay: true }, (client) => this.#join(client))
  }

  /** `target`: a store's address; answers itself and the address under which it stands for that store. */
  static async open(target: string): Promise<{ readonly proxy: StoreProxy; readonly url: string }> {
    const url = new URL(target)
    const proxy = new StoreProxy(url)
    await new Promise<void>((up) => proxy.#server.listen(0, '127.0.0.1', up))
    url.hostname = '127.0.0.1'
    url.port = String((proxy.#server.address() as AddressInfo).port)
    return { proxy, url: url.href }
  }

  /** Cuts every line and takes no new ones, until `allow`. */
  refuse(): void {
    this.#refusing = true
    for (const { client, store } of this.#lines) {
      client.destroy()
      store.destroy()
    }
  }

  /** Takes what comes and lets nothing through, in either direction, until `allow`. */
  silence(): void {
    this.#silent = true
  }

  allow(): void {
    this.#refusing = false
    this.#silent = false
    for (const { client, store, swallowed } of this.#lines) {
      for (const { to, chunk } of swallowed.splice(0)) (to === 'client' ? client : store).write(chunk)
    }
  }

  /** Keeps back all answers on the line on which something is sent that `trigger` knows; resolves when that has been sent. */
  keepAnswersOf(trigger: (sent: string) => boolean): Promise<void> {
    return new Promise((triggered) => {
      this.#trigger = trigger
      this.#triggered = triggered
    })
  }

  /** Lets the answers go that were kept back. */
  release(): void {
    this.#trigger = null
    for (const line of this.#lines) {
      line.keeping = false
      for (const chunk of line.kept.splice(0)) line.client.write(chunk)
    }
  }

  async close(): Promise<void> {
    this.refuse()
    await new Promise((down) => this.#server.close(down))
  }

  #join(client: Socket): void {
    if (this.#refusing) {
      client.destroy()
      return
    }
    const store = connect({ ...this.#target, noDelay: true })
    const line: Line = { client, store, kept: [], keeping: false, swallowed: [] }
    this.#lines.add(line)
    client.on('data', (chunk: Buffer) => {
      if (this.#trigger?.(chunk.toString('latin1'))) {
        this.#trigger = null
        line.keeping = true
        this.#triggered()
      }
      if (this.#silent) line.swallowed.push({ to: 'store', chunk })
      else store.write(chunk)
    })
    store.on('data', (chunk: Buffer) => {
      if (this.#silent) line.swallowed.push({ to: 'client', chunk })
      else if (line.keeping) line.kept.push(chunk)
      else client.write(chunk)
    })
    for (const [one, other] of [
      [client, store],
      [store, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => {
        other.destroy()
        this.#lines.delete(line)
      })
    }
  }
}
