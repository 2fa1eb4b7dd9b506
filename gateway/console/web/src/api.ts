// The admin API, as the screens ask it: same origin, the session's cookie, JSON. Shapes belong to the screens that show them.
import { signal } from '@preact/signals'

/** What the API said instead of an answer. `status` is 0 if the gateway could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

/** Who looks on. `login`: nobody is signed in, and the API answers nobody else. */
export interface Session {
  login: boolean
  name?: string
  role?: 'viewer' | 'operator' | 'admin'
  tenants?: string[] // left out: all
}

/** Null until the gateway has said it. */
export const session = signal<Session | null>(null)

export type Query = Record<string, string | number | undefined>

/** A path with its query; what is empty or undefined is left out. */
export function url(path: string, query: Query = {}): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') q.set(name, String(value))
  }
  const text = q.toString()
  return text ? `${path}?${text}` : path
}

/** Asks, and throws an ApiError for everything that is no answer. Of a 204 it is undefined. */
export async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let r: Response
  try {
    r = await fetch(path, {
      method,
      signal: signal ?? null,
      headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      body: body === undefined ? null : JSON.stringify(body),
    })
  } catch (e) {
    if (signal?.aborted) throw e
    throw new ApiError(0, 'unreachable', 'The gateway does not answer.')
  }
  const text = await r.text()
  if (r.ok) return (text ? JSON.parse(text) : undefined) as T
  const e = errorOf(r.status, text)
  if (r.status === 401) session.value = { login: true }
  throw e
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal) => ask<T>('GET', url(path, query), undefined, signal)
export const post = <T>(path: string, body: unknown = {}) => ask<T>('POST', path, body)
export const put = <T>(path: string, body: unknown) => ask<T>('PUT', path, body)
export const del = <T>(path: string) => ask<T>('DELETE', path)

function errorOf(status: number, text: string): ApiError {
  try {
    const { error } = JSON.parse(text)
    return new ApiError(status, error.code ?? 'error', error.message ?? text)
  } catch {
    return new ApiError(status, 'error', text.slice(0, 200) || `The gateway answered ${status}.`)
  }
}

/** Follows a list that is also there as server-sent events, until the function that it returns is called. The browser connects
 *  again by itself; `live` says whether it is connected. */
export function follow<T>(path: string, event: string, got: (item: T) => void, live: (on: boolean) => void): () => void {
  const source = new EventSource(path)
  source.onopen = () => live(true)
  source.onerror = () => live(false)
  source.addEventListener(event, (e) => got(JSON.parse((e as MessageEvent<string>).data)))
  return () => source.close()
}

/** Asks who looks on. */
export async function whoami(): Promise<void> {
  session.value = await get<Session>('/admin/v1/session')
}

export async function signIn(token: string): Promise<void> {
  await post('/admin/v1/session', { token })
  await whoami()
}

export async function signOut(): Promise<void> {
  await del('/admin/v1/session')
  session.value = { login: true }
}

/** Whether who is signed in may do what takes this role. */
export function may(role: 'operator' | 'admin'): boolean {
  const ranks = ['viewer', 'operator', 'admin']
  return ranks.indexOf(session.value?.role ?? 'viewer') >= ranks.indexOf(role)
}
