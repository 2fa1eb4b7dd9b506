// How figures and times are written, the same on every screen. Locale-independent: an operator compares them with logs.

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumSignificantDigits: 3 })

/** 12,345 */
export const count = (n: number): string => grouped.format(n)

/** 12.3K from ten thousand on */
export const short = (n: number): string => (Math.abs(n) < 10_000 ? grouped.format(n) : compact.format(n))

/** Dollars with the digits that matter: $1,234.50, $0.0123, $0.0000042. The API says money as a decimal text. */
export function usd(amount: number | string | undefined): string {
  const n = Number(amount ?? 0)
  const size = Math.abs(n)
  if (size === 0) return '$0.00'
  const digits = size >= 0.1 ? 2 : Math.min(2 - Math.floor(Math.log10(size)) - 1, 9)
  const text = size.toLocaleString('en-US', { minimumFractionDigits: Math.min(digits, 2), maximumFractionDigits: digits })
  return (n < 0 ? '−$' : '$') + text
}

/** Milliseconds as people read them: 42 µs, 0.42 ms, 17 ms, 1.24 s, 2 min 5 s. */
export function ms(n: number | undefined): string {
  if (n === undefined) return '–'
  if (n > 0 && n < 0.1) return `${Math.max(Math.round(n * 1000), 1)} µs`
  if (n < 10) return `${Number(n.toFixed(2))} ms`
  if (n < 1000) return `${Math.round(n)} ms`
  if (n < 60_000) return `${(n / 1000).toFixed(2)} s`
  return `${Math.floor(n / 60_000)} min ${Math.round((n % 60_000) / 1000)} s`
}

/** Of a share from 0 to 1: 12.3 % */
export const percent = (share: number): string => `${(share * 100).toFixed(share > 0 && share < 0.0995 ? 2 : 1)} %`

const two = (n: number) => String(n).padStart(2, '0')

/** 14:03:59 in the browser's zone */
export function clock(at: string | number | Date): string {
  const t = new Date(at)
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`
}

/** 2026-11-24, UTC, as the API's days are */
export const day = (at: string | number | Date): string => new Date(at).toISOString().slice(0, 10)

/** 2026-11-24 14:03:59 in the browser's zone */
export function moment(at: string | number | Date): string {
  const t = new Date(at)
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock(t)}`
}

/** How long ago: now, 42 s, 7 min, 3 h, 12 d */
export function ago(at: string | number | Date, now = Date.now()): string {
  const s = Math.round((now - new Date(at).getTime()) / 1000)
  if (s < 2) return 'now'
  if (s < 60) return `${s} s ago`
  if (s < 3600) return `${Math.floor(s / 60)} min ago`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ago`
  return `${Math.floor(s / 86_400)} d ago`
}
