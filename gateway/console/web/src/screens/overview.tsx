// How the gateway fares: today's figures, and what the last while looked like.
import { firstRequest, useAddress } from '../address'
import { count, ms, percent, short, usd } from '../format'
import { useLoad } from '../load'
import { href } from '../router'
import { Chart } from '../ui/chart'
import { Empty, Screen, Stat, Stats, Waiting } from '../ui/parts'

/** The answer to GET /admin/v1/overview. What is not known is left out. */
interface Overview {
  today: { requests: number; errors: number; cost_usd: string; saved_usd: string } // since midnight UTC
  now: { streams: number; sockets: number }
  points: Point[] // oldest first
}

/** What happened until a moment, since the point before it. Quantiles are of that time alone. */
interface Point {
  at: string
  seconds: number // that it is about
  requests: number
  errors: number
  first_p50_ms?: number
  first_p95_ms?: number
  overhead_p50_ms?: number
  overhead_p95_ms?: number
  streams: number
}

export function Overview() {
  const { data, error, reload } = useLoad<{ data: Overview }>('/admin/v1/overview', 5000)
  return (
    <Screen title="Overview" beside={data && error && <span class="tone-bad">{error.message}</span>}>
      {data ? <Figures of={data.data} /> : <Waiting error={error} retry={reload} />}
    </Screen>
  )
}

function Figures({ of: { today, now, points } }: { of: Overview }) {
  const address = useAddress()
  const last = points.at(-1)
  const rate = last ? (last.requests / last.seconds) * 60 : 0
  const both = (a: number | undefined, b: number | undefined) => (a === undefined ? '–' : `${ms(a)} / ${ms(b)}`)
  const known = points.findLast((p) => p.first_p50_ms !== undefined)
  const own = points.findLast((p) => p.overhead_p50_ms !== undefined)
  return (
    <>
      <Stats>
        <Stat name="Requests today" value={short(today.requests)} note={`${count(rate)} a minute now`} />
        <Stat
          name="Errors today"
          value={today.requests ? percent(today.errors / today.requests) : '–'}
          note={<a href={href('requests', { status: 'error' })}>{count(today.errors)} failed</a>}
          tone={today.errors > today.requests / 20 ? 'bad' : undefined}
        />
        <Stat name="First token" value={ms(known?.first_p50_ms)} note={`p95 ${ms(known?.first_p95_ms)}`} />
        <Stat name="Overhead" value={ms(own?.overhead_p50_ms)} note={`p95 ${ms(own?.overhead_p95_ms)}`} />
        <Stat name="Spent today" value={usd(today.cost_usd)} note={<a href={href('usage')}>what for</a>} />
        <Stat name="Saved by cache" value={usd(today.saved_usd)} note={<a href={href('cache')}>today, by tier</a>} tone={Number(today.saved_usd) > 0 ? 'good' : undefined} />
        <Stat name="Live streams" value={count(now.streams)} note={`${count(now.sockets)} sockets`} />
      </Stats>
      {today.requests === 0 && points.every((p) => p.requests === 0) ? (
        <div class="panel">
          <Empty title="No requests yet." command={firstRequest(address)}>
            Ask a model in the <a href={href('playground')}>playground</a>, or from a shell:
          </Empty>
        </div>
      ) : (
        <Charts points={points} summary={both} />
      )}
    </>
  )
}

function Charts({ points, summary }: { points: Point[]; summary: (a?: number, b?: number) => string }) {
  const times = points.map((p) => new Date(p.at).getTime() / 1000)
  const perMinute = (n: (p: Point) => number) => points.map((p) => (n(p) / p.seconds) * 60)
  const of = (n: (p: Point) => number | undefined) => points.map((p) => n(p) ?? null)
  const requests = points.reduce((n, p) => n + p.requests, 0)
  const errors = points.reduce((n, p) => n + p.errors, 0)
  const first = points.findLast((p) => p.first_p50_ms !== undefined)
  const own = points.findLast((p) => p.overhead_p50_ms !== undefined)
  const streams = points.map((p) => p.streams)
  return (
    <div class="panels">
      <Chart
        title="Requests per minute"
        summary={`${count(requests)} requests, ${count(errors)} of them failed.`}
        times={times}
        unit={short}
        series={[
          { label: 'Answered', values: perMinute((p) => p.requests - p.errors) },
          { label: 'Failed', values: perMinute((p) => p.errors), colour: '--bad' },
        ]}
      />
      <Chart
        title="Time to the first token"
        summary={`At last ${summary(first?.first_p50_ms, first?.first_p95_ms)} (median / 95 %).`}
        times={times}
        unit={ms}
        series={[
          { label: 'p50', values: of((p) => p.first_p50_ms) },
          { label: 'p95', values: of((p) => p.first_p95_ms), colour: '--s2' },
        ]}
      />
      <Chart
        title="Overhead of the gateway"
        summary={`At last ${summary(own?.overhead_p50_ms, own?.overhead_p95_ms)} (median / 95 %).`}
        times={times}
        unit={ms}
        series={[
          { label: 'p50', values: of((p) => p.overhead_p50_ms) },
          { label: 'p95', values: of((p) => p.overhead_p95_ms), colour: '--s2' },
        ]}
      />
      <Chart
        title="Live streams"
        summary={`${count(streams.at(-1) ?? 0)} now, ${count(Math.max(0, ...streams))} at most.`}
        times={times}
        unit={short}
        series={[{ label: 'Streams', values: streams }]}
      />
    </div>
  )
}
