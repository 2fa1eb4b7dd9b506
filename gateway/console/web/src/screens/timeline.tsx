// A strip for each name, coloured by what it was when.
import { clock } from '../format'
import type { Tone } from '../ui/parts'

export interface Span {
  from: number // milliseconds since 1970
  to: number
  name: string
  tone: Tone
}

/** Strips one below the other, on one axis of time. What they say is also their description. */
export function Timeline(p: { rows: { name: string; spans: Span[] }[]; from: number; to: number }) {
  const x = (at: number) => `${(((at - p.from) / (p.to - p.from)) * 100).toFixed(3)}%`
  const marks = [0, 1, 2, 3, 4].map((i) => p.from + ((p.to - p.from) * i) / 4)
  return (
    <div class="timeline">
      {p.rows.map((row) => (
        <div key={row.name} class="strip">
          <span title={row.name}>{row.name}</span>
          <svg role="img" aria-label={row.spans.map((s) => `${s.name} from ${clock(s.from)} to ${clock(s.to)}`).join(', ')}>
            {row.spans.map((s) => (
              <rect key={s.from} class={`fill-${s.tone}`} x={x(s.from)} width={x(p.from + s.to - s.from)} height="100%">
                <title>{`${s.name} from ${clock(s.from)} to ${clock(s.to)}`}</title>
              </rect>
            ))}
          </svg>
        </div>
      ))}
      <div class="strip" aria-hidden="true">
        <span />
        <div class="marks">
          {marks.map((at) => (
            <span key={at}>{clock(at).slice(0, 5)}</span>
          ))}
        </div>
      </div>
    </div>
  )
}
