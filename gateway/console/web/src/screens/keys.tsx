// Keys of a tenant. A key is shown once, when it is made.
import { useState } from 'preact/hooks'
import { may, post } from '../api'
import { ago, count, day, moment } from '../format'
import { attempt, Badge, Command, Confirm, Dialog, Empty, Field, Panel } from '../ui/parts'
import { Table } from '../ui/table'
import { type Changed, type Limits, limitNames, pathOf, tell, type Tenant } from './tenants'

export interface Key {
  name: string
  created?: string
  expires?: string
  used?: string
  models?: string[]
  limits?: Limits
}

interface NewKey extends Key {
  secret: string
  old?: Key
}

type Doing = { what: 'create' } | { what: 'rotate' | 'revoke'; key: Key } | { what: 'show'; key: NewKey }

export function Keys({ tenant: t, reload }: { tenant: Tenant; reload: () => void }) {
  const [doing, set] = useState<Doing>()
  const mine = t.origin === 'store' && may('operator')
  const close = () => set(undefined)
  const made = (answer: Changed<NewKey>, text: string) => {
    tell(answer, text)
    reload()
    set({ what: 'show', key: answer.data })
  }
  return (
    <Panel
      title="Keys"
      beside={
        mine && (
          <button type="button" class="small primary" onClick={() => set({ what: 'create' })}>
            Create key
          </button>
        )
      }
    >
      {t.keys.length === 0 ? (
        <Empty title={`${t.id} has no key, so nobody can call in its name.`} command={`sluice keys create ${t.id}${t.origin === 'file' ? ' --write' : ''}`} />
      ) : (
        <Table
          caption={`Keys of ${t.id}`}
          rows={t.keys}
          rowKey={(k) => k.name}
          columns={[
            { title: 'Key', sort: (k) => k.name, cell: (k) => <Named k={k} /> },
            { title: 'Made', sort: (k) => k.created ?? '', cell: (k) => (k.created ? day(k.created) : '–') },
            { title: 'Used', sort: (k) => k.used ?? '', cell: (k) => (k.used ? ago(k.used) : '–') },
            { title: 'Expires', sort: (k) => k.expires ?? '', cell: (k) => <Expiry at={k.expires} /> },
            { title: 'May', grow: true, cell: rights },
            ...(mine ? [{ title: 'Change', cell: (k: Key) => <Buttons k={k} set={set} /> }] : []),
          ]}
        />
      )}
      {doing?.what === 'create' && <Create tenant={t.id} made={made} onClose={close} />}
      {doing?.what === 'rotate' && <Rotate tenant={t.id} k={doing.key} made={made} onClose={close} />}
      {doing?.what === 'revoke' && (
        <Confirm
          title={`Revoke ${doing.key.name}?`}
          act="Revoke"
          onClose={close}
          onYes={async () => {
            tell(await post<Changed>(`${keyPath(t.id, doing.key)}/revoke`), `The key ${doing.key.name} is revoked.`)
            reload()
          }}
        >
          <p>Who uses it is refused at once, on every node. So are those that it has replaced and that still work.</p>
        </Confirm>
      )}
      {doing?.what === 'show' && <Secret k={doing.key} onClose={close} />}
    </Panel>
  )
}

const keyPath = (tenant: string, k: Key) => `${pathOf(tenant)}/keys/${encodeURIComponent(k.name)}`

// A key that was replaced has a name with a ~ and the time.
const replaced = (k: Key) => k.name.includes('~')

const Named = ({ k }: { k: Key }) => (
  <>
    <span class="mono">{k.name.split('~')[0]}</span>
    {replaced(k) && (
      <>
        {' '}
        <Badge tone="warn">replaced</Badge>
      </>
    )}
  </>
)

function Expiry({ at }: { at: string | undefined }) {
  if (!at) return <>never</>
  return new Date(at).getTime() < Date.now() ? <Badge tone="bad">expired</Badge> : <>{moment(at)}</>
}

