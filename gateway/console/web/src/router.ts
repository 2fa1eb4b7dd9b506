// The address after the #: #/requests?tenant=acme is the screen "requests" with a query. So the gateway serves one page.
import { signal } from '@preact/signals'

export interface Route {
  screen: string
  query: URLSearchParams
}

function read(): Route {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  return { screen: path || 'overview', query: new URLSearchParams(query) }
}

export const route = signal<Route>(read())
addEventListener('hashchange', () => (route.value = read()))

/** The address of a screen, for a link. What is empty or undefined is left out of the query. */
export function href(screen: string, query: Record<string, string | undefined> = {}): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value) q.set(name, value)
  const text = q.toString()
  return `#/${screen}${text ? `?${text}` : ''}`
}

/** Changes names of the query of the present screen; undefined takes one away. It makes no entry in the history. */
export function refine(change: Record<string, string | undefined>): void {
  const query = { ...Object.fromEntries(route.value.query), ...change }
  history.replaceState(null, '', href(route.value.screen, query))
  route.value = read()
}
