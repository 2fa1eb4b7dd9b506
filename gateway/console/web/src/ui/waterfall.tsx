// One exchange: what it was, and where its time went.
import { type Exchange, toneOf, type Try } from '../exchange'
import { count, moment, ms, usd } from '../format'
import { href } from '../router'
import { Badge, Copy, Dialog } from './parts'

export function ExchangeDialog({ of: x, onClose }: { of: Exchange; onClose: () => void }) {
  return (
    <Dialog title={`${x.model ?? x.endpoint}, ${moment(x.time)}`} wide onClose={onClose}>
      <p class="exchange-id">
        <Badge tone={toneOf(x.status, x.aborted)}>{x.aborted ? `${x.status}, cut short` : x.status}</Badge>
        <code>{x.id}</code>
        <Copy text={x.id} />
      </p>
      {x.error_code && (
        <p class="tone-bad">
          {x.error_code}
          {x.error_origin && ` (${x.error_origin})`}
          {x.error && `: ${x.error}`}
        </p>
      )}
      <Waterfall of={x} />
      <dl class="exchange-facts">
        {facts(x).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {x.tenant && (
        <footer>
          <a class="button" href={href('cache', { tenant: x.tenant, explain: x.id })}>
            Explain the cache's decision
          </a>
        </footer>
      )}
    </Dialog>
  )
}

function facts(x: Exchange): [string, string][] {
  const tokens = [`${count(x.input_tokens ?? 0)} in`, `${count(x.output_tokens ?? 0)} out`]
  if (x.cache_read_tokens) tokens.push(`${count(x.cache_read_tokens)} read from the provider's cache`)
  if (x.reasoning_tokens) tokens.push(`${count(x.reasoning_tokens)} for reasoning`)
  if (x.usage && x.usage !== 'reported') tokens.push(x.usage)
  const all: [string, string | undefined][] = [
    ['Endpoint', x.endpoint + (x.stream ? ', streamed' : '')],
    ['Tenant', x.tenant],
    ['Key', x.key],
    ['User', x.user],
    ['Target', x.provider && `${x.provider} / ${x.target_model ?? ''}`],
    ["Provider's id", x.upstream_request_id],
    ['Cache', x.cache],
    ['Tokens', x.usage && tokens.join(', ')],
    ['Cost', x.cost === 'unknown' ? `unknown: ${x.cost_reason ?? ''}` : x.usage && usd(x.cost_usd)],
    ['Client', x.client],
  ]
  return all.filter((f): f is [string, string] => Boolean(f[1]))
}

// Bar is a line of the waterfall, in milliseconds from the beginning.
interface Bar {
  name: string
  note: string
  at: number
  end: number
  first?: number // when the first token came
  kind: 'step' | 'try' | 'failed'
}

// bars are the plugins, each until the next is reached, and in the place of the last of them the attempts.
function bars(x: Exchange): Bar[] {
  const steps = x.steps ?? []
  const tries = x.tries ?? []
  const list: Bar[] = []
  steps.forEach((s, i) => {
    const next = steps[i + 1]
    if (s.name === 'forward' && tries.length > 0) return
    list.push({ name: s.name, note: '', at: s.at_ms, end: next?.at_ms ?? tries[0]?.at_ms ?? x.total_ms, kind: 'step' })
  })
  tries.forEach((t, i) => list.push(bar(t, i)))
  return list
}

function bar(t: Try, i: number): Bar {
  const well = t.outcome === 'ok'
  const note = [t.key, t.hedged && 'hedged', t.resent && 'sent again', well ? undefined : t.status || t.outcome, t.error].filter(Boolean).join(' · ')
  return {
    name: `${i + 1}. ${t.provider}`,
    note,
    at: t.at_ms,
    end: t.at_ms + t.total_ms,
    kind: well ? 'try' : 'failed',
    ...(well && t.first_ms !== undefined ? { first: t.at_ms + t.first_ms } : {}),
  }
}

function Waterfall({ of: x }: { of: Exchange }) {
  const list = bars(x)
  const whole = Math.max(x.total_ms, ...list.map((b) => b.end), 0.001)
  const share = (t: number) => `${(Math.min(Math.max(t, 0), whole) / whole) * 100}%`
  return (
    <table class="waterfall">
      <caption class="sr">Where the time went</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          <th scope="col" class="track">
            <span>0</span>
            <span>{ms(whole / 2)}</span>
            <span>{ms(whole)}</span>
          </th>
          <th scope="col" class="number">
            Took
          </th>
        </tr>
      </thead>
      <tbody>
        {list.map((b) => (
          <tr key={b.name}>
            <th scope="row">
              {b.name}
              {b.note && <span class="note">{b.note}</span>}
            </th>
            <td class="track">
              <i class={b.kind} style={{ left: share(b.at), width: share(b.end - b.at) }} />
              {b.first !== undefined && <i class="first" style={{ left: share(b.first) }} title={`First token after ${ms(b.first)}`} />}
            </td>
            <td class="number">{ms(b.end - b.at)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">Whole</th>
          <td class="note">{x.first_ms === undefined ? '' : `first token after ${ms(x.first_ms)}`}</td>
          <td class="number">{ms(x.total_ms)}</td>
        </tr>
      </tfoot>
    </table>
  )
}
