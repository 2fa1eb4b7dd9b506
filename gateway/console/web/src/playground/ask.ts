// Asking models as a tenant: exchanges on one WebSocket, of which several go on at once. What a connection that was lost did not
// bring comes over the next one; the model is not asked twice.
import { signal } from '@preact/signals'
import type { ChatRequest } from './conversation'

export interface Chunk {
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null } }[]
}

export interface Done {
  request_id: string
  usage: { completion_tokens?: number } | null
  cost: number | null
  provider: string | null
  model: string | null
  cache: string | null
}

export interface Hearing {
  chunk: (c: Chunk) => void
  done: (d: Done) => void
  failed: (message: string) => void
}

/** The gateway's API, as a tenant. */
export const apiOf = (tenant: string) => `/admin/v1/tenants/${encodeURIComponent(tenant)}/api/v1`

const grace = 120_000 // ms for which the gateway keeps what nobody hears, unless it is configured otherwise

interface Asked {
  on: Hearing
  request: ChatRequest | undefined // undefined: it was asked for before this page was loaded
  sent: boolean
  seq: number // of the last event that came
}

/** Whether answers wait for a connection that was lost. */
export const lost = signal(false)

/** What is asked for as one tenant. */
export class Line {
  private socket: WebSocket | undefined
  private readonly asked = new Map<string, Asked>()
  private failures = 0
  private lostAt = 0
  private timer = 0

  constructor(private readonly tenant: string) {
    addEventListener('online', () => this.timer && this.connect())
  }

  /** Asks. */
  ask(id: string, request: ChatRequest, on: Hearing): void {
    this.begin(id, { on, request, sent: false, seq: 0 })
  }

  /** Hears an exchange from its beginning that was asked for earlier. */
  resume(id: string, on: Hearing): void {
    this.begin(id, { on, request: undefined, sent: true, seq: 0 })
  }

  hears(id: string): boolean {
    return this.asked.has(id)
  }

  /** Gives an exchange up. Nothing is heard of it any more. */
  cancel(id: string): void {
    const x = this.asked.get(id)
    if (this.asked.delete(id) && x?.sent) this.say({ type: 'chat.cancel', id })
  }

  private begin(id: string, x: Asked): void {
    this.asked.set(id, x)
    if (this.socket?.readyState === WebSocket.OPEN) this.tell(id, x)
    else if (!this.socket && !this.timer) this.connect()
  }

  private tell(id: string, x: Asked): void {
    if (x.sent) this.say({ type: 'chat.resume', id, after: x.seq })
    else this.say({ type: 'chat.create', id, request: x.request })
    x.sent = true
  }

  private say(message: object): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message))
  }

  private connect(): void {
    clearTimeout(this.timer)
    this.timer = 0
    const socket = new WebSocket(`${apiOf(this.tenant)}/chat/completions`, ['sluice.v1'])
    this.socket = socket
    socket.onopen = () => {
      this.failures = this.lostAt = 0
      lost.value = false
      this.asked.forEach((x, id) => this.tell(id, x))
    }
    socket.onmessage = ({ data }) => this.hear(JSON.parse(data))
    socket.onclose = () => {
      this.socket = undefined
      if (this.asked.size > 0) this.again()
    }
  }

  // again connects later: half a second at first, a quarter of a minute at last, and never together with other pages.
  private again(): void {
    this.lostAt ||= Date.now()
    lost.value = Date.now() - this.lostAt <= grace
    if (!lost.value) {
      this.lostAt = 0
      this.asked.forEach((x) => x.on.failed('The gateway cannot be reached.'))
      this.asked.clear()
      return
    }
    const wait = Math.min(500 * 2 ** this.failures++, 15_000) * (0.5 + Math.random() / 2)
    this.timer = window.setTimeout(() => this.connect(), wait)
  }

  private hear(m: { id?: string; type: string; seq?: number; chunk?: Chunk; error?: { message?: string; code?: string } }): void {
    const x = this.asked.get(m.id ?? '')
    if (!x || !m.id) return
    if (m.seq !== undefined) {
      if (m.seq <= x.seq) return
      x.seq = m.seq
    }
    if (m.type === 'chat.chunk') {
      x.on.chunk(m.chunk ?? {})
      return
    }
    if (m.error?.code === 'unknown_exchange' && x.seq === 0 && x.request) {
      x.sent = false // what was said last did not arrive
      this.tell(m.id, x)
      return
    }
    this.asked.delete(m.id)
    if (m.type === 'chat.done') x.on.done(m as unknown as Done)
    else x.on.failed(m.error?.message ?? 'It failed.')
  }
}
