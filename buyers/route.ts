/** One contract's way to its buyer: the adapter that speaks its wire, and the lines that its requests take. */
import type { Contract } from '../rules/version.ts'
import type { Adapter } from './adapter.ts'
import type { Health, Line } from './health.ts'

export class Route {
  readonly adapter: Adapter
  readonly contract: Contract
  readonly #health: Health
  #ping: Line | null = null
  #post: Line | null = null

  constructor(contract: Contract, adapter: Adapter, health: Health) {
    this.contract = contract
    this.adapter = adapter
    this.#health = health
  }

  line(kind: 'ping' | 'post', origin: string): Line {
    const known = kind === 'ping' ? this.#ping : this.#post
    if (known?.origin === origin) return known
    const line = this.#health.line(this.contract, kind, origin)
    if (kind === 'ping') this.#ping = line
    else this.#post = line
    return line
  }

  /** A 5xx says that the server does not work, unless the contract declares it a rejection; so does its own timeout. */
  isSick(status: number): boolean {
    return status === 408 || (status >= 500 && this.contract.serverError === 'in_doubt')
  }
}
