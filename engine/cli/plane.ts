/** The command line's way to a running engine: one JSON call at a time, with refusals told in words. */
import { request } from 'undici'
import { Complaint } from './output.ts'

export interface Plane {
  /** Rejects with a `Complaint` where the engine refuses or cannot be reached. */
  call<T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<T>
  /** The answer as text. */
  text(path: string): Promise<string>
}

interface Problem {
  readonly title?: string
  readonly detail?: string
  readonly faults?: readonly { readonly path: string; readonly message: string }[]
}

const PATIENCE_MS = 60_000

/** `key`: of the admin plane. */
export function openPlane(origin: string, key: string | undefined): Plane {
  if (key === undefined || key === '') {
    throw new Complaint(
      "There is no key: set GAVELPOST_KEY to a key of the admin plane (the example's is demo-admin).",
      2,
    )
  }
  const ask = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, accept: string, body?: unknown) => {
    const reply = await reach(`${origin}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        accept,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: PATIENCE_MS,
      bodyTimeout: PATIENCE_MS,
    })
    const text = await reply.body.text()
    if (reply.statusCode >= 300) throw refusalOf(reply.statusCode, text)
    return text
  }
  return {
    call: async <T>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) => {
      const text = await ask(method, path, 'application/json', body)
      return (text === '' ? null : JSON.parse(text)) as T
    },
    text: (path) => ask('GET', path, 'text/plain'),
  }
}

/** A request whose failure is told in words. */
export async function reach(
  url: string,
  options: Parameters<typeof request>[1],
): Promise<Awaited<ReturnType<typeof request>>> {
  try {
    return await request(url, options)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new Complaint(
      `${new URL(url).origin} cannot be reached (${code ?? message}). Is the engine running, and is this its address?`,
    )
  }
}

function refusalOf(status: number, text: string): Complaint {
  const problem = problemIn(text)
  if (status === 401) return new Complaint('The key is not known there: set GAVELPOST_KEY to one of its admin keys.')
  const faults = problem.faults?.map(({ path, message }) => `  ${path}: ${message}`) ?? []
  return new Complaint([problem.detail ?? `The engine answered ${status}.`, ...faults].join('\n'))
}

function problemIn(text: string): Problem {
  try {
    return JSON.parse(text) as Problem
  } catch {
    return {}
  }
}