// rights are what a key may of what its tenant may.
const rights = (k: Key) =>
  [...(k.models ?? []), ...limitNames.flatMap(([name, what]) => (k.limits?.[name] ? [`${count(k.limits[name])} ${what.toLowerCase()}`] : []))].join(', ') || 'all that its tenant may'

const Buttons = ({ k, set }: { k: Key; set: (d: Doing) => void }) => (
  <span class="orders">
    {!replaced(k) && (
      <button type="button" class="small" aria-label={`Rotate ${k.name}`} onClick={() => set({ what: 'rotate', key: k })}>
        Rotate
      </button>
    )}
    <button type="button" class="small danger" aria-label={`Revoke ${k.name}`} onClick={() => set({ what: 'revoke', key: k })}>
      Revoke
    </button>
  </span>
)

interface Making {
  tenant: string
  made: (answer: Changed<NewKey>, text: string) => void
  onClose: () => void
}

function Create({ tenant, made, onClose }: Making) {
  const [name, setName] = useState('')
  const [models, setModels] = useState('')
  const [expires, setExpires] = useState('')
  const submit = async (e: Event) => {
    e.preventDefault()
    await attempt(async () => {
      const order = {
        ...(name ? { name } : {}),
        ...(models.trim() ? { models: models.split(/[\s,]+/).filter(Boolean) } : {}),
        ...(expires ? { expires: new Date(`${expires}T00:00:00Z`).toISOString() } : {}),
      }
      const answer = await post<Changed<NewKey>>(`${pathOf(tenant)}/keys`, order)
      made(answer, `The key ${answer.data.name} is made.`)
    })
  }
  return (
    <Dialog title={`New key of ${tenant}`} onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="Name" hint="What usage and logs call it. Left empty, it gets a number.">
          {(id) => <input id={id} autofocus maxLength={40} pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*" value={name} onInput={(e) => setName(e.currentTarget.value)} />}
        </Field>
        <Field label="Models" hint="Only these, with commas; * stands for anything. Left empty: all that the tenant may use.">
          {(id) => <input id={id} value={models} onInput={(e) => setModels(e.currentTarget.value)} />}
        </Field>
        <Field label="Works until" hint="The beginning of that day in UTC. Left empty: until it is revoked.">
          {(id) => <input id={id} type="date" value={expires} onInput={(e) => setExpires(e.currentTarget.value)} />}
        </Field>
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Create
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

const graces = { '0s': 'not at all', '1h': 'for an hour', '24h': 'for a day', '168h': 'for a week' }

function Rotate({ tenant, k, made, onClose }: Making & { k: Key }) {
  const [grace, setGrace] = useState('1h')
  const submit = async (e: Event) => {
    e.preventDefault()
    await attempt(async () => {
      made(await post<Changed<NewKey>>(`${keyPath(tenant, k)}/rotate`, { grace }), `The key ${k.name} is rotated.`)
    })
  }
  return (
    <Dialog title={`Rotate ${k.name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <Field label="The old key goes on working" hint="The new one has the same name and the same rights.">
          {(id) => (
            <select id={id} autofocus value={grace} onChange={(e) => setGrace(e.currentTarget.value)}>
              {Object.entries(graces).map(([value, text]) => (
                <option key={value} value={value}>
                  {text}
                </option>
              ))}
            </select>
          )}
        </Field>
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary">
            Rotate
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function Secret({ k, onClose }: { k: NewKey; onClose: () => void }) {
  return (
    <Dialog title={`The key ${k.name}`} onClose={onClose} firm>
      <div class="prose">
        <p>Copy it now: only its digest is kept, and it cannot be shown again.</p>
        <Command text={k.secret} />
        {k.old?.expires && <p class="note">The old key works until {moment(k.old.expires)}.</p>}
      </div>
      <footer>
        <button type="button" class="primary" onClick={onClose}>
          Done
        </button>
      </footer>
    </Dialog>
  )
}
