// Tenants: who they are, what they may, and their keys. What a file defines is shown with its place, and changed there.
import { useState } from 'preact/hooks'
import { del, may, post, put } from '../api'
import { attempt, Badge, Confirm, Dialog, Empty, Field, notify, Panel, Screen, Waiting } from '../ui/parts'
import { count, usd } from '../format'
import { useLoad } from '../load'
import { href, refine, route } from '../router'
import { Table } from '../ui/table'
import './screens.css'
import { type BudgetNow, budgetName } from './budgets'
import { type Key, Keys } from './keys'

interface Line {
  id: string
  name?: string
  disabled?: boolean
  origin: 'file' | 'store'
  file?: string
  line?: number
  twice?: boolean
}

export interface Limits {
  requests_per_minute?: number
  tokens_per_minute?: number
  concurrent?: number
}

interface Budget {
  usd: string
  per: string
  mode?: string
  of?: string
}

interface Spec {
  models?: { allow?: string[]; deny?: string[] }
  priority?: string
  limits?: Limits & { each_key?: Limits; each_user?: Limits; models?: ({ model: string } & Limits)[] }
  budgets?: Budget[]
  cache?: { scope?: string; semantic?: boolean }
}

export interface Tenant extends Line {
  spec: Spec
  keys: Key[]
}

/** What a change is answered with. `pending` says why it has no effect on this node yet. */
export interface Changed<T = unknown> {
  data: T
  pending?: string
}

/** Tells of a change that is made, but waits. */
export function tell(answer: Changed, done: string): void {
  if (answer.pending) notify(answer.pending, 'warn')
  else notify(done)
}

export const pathOf = (tenant: string) => `/admin/v1/tenants/${encodeURIComponent(tenant)}`

/** Where a tenant is defined: a place in a file, or the store. */
const place = (t: Line) => (t.origin === 'store' ? 'store' : t.file ? `${t.file}${t.line ? `:${t.line}` : ''}` : 'demonstration')

export function Tenants() {
  const id = route.value.query.get('tenant')
  return id ? <One key={id} id={id} /> : <All />
}

function All() {
  const after = route.value.query.get('after') ?? ''
  const list = useLoad<{ data: Line[]; next?: string }>(`/admin/v1/tenants?limit=100&after=${encodeURIComponent(after)}`, 30_000)
  const [adding, setAdding] = useState(false)
  const wanted = (route.value.query.get('q') ?? '').toLowerCase()
  const rows = (list.data?.data ?? []).filter((t) => `${t.id} ${t.name ?? ''}`.toLowerCase().includes(wanted))
  return (
    <Screen
      title="Tenants"
      beside={
        <>
          <input type="search" data-filter placeholder="Filter   /" aria-label="Filter tenants" value={wanted} onInput={(e) => refine({ q: e.currentTarget.value || undefined })} />
          {may('admin') && (
            <button type="button" class="primary" onClick={() => setAdding(true)}>
              New tenant
            </button>
          )}
        </>
      }
    >
      {!list.data ? (
        <Waiting error={list.error} retry={list.reload} />
      ) : list.data.data.length === 0 ? (
        <Empty title="There is no tenant yet." command="sluice tenants add acme --name Acme">
          A tenant has keys, limits and budgets of its own. It is a file, or is kept in the store:
        </Empty>
      ) : rows.length === 0 ? (
        <Empty title={`No tenant has “${wanted}” in its name.`} />
      ) : (
        <Table
          caption="Tenants"
          rows={rows}
          rowKey={(t) => t.id}
          onOpen={(t) => (location.hash = href('tenants', { tenant: t.id }))}
          columns={[
            { title: 'Tenant', sort: (t) => t.id, cell: (t) => <a href={href('tenants', { tenant: t.id })}>{t.id}</a> },
            { title: 'Name', cell: (t) => t.name ?? '', grow: true, sort: (t) => t.name ?? '' },
            { title: 'State', cell: (t) => <State tenant={t} /> },
            { title: 'Defined in', cell: (t) => <span class="mono">{place(t)}</span>, sort: place },
          ]}
        />
      )}
      {(after || list.data?.next) && (
        <nav class="pages" aria-label="Pages">
          {after && <a href={href('tenants')}>First page</a>}
          {list.data?.next && <a href={href('tenants', { after: list.data.next })}>Next page</a>}
        </nav>
      )}
      {adding && <Add onClose={() => setAdding(false)} />}
    </Screen>
  )
}

