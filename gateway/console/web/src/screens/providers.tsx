// Providers: how every target does and did, what limits it tells, and an operator's word on it.
import { useEffect, useState } from 'preact/hooks'
import { follow, may, post } from '../api'
import { ago, clock, count, day, moment, ms, percent, short } from '../format'
import { useLoad } from '../load'
import { refine, route } from '../router'
import { attempt, Badge, Dialog, Empty, Field, Panel, Screen, type Tone, Waiting } from '../ui/parts'
import { Table } from '../ui/table'
import './screens.css'
import { Timeline, type Span } from './timeline'

export type State = 'healthy' | 'suspect' | 'half_open' | 'open' | 'disabled'

interface Limit {
  limit?: number
  remaining?: number
  reset?: string
}

interface Target {
  provider: string
  key?: string
  model?: string
  state: State
  since: string
  reason?: string
  operator?: 'drain' | 'disable'
  refuses?: 'key' | 'model'
  next_probe?: string
  cool_until?: string
  cool_reason?: string
  share: number
  window: { seconds: number; requests: number; failed: number; rate: number; consecutive: number }
  outstanding: number
  first_ms?: number
  p95_ms?: number
  whole_ms?: number
  whole_p95_ms?: number
  last_used?: string
  limits?: { requests?: Limit; tokens?: Limit }
}

/** A change of a target's state, as GET /admin/v1/events has it. */
interface Change {
  seq: number
  at: string
  provider: string
  key?: string
  model?: string
  from: State
  to: State
  reason: string
  until?: string
}

const words: Record<State, { name: string; tone: Tone }> = {
  healthy: { name: 'healthy', tone: 'good' },
  suspect: { name: 'suspect', tone: 'warn' },
  half_open: { name: 'on trial', tone: 'warn' },
  open: { name: 'left alone', tone: 'bad' },
  disabled: { name: 'disabled', tone: 'quiet' },
}

const nameOf = (t: { provider: string; key?: string; model?: string }) => [t.provider, t.key, t.model].filter(Boolean).join(' / ')

/** What became of a target is kept in the page since it was opened, and what the gateway still knew then. */
function useChanges(news: () => void): Change[] {
  const [list, set] = useState<Change[]>([])
  useEffect(
    () =>
      follow<Change>(
        '/admin/v1/events',
        'target',
        (e) => {
          set((old) => [...old.filter((o) => o.seq !== e.seq), e].slice(-2000))
          news()
        },
        () => {},
      ),
    [],
  )
  return list
}

export function Providers() {
  const targets = useLoad<{ targets: Target[] }>('/admin/v1/targets', 5000)
  const changes = useChanges(targets.reload)
  const [order, setOrder] = useState<Order>()
  const wanted = route.value.query.get('q') ?? ''
  const fits = (t: { provider: string; key?: string; model?: string }) => nameOf(t).toLowerCase().includes(wanted.toLowerCase())
  const list = (targets.data?.targets ?? []).filter(fits).sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
  const filter = (
    <input type="search" data-filter placeholder="Filter   /" aria-label="Filter targets" value={wanted} onInput={(e) => refine({ q: e.currentTarget.value || undefined })} />
  )
  return (
    <Screen title="Providers" beside={filter}>
      {!targets.data ? (
        <Waiting error={targets.error} retry={targets.reload} />
      ) : targets.data.targets.length === 0 ? (
        <Empty title="No target was asked for anything yet." command="sluice chat Hello">
          A target is a provider's key with a model. It is here from its first request on.
        </Empty>
      ) : list.length === 0 ? (
        <Empty title={`No target has “${wanted}” in its name.`} />
      ) : (
        <div class="stack">
          <Panel title="Targets">
            <Targets list={list} order={setOrder} />
          </Panel>
          <History targets={list} changes={changes.filter(fits)} />
        </div>
      )}
      {order && <Ask order={order} done={targets.reload} close={() => setOrder(undefined)} />}
    </Screen>
  )
}

