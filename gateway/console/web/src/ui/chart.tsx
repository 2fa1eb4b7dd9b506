// Charts over time: uPlot, with a sentence that says what is to be seen, and the same figures as a table.
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { clock, day, moment } from '../format'
import { colour, isDark } from '../theme'
import { IconButton } from './parts'
import { Table } from './table'

export interface Series {
  label: string
  values: (number | null)[] // one for each time; null: not known
  colour?: string // a custom property of the style sheet; without it, the next of the palette
  dashed?: boolean // of a line: it is a guess
}

interface Props {
  title: string
  summary: string // one line: what is to be seen
  times: number[] // seconds since 1970, ascending
  series: Series[]
  kind?: 'line' | 'bars' // bars are stacked
  unit?: (n: number) => string // how values are written
  days?: boolean // the times are days, in UTC
  height?: number
}

export const palette = ['--s1', '--s2', '--s3', '--s4', '--s5', '--s6', '--s7', '--s8']

export function Chart(p: Props) {
  const [table, setTable] = useState(false)
  const [at, setAt] = useState<number | null>(null)
  const id = useId()
  const unit = p.unit ?? String
  const when = (i: number) => (p.days ? day((p.times[i] ?? 0) * 1000) : moment((p.times[i] ?? 0) * 1000))
  return (
    <section class="panel chart" aria-labelledby={id}>
      <header>
        <h2 id={id}>{p.title}</h2>
        <div class="beside">
          <IconButton icon={table ? 'chart' : 'table'} label={table ? 'Show as chart' : 'Show as table'} pressed={table} onClick={() => setTable(!table)} />
        </div>
      </header>
      <p class="note">{p.summary}</p>
      {table ? (
        <div class="chart-table" style={{ height: (p.height ?? 176) + 32 }}>
          <Table
            caption={p.title}
            rows={p.times.map((_, i) => i).reverse()}
            rowKey={String}
            columns={[
              { title: 'Time', cell: when },
              ...p.series.map((s) => ({ title: s.label, number: true, cell: (i: number) => written(s.values[i], unit) })),
            ]}
          />
        </div>
      ) : (
        <>
          <Plot {...p} onPoint={setAt} />
          <ul class="legend">
            {p.series.map((s, i) => (
              <li key={s.label}>
                <i style={{ background: `var(${s.colour ?? palette[i % palette.length]})` }} />
                {s.label}
                {at !== null && <b>{written(s.values[at], unit)}</b>}
              </li>
            ))}
            {at !== null && <li class="when">{when(at)}</li>}
          </ul>
        </>
      )}
    </section>
  )
}

const written = (v: number | null | undefined, unit: (n: number) => string) => (v == null ? '–' : unit(v))

// Plot is the canvas alone. It is made anew when its kind or the theme changes, and takes new figures as they come.
function Plot(p: Props & { onPoint: (i: number | null) => void }) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const data = stacked(p)
  const labels = p.series.map((s) => s.label + (s.colour ?? '')).join('\n')
  const dark = isDark()
  useEffect(() => {
    if (!box.current) return
    const size = { width: box.current.clientWidth, height: p.height ?? 176 }
    const made = new uPlot({ ...options(p), ...size }, data, box.current)
    plot.current = made
    const watch = new ResizeObserver(([e]) => e && made.setSize({ width: Math.floor(e.contentRect.width), height: size.height }))
    watch.observe(box.current)
    return () => {
      watch.disconnect()
      made.destroy()
    }
  }, [labels, p.kind, p.days, p.height, dark])
  useEffect(() => plot.current?.setData(data), [p.times, ...p.series.map((s) => s.values)])
  return <div ref={box} class="plot" role="img" aria-label={`${p.title}. ${p.summary}`} style={{ height: p.height ?? 176 }} />
}

// sparse values are drawn as points, too: one between two gaps has no line.
const sparse = (u: uPlot, series: number): boolean => Array.from(u.data[series] ?? []).filter((v) => v != null).length < 24

// steps are how far apart the lines of a grid for whole numbers may be.
const steps = [...Array(12).keys()].flatMap((n) => [1, 2, 5].map((f) => f * 10 ** n))

// stacked is the figures as uPlot takes them. Of bars, each is the sum of itself and those below; the highest is drawn first.
function stacked(p: Props): uPlot.AlignedData {
  if (p.kind !== 'bars') return [p.times, ...p.series.map((s) => s.values)]
  const sums: number[][] = []
  for (const s of p.series) {
    const below = sums.at(-1)
    sums.push(p.times.map((_, i) => (s.values[i] ?? 0) + (below?.[i] ?? 0)))
  }
  return [p.times, ...sums.reverse()]
}

function options(p: Props & { onPoint: (i: number | null) => void }): Omit<uPlot.Options, 'width' | 'height'> {
  const unit = p.unit ?? String
  const axis = { stroke: colour('--text-2'), font: '11px system-ui, sans-serif', ticks: { show: false } }
  const bars = p.kind === 'bars'
  const whole = p.series.every((s) => s.values.every(Number.isInteger))
  const series: uPlot.Series[] = p.series.map((s, i) => {
    const c = colour(s.colour ?? palette[i % palette.length] ?? '--s1')
    return bars
      ? { label: s.label, fill: c, width: 0, points: { show: false }, paths: uPlot.paths.bars!({ size: [0.7, 48], radius: 0.1 }) }
      : { label: s.label, stroke: c, width: 1.5, ...(s.dashed ? { dash: [5, 5] } : {}), points: { show: !s.dashed && sparse, size: 4, fill: c } }
  })
  return {
    legend: { show: false },
    cursor: { y: false, points: { show: !bars, size: 6 }, drag: { x: false, y: false } },
    padding: [8, 20, 0, 0],
    scales: { x: { time: true, range: bars ? wide : undefined }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    series: [{}, ...(bars ? series.reverse() : series)],
    axes: [
      { ...axis, grid: { show: false }, size: 28, space: 72, values: (_u, at, _axis, _space, step) => at.map((s) => (p.days ? day(s * 1000).slice(5) : clock(s * 1000).slice(0, step < 60 ? 8 : 5))) },
      { ...axis, grid: { stroke: colour('--line'), width: 1 }, size: 56, space: 36, incrs: whole ? steps : undefined, values: (_u, at) => at.map((n) => unit(n)) },
    ],
    ...(p.days ? { tzDate: (s: number) => uPlot.tzDate(new Date(s * 1000), 'UTC') } : {}),
    hooks: { setCursor: [(u) => p.onPoint(u.cursor.idx ?? null)] },
  } as Omit<uPlot.Options, 'width' | 'height'>
}

// wide leaves half a bar at both ends.
function wide(u: uPlot, min: number, max: number): [number, number] {
  const times = u.data[0]
  const step = times.length > 1 ? (max - min) / (times.length - 1) : 3600
  return [min - step / 2, max + step / 2]
}
