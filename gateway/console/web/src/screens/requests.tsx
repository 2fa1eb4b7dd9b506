// What is asked for, as it happens: the exchanges that have ended, the newest first, and each of them as a waterfall.
import './requests.css'
import { useEffect, useRef, useState } from 'preact/hooks'
import { firstRequest, useAddress } from '../address'
import { follow, url } from '../api'
import { type Exchange, kindOf, toneOf } from '../exchange'
import { clock, count, ms, usd } from '../format'
import { useLoad } from '../load'
import { refine, route } from '../router'
import { Badge, Choice, Dialog, Empty, Screen } from '../ui/parts'
import { type Column, Table } from '../ui/table'
import { ExchangeDialog } from '../ui/waterfall'

const most = 300 // that are kept and shown
const gather = 200 // milliseconds for which news are gathered before they are shown

export function Requests() {
  const query = route.value.query
  const tenant = query.get('tenant') ?? ''
  const [paused, setPaused] = useState(false)
  const { list, waiting, live } = useTail(tenant, paused)
  const tenants = useLoad<{ data: { id: string }[] }>('/admin/v1/tenants?limit=1000')
  const shown = list.filter(wanted(query))
  const address = useAddress()
  const id = query.get('id')
  const open = list.find((x) => x.id === id)
  const close = () => refine({ id: undefined })
  return (
    <Screen
      title="Requests"
      beside={
        <>
          <span class="live" role="status">
            <i class={live ? 'on' : ''} />
            {paused ? `Paused, ${count(waiting)} new` : live ? 'Live' : 'Connecting …'}
          </span>
          <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
            {paused ? 'Go on' : 'Pause'}
          </button>
        </>
      }
    >
      <div class="filters">
        <input
          type="search"
          data-filter
          class="search"
          placeholder="Filter: id, key, user, error …  ( / )"
          aria-label="Filter"
          value={query.get('q') ?? ''}
          onInput={(e) => refine({ q: e.currentTarget.value })}
          onKeyDown={(e) => e.key === 'Escape' && refine({ q: undefined })}
        />
        <Pick name="tenant" of={tenants.data?.data.map((t) => t.id) ?? []} />
        <Pick name="model" of={list.map((x) => x.model)} />
        <Pick name="provider" of={list.map((x) => x.provider)} />
        <Choice
          name="Status"
          value={query.get('status') ?? 'all'}
          of={[
            ['all', 'All'],
            ['ok', 'Answered'],
            ['cached', 'Cached'],
            ['error', 'Failed'],
          ]}
          onChange={(v) => refine({ status: v === 'all' ? undefined : v })}
        />
      </div>
      {shown.length > 0 ? (
        <Table caption="Requests, the newest first" columns={columns} rows={shown} rowKey={(x) => x.id} open={open?.id} onOpen={(x) => refine({ id: x.id })} />
      ) : list.length > 0 ? (
        <Empty title="None of the latest requests is like that.">New ones that are will appear here.</Empty>
      ) : (
        <Empty title="No requests yet." command={firstRequest(address)}>
          They appear here as they end. Send the first:
        </Empty>
      )}
      {open && <ExchangeDialog of={open} onClose={close} />}
      {id && !open && list.length > 0 && (
        <Dialog title="Not remembered any more" onClose={close}>
          <p>
            This node remembers the latest exchanges only, and <code>{id}</code> is not among them. What it cost is in the ledger.
          </p>
        </Dialog>
      )}
    </Screen>
  )
}

const columns: Column<Exchange>[] = [
  { title: 'Time', cell: (x) => clock(x.time) },
  {
    title: 'Status',
    cell: (x) => (
      <Badge tone={toneOf(x.status, x.aborted)} title={x.aborted ? 'The answer was cut short.' : x.error_code}>
        {x.status}
        {x.aborted && ' cut'}
      </Badge>
    ),
  },
  { title: 'Model', cell: (x) => x.model ?? <span class="note">{x.endpoint}</span> },
  { title: 'Provider', cell: provider },
  { title: 'Tenant', minor: true, grow: true, cell: (x) => (x.key ? `${x.tenant ?? ''} · ${x.key}` : x.tenant) },
  { title: 'First', minor: true, number: true, cell: (x) => ms(x.first_ms) },
  { title: 'Total', number: true, cell: (x) => ms(x.total_ms) },
  { title: 'In', minor: true, number: true, cell: (x) => (x.usage ? count(x.input_tokens ?? 0) : '–') },
  { title: 'Out', minor: true, number: true, cell: (x) => (x.usage ? count(x.output_tokens ?? 0) : '–') },
  { title: 'Cost', minor: true, number: true, cell: (x) => (x.cost === 'unknown' ? 'unknown' : x.usage ? usd(x.cost_usd) : '–') },
]

function provider(x: Exchange) {
  if (x.cache) return <Badge tone="accent">cache · {x.cache}</Badge>
  const tries = x.tries?.length ?? 0
  return (
    <>
      {x.provider ?? <span class="note">{x.error_code ?? '–'}</span>}
      {tries > 1 && <span class="note"> {tries} attempts</span>}
    </>
  )
}

// Pick is a filter that takes one of what there is.
function Pick({ name, of }: { name: string; of: (string | undefined)[] }) {
  const value = route.value.query.get(name) ?? ''
  const choices = [...new Set([...of, value].filter(Boolean))].sort()
  return (
    <select aria-label={`Only this ${name}`} value={value} onChange={(e) => refine({ [name]: e.currentTarget.value })}>
      <option value="">{`Any ${name}`}</option>
      {choices.map((c) => (
        <option key={c} value={c}>
          {c}
        </option>
      ))}
    </select>
  )
}

function wanted(query: URLSearchParams): (x: Exchange) => boolean {
  const [model, provider, status] = ['model', 'provider', 'status'].map((name) => query.get(name))
  const words = (query.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean)
  return (x) => {
    if ((model && x.model !== model) || (provider && x.provider !== provider) || (status && kindOf(x) !== status)) return false
    const text = `${x.id} ${x.endpoint} ${x.tenant} ${x.key} ${x.user} ${x.model} ${x.provider} ${x.status} ${x.error_code} ${x.error}`.toLowerCase()
    return words.every((w) => text.includes(w))
  }
}

// useTail follows the exchanges of a tenant, or of everybody. While it is paused, what comes waits.
function useTail(tenant: string, paused: boolean) {
  const [list, setList] = useState<Exchange[]>([])
  const [waiting, setWaiting] = useState(0)
  const [live, setLive] = useState(false)
  const news = useRef<Exchange[]>([])
  const held = useRef(paused)
  held.current = paused
  const take = () => {
    if (held.current) {
      setWaiting(news.current.length)
      return
    }
    const got = news.current.splice(0).reverse()
    setWaiting(0)
    setList((old) => [...got, ...old].slice(0, most))
  }
  useEffect(() => {
    let timer = 0
    const got = (x: Exchange) => {
      news.current.push(x)
      if (news.current.length > most) news.current.shift()
      timer ||= window.setTimeout(() => {
        timer = 0
        take()
      }, gather)
    }
    const leave = follow(url('/admin/v1/exchanges', { tenant, limit: most }), 'exchange', got, setLive)
    return () => {
      leave()
      clearTimeout(timer)
      news.current = []
      setList([])
    }
  }, [tenant])
  useEffect(take, [paused])
  return { list, waiting, live }
}
