// A conversation with one model, or with two side by side.
import '../playground/playground.css'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useAddress } from '../address'
import { may } from '../api'
import { type Loaded, useLoad } from '../load'
import { apiOf, lost } from '../playground/ask'
import { AnswerView } from '../playground/answer'
import { change, conversation, requestFor } from '../playground/conversation'
import { goOn, send, stopAll } from '../playground/run'
import { Icon } from '../ui/icons'
import { Empty, Field, Screen, Waiting } from '../ui/parts'

export function Playground() {
  const c = conversation.value
  const tenants = useLoad<{ data: { id: string; disabled?: boolean }[] }>('/admin/v1/tenants?limit=1000')
  const ids = (tenants.data?.data ?? []).filter((t) => !t.disabled).map((t) => t.id)
  const tenant = ids.includes(c.tenant) ? c.tenant : (ids[0] ?? '')
  const models = useLoad<{ data: { id: string }[] }>(tenant && may('operator') ? `${apiOf(tenant)}/models` : '')
  const names = (models.data?.data ?? []).map((m) => m.id)
  const known = names.join('\n')
  useEffect(goOn, [])
  useEffect(() => {
    if (tenant && tenant !== c.tenant) change({ tenant })
  }, [tenant])
  useEffect(() => {
    const first = names[0]
    if (first && c.models.some((m) => !names.includes(m))) change({ models: c.models.map((m) => (names.includes(m) ? m : first)) })
  }, [known])
  const pick = (side: number, model: string) => change({ models: c.models.map((m, i) => (i === side ? model : m)) })
  const two = c.models.length === 2
  const other = names.find((n) => n !== c.models[0]) ?? c.models[0] ?? ''
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
          {ids.length > 1 && <Pick label="Tenant" value={tenant} of={ids} onChange={(v) => change({ tenant: v })} />}
          {c.models.map((m, side) => (
            <Pick key={side} label={two ? `Model ${side + 1}` : 'Model'} value={m} of={names} onChange={(v) => pick(side, v)} />
          ))}
          <button type="button" onClick={() => change({ models: two ? c.models.slice(0, 1) : [...c.models, other] })}>
            {two ? 'One model' : 'Compare two'}
          </button>
          <Settings />
        </div>
        {c.turns.length === 0 && <Start tenants={tenants} models={models} tenant={tenant} names={names} />}
        <Transcript />
        <p class="tone-warn" role="status">
          {lost.value && 'The connection was lost. Connecting again …'}
        </p>
        <Composer ready={names.length > 0} />
      </div>
    </Screen>
  )
}

// Start stands where the conversation will, and says what is missing for one.
function Start(p: { tenants: Loaded<{ data: unknown[] }>; models: Loaded<unknown>; tenant: string; names: string[] }) {
  if (!may('operator')) return <Empty title="Asking models takes the role operator.">This token is a viewer's.</Empty>
  if (!p.tenants.data) return <Waiting error={p.tenants.error} retry={p.tenants.reload} />
  if (!p.tenant)
    return (
      <Empty title="There is no tenant to ask for." command="sluice tenants add acme">
        Each request is some tenant's. This makes one:
      </Empty>
    )
  if (!p.models.data) return <Waiting error={p.models.error} retry={p.models.reload} />
  if (p.names.length === 0)
    return (
      <Empty title="There is no model that this tenant may ask." command="sluice models">
        The configuration says what there is, under models:
      </Empty>
    )
  return <Empty title="Ask something.">Answers stream here, with what they took and what they cost.</Empty>
}

function Pick(p: { label: string; value: string; of: string[]; onChange: (v: string) => void }) {
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
  const base = useAddress()
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