function Targets({ list, order }: { list: Target[]; order: (o: Order) => void }) {
  return (
    <Table
      caption="Every target"
      rows={list}
      rowKey={nameOf}
      columns={[
        { title: 'Target', sort: nameOf, cell: (t) => <Named target={t} /> },
        { title: 'State', sort: (t) => t.state, cell: (t) => <Standing target={t} /> },
        { title: 'Failed', number: true, sort: (t) => t.window.rate, cell: (t) => <Failed target={t} /> },
        { title: 'Latency', number: true, sort: (t) => t.p95_ms ?? t.first_ms ?? 0, cell: (t) => <Latency target={t} /> },
        { title: 'Limits left', number: true, cell: (t) => <Left requests={t.limits?.requests} tokens={t.limits?.tokens} /> },
        { title: 'Used', number: true, sort: (t) => t.last_used ?? '', cell: (t) => (t.last_used ? ago(t.last_used) : 'never') },
        ...(may('operator') ? [{ title: 'Orders', cell: (t: Target) => <Orders target={t} order={order} /> }] : []),
      ]}
    />
  )
}

const Named = ({ target: t }: { target: Target }) => (
  <>
    <b>{t.provider}</b>
    <div class="note">{[t.key, t.model].filter(Boolean).join(' / ') || 'all models'}</div>
  </>
)

// since is a moment of today as a time, and else as a day.
const since = (at: string) => (Date.now() - new Date(at).getTime() < 86_400_000 ? clock(at) : day(at))

function Standing({ target: t }: { target: Target }) {
  const w = words[t.state]
  const why = [
    t.operator && (t.operator === 'drain' ? 'drained by an operator' : 'disabled by an operator'),
    t.refuses && `the provider refuses the ${t.refuses}`,
    t.cool_until && `${t.cool_reason ?? 'cooling down'} until ${clock(t.cool_until)}`,
    t.reason,
    t.next_probe && `next trial ${clock(t.next_probe)}`,
  ].filter(Boolean)
  return (
    <>
      <Badge tone={w.tone}>{w.name}</Badge>
      {t.share < 1 && t.state === 'healthy' && <Badge tone="accent">{percent(t.share)} of its share</Badge>}
      <div class="note why" title={why.join('; ')}>
        {why.join('; ') || `since ${since(t.since)}`}
      </div>
    </>
  )
}

const Failed = ({ target: t }: { target: Target }) => (
  <>
    {t.window.requests ? `${percent(t.window.rate)} of ${count(t.window.requests)}` : '–'}
    {t.outstanding > 0 && <div class="note">{count(t.outstanding)} running</div>}
  </>
)

// fresh is how long, in milliseconds, an estimate of latency says something: without requests it fades to nothing.
const fresh = 60_000

function Latency({ target: t }: { target: Target }) {
  const recent = t.last_used !== undefined && Date.now() - new Date(t.last_used).getTime() < fresh
  const line = (p95: number | undefined, now: number | undefined) => (p95 ? `p95 ${ms(p95)}` : recent && now ? ms(now) : '')
  const first = line(t.p95_ms, t.first_ms)
  const whole = line(t.whole_p95_ms, t.whole_ms)
  return (
    <>
      {first || (whole ? '' : '–')}
      {whole && <div class="note">whole {whole}</div>}
    </>
  )
}

// Left is what a provider says may still be asked for.
function Left({ requests, tokens }: { requests: Limit | undefined; tokens: Limit | undefined }) {
  const lines = [['requests', requests] as const, ['tokens', tokens] as const].filter(([, l]) => l?.remaining !== undefined)
  if (lines.length === 0) return <>–</>
  return (
    <div class="left">
      {lines.map(([what, l]) => (
        <div key={what} title={`${count(l?.remaining ?? 0)} ${what} left of ${l?.limit ? count(l.limit) : 'an unknown number'}`}>
          <span class="note">
            {short(l?.remaining ?? 0)} {what}
          </span>
          {l?.limit ? <meter min={0} max={l.limit} low={l.limit * 0.1} optimum={l.limit} value={l.remaining} aria-label={`${what} left`} /> : null}
        </div>
      ))}
    </div>
  )
}

type Word = 'drain' | 'disable' | 'enable'

interface Order {
  word: Word
  target: Target
}

function Orders({ target, order }: { target: Target; order: (o: Order) => void }) {
  const button = (word: Word, text: string) => (
    <button type="button" class="small" onClick={() => order({ word, target })} aria-label={`${text} ${nameOf(target)}`}>
      {text}
    </button>
  )
  const well = target.operator === undefined && target.state !== 'open' && target.state !== 'disabled'
  return (
    <span class="orders">
      {well ? button('drain', 'Drain') : button('enable', 'Enable')}
      {target.operator !== 'disable' && button('disable', 'Disable')}
    </span>
  )
}

