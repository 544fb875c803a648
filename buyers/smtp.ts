/** One letter to one mail server: a session that ends exactly once, by what the server has said and what had left by then. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection'
import type { Ms } from '../rules/units.ts'
import { ConnectFailure, type Guard } from './guard.ts'
import type { TlsIdentity } from './identity.ts'
import { cleanWords } from './reply.ts'
import type { Clock, Timer } from './wire.ts'

const LOOPBACK = /^(?:127\.|\[::1\]$|localhost$)/

type MailError = Error & { readonly code?: string; readonly responseCode?: number; readonly response?: string }

export interface SmtpOrder {
  /** `smtp://` begins in the clear and asks for TLS, `smtps://` begins with it. */
  readonly url: string
  readonly login: { readonly user: string; readonly password: string } | null
  readonly identity: Omit<TlsIdentity, 'name'> | null
  readonly envelope: { readonly from: string; readonly to: string[] }
  /** The whole message. */
  readonly letter: string
  readonly withinMs: Ms
  /** Asked when the server has said that the letter may come: the last moment at which it can be held back. */
  readonly mayLeave?: () => boolean
  /** Told of the server's last word on the letter. */
  readonly heard?: (response: string) => void
}

/**
 * `refused`: in the server's own words, before a byte of the letter left (`begun` false) or after. `broken`: nobody knows
 * what became of it where it was `begun`.`withheld`: it was not to leave any more.
 */
export type SmtpEnd =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly status: number; readonly words: string; readonly begun: boolean }
  | { readonly kind: 'login'; readonly words: string }
  | { readonly kind: 'broken'; readonly why: string; readonly begun: boolean }
  | { readonly kind: 'withheld' }

/**
 * Connecting -> speaking (nothing of the letter has left) -> writing (something may have) -> over. A session that is over
 * is closed: there is no late answer.
 */
export class SmtpSession {
  readonly over: Promise<void>
  readonly #order: SmtpOrder
  readonly #timer: Timer
  readonly #tell: (end: SmtpEnd) => void
  readonly #passed: () => void
  #writing = false
  #live = true
  #connection: SMTPConnection | null = null

  constructor(clock: Pick<Clock, 'after'>, order: SmtpOrder, tell: (end: SmtpEnd) => void) {
    this.#order = order
    this.#tell = tell
    this.#timer = clock.after(order.withinMs, () => this.#broke(this.#writing ? 'timeout' : 'connect'))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.over = promise
    this.#passed = resolve
  }

  begin(guard: Guard): void {
    const { protocol, hostname, port } = new URL(this.#order.url)
    const secure = protocol === 'smtps:'
    const target = { protocol: 'http:', hostname, host: hostname, port: port || (secure ? '465' : '587') }
    guard.connect(target, (error, socket) => {
      if (error !== null) return this.#broke(error instanceof ConnectFailure ? error.reason : 'connect')
      if (!this.#live) return void socket.destroy()
      this.#speak(socket, hostname, secure)
    })
  }

  #speak(socket: Socket, host: string, secure: boolean): void {
    const { identity, withinMs } = this.#order
    const options: SMTPConnectionOptions = {
      connection: socket,
      host,
      secure,
      // Without TLS a lead would travel in the clear: only a server on the same machine may do without.
      requireTLS: !secure && !LOOPBACK.test(host),
      tls: identity ?? {},
      connectionTimeout: withinMs,
      greetingTimeout: withinMs,
      socketTimeout: withinMs,
    }
    const connection = new SMTPConnection(options)
    this.#connection = connection
    connection.on('error', (error: MailError) => this.#failed(error))
    connection.on('end', () => this.#failed(new Error('the mail server hung up')))
    connection.connect((error) => (error ? this.#failed(error) : this.#login(connection)))
  }

  #login(connection: SMTPConnection): void {
    const { login } = this.#order
    if (login === null) return this.#send(connection)
    connection.login({ credentials: { user: login.user, pass: login.password } }, (error) => {
      if (error) this.#failed(error)
      else this.#send(connection)
    })
  }

  #send(connection: SMTPConnection): void {
    connection.send(this.#order.envelope, this.#letterStream(), (error, info) => {
      if (error) return this.#failed(error)
      this.#order.heard?.(info.response)
      this.#end({ kind: 'taken' })
    })
  }

  #letterStream(): Readable {
    const begin = (stream: Readable): void => {
      if (this.#order.mayLeave?.() === false) return this.#end({ kind: 'withheld' })
      this.#writing = true
      stream.push(this.#order.letter)
      stream.push(null)
    }
    return new Readable({
      read() {
        begin(this)
      },
    })
  }

  #failed(error: MailError): void {
    const { code, responseCode, response } = error
    const words = cleanWords((response ?? '').split('\n')[0] ?? '')
    const begun = this.#writing
    if (begun && response !== undefined) this.#order.heard?.(response)
    if (responseCode !== undefined && (begun || code === 'EENVELOPE'))
      return this.#end({ kind: 'refused', status: responseCode, words, begun })
    if (begun) return this.#broke('reset')
    const inTls = code === 'ETLS' || this.#connection?.upgrading === true
    if (!inTls && code === 'EAUTH') return this.#end({ kind: 'login', words })
    this.#broke(inTls ? 'tls' : 'connect')
  }

  #broke(why: string): void {
    this.#end({ kind: 'broken', why, begun: this.#writing })
  }

  #end(end: SmtpEnd): void {
    if (!this.#live) return
    this.#live = false
    this.#timer.cancel()
    if (end.kind === 'taken') this.#connection?.quit()
    else this.#connection?.close()
    this.#tell(end)
    this.#passed()
  }
}
