// Cache: what it was good for, how sure it is, why it answered, and taking answers out of it.
import { useEffect, useState } from 'preact/hooks'
import { get, may, post, url } from '../api'
import { clock, count, moment } from '../format'
import { useLoad } from '../load'
import { refine, route } from '../router'
import { attempt, Badge, Dialog, Empty, Field, notify, Panel, Screen, type Tone, Waiting } from '../ui/parts'
import { Table } from '../ui/table'
import './screens.css'
import { CacheFigures } from './cachefigures'
import { pathOf } from './tenants'

interface Exchange {
  time: string
  id: string
  tenant?: string
  model?: string
  cache?: string
}

interface Decision {
  exchange: string
  at: string
  result: string
  reason?: string
  answer?: string
  score?: number
  threshold?: number
  candidates?: { answer: string; cosine: number; refused?: string; verified?: number; score?: number }[]
}

const tones: Record<string, Tone> = { exact: 'good', semantic: 'accent', coalesced: 'good', bypass: 'quiet' }

export function Cache() {
  const tenants = useLoad<{ data: { id: string }[] }>('/admin/v1/tenants?limit=1000')
  const ids = tenants.data?.data.map((t) => t.id) ?? []
  const said = route.value.query.get('tenant') ?? ''
  const [purging, setPurging] = useState(false)
  return (
    <Screen
      title="Cache"
      beside={
        <>
          <select aria-label="Tenant" value={said} onChange={(e) => refine({ tenant: e.currentTarget.value || undefined })}>
            <option value="">All tenants</option>
            {ids.map((id) => (
              <option key={id}>{id}</option>
            ))}
          </select>
          {may('operator') && ids.length > 0 && (
            <button type="button" class="danger" onClick={() => setPurging(true)}>
              Purge …
            </button>
          )}
        </>
      }
    >
      <div class="stack">
        <CacheFigures />
        <Decisions tenant={said} tenants={ids} />
      </div>
      {purging && <Purge tenants={ids} tenant={said || (ids[0] ?? '')} onClose={() => setPurging(false)} />}
    </Screen>
  )
}

// Decisions are the latest exchanges that the cache had something to say about, and the way to any other.
function Decisions({ tenant, tenants }: { tenant: string; tenants: string[] }) {
  const latest = useLoad<{ exchanges: Exchange[] }>(url('/admin/v1/exchanges', { limit: 200, tenant }), 2000)
  const [explained, setExplained] = useState<{ tenant: string; decision: Decision }>()
  const [id, setID] = useState('')
  const [whose, setWhose] = useState('')
  const list = (latest.data?.exchanges ?? []).filter((e) => e.cache).reverse().slice(0, 50)
  const explain = (of: string, exchange: string) =>
    attempt(async () => {
      const path = `${pathOf(of)}/cache/decisions/${encodeURIComponent(exchange)}`
      setExplained({ tenant: of, decision: (await get<{ data: Decision }>(path)).data })
    })
  const asked = route.value.query.get('explain') // other screens lead here
  useEffect(() => {
    if (asked) void explain(tenant, asked)
  }, [asked])
  const submit = (e: Event) => {
    e.preventDefault()
    const exchange = id.trim()
    const known = latest.data?.exchanges.find((x) => x.id === exchange)
    void explain(tenant || whose || known?.tenant || tenants[0] || '', exchange)
  }
  return (
    <Panel
      title="Decisions"
      beside={
        <form class="inline" onSubmit={submit}>
          {!tenant && tenants.length > 1 && (
            <select aria-label="Tenant of the exchange" value={whose} onChange={(e) => setWhose(e.currentTarget.value)}>
              <option value="">of any tenant</option>
              {tenants.map((t) => (
                <option key={t}>{t}</option>
              ))}
            </select>
          )}
          <input required data-filter aria-label="Id of an exchange" placeholder="req_…   /" value={id} onInput={(e) => setID(e.currentTarget.value)} />
          <button type="submit">Explain</button>
        </form>
      }
    >
      {!latest.data ? (
        <Waiting error={latest.error} retry={latest.reload} />
      ) : list.length === 0 ? (
        <Empty title="The cache had nothing to decide lately." command={'plugins:\n  cache:\n    exact: {ttl: 1h}\n    semantic: {mode: verified}'}>
          Ask the same twice to see a hit. It keeps nothing until the gateway’s file says so:
        </Empty>
      ) : (
        <Table
          caption="Latest decisions of the cache"
          rows={list}
          rowKey={(e) => e.id}
          onOpen={(e) => void explain(e.tenant ?? '', e.id)}
          columns={[
            { title: 'Time', cell: (e) => clock(e.time) },
            { title: 'Result', sort: (e) => e.cache ?? '', cell: (e) => <Badge tone={tones[e.cache ?? ''] ?? 'quiet'}>{e.cache}</Badge> },
            { title: 'Tenant', sort: (e) => e.tenant ?? '', cell: (e) => e.tenant ?? '' },
            { title: 'Model', sort: (e) => e.model ?? '', cell: (e) => e.model ?? '', grow: true },
            { title: 'Exchange', cell: (e) => <span class="mono">{e.id}</span> },
          ]}
        />
      )}
      {explained && <Explained {...explained} onClose={() => (setExplained(undefined), refine({ explain: undefined }))} />}
    </Panel>
  )
}