const State = ({ tenant: t }: { tenant: Line }) => (
  <>
    {t.disabled ? <Badge tone="bad">disabled</Badge> : <Badge tone="good">active</Badge>}
    {t.twice && (
      <>
        {' '}
        <Badge tone="warn" title="The file has effect; what the store has of this tenant has none.">
          in the store, too
        </Badge>
      </>
    )}
  </>
)

function Add({ onClose }: { onClose: () => void }) {
  const [id, setID] = useState('')
  const [name, setName] = useState('')
  const submit = async (e: Event) => {
    e.preventDefault()
    const made = async () => tell(await post<Changed>('/admin/v1/tenants', { id, ...(name ? { name } : {}) }), `The tenant ${id} is made.`)
    if (await attempt(made)) location.hash = href('tenants', { tenant: id })
  }
  return (
    <Dialog title="New tenant" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Id" hint="Lower-case letters, digits and . _ - It cannot be changed, nor used again after the tenant is deleted.">
          {(at) => <input id={at} required autofocus maxLength={63} pattern="[a-z0-9][a-z0-9_.\-]*" value={id} onInput={(e) => setID(e.currentTarget.value)} />}
        </Field>
        <Field label="Name">{(at) => <input id={at} value={name} onInput={(e) => setName(e.currentTarget.value)} />}</Field>
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Make it
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function One({ id }: { id: string }) {
  const tenant = useLoad<{ data: Tenant }>(pathOf(id), 15_000)
  const t = tenant.data?.data
  const [deleting, setDeleting] = useState(false)
  const disable = () =>
    attempt(async () => {
      tell(await put<Changed>(`${pathOf(id)}/disabled`, !t?.disabled), t?.disabled ? `${id} may call again.` : `${id} is refused from now on.`)
      tenant.reload()
    })
  const ours = t?.origin === 'store' && may('admin')
  return (
    <Screen
      title={id}
      beside={
        <>
          {ours && (
            <>
              <button type="button" onClick={disable}>
                {t.disabled ? 'Enable' : 'Disable'}
              </button>
              <button type="button" class="danger" onClick={() => setDeleting(true)}>
                Delete
              </button>
            </>
          )}
          <a class="button" href={href('tenants')}>
            All tenants
          </a>
        </>
      }
    >
      {!t ? (
        <Waiting error={tenant.error} retry={tenant.reload} />
      ) : (
        <div class="stack">
          <p class="about">
            {t.name && <b>{t.name}</b>} <State tenant={t} />{' '}
            {t.origin === 'file' ? (
              <span class="note">
                Defined in <code>{place(t)}</code> and changed there: here it can only be looked at. <a href={href('usage', { tenant: id })}>Usage</a>
              </span>
            ) : (
              <span class="note">
                Kept in the store. <a href={href('usage', { tenant: id })}>Usage</a>
              </span>
            )}
          </p>
          <Keys tenant={t} reload={tenant.reload} />
          <div class="panels">
            <LimitsPanel tenant={t} reload={tenant.reload} />
            <BudgetsPanel tenant={t} reload={tenant.reload} />
          </div>
          <Rules spec={t.spec} />
        </div>
      )}
      {deleting && (
        <Confirm
          title={`Delete ${id}?`}
          act="Delete"
          onClose={() => setDeleting(false)}
          onYes={async () => {
            tell(await del<Changed>(pathOf(id)), `The tenant ${id} is deleted.`)
            location.hash = href('tenants')
          }}
        >
          <p>Its keys stop working at once. What it used stays in the ledger, and nobody else can get this id.</p>
        </Confirm>
      )}
    </Screen>
  )
}

/** The kinds of limit, what they are called, and what they are called where it is said how they stand. */
export const limitNames: [keyof Limits, string, string][] = [
  ['requests_per_minute', 'Requests per minute', 'requests'],
  ['tokens_per_minute', 'Tokens per minute', 'tokens'],
  ['concurrent', 'At once', 'concurrent'],
]

interface LimitNow {
  of: string
  what: string
  limit: number
  remaining: number
}

function LimitsPanel({ tenant: t, reload }: { tenant: Tenant; reload: () => void }) {
  const now = useLoad<{ data: { now: LimitNow[] } }>(`${pathOf(t.id)}/limits`, 5000)
  const [changing, setChanging] = useState(false)
  const l = t.spec.limits ?? {}
  const said = [
    ...spell('tenant', l),
    ...spell('each key', l.each_key),
    ...spell('each user', l.each_user),
    ...(l.models ?? []).flatMap((m) => spell(`model ${m.model}`, m)),
  ]
  const standing = now.data?.data.now ?? []
  const left = (of: string, what: string) => standing.find((n) => n.of === of && n.what === what)
  const parts = standing.filter((n) => n.of !== 'tenant')
  return (
    <Panel
      title="Limits"
      beside={
        t.origin === 'store' &&
        may('admin') && (
          <button type="button" class="small" onClick={() => setChanging(true)}>
            Change
          </button>
        )
      }
    >
      {said.length === 0 ? (
        <p class="note">None: it may ask for as much as it likes.</p>
      ) : (
        <Table
          caption={`Limits of ${t.id}`}
          rows={said}
          rowKey={(s) => s.of + s.what}
          columns={[
            { title: 'Of', cell: (s) => s.of },
            { title: 'What', cell: (s) => s.what, grow: true },
            { title: 'Limit', number: true, cell: (s) => count(s.limit) },
            { title: 'Left now', number: true, cell: (s) => count(left(s.of, s.kind)?.remaining ?? s.limit) },
          ]}
        />
      )}
      {parts.length > 0 && (
        <Table
          caption={`How the limits of parts of ${t.id} stand`}
          rows={parts}
          rowKey={(n) => n.of + n.what}
          columns={[
            { title: 'Now', cell: (n) => n.of },
            { title: 'What', cell: (n) => n.what, grow: true },
            { title: 'Left', number: true, cell: (n) => `${count(n.remaining)} of ${count(n.limit)}` },
          ]}
        />
      )}
      {changing && <ChangeLimits tenant={t} onClose={() => setChanging(false)} done={reload} />}
    </Panel>
  )
}

const spell = (of: string, l: Limits = {}) => limitNames.flatMap(([name, what, kind]) => (l[name] ? [{ of, what, kind, limit: l[name] }] : []))

function ChangeLimits({ tenant: t, onClose, done }: { tenant: Tenant; onClose: () => void; done: () => void }) {
  const [limits, set] = useState<Limits>(t.spec.limits ?? {})
  const submit = async (e: Event) => {
    e.preventDefault()
    const change = async () => tell(await put<Changed>(`${pathOf(t.id)}/limits`, { ...t.spec.limits, ...limits }), 'The limits are changed.')
    if (!(await attempt(change))) return
    done()
    onClose()
  }
  return (
    <Dialog title={`Limits of ${t.id}`} onClose={onClose}>
      <form onSubmit={submit}>
        {limitNames.map(([name, what]) => (
          <Field key={name} label={what}>
            {(id) => (
              <input
                id={id}
                type="number"
                min={0}
                placeholder="no limit"
                value={limits[name] || ''}
                onInput={(e) => set({ ...limits, [name]: Number(e.currentTarget.value) || undefined })}
              />
            )}
          </Field>
        ))}
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Change
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function BudgetsPanel({ tenant: t, reload }: { tenant: Tenant; reload: () => void }) {
  const now = useLoad<{ data: { now: BudgetNow[] } }>(`${pathOf(t.id)}/budgets`, 15_000)
  const [adding, setAdding] = useState(false)
  const mine = t.origin === 'store' && may('admin')
  const said = t.spec.budgets ?? []
  const replace = async (list: Budget[], text: string) => {
    tell(await put<Changed>(`${pathOf(t.id)}/budgets`, list), text)
    reload()
    now.reload()
  }
  const standing = now.data?.data.now ?? []
  const of = (b: Budget) => standing.find((n) => n.per === b.per && n.of === (b.of ?? 'tenant'))
  return (
    <Panel
      title="Budgets"
      beside={
        mine && (
          <button type="button" class="small" onClick={() => setAdding(true)}>
            Add
          </button>
        )
      }
    >
      {said.length === 0 ? (
        <p class="note">None: it may spend as much as it likes.</p>
      ) : (
        <Table
          caption={`Budgets of ${t.id}`}
          rows={said}
          rowKey={(b) => `${b.of} ${b.per}`}
          columns={[
            { title: 'Budget', cell: (b) => budgetName({ of: b.of ?? 'tenant', per: b.per }), grow: true },
            { title: 'Mode', cell: (b) => b.mode ?? 'metered' },
            { title: 'USD', number: true, cell: (b) => usd(b.usd) },
            { title: 'Spent', number: true, cell: (b) => usd(of(b)?.spent_usd) },
            ...(mine
              ? [
                  {
                    title: 'Change',
                    cell: (b: Budget) => (
                      <button type="button" class="small" onClick={() => attempt(() => replace(said.filter((x) => x !== b), 'The budget is taken away.'))}>
                        Remove
                      </button>
                    ),
                  },
                ]
              : []),
          ]}
        />
      )}
      {adding && <AddBudget onClose={() => setAdding(false)} add={(b) => replace([...said, b], 'The budget is added.')} />}
    </Panel>
  )
}

function AddBudget({ add, onClose }: { add: (b: Budget) => Promise<void>; onClose: () => void }) {
  const [budget, set] = useState<Budget>({ usd: '', per: 'month', mode: 'metered' })
  const submit = async (e: Event) => {
    e.preventDefault()
    if (await attempt(() => add(budget))) onClose()
  }
  const pick = (name: 'per' | 'mode', of: string[]) => (id: string) => (
    <select id={id} value={budget[name]} onChange={(e) => set({ ...budget, [name]: e.currentTarget.value })}>
      {of.map((v) => (
        <option key={v}>{v}</option>
      ))}
    </select>
  )
  return (
    <Dialog title="New budget" onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="USD">
          {(id) => <input id={id} type="number" required autofocus min={0} step="any" value={budget.usd} onInput={(e) => set({ ...budget, usd: e.currentTarget.value })} />}
        </Field>
        <Field label="Per">{pick('per', ['day', 'week', 'month', 'total'])}</Field>
        <Field label="Mode" hint="metered refuses what the money is not enough for, strict also reserves for the longest answer, warn only tells.">
          {pick('mode', ['metered', 'strict', 'warn'])}
        </Field>
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Add
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

// Rules are what else is said of a tenant, if anything.
function Rules({ spec: s }: { spec: Spec }) {
  const lines = [
    ['May use', s.models?.allow?.join(', ')],
    ['May not use', s.models?.deny?.join(', ')],
    ['Priority', s.priority],
    ['Cache shared by', s.cache?.scope],
    ['Similar questions share answers', s.cache?.semantic === undefined ? undefined : s.cache.semantic ? 'yes' : 'no'],
  ].filter(([, value]) => value)
  if (lines.length === 0) return null
  return (
    <Panel title="Rules">
      <dl class="facts">
        {lines.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  )
}