const meanings: Record<Word, string> = {
  drain: 'No new request goes there. What runs goes on, and so do probes.',
  disable: 'No new request goes there, and no probe. What runs goes on.',
  enable: 'It is used again at once, and what was held against it is forgotten: failures, a cool-down, a refusal of its key.',
}

// Ask asks for the reason, and for how much the order is.
function Ask({ order, done, close }: { order: Order; done: () => void; close: () => void }) {
  const { word, target } = order
  const [why, setWhy] = useState('')
  const [whole, setWhole] = useState(false)
  const submit = async (e: Event) => {
    e.preventDefault()
    const which: Record<string, string> = whole ? { provider: target.provider } : { provider: target.provider, key: target.key ?? '', model: target.model ?? '' }
    const path = `/admin/v1/targets/${word}?${new URLSearchParams(which)}`
    if (!(await attempt(() => post(path, { reason: why })))) return
    done()
    close()
  }
  const act = word[0]?.toUpperCase() + word.slice(1)
  return (
    <Dialog title={`${act} ${whole ? target.provider : nameOf(target)}`} onClose={close}>
      <form onSubmit={submit}>
        <p class="prose">{meanings[word]}</p>
        <Field label="Reason" hint="It is in the audit, with your name.">
          {(id) => <input id={id} autofocus maxLength={200} value={why} onInput={(e) => setWhy(e.currentTarget.value)} />}
        </Field>
        <label class="check">
          <input type="checkbox" checked={whole} onChange={(e) => setWhole(e.currentTarget.checked)} />
          All targets of {target.provider}
        </label>
        <footer>
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class={word === 'enable' ? 'primary' : 'danger'}>
            {act}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

const spans = { '15': '15 min', '60': '1 hour', '720': '12 hours' }

// History is the states that targets were in, as far as events tell.
function History({ targets, changes }: { targets: Target[]; changes: Change[] }) {
  const said = route.value.query.get('span') ?? ''
  const minutes = said in spans ? said : '60'
  const to = Date.now()
  const from = to - Number(minutes) * 60_000
  // Nothing is known of the time before the process began, which is when the first of its targets became what it is or was.
  const known = Math.min(...targets.map((t) => new Date(t.since).getTime()), ...changes.map((c) => new Date(c.at).getTime()))
  const rows = targets.map((t) => ({ name: nameOf(t), spans: statesOf(t, changes, Math.max(from, known), to) }))
  const bad = rows.filter((r) => r.spans.some((s) => s.tone === 'bad')).length
  return (
    <Panel
      title="States"
      beside={
        <select aria-label="Time that is shown" value={minutes} onChange={(e) => refine({ span: e.currentTarget.value })}>
          {Object.entries(spans).map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
      }
    >
      <p class="note">
        {bad ? `${bad} of ${rows.length} targets were left alone for a while in the last ${spans[minutes as keyof typeof spans]}.` : `No target was left alone in the last ${spans[minutes as keyof typeof spans]}.`}
      </p>
      <Timeline rows={rows} from={from} to={to} />
      {changes.length > 0 && (
        <Table
          caption="Changes of states, the latest first"
          rows={changes.slice(-100).reverse()}
          rowKey={(c) => String(c.seq)}
          columns={[
            { title: 'Time', cell: (c) => moment(c.at) },
            { title: 'Target', cell: nameOf },
            { title: 'Became', cell: (c) => <Badge tone={words[c.to].tone}>{words[c.to].name}</Badge> },
            { title: 'Because', cell: (c) => c.reason, grow: true },
          ]}
        />
      )}
    </Panel>
  )
}

// statesOf are a target's states in a time: before its first change, what that says it was, and without any, what it is.
function statesOf(t: Target, changes: Change[], from: number, to: number): Span[] {
  const own = changes.filter((c) => c.provider === t.provider && (c.key ?? '') === (t.key ?? '') && (c.model ?? '') === (t.model ?? ''))
  const list: Span[] = []
  let state = own[0]?.from ?? t.state
  let since = from
  const until = (at: number) => {
    if (at > since) list.push({ from: since, to: at, ...words[state] })
    since = Math.max(since, at)
  }
  for (const c of own) {
    until(new Date(c.at).getTime())
    state = c.to
  }
  state = t.state
  until(to)
  return list
}