const three = (n: number | undefined) => (n === undefined ? '–' : n.toFixed(3))

function Explained({ tenant, decision: d, onClose }: { tenant: string; decision: Decision; onClose: () => void }) {
  const reject = () =>
    attempt(async () => {
      await post(`${pathOf(tenant)}/cache/decisions/${encodeURIComponent(d.exchange)}/reject`)
      notify('It is not given to that question again, and must be more certain for others.')
      onClose()
    })
  const bar =
    d.threshold === undefined ? '–' : d.threshold > 1 ? 'nothing was known that would allow any' : three(d.threshold)
  return (
    <Dialog title="Why the cache did so" onClose={onClose} wide>
      <dl class="facts">
        <div>
          <dt>Exchange</dt>
          <dd class="mono">{d.exchange}</dd>
        </div>
        <div>
          <dt>When</dt>
          <dd>{moment(d.at)}</dd>
        </div>
        <div>
          <dt>Result</dt>
          <dd>
            <Badge tone={tones[d.result] ?? 'quiet'}>{d.result}</Badge> {d.reason}
          </dd>
        </div>
        {d.answer && (
          <div>
            <dt>Answer</dt>
            <dd class="mono">{d.answer}</dd>
          </div>
        )}
        {d.score !== undefined && (
          <div>
            <dt>Score</dt>
            <dd>
              {three(d.score)}; it had to reach: {bar}
            </dd>
          </div>
        )}
      </dl>
      {d.candidates && (
        <Table
          caption="Answers that were considered"
          rows={d.candidates}
          rowKey={(c) => c.answer}
          columns={[
            { title: 'Answer', cell: (c) => <span class="mono">{c.answer}</span> },
            { title: 'Alike', number: true, cell: (c) => three(c.cosine) },
            { title: 'Verified', number: true, cell: (c) => (c.verified ? three(c.verified) : '–') },
            { title: 'Score', number: true, cell: (c) => (c.score ? three(c.score) : '–') },
            { title: 'Left because', cell: (c) => c.refused ?? '', grow: true },
          ]}
        />
      )}
      <footer>
        {d.answer && may('operator') && (
          <button type="button" class="danger" onClick={reject}>
            This answer was wrong
          </button>
        )}
        <button type="button" onClick={onClose}>
          Close
        </button>
      </footer>
    </Dialog>
  )
}

const kinds = { all: 'Everything', model: 'Of a model', tag: 'With a tag', id: 'One answer' }

// Purge asks which answers, and then once more.
function Purge({ tenants, tenant, onClose }: { tenants: string[]; tenant: string; onClose: () => void }) {
  const [whose, setWhose] = useState(tenant)
  const [kind, setKind] = useState<keyof typeof kinds>('all')
  const [which, setWhich] = useState('')
  const [sure, setSure] = useState(false)
  const what = kind === 'all' ? 'every answer' : kind === 'model' ? `the answers of ${which}` : kind === 'tag' ? `the answers tagged ${which}` : `the answer ${which}`
  const submit = async (e: Event) => {
    e.preventDefault()
    if (!sure) return setSure(true)
    const purge = async () => {
      const { data } = await post<{ data: { answers: number } }>(`${pathOf(whose)}/cache/purge`, kind === 'all' ? {} : { [kind]: which.trim() })
      notify(data.answers === 1 ? 'One answer was taken out.' : `${count(data.answers)} answers were taken out.`)
    }
    if (await attempt(purge)) onClose()
  }
  return (
    <Dialog title="Purge the cache" onClose={onClose}>
      <form onSubmit={submit} onInput={() => setSure(false)}>
        <Field label="Tenant">
          {(id) => (
            <select id={id} autofocus value={whose} onChange={(e) => setWhose(e.currentTarget.value)}>
              {tenants.map((t) => (
                <option key={t}>{t}</option>
              ))}
            </select>
          )}
        </Field>
        <Field label="What">
          {(id) => (
            <select id={id} value={kind} onChange={(e) => setKind(e.currentTarget.value as keyof typeof kinds)}>
              {Object.entries(kinds).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        {kind !== 'all' && (
          <Field label={{ model: 'Model', tag: 'Tag', id: 'Answer' }[kind]} hint={kind === 'id' ? 'ans_…, as x-sluice-cache-id says it' : undefined}>
            {(id) => <input id={id} required value={which} onInput={(e) => setWhich(e.currentTarget.value)} />}
          </Field>
        )}
        {sure && (
          <p role="alert" class="tone-bad">
            This takes {what} of {whose} out, on every node that shares the cache. They have to be paid for again.
          </p>
        )}
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="danger">
            {sure ? 'Yes, purge' : 'Purge'}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
