// Tables: figures right-aligned, the whole thing scrolling by itself where it is too wide, rows that the arrow keys walk.
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

export interface Column<T> {
  title: string
  cell: (row: T) => ComponentChildren
  number?: boolean // right-aligned
  grow?: boolean // takes what is left, and cuts what is too long
  minor?: boolean // not on a phone
  sort?: (row: T) => number | string // the heading sorts by it
}

interface Props<T> {
  caption: string // what the table is, for who does not see it
  columns: Column<T>[]
  rows: T[]
  rowKey: (row: T) => string
  onOpen?: (row: T) => void // Enter or a press on a row
  open?: string // the key of the row that is open
}

export function Table<T>(p: Props<T>) {
  const [sorted, setSorted] = useState<{ column: number; down: boolean }>()
  let rows = p.rows
  const by = sorted && p.columns[sorted.column]?.sort
  if (by) {
    const sign = sorted.down ? -1 : 1
    rows = [...rows].sort((a, b) => (by(a) < by(b) ? -sign : by(a) > by(b) ? sign : 0))
  }
  const turn = (column: number) => setSorted((s) => ({ column, down: s?.column === column ? !s.down : true }))
  return (
    <div class="table" tabIndex={p.onOpen ? -1 : 0} role="region" aria-label={p.caption}>
      <table>
        <caption class="sr">{p.caption}</caption>
        <thead>
          <tr>
            {p.columns.map((c, i) => (
              <th key={c.title} scope="col" class={look(c)} aria-sort={sorted?.column === i ? (sorted.down ? 'descending' : 'ascending') : undefined}>
                {c.sort ? (
                  <button type="button" onClick={() => turn(i)}>
                    {c.title}
                  </button>
                ) : (
                  c.title
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody onKeyDown={p.onOpen && walk}>
          {rows.map((row, i) => {
            const key = p.rowKey(row)
            const open = p.onOpen && (() => p.onOpen?.(row))
            return (
              <tr
                key={key}
                class={open ? 'opens' : ''}
                tabIndex={open ? (p.open ? (key === p.open ? 0 : -1) : i === 0 ? 0 : -1) : undefined}
                aria-current={key === p.open ? 'true' : undefined}
                onClick={open}
                onKeyDown={open && ((e) => e.key === 'Enter' && e.target === e.currentTarget && open())}
              >
                {p.columns.map((c) => (
                  <td key={c.title} class={look(c)}>
                    {c.cell(row)}
                  </td>
                ))}
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

const look = (c: { number?: boolean; grow?: boolean; minor?: boolean }) =>
  [c.number && 'number', c.grow && 'grow', c.minor && 'minor'].filter(Boolean).join(' ') || undefined

// walk moves the focus from row to row.
function walk(e: KeyboardEvent) {
  const row = (e.target as HTMLElement).closest('tr')
  const rows = row?.parentElement?.children
  const to = {
    ArrowDown: row?.nextElementSibling,
    ArrowUp: row?.previousElementSibling,
    Home: rows?.[0],
    End: rows?.[rows.length - 1],
  }[e.key]
  if (!(to instanceof HTMLElement)) return
  e.preventDefault()
  to.focus()
}
