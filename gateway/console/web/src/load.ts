// useLoad keeps what a path of the admin API answers.
import { useCallback, useEffect, useState } from 'preact/hooks'
import { ApiError, get } from './api'

export interface Loaded<T> {
  data: T | undefined // the last answer, also while the next is on its way
  error: ApiError | undefined // of the last try
  reload: () => void
}

/** Asks for a path when it changes, each `every` milliseconds while the page is looked at (0: never), and when reload is called.
 *  An empty path asks nothing. What was answered to another path is not shown for this one. */
export function useLoad<T>(path: string, every = 0): Loaded<T> {
  const [state, set] = useState<{ path: string; data?: T; error?: ApiError }>({ path })
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    if (!path) return
    const stop = new AbortController()
    let timer = 0
    const load = async () => {
      try {
        if (!document.hidden) {
          const data = await get<T>(path, {}, stop.signal)
          set({ path, data })
        }
      } catch (e) {
        if (stop.signal.aborted) return
        if (!(e instanceof ApiError)) throw e
        set((s) => (s.path === path ? { ...s, error: e } : { path, error: e }))
      }
      if (every && !stop.signal.aborted) timer = window.setTimeout(load, every)
    }
    void load()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [path, every, turn])
  const reload = useCallback(() => setTurn((n) => n + 1), [])
  const own = state.path === path
  return { data: own ? state.data : undefined, error: own ? state.error : undefined, reload }
}
