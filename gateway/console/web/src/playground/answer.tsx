// One answer: its text as it comes, what it took, and what can be done with it.
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { count, ms, usd } from '../format'
import { href } from '../router'
import { Icon } from '../ui/icons'
import { Badge, Copy, IconButton, type Tone } from '../ui/parts'
import type { Answer, ChatRequest } from './conversation'
import { render, split } from './markdown'
import { again, stop } from './run'
import { languages, snippet } from './snippets'

export function AnswerView(p: { of: Answer; turn: number; side: number; request: ChatRequest; base: string }) {
  const a = p.of
  const streaming = a.state === 'streaming'
  const menu = `copy-${a.id}`
  return (
    <article class="answer" aria-label={`Answer of ${a.model}`} aria-busy={streaming}>
      <header>
        <b>{a.model}</b>
        {a.cache && <CacheBadge of={a} />}
        {a.state === 'stopped' && <Badge>stopped</Badge>}
        {a.state === 'failed' && <Badge tone="bad">failed</Badge>}
      </header>
      {a.reasoning && (
        <details class="reasoning">
          <summary>Reasoning</summary>
          <p>{a.reasoning}</p>
        </details>
      )}
      <Text text={a.text} streaming={streaming} />
      {a.error && (
        <p class="tone-bad" role="alert">
          {a.error}
        </p>
      )}
      <footer>
        <Figures of={a} />
        <div class="acts">
          {streaming ? (
            <button type="button" class="small" onClick={() => stop(a)}>
              Stop
            </button>
          ) : (
            <>
              <IconButton icon="retry" label="Ask again" onClick={() => again(p.turn, p.side)} />
              <button type="button" class="quiet icon-only" aria-label="Copy …" title="Copy …" popovertarget={menu}>
                <Icon name="copy" />
              </button>
              <div id={menu} popover="auto" class="menu">
                <Copy label="The answer" text={a.text} />
                {languages.map((l) => (
                  <Copy key={l} label={`As ${l}`} text={snippet(l, p.request, p.base)} />
                ))}
              </div>
            </>
          )}
        </div>
      </footer>
    </article>
  )
}

// tones are those of answers that came from the cache.
const tones: Record<string, Tone> = { exact: 'good', semantic: 'accent', coalesced: 'good' }

// CacheBadge is what the cache did and why; it leads to the whole explanation.
function CacheBadge({ of: a }: { of: Answer }) {
  const badge = (
    <Badge tone={tones[a.cache ?? '']}>
      cache: {a.cache}
      {a.cacheReason && a.cacheReason !== a.cache && `, ${a.cacheReason}`}
    </Badge>
  )
  if (!a.request) return badge
  return (
    <a href={href('cache', { tenant: a.tenant, explain: a.request })} title="Why?">
      {badge}
    </a>
  )
}

// Figures keep their place while they come, so that nothing jumps.
function Figures({ of: a }: { of: Answer }) {
  const streamed = (a.totalMs ?? 0) - (a.firstMs ?? 0)
  const stored = (a.cache ?? '') in tones
  const speed = a.outputTokens && streamed > 1 && !stored ? `${count((a.outputTokens / streamed) * 1000)} tokens/s` : ''
  const target = a.provider && `${a.provider}${a.targetModel ? ` / ${a.targetModel}` : ''}`
  const figures = [
    a.firstMs !== undefined && `first token ${ms(a.firstMs)}`,
    speed,
    a.outputTokens !== undefined && `${count(a.outputTokens)} tokens`,
    target,
    a.attempts !== undefined && <a href={href('requests', { id: a.request })}>{a.attempts === 0 ? 'no attempt' : a.attempts === 1 ? '1 attempt' : `${a.attempts} attempts`}</a>,
    a.cost === null ? 'cost unknown' : a.cost !== undefined && usd(a.cost),
  ].filter(Boolean)
  const waiting = a.state === 'streaming' ? 'Waiting for the first token …' : '\u00a0'
  return (
    <p class="note figures">
      {figures.length ? figures.map((f, i) => <span key={i}>{f}</span>) : waiting}
    </p>
  )
}

// Text shows what is finished as Markdown, each block made once, and what still comes as plain text.
function Text({ text, streaming }: { text: string; streaming: boolean }) {
  const { blocks, rest } = split(text)
  const finished = streaming || !rest ? blocks : [...blocks, rest]
  return (
    <div class="markdown" aria-live="off">
      {finished.map((b, i) => (
        <Block key={i} source={b} />
      ))}
      {streaming && <p class="coming">{rest}</p>}
    </div>
  )
}

function Block({ source }: { source: string }) {
  const box = useRef<HTMLDivElement>(null)
  const made = useMemo(() => render(source), [source])
  useEffect(() => box.current?.replaceChildren(made), [made])
  return <div ref={box} />
}
