// Budgets: how the money of each burns down in its present window, and where that leads if it goes on so.
import { url } from '../api'
import { day, moment, usd } from '../format'
import { useLoad } from '../load'
import { refine, route } from '../router'
import { Chart } from '../ui/chart'
import { Empty, Panel, Waiting } from '../ui/parts'
import type { Sums } from './usage'

/** How a budget stands, as GET /admin/v1/tenants/{tenant}/budgets has it. */
export interface BudgetNow {
  of: string
  per: 'day' | 'week' | 'month' | 'total'
  from?: string
  until?: string
  usd: string
  spent_usd: string
  remaining_usd: string
  warns?: boolean
}

/** The budgets of one tenant: of the one that is looked at, or else of one that is chosen here. */
export function Budgets(p: { tenants: string[]; tenant: string }) {
  const of = p.tenant || (route.value.query.get('budgets') ?? p.tenants[0] ?? '')
  const budgets = useLoad<{ data: { now: BudgetNow[] } }>(of && `/admin/v1/tenants/${encodeURIComponent(of)}/budgets`, 30_000)
  const choose = !p.tenant && p.tenants.length > 1 && (
    <select aria-label="Tenant of the budgets" value={of} onChange={(e) => refine({ budgets: e.currentTarget.value })}>
      {p.tenants.map((id) => (
        <option key={id}>{id}</option>
      ))}
    </select>
  )
  const now = budgets.data?.data.now
  return (
    <>
      <div class="section-head">
        <h2>Budgets{of && ` of ${of}`}</h2>
        {choose}
      </div>
      {!of ? null : !now ? (
        <Waiting error={budgets.error} retry={budgets.reload} />
      ) : now.length === 0 ? (
        <Empty title={`${of} has no budget.`} command="budgets: [{usd: 100, per: month}]">
          It spends what it likes. In its file, or on the screen of its tenant, it can be given one:
        </Empty>
      ) : (
        <div class="panels">
          {now.map((b) => (
            <Budget key={`${b.of} ${b.per}`} tenant={of} budget={b} />
          ))}
        </div>
      )}
    </>
  )
}

/** What a budget is called: "Per month", "Per day, key:app". */
export const budgetName = (b: { of: string; per: string }) => (b.per === 'total' ? 'In total' : `Per ${b.per}`) + (b.of === 'tenant' ? '' : `, ${b.of}`)

// seconds is a moment as charts take it.
const seconds = (at: string | number) => new Date(at).getTime() / 1000

function Budget({ tenant, budget }: { tenant: string; budget: BudgetNow }) {
  const [kind, name] = budget.of.split(':', 2)
  const drawn = budget.from !== undefined && budget.until !== undefined && kind !== 'user'
  const usage = useLoad<{ data: Sums[] }>(
    drawn
      ? url('/admin/v1/usage', { tenant, by: budget.per === 'day' ? 'hour' : 'day', from: budget.from, to: budget.until, ...(kind === 'key' || kind === 'model' ? { [kind]: name } : {}) })
      : '',
    60_000,
  )
  const spent = Number(budget.spent_usd)
  const limit = Number(budget.usd)
  const standing = `${usd(spent)} of ${usd(limit)} spent, ${usd(Math.max(limit - spent, 0))} left${budget.warns ? '; it only warns' : ''}.`
  if (!drawn || !usage.data) {
    return (
      <Panel title={budgetName(budget)}>
        <p class="note">{standing}</p>
        <meter min={0} max={limit} value={spent} high={limit * 0.8} aria-label={standing} />
      </Panel>
    )
  }
  const from = seconds(budget.from ?? 0)
  const until = seconds(budget.until ?? 0)
  const now = Math.min(Math.max(Date.now() / 1000, from + 1), until)
  const end = project(from, now, until, limit, spent)
  const { times, left, ahead } = burn(usage.data.data, budget.per === 'day' ? 3600 : 86_400, from, now, end.at, limit, spent)
  const outlook = end.at < until ? `At this pace nothing is left on ${moment(end.at * 1000)}.` : `At this pace ${usd(limit - end.left)} will be spent by ${day(until * 1000)}.`
  return (
    <Chart
      title={budgetName(budget)}
      summary={`${standing} ${outlook}`}
      times={times}
      series={[
        { label: 'Left', values: left },
        { label: 'Projected', values: ahead, colour: '--text-2', dashed: true },
      ]}
      unit={usd}
      days={budget.per !== 'day'}
    />
  )
}

// project is when and with how much the window ends, or when the money does, if it goes on as it did in the window so far.
function project(from: number, now: number, until: number, limit: number, spent: number): { at: number; left: number } {
  const pace = spent / (now - from)
  const left = limit - spent
  if (left <= 0) return { at: now, left: 0 }
  const gone = now + left / pace
  return gone < until ? { at: gone, left: 0 } : { at: until, left: left - pace * (until - now) }
}

// burn is what was left at the end of each step until now, and from there on what is projected.
function burn(lines: Sums[], step: number, from: number, now: number, end: number, limit: number, spent: number) {
  const charged = new Map<number, number>()
  for (const line of lines) charged.set(seconds(line.at ?? 0), (charged.get(seconds(line.at ?? 0)) ?? 0) + Number(line.charge_usd))
  const times = [from]
  const left: (number | null)[] = [limit]
  let sum = 0
  for (let at = from; at + step < now; at += step) {
    sum += charged.get(at) ?? 0
    times.push(at + step)
    left.push(Math.max(limit - sum, 0))
  }
  times.push(now)
  left.push(Math.max(limit - spent, 0))
  const ahead: (number | null)[] = left.map((v, i) => (i === left.length - 1 ? v : null))
  if (end > now) {
    times.push(end)
    left.push(null)
    ahead.push(Math.max(limit - spent - (spent / (now - from)) * (end - now), 0))
  }
  return { times, left, ahead }
}
