// A conversation with one model, or with two side by side.
import '../playground/playground.css'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useLoad } from '../load'
import { AnswerView } from '../playground/answer'
import { change, conversation, requestFor } from '../playground/conversation'
import { send, stopAll } from '../playground/run'
import { Icon } from '../ui/icons'
import { Empty, Field, Screen, Waiting } from '../ui/parts'

export function Playground() {
  const c = conversation.value
  const models = useLoad<{ data: { id: string }[] }>('/v1/models')
  const names = (models.data?.data ?? []).map((m) => m.id)
  const first = names[0]
  useEffect(() => {
    if (first && !c.models[0]) change({ models: [first, ...c.models.slice(1)] })
  }, [first])
  const pick = (side: number, model: string) => change({ models: c.models.map((m, i) => (i === side ? model : m)) })
  const two = c.models.length === 2
  return (
    <Screen
      title="Playground"
      beside={
        c.turns.length > 0 && (
          <button type="button" onClick={() => (stopAll(), change({ turns: [] }))}>
            <Icon name="plus" />
            New conversation
          </button>
        )
      }
    >
      <div class="playground">
        <div class="setup">
          {c.models.map((m, side) => (
            <ModelPick key={side} label={two ? `Model ${side + 1}` : 'Model'} value={m} of={names} onChange={(v) => pick(side, v)} />
          ))}
          <button type="button" onClick={() => change({ models: two ? c.models.slice(0, 1) : [...c.models, names.find((n) => n !== c.models[0]) ?? c.models[0] ?? ''] })}>
            {two ? 'One model' : 'Compare two'}
          </button>
          <Settings />
        </div>
        {!models.data && <Waiting error={models.error} retry={models.reload} />}
        {models.data && names.length === 0 && (
          <Empty title="There is no model to ask." command="sluice models">
            Write one under models in the configuration. This shows what there is:
          </Empty>
        )}
        {models.data && names.length > 0 && c.turns.length === 0 && <Empty title="Ask something.">Answers stream here, with what they took and what they cost.</Empty>}
        <Transcript />
        <Composer ready={c.models.every(Boolean)} />
      </div>
    </Screen>
  )
}

function ModelPick(p: { label: string; value: string; of: string[]; onChange: (v: string) => void }) {
  const choices = p.value && !p.of.includes(p.value) ? [p.value, ...p.of] : p.of
  return (
    <select aria-label={p.label} value={p.value} onChange={(e) => p.onChange(e.currentTarget.value)}>
      {choices.map((m) => (
        <option key={m} value={m}>
          {m}
        </option>
      ))}
    </select>
  )
}

function Settings() {
  const { system, temperature } = conversation.value
  return (
    <details class="settings">
      <summary>Instructions and temperature</summary>
      <div>
        <Field label="System prompt">
          {(id) => <textarea id={id} rows={3} value={system} placeholder="You are …" onInput={(e) => change({ system: e.currentTarget.value })} />}
        </Field>
        <Field label="Temperature" hint="Empty: the model's own.">
          {(id) => <input id={id} type="number" min="0" max="2" step="0.1" value={temperature} onInput={(e) => change({ temperature: e.currentTarget.value })} />}
        </Field>
      </div>
    </details>
  )
}

function Transcript() {
  const c = conversation.value
  const end = useRef<HTMLDivElement>(null)
  const near = useRef(true) // the reader is at the end, and goes with it
  const length = c.turns.at(-1)?.answers.reduce((n, a) => n + a.text.length, c.turns.length)
  useEffect(() => {
    const main = end.current?.closest('main')
    if (!main) return
    const scrolled = () => (near.current = main.scrollHeight - main.scrollTop - main.clientHeight < 96)
    main.addEventListener('scroll', scrolled, { passive: true })
    return () => main.removeEventListener('scroll', scrolled)
  }, [])
  useEffect(() => {
    near.current = true
  }, [c.turns.length])
  useEffect(() => {
    const main = end.current?.closest('main')
    if (near.current && main) main.scrollTop = main.scrollHeight
  }, [length, c.turns.length])
  const base = location.origin
  return (
    <div class="transcript">
      {c.turns.map((t, turn) => (
        <section key={turn} class="turn" aria-label={`Turn ${turn + 1}`}>
          <p class="user">{t.user}</p>
          <div class={t.answers.length > 1 ? 'answers two' : 'answers'}>
            {t.answers.map((a, side) => (
              <AnswerView key={a.id} of={a} turn={turn} side={side} base={base} request={{ ...requestFor(c, turn, side), model: a.model }} />
            ))}
          </div>
        </section>
      ))}
      <Said />
      <div ref={end} />
    </div>
  )
}

// Said tells screen readers a sentence at a time, and not each token.
function Said() {
  const last = conversation.value.turns.at(-1)?.answers[0]
  if (!last) return null
  const end = Math.max(...['. ', '.\n', '? ', '! ', ':\n'].map((s) => last.text.lastIndexOf(s)))
  const upTo = last.state === 'streaming' ? end + 1 : last.text.length
  const sentences = last.text.slice(0, upTo).split(/(?<=[.?!:])\s/)
  return (
    <p class="sr" role="status">
      {sentences.at(-1)}
    </p>
  )
}

function Composer({ ready }: { ready: boolean }) {
  const [text, set] = useState('')
  const busy = conversation.value.turns.at(-1)?.answers.some((a) => a.state === 'streaming') ?? false
  const submit = () => {
    if (!text.trim() || busy || !ready) return
    send(text.trim())
    set('')
  }
  const key = (e: KeyboardEvent) => {
    if (e.key === 'Escape' && busy) stopAll()
    if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return
    e.preventDefault()
    submit()
  }
  return (
    <form class="composer" onSubmit={(e) => (e.preventDefault(), submit())}>
      <textarea rows={2} aria-label="Message" placeholder="Message  (Enter sends, Shift+Enter: a new line)" data-filter value={text} onInput={(e) => set(e.currentTarget.value)} onKeyDown={key} />
      {busy ? (
        <button type="button" onClick={stopAll}>
          Stop
        </button>
      ) : (
        <button type="submit" class="primary" disabled={!ready || !text.trim()}>
          <Icon name="send" />
          Send
        </button>
      )}
    </form>
  )
}
