/** Why a port cannot be listened on, in words that say what to do. */
import { createServer } from 'node:net'

/** `code`: the system's, such as EADDRINUSE. */
export function listenFault(host: string, port: number, code: string | undefined): Error {
  return new Error(`${host}:${port} cannot be listened on: ${wordsFor(code)}`)
}

function wordsFor(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'another program has this port. Stop it, or choose another port.'
  if (code === 'EACCES') return 'ports under 1024 need a privilege. Choose a higher port.'
  if (code === 'EADDRNOTAVAIL') return 'this machine does not have this address. Choose one that it has.'
  return `the system answered ${code ?? 'nothing'}.`
}

/** Takes the port alone for a moment: null where that works, else why not. */
export function probePort(host: string, port: number): Promise<Error | null> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(listenFault(host, port, code)))
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(null)))
  })
}
