// The parts that screens are made of.
import type { ComponentChildren, JSX } from 'preact'
import { signal } from '@preact/signals'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { ApiError } from '../api'
import { Icon, type IconName } from './icons'

/** A screen: its title, what belongs beside it (a range, a button), and its content. */
export function Screen(p: { title: string; beside?: ComponentChildren; children: ComponentChildren }) {
  return (
    <>
      <header class="screen-head">
        <h1>{p.title}</h1>
        <div class="beside">{p.beside}</div>
      </header>
      {p.children}
    </>
  )
}

/** A framed part of a screen with a heading. */
export function Panel(p: { title: string; beside?: ComponentChildren; class?: string; children: ComponentChildren }) {
  const id = useId()
  return (
    <section class={`panel ${p.class ?? ''}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{p.title}</h2>
        <div class="beside">{p.beside}</div>
      </header>
      {p.children}
    </section>
  )
}

/** One figure with its name, and a line that explains it. */
export function Stat(p: { name: string; value: ComponentChildren; note?: ComponentChildren; tone?: Tone }) {
  return (
    <div class="stat">
      <dt>{p.name}</dt>
      <dd class={p.tone ? `tone-${p.tone}` : ''}>{p.value}</dd>
      <dd class="note">{p.note ?? '\u00a0'}</dd>
    </div>
  )
}

/** Figures side by side. */
export const Stats = (p: { children: ComponentChildren }) => <dl class="stats">{p.children}</dl>

export type Tone = 'good' | 'warn' | 'bad' | 'quiet' | 'accent'

/** A word in a box; its colour is never all that it says. */
export const Badge = (p: { tone?: Tone; title?: string; children: ComponentChildren }) => (
  <span class={`badge tone-${p.tone ?? 'quiet'}`} title={p.title}>
    {p.children}
  </span>
)

/** What stands where there is nothing yet: why, and the command that changes it. */
export function Empty(p: { title: string; children?: ComponentChildren; command?: string }) {
  return (
    <div class="empty">
      <p class="lead">{p.title}</p>
      {p.children && <p>{p.children}</p>}
      {p.command && <Command text={p.command} />}
    </div>
  )
}

/** A command line with a button that copies it. */
export const Command = (p: { text: string }) => (
  <div class="command">
    <pre tabIndex={0}>{p.text}</pre>
    <Copy text={p.text} />
  </div>
)

/** Copies a text, and says so. */
export function Copy(p: { text: string; label?: string }) {
  const [done, set] = useState(false)
  useEffect(() => {
    if (!done) return
    const t = setTimeout(() => set(false), 1500)
    return () => clearTimeout(t)
  }, [done])
  const copy = () =>
    navigator.clipboard.writeText(p.text).then(
      () => set(true),
      () => notify('The browser does not let this page copy. Mark the text and copy it yourself.', 'bad'),
    )
  return (
    <button type="button" class="quiet" onClick={copy} aria-label={p.label ? undefined : 'Copy'}>
      <Icon name="copy" />
      {(p.label || done) && <span aria-live="polite">{done ? 'Copied' : p.label}</span>}
    </button>
  )
}

/** What a screen shows of an answer that is not there: that it is on its way, or why it does not come. */
export function Waiting(p: { error: ApiError | undefined; retry?: () => void }) {
  if (!p.error) return <p class="waiting">Loading …</p>
  return (
    <div class="empty" role="alert">
      <p class="lead">{p.error.message}</p>
      {p.retry && (
        <button type="button" onClick={p.retry}>
          Try again
        </button>
      )}
    </div>
  )
}

/** Choices of which one holds, as buttons side by side. */
export function Choice<T extends string>(p: { name: string; value: T; of: readonly (readonly [T, ComponentChildren])[]; onChange: (v: T) => void }) {
  const group = useId()
  return (
    <fieldset class="choice">
      <legend class="sr">{p.name}</legend>
      {p.of.map(([value, label]) => (
        <label key={value} title={value}>
          <input type="radio" name={group} checked={value === p.value} onChange={() => p.onChange(value)} />
          <span>{label}</span>
        </label>
      ))}
    </fieldset>
  )
}

/** A named control of a form, with a hint below. */
export function Field(p: { label: string; hint?: ComponentChildren; children: (id: string) => JSX.Element }) {
  const id = useId()
  return (
    <div class="field">
      <label for={id}>{p.label}</label>
      {p.children(id)}
      {p.hint && <p class="note">{p.hint}</p>}
    </div>
  )
}

/** A button that is only a picture, with its name for everybody else. */
export const IconButton = (p: { icon: IconName; label: string; onClick: () => void; pressed?: boolean; disabled?: boolean }) => (
  <button type="button" class="quiet icon-only" aria-label={p.label} title={p.label} aria-pressed={p.pressed} disabled={p.disabled} onClick={p.onClick}>
    <Icon name={p.icon} />
  </button>
)

/** A dialog over everything. Escape and, unless it is firm, a press beside it close it. */
export function Dialog(p: { title: string; onClose: () => void; wide?: boolean; firm?: boolean; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => box.current?.showModal(), [])
  return (
    <dialog ref={box} class={p.wide ? 'wide' : ''} aria-labelledby={id} onClose={p.onClose} onClick={(e) => !p.firm && e.target === box.current && box.current?.close()}>
      <div class="dialog">
        <header>
          <h2 id={id}>{p.title}</h2>
          <IconButton icon="close" label="Close" onClick={() => box.current?.close()} />
        </header>
        {p.children}
      </div>
    </dialog>
  )
}

/** Asks before something is done that cannot be undone. `act` is what the button says. */
export function Confirm(p: { title: string; act: string; children: ComponentChildren; onYes: () => Promise<void>; onClose: () => void }) {
  const [busy, set] = useState(false)
  const yes = async () => {
    set(true)
    if (await attempt(p.onYes)) p.onClose()
    else set(false)
  }
  return (
    <Dialog title={p.title} onClose={p.onClose}>
      <div class="prose">{p.children}</div>
      <footer>
        <button type="button" onClick={p.onClose}>
          Cancel
        </button>
        <button type="button" class="danger" disabled={busy} onClick={yes}>
          {p.act}
        </button>
      </footer>
    </Dialog>
  )
}

interface Notice {
  text: string
  tone: Tone
}

const notices = signal<Notice[]>([])

/** Says something at the edge of the page for some seconds. The same text is there once. */
export function notify(text: string, tone: Tone = 'good'): void {
  if (notices.value.some((n) => n.text === text)) return
  const notice = { text, tone }
  notices.value = [...notices.value, notice]
  setTimeout(() => dismiss(notice), tone === 'bad' ? 10_000 : 4000)
}

function dismiss(notice: Notice): void {
  notices.value = notices.value.filter((n) => n !== notice)
}

/** Does something that may fail, and says why if it does. It answers whether it did not. */
export async function attempt(what: () => Promise<unknown>): Promise<boolean> {
  try {
    await what()
    return true
  } catch (e) {
    if (!(e instanceof ApiError)) throw e
    notify(e.message, 'bad')
    return false
  }
}

/** Where notices stand; once in the page. */
export const Notices = () => (
  <div class="notices" role="status">
    {notices.value.map((n) => (
      <div key={n.text} class={`notice tone-${n.tone}`}>
        <span>{n.text}</span>
        <IconButton icon="close" label="Dismiss" onClick={() => dismiss(n)} />
      </div>
    ))}
  </div>
)
