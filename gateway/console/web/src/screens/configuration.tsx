// Configuration: what holds, where each value comes from, and which file owns what.
import { useLoad } from '../load'
import { href, refine, route } from '../router'
import { Badge, Choice, Empty, Panel, Screen, type Tone, Waiting } from '../ui/parts'
import { Table } from '../ui/table'
import './screens.css'

/** A value of the configuration, as GET /admin/v1/config has it. */
interface Setting {
  path: string // providers[0].name
  value: string // as YAML; *** for a secret
  origin: string // default, file, env …, flag …, ${env:…}
  line?: number // in the gateway's file
}

interface Config {
  file?: string // left out: the demonstration
  settings: Setting[]
}

interface Tenant {
  id: string
  name?: string
  origin: 'file' | 'store'
  file?: string
  line?: number
}

const shown = { all: 'All', set: 'Set', default: 'Defaults' }

/** What an origin is, in a word. */
function tone(origin: string): Tone {
  if (origin === 'default') return 'quiet'
  return origin === 'file' ? 'good' : 'accent'
}

// head is the first name of a path: the part of the file that it belongs to.
const head = (path: string) => /^[^.[]*/.exec(path)?.[0] ?? path

export function Configuration() {
  const config = useLoad<{ data: Config }>('/admin/v1/config', 30_000)
  const tenants = useLoad<{ data: Tenant[] }>('/admin/v1/tenants?limit=1000', 30_000)
  const wanted = route.value.query.get('q') ?? ''
  const said = route.value.query.get('show') ?? ''
  const which = said in shown ? (said as keyof typeof shown) : 'all'
  const fits = (s: Setting) =>
    (which === 'all' || (which === 'default') === (s.origin === 'default')) && `${s.path} ${s.value} ${s.origin}`.toLowerCase().includes(wanted.toLowerCase())
  const list = config.data?.data.settings.filter(fits) ?? []
  const parts = [...new Set(list.map((s) => head(s.path)))]
  const owned = tenants.data?.data.filter((t) => t.origin === 'file' && t.id.includes(wanted)) ?? []
  return (
    <Screen
      title="Configuration"
      beside={
        <>
          <input type="search" data-filter placeholder="Filter   /" aria-label="Filter settings" value={wanted} onInput={(e) => refine({ q: e.currentTarget.value || undefined })} />
          <Choice name="Which" value={which} of={Object.entries(shown) as [keyof typeof shown, string][]} onChange={(v) => refine({ show: v === 'all' ? undefined : v })} />
        </>
      }
    >
      {!config.data ? (
        <Waiting error={config.error} retry={config.reload} />
      ) : (
        <div class="stack">
          <p class="note">
            {config.data.data.file ? (
              <>
                In effect now, of <code>{config.data.data.file}</code> and what was laid over it.
              </>
            ) : (
              'In effect now. There is no file: this is the demonstration.'
            )}
          </p>
          {list.length === 0 && <Empty title={`No setting has “${wanted}” in it.`} command="sluice config show" />}
          {parts.map((part) => (
            <Panel key={part} title={part}>
              <Settings part={part} list={list.filter((s) => head(s.path) === part)} />
            </Panel>
          ))}
          {owned.length > 0 && (
            <Panel title="Tenants of files">
              <Table
                caption="Tenants that files define, and that are changed there"
                rows={owned}
                rowKey={(t) => t.id}
                columns={[
                  { title: 'Tenant', cell: (t) => <a href={href('tenants', { tenant: t.id })}>{t.id}</a> },
                  { title: 'File', grow: true, cell: (t) => <span class="mono">{t.file ? `${t.file}${t.line ? `:${t.line}` : ''}` : 'demonstration'}</span> },
                ]}
              />
            </Panel>
          )}
        </div>
      )}
    </Screen>
  )
}

function Settings({ part, list }: { part: string; list: Setting[] }) {
  return (
    <Table
      caption={`Settings of ${part}`}
      rows={list}
      rowKey={(s) => s.path}
      columns={[
        { title: 'Setting', cell: (s) => <span class="mono">{s.path.slice(part.length).replace(/^\./, '') || part}</span> },
        { title: 'Value', grow: true, cell: (s) => <span class="mono" title={s.value}>{s.value}</span> },
        {
          title: 'From',
          cell: (s) => (
            <>
              {s.line ? <span class="note mono">line {s.line} </span> : null}
              <Badge tone={tone(s.origin)}>{s.origin}</Badge>
            </>
          ),
        },
      ]}
    />
  )
}
