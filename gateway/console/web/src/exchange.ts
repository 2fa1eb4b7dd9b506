// An exchange that has ended, as /admin/v1/exchanges says it. What is not there is left out; times are in milliseconds.
import type { Tone } from './ui/parts'

export interface Exchange {
  time: string
  id: string
  endpoint: string
  tenant?: string
  key?: string
  user?: string
  model?: string
  provider?: string
  target_model?: string
  upstream_request_id?: string
  waited_ms?: number
  status: number
  aborted?: boolean
  stream?: boolean
  cache?: string // how it was answered from the cache: exact, semantic, coalesced
  client?: string
  error_code?: string
  error_origin?: string
  error?: string
  first_ms?: number
  total_ms: number
  usage?: string
  input_tokens?: number
  cache_read_tokens?: number
  output_tokens?: number
  reasoning_tokens?: number
  cost_usd?: number
  cost?: string
  cost_reason?: string
  tries?: Try[]
  steps?: Step[]
}

export interface Try {
  provider: string
  key?: string
  target_model?: string
  outcome: string
  status?: number
  resent?: boolean
  hedged?: boolean
  waited_ms?: number
  at_ms: number
  first_ms?: number
  error?: string
  total_ms: number
  cost_usd?: number
}

export interface Step {
  name: string
  at_ms: number
}

/** Of what kind an exchange's end was. */
export type Kind = 'ok' | 'cached' | 'error'

export function kindOf(x: Exchange): Kind {
  if (x.status >= 400 || x.aborted) return 'error'
  return x.cache ? 'cached' : 'ok'
}

export function toneOf(status: number | undefined, aborted = false): Tone {
  if (aborted || (status ?? 0) >= 500) return 'bad'
  return (status ?? 0) >= 400 ? 'warn' : 'good'
}
