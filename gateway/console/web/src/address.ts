// Where programs reach the gateway's API, which is on another port than this page.
import { session } from './api'
import { useLoad } from './load'

interface Setting {
  path: string
  value: string
}

/** The API's address as far as the configuration says it, and else what a shell is to fill in. */
export function useAddress(): string {
  const { data } = useLoad<{ data: { settings: Setting[] } }>(session.value?.tenants?.length ? '' : '/admin/v1/config')
  const listen = data?.data.settings.find((s) => s.path === 'server.listen')?.value.replaceAll('"', '')
  const port = listen?.split(':').at(-1)
  if (!port) return '$SLUICE'
  const tls = data?.data.settings.some((s) => s.path === 'server.tls.cert')
  return `${tls ? 'https' : 'http'}://${location.hostname}:${port}`
}

/** A command that asks for something, for where nothing has been asked for yet. */
export const firstRequest = (address: string): string => `curl ${address}/v1/chat/completions -H "authorization: Bearer $SLUICE_API_KEY" \\
  -d '{"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}'`
