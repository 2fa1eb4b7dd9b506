// What the cache has done since the gateway started: hits by tier, savings, and how often it was wrong.
import { count, ms, percent, short, usd } from '../format'
import { useLoad } from '../load'
import { Empty, Panel, Stat, Stats, Waiting } from '../ui/parts'
import { Table } from '../ui/table'

interface Named {
  name: string
  count: number
}

/** GET /admin/v1/cache: of this node, and of all tenants. */
interface Figures {
  mode: 'off' | 'shadow' | 'verified'
  max_wrong?: number
  requests: Named[]
  bypass: Named[]
  decisions: Named[]
  judged: Named[]
  entries: number
  bytes: number
  saved_usd: string
  saved_ms: number
}

// tiers are the hits, and what each means.
const tiers: Record<string, string> = {
  exact: 'The same request was answered before',
  semantic: 'One that means the same was answered before',
  coalesced: 'The same was asked at the same time',
  stale: 'So, but the answer is past its time',
}

const of = (list: Named[], name: string) => list.find((n) => n.name === name)?.count ?? 0
const sum = (list: Named[]) => list.reduce((n, x) => n + x.count, 0)

/** The share of wrong answers that can be excluded to be exceeded with 95 % certainty, by Wilson's score interval. */
function bound(wrong: number, judged: number): number {
  const z = 1.6449
  const p = wrong / judged
  return (p + (z * z) / (2 * judged) + z * Math.sqrt((p * (1 - p)) / judged + (z * z) / (4 * judged * judged))) / (1 + (z * z) / judged)
}

export function CacheFigures() {
  const figures = useLoad<{ data: Figures }>('/admin/v1/cache', 5000)
  const f = figures.data?.data
  if (!f) return <Waiting error={figures.error} retry={figures.reload} />
  const hits = f.requests.filter((r) => r.name in tiers)
  const found = sum(hits)
  const asked = found + of(f.requests, 'miss')
  if (sum(f.requests) === 0) return <Empty title="Nothing has asked the cache since the gateway started." command="sluice chat Hello" />
  return (
    <>
      <Stats>
        <Stat name="Hits" value={percent(found / Math.max(asked, 1))} note={`${short(found)} of ${short(asked)} that could be`} />
        <Stat name="Saved" value={usd(f.saved_usd)} note={`and ${ms(f.saved_ms)} of waiting`} />
        <Wrong of={f} />
        <Stat name="Kept" value={short(f.entries)} note={`answers, ${size(f.bytes)}`} />
      </Stats>
      <div class="panels">
        <Counts title="Hits by tier" list={hits} all={asked} words={tiers} />
        {f.mode !== 'off' && <Counts title="Compared by meaning" list={f.decisions} all={sum(f.decisions)} none="No question was compared to others yet." />}
        {sum(f.bypass) > 0 && <Counts title="Kept out of it" list={f.bypass} all={sum(f.requests)} />}
      </div>
    </>
  )
}

const size = (bytes: number) => (bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`)

// Wrong is how often the judge found that no answer which was considered serves the question. It is asked about those of which the
// cache is not certain, and some others, so among all that are given fewer are wrong.
function Wrong({ of: f }: { of: Figures }) {
  if (f.mode === 'off') return <Stat name="Wrong" value="–" note="only the same requests are hits" />
  const wrong = of(f.judged, 'none')
  const judged = wrong + of(f.judged, 'serves')
  if (judged === 0) return <Stat name="Wrong" value="–" note={`none was judged; ${percent(f.max_wrong ?? 0)} may be`} />
  return (
    <Stat
      name="Wrong, of the doubtful"
      value={percent(wrong / judged)}
      note={`at most ${percent(bound(wrong, judged))} of ${count(judged)} judged; ${percent(f.max_wrong ?? 0)} of all may be`}
    />
  )
}

function Counts(p: { title: string; list: Named[]; all: number; words?: Record<string, string>; none?: string }) {
  const rows = p.list.filter((n) => n.count > 0 || !p.none).sort((a, b) => b.count - a.count)
  return (
    <Panel title={p.title}>
      {rows.length === 0 ? (
        <p class="note">{p.none}</p>
      ) : (
        <Table
          caption={`${p.title}, since the gateway started`}
          rows={rows}
          rowKey={(n) => n.name}
          columns={[
            {
              title: 'What',
              grow: true,
              cell: (n) => (
                <>
                  {n.name}
                  {p.words?.[n.name] && <div class="note">{p.words[n.name]}</div>}
                </>
              ),
            },
            { title: 'Count', number: true, cell: (n) => count(n.count) },
            { title: 'Share', number: true, cell: (n) => percent(n.count / Math.max(p.all, 1)) },
          ]}
        />
      )}
    </Panel>
  )
}
