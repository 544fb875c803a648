/** Delivers leads by mail: one session per letter, ended exactly once, by what the mail server has said and what left. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection'
import { reason } from '../rules/reason.ts'
import type { Contract } from '../rules/version.ts'
import type { PostAnswer } from './adapter.ts'
import { ConnectFailure, type Guard } from './guard.ts'
import { identityOf, type TlsIdentity } from './identity.ts'
import { bareAddress } from './letter.ts'
import type { PostOrder } from './poster.ts'
import { cleanWords } from './reply.ts'
import type { Clock, PostEnd, Timer } from './wire.ts'

/** Sessions under way at once, over all buyers. */
const MAX_SESSIONS = 64
const LOOPBACK = /^(?:127\.|\[::1\]$|localhost$)/

type MailError = Error & { readonly code?: string; readonly responseCode?: number; readonly response?: string }

export class Mailer {
  private readonly clock: Clock
  private readonly guard: Guard
  private readonly under = new Set<Session>()
  private closing = false

  constructor(clock: Clock, guard: Guard) {
    this.clock = clock
    this.guard = guard
  }

  /** Calls `ended` exactly once, and never before it returns. There is no late answer: a session that is over is closed. */
  post(contract: Contract, order: PostOrder): void {
    const request = order.route.adapter.postRequest(order.lead, order.facts)
    const line = order.route.line('post', request.origin)
    const refuse = (why: string): void => queueMicrotask(() => order.ended({ kind: 'notSent', reason: why }))
    if (this.closing) return refuse('connect_closed')
    if (this.clock.mono() > order.postBy) return refuse('post_by')
    if (line.breaker.refuses(this.clock.mono())) return refuse('breaker')
    if (this.under.size >= MAX_SESSIONS || line.isFull()) return refuse('queue_full')
    const ticket = line.breaker.take(this.clock.mono())
    line.inFlight++
    const session = new Session(this.clock, contract, order, request.body, (end, isSick) => {
      line.inFlight--
      this.under.delete(session)
      if (isSick) line.breaker.sick(ticket, this.clock.mono())
      else line.breaker.well(ticket)
      queueMicrotask(() => order.ended(end))
    })
    this.under.add(session)
    session.begin(this.guard)
  }

  /** Letters under way are waited for: each ends by its own time. */
  async close(): Promise<void> {
    this.closing = true
    await Promise.all([...this.under].map((session) => session.over))
  }

  get inFlight(): number {
    return this.under.size
  }
}

/**
 * Connecting -> speaking (nothing of the lead has left) -> writing (something may have) -> over. What ends it before the
 * letter is begun means that nothing was sent, unless the server refused it for good; afterwards only the server's own word
 * does.
 */
class Session {
  readonly over: Promise<void>
  private readonly clock: Clock
  private readonly contract: Contract
  private readonly order: PostOrder
  private readonly letter: string
  private readonly timer: Timer
  private readonly tell: (end: PostEnd, isSick: boolean) => void
  private readonly passed: () => void
  private writing = false
  private live = true
  private connection: SMTPConnection | null = null

  constructor(
    clock: Clock,
    contract: Contract,
    order: PostOrder,
    letter: string,
    tell: (end: PostEnd, isSick: boolean) => void,
  ) {
    this.clock = clock
    this.contract = contract
    this.order = order
    this.letter = letter
    this.tell = tell
    this.timer = clock.after(order.postMs, () => this.end(this.writing ? unknown('timeout') : notSent('connect'), true))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.over = promise
    this.passed = resolve
  }

  begin(guard: Guard): void {
    const { protocol, hostname, port } = new URL(this.contract.delivery.postUrl)
    const secure = protocol === 'smtps:'
    const target = { protocol: 'http:', hostname, host: hostname, port: port || (secure ? '465' : '587') }
    guard.connect(target, (error, socket) => {
      if (error !== null) return this.end(notSent(error instanceof ConnectFailure ? error.reason : 'connect'), true)
      if (!this.live) return void socket.destroy()
      this.speak(socket, hostname, secure)
    })
  }

  private speak(socket: Socket, host: string, secure: boolean): void {
    const { tls } = this.contract.delivery
    const { name: _name, ...identity }: Partial<TlsIdentity> = tls === null ? {} : identityOf(tls)
    const options: SMTPConnectionOptions = {
      connection: socket,
      host,
      secure,
      // Without TLS a lead would travel in the clear: only a server on the same machine may do without.
      requireTLS: !secure && !LOOPBACK.test(host),
      tls: identity,
      connectionTimeout: this.order.postMs,
      greetingTimeout: this.order.postMs,
      socketTimeout: this.order.postMs,
    }
    const connection = new SMTPConnection(options)
    this.connection = connection
    connection.on('error', (error: MailError) => this.failed(error))
    connection.on('end', () => this.failed(new Error('the mail server hung up')))
    connection.connect((error) => (error ? this.failed(error) : this.login(connection)))
  }

  private login(connection: SMTPConnection): void {
    const { auth } = this.contract.delivery.post
    if (auth?.kind !== 'basic') return this.send(connection)
    connection.login({ credentials: { user: auth.user, pass: auth.password } }, (error) => {
      if (error) this.failed(error)
      else this.send(connection)
    })
  }

  private send(connection: SMTPConnection): void {
    const { mail } = this.contract.delivery.post
    const envelope = { from: bareAddress(mail!.from), to: mail!.to.map(bareAddress) }
    connection.send(envelope, this.letterStream(), (error) => {
      if (error) return this.failed(error)
      this.end({ kind: 'accepted', price: null, buyerReference: null, redirectUrl: null }, false)
    })
  }

  /** Read once the server has said that it may come: the last moment at which it can be held back. */
  private letterStream(): Readable {
    const begin = (stream: Readable): void => {
      if (this.clock.mono() > this.order.postBy) {
        this.end(notSent('post_by'), false)
        return
      }
      this.writing = true
      stream.push(this.letter)
      stream.push(null)
    }
    return new Readable({
      read() {
        begin(this)
      },
    })
  }

  private failed(error: MailError): void {
    const { code, responseCode, response } = error
    const words = cleanWords((response ?? '').split('\n')[0] ?? '')
    const said = reason('rejected', words)
    if (this.writing) {
      if (responseCode !== undefined) this.end({ kind: 'rejected', reason: said }, false)
      else this.end(unknown('reset'), true)
      return
    }
    const isRefusal = code === 'EENVELOPE' && responseCode !== undefined
    if (isRefusal && responseCode >= 500) this.end({ kind: 'rejected', reason: said }, false)
    else if (isRefusal) this.end(notSent(said), false)
    else this.end(notSent(this.inTls(code) ? 'tls' : code === 'EAUTH' ? said : 'connect'), true)
  }

  private inTls(code: string | undefined): boolean {
    return code === 'ETLS' || this.connection?.upgrading === true
  }

  private end(end: PostEnd, isSick: boolean): void {
    if (!this.live) return
    this.live = false
    this.timer.cancel()
    if (end.kind === 'accepted') this.connection?.quit()
    else this.connection?.close()
    this.tell(end, isSick)
    this.passed()
  }
}

const unknown = (why: string): PostAnswer => ({ kind: 'unknown', reason: why })
const notSent = (why: string): PostEnd => ({ kind: 'notSent', reason: why })
