// Usage: what was asked for and what it cost, from the sums that the store keeps; and how budgets burn down.
import { session, url } from '../api'
import { count, day, percent, short, usd } from '../format'
import { useLoad } from '../load'
import { refine, route } from '../router'
import { Chart, type Series } from '../ui/chart'
import { Choice, Empty, Panel, Screen, Stat, Stats, Waiting } from '../ui/parts'
import { Table } from '../ui/table'
import './screens.css'
import { Budgets } from './budgets'

/** A line of sums, as GET /admin/v1/usage has it. */
export interface Sums {
  at?: string
  tenant?: string
  key?: string
  model?: string
  provider?: string
  attempts: number
  cached: number
  failed: number
  input_tokens: number
  cache_read_tokens: number
  cache_write_tokens: number
  output_tokens: number
  cost_usd: string
  charge_usd: string
  unpriced: number
}

const ranges = { '1': '24 hours', '7': '7 days', '30': '30 days', '90': '90 days' }
const dimensions = { model: 'Model', tenant: 'Tenant', key: 'Key', provider: 'Provider' }
const measures = { cost: 'Cost', tokens: 'Tokens', requests: 'Requests' }

type Dimension = keyof typeof dimensions
type Measure = keyof typeof measures

const units: Record<Measure, (n: number) => string> = { cost: usd, tokens: short, requests: short }

const tokens = (s: Sums) => s.input_tokens + s.cache_read_tokens + s.cache_write_tokens + s.output_tokens
const requests = (s: Sums) => s.attempts + s.cached
const amount: Record<Measure, (s: Sums) => number> = { cost: (s) => Number(s.cost_usd), tokens, requests }

/** What the query of the address says, if it is one of the choices, and else the first of them that is meant. */
function chosen<T extends string>(name: string, of: Record<T, string>, otherwise: NoInfer<T>): T {
  const said = route.value.query.get(name)
  return said !== null && said in of ? (said as T) : otherwise
}

const pairs = <T extends string>(of: Record<T, string>) => Object.entries(of) as [T, string][]

export function Usage() {
  const tenants = useLoad<{ data: { id: string }[] }>('/admin/v1/tenants?limit=1000')
  const several = session.value?.tenants?.length ? session.value.tenants : undefined
  const tenant = route.value.query.get('tenant') ?? (several && several.length > 1 ? several[0] : undefined) ?? ''
  const range = chosen('range', ranges, '30')
  const by = chosen('by', dimensions, 'model')
  const measure = chosen('measure', measures, 'cost')
  const hourly = range === '1'
  const steps = times(hourly, Number(range))
  const query = {
    by: [hourly ? 'hour' : 'day', ...(by === 'key' ? ['tenant', 'key'] : [by])].join(),
    from: new Date((steps[0] ?? 0) * 1000).toISOString(),
    tenant,
  }
  const usage = useLoad<{ data: Sums[] }>(url('/admin/v1/usage', query), 60_000)
  const ids = tenants.data?.data.map((t) => t.id) ?? []
  return (
    <Screen
      title="Usage"
      beside={
        <>
          <select aria-label="Tenant" data-filter value={tenant} onChange={(e) => refine({ tenant: e.currentTarget.value || undefined })}>
            {!(several && several.length > 1) && <option value="">All tenants</option>}
            {ids.map((id) => (
              <option key={id}>{id}</option>
            ))}
          </select>
          <Choice name="Time" value={range} of={pairs(ranges)} onChange={(v) => refine({ range: v })} />
          <a class="button" href={url('/admin/v1/usage', { ...query, format: 'csv' })} download="usage.csv">
            CSV
          </a>
        </>
      }
    >
      {usage.data ? <Sheet lines={usage.data.data} by={by} measure={measure} steps={steps} range={ranges[range]} days={!hourly} /> : <Waiting error={usage.error} retry={usage.reload} />}
      <Budgets tenants={ids} tenant={tenant} />
    </Screen>
  )
}

// times are the beginnings of the hours or days of a range, in seconds; the last is the present one.
function times(hourly: boolean, days: number): number[] {
  const step = hourly ? 3600 : 86_400
  const last = Math.floor(Date.now() / 1000 / step) * step
  const n = hourly ? 24 : days
  return Array.from({ length: n }, (_, i) => last - (n - 1 - i) * step)
}

interface Group {
  name: string
  sum: Sums
  values: number[]
}

const nothing: Sums = {
  attempts: 0, cached: 0, failed: 0, input_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0, output_tokens: 0, cost_usd: '0', charge_usd: '0', unpriced: 0,
}

function add(a: Sums, b: Sums): Sums {
  const money = (x: string, y: string) => String(Number(x) + Number(y))
  return {
    attempts: a.attempts + b.attempts,
    cached: a.cached + b.cached,
    failed: a.failed + b.failed,
    input_tokens: a.input_tokens + b.input_tokens,
    cache_read_tokens: a.cache_read_tokens + b.cache_read_tokens,
    cache_write_tokens: a.cache_write_tokens + b.cache_write_tokens,
    output_tokens: a.output_tokens + b.output_tokens,
    cost_usd: money(a.cost_usd, b.cost_usd),
    charge_usd: money(a.charge_usd, b.charge_usd),
    unpriced: a.unpriced + b.unpriced,
  }
}

