// Light, dark, or what the system says.
import { effect, signal } from '@preact/signals'

export type Theme = 'system' | 'light' | 'dark'

const stored = localStorage.getItem('sluice.theme')
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system')

const system = matchMedia('(prefers-color-scheme: dark)')
const systemDark = signal(system.matches)
system.addEventListener('change', (e) => (systemDark.value = e.matches))

/** Whether the page is dark now. A canvas has to be drawn anew when it changes. */
export const isDark = (): boolean => (theme.value === 'system' ? systemDark.value : theme.value === 'dark')

effect(() => {
  document.documentElement.style.colorScheme = theme.value === 'system' ? 'light dark' : theme.value
  if (theme.value === 'system') localStorage.removeItem('sluice.theme')
  else localStorage.setItem('sluice.theme', theme.value)
})

/** A colour of the style sheet as a canvas takes it. */
export function colour(name: string): string {
  const probe = document.createElement('i')
  probe.style.color = `var(${name})`
  document.body.append(probe)
  const value = getComputedStyle(probe).color
  probe.remove()
  return value
}
