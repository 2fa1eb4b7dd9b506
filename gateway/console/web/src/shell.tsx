// The frame around every screen: navigation, theme, who is signed in.
import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, session, signIn, signOut, whoami } from './api'
import { href, route } from './router'
import { screens } from './screens'
import { theme } from './theme'
import { Icon } from './ui/icons'
import { attempt, Choice, Empty, Field, IconButton, Notices } from './ui/parts'

// local is who needs no token: whoever is on the gateway's machine, as long as there are none.
const local = 'local'

export function Shell() {
  const main = useRef<HTMLElement>(null)
  const [failed, setFailed] = useState('')
  const name = route.value.screen
  const screen = screens.find((s) => s.name === name)
  useEffect(() => {
    whoami().catch((e: Error) => setFailed(e.message))
  }, [])
  useEffect(() => {
    document.title = `${screen?.title ?? 'Not found'} · Sluice`
    main.current?.scrollTo(0, 0)
  }, [screen])
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      const typing = (e.target as HTMLElement).matches('input, textarea, select')
      if (e.key !== '/' || typing || e.ctrlKey || e.metaKey) return
      const filter = main.current?.querySelector<HTMLElement>('[data-filter]')
      if (filter) e.preventDefault()
      filter?.focus()
    }
    addEventListener('keydown', key)
    return () => removeEventListener('keydown', key)
  }, [])
  if (failed) return <Empty title={failed}>Is it running? Load this page again when it is.</Empty>
  if (!session.value) return null
  if (session.value.login) return <SignIn />
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        To the content
      </a>
      <aside>
        <a class="brand" href="#/overview">
          <Brand />
          Sluice
        </a>
        <Navigation now={name} />
        <div class="foot">
          <Choice
            name="Theme"
            value={theme.value}
            of={[
              ['light', <Icon name="light" />],
              ['dark', <Icon name="dark" />],
              ['system', <Icon name="system" />],
            ]}
            onChange={(v) => (theme.value = v)}
          />
          {session.value.name !== local && (
            <div class="who">
              <span title={session.value.role}>{session.value.name}</span>
              <IconButton icon="leave" label="Sign out" onClick={() => attempt(signOut)} />
            </div>
          )}
        </div>
      </aside>
      <main id="main" ref={main} tabIndex={-1}>
        {screen ? <screen.view key={screen.name} /> : <Empty title="There is no such screen." />}
      </main>
      <Notices />
    </>
  )
}

// Navigation stands at the left; on a phone at the bottom, where what has no room is behind "More".
function Navigation({ now }: { now: string }) {
  const more = useRef<HTMLDivElement>(null)
  const link = (s: (typeof screens)[number]) => (
    <a key={s.name} href={href(s.name)} aria-current={s.name === now ? 'page' : undefined} onClick={() => more.current?.hidePopover()}>
      <Icon name={s.name} />
      {s.title}
    </a>
  )
  return (
    <nav aria-label="Screens">
      {screens.slice(0, 4).map(link)}
      <button type="button" class="more" popovertarget="more" aria-current={screens.findIndex((s) => s.name === now) > 3 ? 'page' : undefined}>
        <Icon name="more" />
        More
      </button>
      <div id="more" popover="auto" ref={more}>
        {screens.slice(4).map(link)}
      </div>
    </nav>
  )
}

const Brand = () => (
  <svg class="logo" viewBox="0 0 16 16" aria-hidden="true">
    <path d="M3 2.5v11m10-11v11M3 5h10M5.5 8v5.5M8 8v5.5m2.5-5.5v5.5" />
  </svg>
)

function SignIn() {
  const [token, set] = useState('')
  const [wrong, setWrong] = useState('')
  const submit = async (e: Event) => {
    e.preventDefault()
    try {
      await signIn(token)
    } catch (e) {
      if (!(e instanceof ApiError)) throw e
      setWrong(e.message)
      set('')
    }
  }
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={submit}>
        <h1 class="brand">
          <Brand />
          Sluice
        </h1>
        <Field
          label="Token"
          hint={
            <>
              The gateway prints one when it starts, and <code>sluice keys token</code> makes one. It is not kept in this browser.
            </>
          }
        >
          {(id) => <input id={id} type="password" autocomplete="off" autofocus required value={token} onInput={(e) => set(e.currentTarget.value)} />}
        </Field>
        <button type="submit" class="primary">
          Sign in
        </button>
        <p class="tone-bad" role="alert">
          {wrong}
        </p>
      </form>
    </main>
  )
}
