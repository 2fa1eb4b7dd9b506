// What the cache has done since the gateway started: hits by tier, savings, and how often it was wrong.
import { count, ms, percent, short, usd } from '../format'
import { useLoad } from '../load'
import { Empty, Panel, Stat, Stats, Waiting } from '../ui/parts'
import { Table } from '../ui/table'

/** GET /admin/v1/cache. */
interface Figures {
  mode: 'off' | 'shadow' | 'verified' | 'any'
  max_wrong?: number
  requests: { exact: number; semantic: number; coalesced: number; miss: number; bypass: number }
  bypass: Record<string, number>
  decisions: Record<string, number>
  judged: Record<string, number>
  entries: number
  bytes: number
  saved_usd: string
  saved_ms: number
}

const tiers = { exact: 'The same request', semantic: 'The same meaning', coalesced: 'Asked at the same time' } as const

export function CacheFigures({ tenant }: { tenant: string }) {
  const figures = useLoad<{ data: Figures }>(`/admin/v1/cache${tenant ? `?tenant=${encodeURIComponent(tenant)}` : ''}`, 5000)
  const f = figures.data?.data
  if (!f) return <Waiting error={figures.error} retry={figures.reload} />
  const hits = f.requests.exact + f.requests.semantic + f.requests.coalesced
  const asked = hits + f.requests.miss
  if (asked + f.requests.bypass === 0) return <Empty title="Nothing has asked the cache since the gateway started." command="sluice chat Hello" />
  return (
    <>
      <Stats>
        <Stat name="Hits" value={percent(hits / Math.max(asked, 1))} note={`${short(hits)} of ${short(asked)}`} />
        <Stat name="Saved" value={usd(f.saved_usd)} note={`and ${ms(f.saved_ms)} of waiting`} />
        <Stat name="Kept" value={short(f.entries)} note={`${short(f.bytes / 1024)} KiB`} />
      </Stats>
      <Panel title="Hits by tier">
        <Table
          caption="Hits by tier"
          rows={Object.entries(tiers)}
          rowKey={([name]) => name}
          columns={[
            { title: 'Tier', cell: ([, title]) => title, grow: true },
            { title: 'Hits', number: true, cell: ([name]) => count(f.requests[name as keyof typeof tiers]) },
          ]}
        />
      </Panel>
    </>
  )
}
