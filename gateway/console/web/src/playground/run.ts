// Sending what was typed, and writing down what comes back.
import { ApiError, get } from '../api'
import type { Exchange } from '../exchange'
import { ask, cancel, type Done } from './ask'
import { type Answer, change, changeAnswer, conversation, requestFor } from './conversation'

// Answers of a conversation that was stored while they were on their way are not on their way any more.
change({
  turns: conversation.value.turns.map((t) => ({
    ...t,
    answers: t.answers.map((a) => (a.state === 'streaming' ? { ...a, state: 'stopped' } : a)),
  })),
})

/** Asks every model of the conversation. */
export function send(user: string): void {
  const { turns, models } = conversation.value
  change({ turns: [...turns, { user, answers: models.map(blank) }] })
  models.forEach((_, side) => start(turns.length, side))
}

/** Asks a model of a turn again. What came after it answered something else, and goes. */
export function again(turn: number, side: number): void {
  const { turns, models } = conversation.value
  turns.slice(turn).forEach((t) => t.answers.forEach((a) => a.state === 'streaming' && stop(a.id)))
  change({
    turns: turns.slice(0, turn + 1).map((t, i) => (i === turn ? { ...t, answers: t.answers.map((a, n) => (n === side ? blank(models[side] ?? a.model) : a)) } : t)),
  })
  start(turn, side)
}

export function stop(id: string): void {
  cancel(id)
  changeAnswer(id, () => ({ state: 'stopped' }))
}

export function stopAll(): void {
  for (const t of conversation.value.turns) for (const a of t.answers) if (a.state === 'streaming') stop(a.id)
}

const blank = (model: string): Answer => ({ id: crypto.randomUUID(), model, state: 'streaming', text: '', reasoning: '' })

function start(turn: number, side: number): void {
  const c = conversation.value
  const id = c.turns[turn]?.answers[side]?.id
  if (!id) return
  const begin = performance.now()
  const since = () => performance.now() - begin
  let text = ''
  let reasoning = ''
  let firstMs: number | undefined
  let frame = 0
  const show = () => {
    frame = 0
    changeAnswer(id, () => ({ text, reasoning, ...(firstMs === undefined ? {} : { firstMs }) }))
  }
  const end = (part: Partial<Answer>) => {
    cancelAnimationFrame(frame)
    show()
    changeAnswer(id, () => ({ ...part, totalMs: since() }))
  }
  ask(id, requestFor(c, turn, side), {
    chunk: ({ choices }) => {
      const delta = choices?.[0]?.delta
      if (!delta?.content && !delta?.reasoning_content) return
      firstMs ??= since()
      text += delta.content ?? ''
      reasoning += delta.reasoning_content ?? ''
      frame ||= requestAnimationFrame(show)
    },
    done: (d) => {
      end({ state: 'done', ...outcome(d) })
      void learnMore(id, d, c.tenant)
    },
    failed: (error) => end({ state: 'failed', error }),
  })
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
async function learnMore(id: string, d: Done, tenant: string): Promise<void> {
  try {
    const { exchanges } = await get<{ exchanges: Exchange[] }>('/admin/v1/exchanges', { tenant, limit: 100 })
    const x = exchanges.find((e) => e.id === d.request_id)
    if (x) changeAnswer(id, () => ({ attempts: x.tries?.length ?? 0, ...(x.tenant ? { tenant: x.tenant } : {}) }))
    const of = tenant || x?.tenant
    if (!d.cache || !of) return
    const why = await get<{ data: { reason?: string } }>(`/admin/v1/tenants/${encodeURIComponent(of)}/cache/decisions/${d.request_id}`)
    if (why.data.reason) changeAnswer(id, () => ({ cacheReason: why.data.reason! }))
  } catch (e) {
    if (!(e instanceof ApiError)) throw e // an answer needs no explanation to be read
  }
}
