// Asking models: exchanges on one WebSocket, of which several go on at once.
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

let socket: WebSocket | undefined
const asked = new Map<string, Hearing>()

function connection(): WebSocket {
  if (socket && socket.readyState <= WebSocket.OPEN) return socket
  socket = new WebSocket('/v1/chat/completions', ['sluice.v1'])
  socket.onmessage = ({ data }) => {
    const m = JSON.parse(data)
    const on = asked.get(m.id)
    if (m.type === 'chat.chunk') on?.chunk(m.chunk)
    else {
      asked.delete(m.id)
      if (m.type === 'chat.done') on?.done(m)
      else on?.failed(m.error?.message ?? 'It failed.')
    }
  }
  socket.onclose = () => {
    for (const on of asked.values()) on.failed('The connection was lost.')
    asked.clear()
  }
  return socket
}

function say(message: object): void {
  const s = connection()
  const text = JSON.stringify(message)
  if (s.readyState === WebSocket.OPEN) s.send(text)
  else s.addEventListener('open', () => s.send(text))
}

export function ask(id: string, request: ChatRequest, on: Hearing): void {
  asked.set(id, on)
  say({ type: 'chat.create', id, request })
}

export function cancel(id: string): void {
  if (asked.delete(id)) say({ type: 'chat.cancel', id })
}