// groups are the lines by what they are divided by, the largest first.
function groups(lines: Sums[], by: Dimension, measure: Measure, steps: number[]): Group[] {
  const place = new Map(steps.map((t, i) => [t, i]))
  const found = new Map<string, Group>()
  for (const line of lines) {
    const name = (by === 'key' ? [line.tenant, line.key || '(no key)'].join(' / ') : line[by]) || '(none)'
    const group = found.get(name) ?? { name, sum: nothing, values: steps.map(() => 0) }
    found.set(name, group)
    group.sum = add(group.sum, line)
    const i = place.get(new Date(line.at ?? 0).getTime() / 1000)
    if (i !== undefined) group.values[i] = (group.values[i] ?? 0) + amount[measure](line)
  }
  return [...found.values()].sort((a, b) => amount[measure](b.sum) - amount[measure](a.sum))
}

const most = 7 // groups with a colour of their own; the rest is one more

function series(list: Group[]): Series[] {
  const shown: Series[] = list.slice(0, most).map((g) => ({ label: g.name, values: g.values }))
  const rest = list.slice(most)
  const first = rest[0]
  if (first) shown.push({ label: `${rest.length} others`, values: first.values.map((_, i) => rest.reduce((sum, g) => sum + (g.values[i] ?? 0), 0)) })
  return shown
}

function Sheet(p: { lines: Sums[]; by: Dimension; measure: Measure; steps: number[]; range: string; days: boolean }) {
  const list = groups(p.lines, p.by, p.measure, p.steps)
  const all = list.reduce((sum, g) => add(sum, g.sum), nothing)
  const first = list[0]
  if (!first) {
    return (
      <Empty title={`Nothing was used in the last ${p.range}.`} command="sluice chat Hello">
        What is asked of the gateway is here within seconds.
      </Empty>
    )
  }
  const unit = units[p.measure]
  const total = amount[p.measure](all)
  const share = total > 0 ? `; ${percent(amount[p.measure](first.sum) / total)} of it is ${first.name}` : ''
  return (
    <>
      <Stats>
        <Stat name="Cost" value={usd(all.cost_usd)} note={all.unpriced ? `${count(all.unpriced)} attempts have no known price` : `charged ${usd(all.charge_usd)}`} />
        <Stat name="Requests" value={short(requests(all))} note={`${short(all.cached)} from the cache`} />
        <Stat name="Tokens" value={short(tokens(all))} note={`${short(all.output_tokens)} of answers`} />
        <Stat name="Failed" value={percent(all.failed / Math.max(all.attempts, 1))} note={`${count(all.failed)} attempts`} />
      </Stats>
      <div class="filters">
        <Choice name="Divided by" value={p.by} of={pairs(dimensions)} onChange={(v) => refine({ by: v })} />
        <Choice name="Measure" value={p.measure} of={pairs(measures)} onChange={(v) => refine({ measure: v })} />
      </div>
      <Chart
        title={`${measures[p.measure]} by ${dimensions[p.by].toLowerCase()}`}
        summary={`${unit(total)}${p.measure === 'cost' ? '' : ` ${p.measure}`} in ${p.range}${share}.`}
        kind="bars"
        times={p.steps}
        series={series(list)}
        unit={unit}
        days={p.days}
        height={240}
      />
      <Panel title={`Totals by ${dimensions[p.by].toLowerCase()}`}>
        <Table
          caption={`Totals of ${p.range} by ${dimensions[p.by].toLowerCase()}, since ${day((p.steps[0] ?? 0) * 1000)}`}
          rows={list}
          rowKey={(g) => g.name}
          columns={[
            { title: dimensions[p.by], cell: (g) => g.name, grow: true, sort: (g) => g.name },
            { title: 'Cost', number: true, cell: (g) => usd(g.sum.cost_usd), sort: (g) => Number(g.sum.cost_usd) },
            { title: 'Charged', number: true, cell: (g) => usd(g.sum.charge_usd), sort: (g) => Number(g.sum.charge_usd) },
            { title: 'Requests', number: true, cell: (g) => short(requests(g.sum)), sort: (g) => requests(g.sum) },
            { title: 'Cached', number: true, cell: (g) => short(g.sum.cached), sort: (g) => g.sum.cached },
            { title: 'Failed', number: true, cell: (g) => count(g.sum.failed), sort: (g) => g.sum.failed },
            { title: 'Input', number: true, cell: (g) => short(tokens(g.sum) - g.sum.output_tokens), sort: (g) => tokens(g.sum) - g.sum.output_tokens },
            { title: 'Output', number: true, cell: (g) => short(g.sum.output_tokens), sort: (g) => g.sum.output_tokens },
          ]}
        />
      </Panel>
    </>
  )
}
