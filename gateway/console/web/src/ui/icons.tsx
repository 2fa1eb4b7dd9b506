// Line icons on a grid of 16, drawn in the colour of the text.
const paths = {
  overview: 'M2 9l3-3 3 3 6-6M2 13.5h12',
  playground: 'M2.5 3h11v8h-6l-3 2.5V11h-2z',
  requests: 'M2.5 4h11M2.5 8h7M2.5 12h9',
  usage: 'M3 13V8m3.3 5V3m3.4 10V6m3.3 7v-3',
  providers: 'M3 4.5h10M3 11.5h10M4.5 2.5v4m7 3v4M8 4.5v7',
  cache: 'M8 2l6 3-6 3-6-3zM2 8l6 3 6-3M2 11l6 3 6-3',
  tenants: 'M6 7.5a2.5 2.5 0 100-5 2.5 2.5 0 000 5zM1.5 13.5c0-2.5 2-4 4.5-4s4.5 1.5 4.5 4M10.5 2.8a2.5 2.5 0 010 4.5m1.5 2.5c1.5.6 2.5 1.9 2.5 3.7',
  configuration: 'M2.5 4.5h6m4 0h1m-11 7h1m4 0h6M10.5 6.5a2 2 0 100-4 2 2 0 000 4zM5.5 13.5a2 2 0 100-4 2 2 0 000 4z',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  light: 'M8 11a3 3 0 100-6 3 3 0 000 6zM8 1v1.5m0 11V15M1 8h1.5m11 0H15M3 3l1 1m8 8l1 1M13 3l-1 1M4 12l-1 1',
  dark: 'M13.5 9.5A6 6 0 016.5 2.5a6 6 0 107 7z',
  system: 'M2 3h12v8H2zM6 14h4m-2-3v3',
  leave: 'M6.5 2.5h-4v11h4M10 5l3 3-3 3m3-3H6',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  table: 'M2.5 3h11v10h-11zM2.5 6.5h11m-11 3.3h11M6.5 6.5V13',
  chart: 'M2.5 2.5v11h11M5 10l2.5-3 2 2L13 4.5',
  pause: 'M5.5 3v10m5-10v10',
  play: 'M4.5 3l8 5-8 5z',
  close: 'M4 4l8 8m0-8l-8 8',
  send: 'M2.5 8L14 2.5 10 13.5 8 9z',
  retry: 'M13 8a5 5 0 11-1.5-3.5L13 6m0-3.5V6H9.5',
  plus: 'M8 3v10M3 8h10',
}

export type IconName = keyof typeof paths

/** It says nothing to a screen reader: what it stands on has a name. */
export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d={paths[name]} />
  </svg>
)
