// Sending what was typed, and writing down what comes back.
import { ApiError, get } from '../api'
import type { Exchange } from '../exchange'
import { type Done, type Hearing, Line } from './ask'
import { type Answer, change, changeAnswer, conversation, requestFor } from './conversation'

const lines = new Map<string, Line>()

function lineOf(tenant: string): Line {
  const line = lines.get(tenant) ?? new Line(tenant)
  lines.set(tenant, line)
  return line
}

/** Hears on what was on its way when the page was loaded anew. */
export function goOn(): void {
  for (const a of conversation.value.turns.flatMap((t) => t.answers)) {
    if (a.state === 'streaming' && !lineOf(a.tenant).hears(a.id)) lineOf(a.tenant).resume(a.id, hearing(a))
  }
}

/** Asks every model of the conversation. */
export function send(user: string): void {
  const { turns, models, tenant } = conversation.value
  change({ turns: [...turns, { user, answers: models.map((m) => blank(m, tenant)) }] })
  models.forEach((_, side) => start(turns.length, side))
}

/** Asks a model of a turn again. What came after it answered something else, and goes. */
export function again(turn: number, side: number): void {
  const { turns, models, tenant } = conversation.value
  for (const a of turns.slice(turn + 1).flatMap((t) => t.answers)) if (a.state === 'streaming') stop(a)
  const last = turns[turn]
  if (!last) return
  const answers = last.answers.map((a, i) => (i === side ? blank(models[side] ?? a.model, tenant) : a))
  change({ turns: [...turns.slice(0, turn), { ...last, answers }] })
  start(turn, side)
}

export function stop(a: Answer): void {
  lineOf(a.tenant).cancel(a.id)
  changeAnswer(a.id, () => ({ state: 'stopped', totalMs: Date.now() - a.sentAt }))
}

export function stopAll(): void {
  for (const t of conversation.value.turns) for (const a of t.answers) if (a.state === 'streaming') stop(a)
}

function blank(model: string, tenant: string): Answer {
  return { id: crypto.randomUUID(), tenant, model, sentAt: Date.now(), state: 'streaming', text: '', reasoning: '' }
}

function start(turn: number, side: number): void {
  const c = conversation.value
  const a = c.turns[turn]?.answers[side]
  if (a) lineOf(a.tenant).ask(a.id, requestFor(c, turn, side), hearing(a))
}

// hearing writes down what is heard, from its beginning on, at most once for each picture that the browser draws.
function hearing(a: Answer): Hearing {
  let text = ''
  let reasoning = ''
  let firstMs = a.firstMs
  let frame = 0
  const show = () => {
    frame = 0
    changeAnswer(a.id, () => ({ text, reasoning, ...(firstMs === undefined ? {} : { firstMs }) }))
  }
  const end = (part: Partial<Answer>) => {
    cancelAnimationFrame(frame)
    show()
    changeAnswer(a.id, () => ({ ...part, totalMs: Date.now() - a.sentAt }))
  }
  return {
    chunk: ({ choices }) => {
      const delta = choices?.[0]?.delta
      if (!delta?.content && !delta?.reasoning_content) return
      firstMs ??= Date.now() - a.sentAt
      text += delta.content ?? ''
      reasoning += delta.reasoning_content ?? ''
      frame ||= requestAnimationFrame(show)
    },
    done: (d) => {
      end({ state: 'done', ...outcome(d) })
      void learnMore(a, d)
    },
    failed: (error) => end({ state: 'failed', error }),
  }
}

function outcome(d: Done): Partial<Answer> {
  return {
    request: d.request_id,
    cost: d.cost,
    ...(d.usage?.completion_tokens === undefined ? {} : { outputTokens: d.usage.completion_tokens }),
    ...(d.provider ? { provider: d.provider } : {}),
    ...(d.model ? { targetModel: d.model } : {}),
    ...(d.cache ? { cache: d.cache } : {}),
  }
}

// learnMore asks the admin API what the API's own callers are not told: how many attempts it took, and why the cache had it or not.
async function learnMore(a: Answer, d: Done): Promise<void> {
  try {
    const x = await remembered(a.tenant, d.request_id)
    if (x) changeAnswer(a.id, () => ({ attempts: x.tries?.length ?? 0 }))
    if (d.cache !== 'miss' && d.cache !== 'bypass' && d.cache !== 'semantic') return // the others need no reason, and may have none
    const why = await get<{ data: { reason?: string } }>(`/admin/v1/tenants/${encodeURIComponent(a.tenant)}/cache/decisions/${d.request_id}`)
    const { reason } = why.data
    if (reason) changeAnswer(a.id, () => ({ cacheReason: reason }))
  } catch (e) {
    if (!(e instanceof ApiError)) throw e // an answer needs no explanation to be read
  }
}

// remembered is the exchange as the gateway remembers it, which is a moment after the answer's end.
async function remembered(tenant: string, id: string): Promise<Exchange | undefined> {
  for (const wait of [0, 250, 1000]) {
    await new Promise((done) => setTimeout(done, wait))
    const { exchanges } = await get<{ exchanges: Exchange[] }>('/admin/v1/exchanges', { tenant, limit: 100 })
    const x = exchanges.find((e) => e.id === id)
    if (x) return x
  }
  return undefined
}
