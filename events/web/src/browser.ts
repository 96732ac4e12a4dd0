/** What the SDK asks of the browser. Tests pass their own; a page passes nothing. */
export interface Browser {
  /** Unix milliseconds. */
  now(): number
  /** Runs `then` once after `ms`; the answer cancels it. */
  after(ms: number, then: () => void): () => void
  /** In [0, 1). */
  random(): number
  fetch(url: string, request: RequestInit): Promise<Response>
  /** Chromium's deferred fetch (WICG pending-beacon); undefined elsewhere. */
  fetchLater: ((url: string, request: RequestInit) => unknown) | undefined
  storage: Storage | undefined
  /** Undefined outside a browser: no page context, no unload. */
  window: Window | undefined
}

export function ownBrowser(): Browser {
  const page = typeof window === 'undefined' ? undefined : window
  return {
    now: () => Date.now(),
    after: (ms, then) => {
      const timer = setTimeout(then, ms)
      return () => clearTimeout(timer)
    },
    // getRandomValues works on plain http pages too; crypto.randomUUID needs a secure context.
    random: () => crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32,
    fetch: (url, request) => fetch(url, request),
    fetchLater: (page as {fetchLater?: Browser['fetchLater']} | undefined)?.fetchLater?.bind(page),
    storage: ownStorage(page),
    window: page,
  }
}

function ownStorage(page: Window | undefined): Storage | undefined {
  try {
    return page?.localStorage
  } catch {
    // With cookies blocked, reading window.localStorage itself throws a SecurityError (HTML, Web storage).
    return undefined
  }
}
