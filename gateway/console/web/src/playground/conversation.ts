// The conversation of the playground: what was asked, and what one or two models answered. It survives a reload.
import { effect, signal } from '@preact/signals'

/** What became of an answer. */
export type State = 'streaming' | 'done' | 'stopped' | 'failed'

export interface Answer {
  id: string // of the exchange on the socket
  tenant: string
  sentAt: number // ms since 1970
  model: string
  state: State
  text: string
  reasoning: string
  error?: string
  firstMs?: number // from sending to the first text, as the browser saw it
  totalMs?: number
  outputTokens?: number
  provider?: string
  targetModel?: string
  cost?: number | null // USD; null: unknown
  cache?: string // miss, exact, semantic, coalesced, bypass
  cacheReason?: string
  attempts?: number
  request?: string // the id that the gateway knows it by
}

export interface Turn {
  user: string
  answers: Answer[] // one for each model, in their order
}

export interface Conversation {
  tenant: string // whose limits, budgets and models hold
  models: string[] // one or two
  system: string
  temperature: string // as it was typed; empty: the model's own
  turns: Turn[]
}

const key = 'sluice.playground'
const nothing: Conversation = { tenant: '', models: [''], system: '', temperature: '', turns: [] }

export const conversation = signal<Conversation>(load())

function load(): Conversation {
  try {
    return { ...nothing, ...(JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Conversation>) }
  } catch {
    return nothing
  }
}

// It is written a moment after it changed, and at once when the page goes.
let timer = 0
const store = () => {
  clearTimeout(timer)
  timer = 0
  try {
    localStorage.setItem(key, JSON.stringify(conversation.peek()))
  } catch {
    // There is no room: what is on the screen stays there.
  }
}
effect(() => {
  conversation.value
  timer ||= window.setTimeout(store, 500)
})
addEventListener('pagehide', store)

export function change(part: Partial<Conversation>): void {
  conversation.value = { ...conversation.value, ...part }
}

/** Changes the answer of this id, if it is still there. */
export function changeAnswer(id: string, part: (a: Answer) => Partial<Answer>): void {
  change({
    turns: conversation.value.turns.map((t) =>
      t.answers.some((a) => a.id === id) ? { ...t, answers: t.answers.map((a) => (a.id === id ? { ...a, ...part(a) } : a)) } : t,
    ),
  })
}

export interface Message {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface ChatRequest {
  model: string
  messages: Message[]
  temperature?: number
}

/** The request for a model's answer in a turn: all before it, as this side of the conversation went. */
export function requestFor(c: Conversation, turn: number, side: number): ChatRequest {
  const messages: Message[] = []
  if (c.system.trim()) messages.push({ role: 'system', content: c.system })
  c.turns.slice(0, turn + 1).forEach((t, i) => {
    messages.push({ role: 'user', content: t.user })
    const said = (t.answers[side] ?? t.answers[0])?.text
    if (i < turn && said) messages.push({ role: 'assistant', content: said })
  })
  const heat = Number(c.temperature)
  return { model: c.models[side] ?? '', messages, ...(c.temperature.trim() && Number.isFinite(heat) ? { temperature: heat } : {}) }
}
