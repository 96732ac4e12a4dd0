import type {Browser} from './browser'
import {byteLength, type Dropped, type Entry, type Outbox} from './outbox'

declare const VERSION: string

/**
 * The keepalive requests of a page share 64 KiB of bodies in flight; one more byte is a network error (Fetch,
 * HTTP-network-or-cache fetch). Every request here is a keepalive, so that navigation does not abort it,
 * and all of them together stay below: 4 KiB are left to the other scripts of the page.
 */
export const KEEPALIVE_BYTES = 60 * 1024

const BATCH_EVENTS = 50
/** So much is sent without waiting for more: a closing page can still send the whole budget beside it. */
const FULL_BYTES = 15 * 1024
const GATHER_MS = 1000 // what a crash can cost in requests, not in events: those are stored at once
const BACKOFF_MS = 500
const BACKOFF_CAP_MS = 60_000
const RETRY_AFTER_CAP_MS = 300_000 // no collector's mistake silences a page for longer
const ANSWER_MS = 30_000 // API Gateway's own integration timeout: later, no answer comes

export interface Delivery {
  /** Something was added, or time has come to look: sends soon. */
  wake(): void
  /** Sends until the outbox is empty or an attempt fails. Backoff yields to it, Retry-After does not. */
  flush(): Promise<void>
  /** The page may go at any moment: sends what fits into the keepalive budget, now. */
  unload(): void
}

const EVERY_LOSS: Dropped = {evicted: 1e6, expired: 1e6, rejected: 1e6, unsendable: 1e6, consent: 1e6}

/** The largest event that fits into a request of its own. */
export function maxEventBytes(writeKey: string): number {
  return KEEPALIVE_BYTES - byteLength(envelope(writeKey, 0, [], EVERY_LOSS)) - 1
}

/** Moves events from the outbox to the collector: at least once, under one event_id, with backoff. */
export function createDelivery(
  browser: Browser,
  outbox: Outbox,
  endpoint: string,
  writeKey: string,
  dropped: Dropped,
  cookies = false,
): Delivery {
  const credentials = cookies ? 'include' : 'omit'
  let reported: Dropped = {...dropped} // what the collector knows of
  let failures = 0
  let quietUntil = 0 // the collector asked for it
  let flyingBytes = 0
  let sending: Promise<void> | undefined
  let cancel: (() => void) | undefined
  let deferred: AbortController | undefined // of what the browser sends should the page go

  const take = (): Entry[] =>
    browser.now() < quietUntil ? [] : outbox.take(BATCH_EVENTS, maxEventBytes(writeKey) + 1 - flyingBytes)

  const request = (body: string): RequestInit => ({
    method: 'POST',
    // text/plain is CORS-safelisted: no preflight, which a closing page would not live to see answered.
    headers: {'Content-Type': 'text/plain'},
    body,
    credentials, // 'omit' for a collector that answers with Access-Control-Allow-Origin: *
  })

  /**
   * Leaves to the browser what does not fit into the keepalive budget: fetchLater has one of its own, and sends when
   * the page is gone. Nobody hears the answer, so the events stay in the outbox; what comes twice has one id.
   */
  function defer(): void {
    if (!browser.fetchLater) return
    const rest = outbox.take(BATCH_EVENTS, maxEventBytes(writeKey) + 1)
    if (!rest.length) return
    deferred = new AbortController()
    try {
      browser.fetchLater(endpoint, {...request(envelope(writeKey, browser.now(), rest)), signal: deferred.signal})
    } catch {
      // QuotaExceededError: other scripts have the budget. The next page sends.
    }
  }

  /** True when the collector took the batch off our hands. */
  async function post(batch: Entry[]): Promise<boolean> {
    const losses = {...dropped}
    const body = envelope(writeKey, browser.now(), batch, since(losses, reported))
    const bytes = byteLength(body)
    deferred?.abort()
    const abort = new AbortController()
    const late = browser.after(ANSWER_MS, () => abort.abort())
    for (const entry of batch) entry.flying = true
    flyingBytes += bytes
    let done = false
    try {
      const response = await browser.fetch(endpoint, {...request(body), keepalive: true, signal: abort.signal})
      done = settle(batch, response.status, await problem(response))
      if (done) reported = losses
      else obey(response.headers.get('Retry-After'))
    } catch {
      // No answer: the collector may have stored the batch or not. The same ids go again.
    }
    late()
    flyingBytes -= bytes
    for (const entry of batch) entry.flying = false
    failures = done ? 0 : failures + 1
    if (!done) outbox.keep() // we live: nobody need adopt what we hold
    return done
  }

  function settle(batch: Entry[], status: number, notStored: unknown): boolean {
    if (status === 408 || status === 429 || status >= 500) {
      if (status === 503 && isIndexes(notStored)) outbox.remove(batch.filter((_, i) => !notStored.includes(i)))
      return false
    }
    if (status >= 300) dropped.rejected += batch.length
    outbox.remove(batch)
    return true
  }

  // A page of another origin sees Retry-After only if the collector exposes it (Fetch, CORS-safelisted
  // response-header names do not list it); unseen, backoff alone spaces the attempts.
  function obey(retryAfter: string | null): void {
    if (!retryAfter) return
    const seconds = Number(retryAfter)
    const wait = Number.isNaN(seconds) ? Date.parse(retryAfter) - browser.now() : seconds * 1000
    if (wait > 0) quietUntil = browser.now() + Math.min(wait, RETRY_AFTER_CAP_MS)
  }

  function wait(): number {
    if (!failures) return GATHER_MS
    const backoff = Math.min(BACKOFF_CAP_MS, BACKOFF_MS * 2 ** (failures - 1))
    // Half fixed, half random: pages that failed together do not come back together.
    return Math.max(backoff * (0.5 + browser.random() / 2), quietUntil - browser.now())
  }

  function schedule(ms = wait()): void {
    cancel?.()
    cancel = undefined
    if (!outbox.size() || sending) return // the end of sending schedules again
    cancel = browser.after(ms, () => {
      cancel = undefined
      void flush()
    })
  }

  async function send(): Promise<void> {
    for (let batch = take(); batch.length; batch = take()) {
      if (!(await post(batch))) return
    }
  }

  function flush(): Promise<void> {
    sending ??= send().finally(() => {
      sending = undefined
      schedule()
    })
    return sending
  }

  return {
    wake() {
      // One timer per gathering: no event pushes it back, only a full batch pulls it forward.
      if (!failures && (outbox.size() >= BATCH_EVENTS || outbox.waiting() >= FULL_BYTES)) schedule(0)
      else if (!cancel) schedule()
    },
    flush,
    unload() {
      for (let batch = take(); batch.length; batch = take()) {
        void post(batch).then(() => schedule())
      }
      defer()
    },
  }
}

/** The losses that are not reported yet; undefined, which JSON leaves out, when there are none. */
function since(losses: Dropped, reported: Dropped): Partial<Dropped> | undefined {
  const fresh: Partial<Dropped> = {}
  for (const cause of Object.keys(losses) as (keyof Dropped)[]) {
    if (losses[cause] > reported[cause]) fresh[cause] = losses[cause] - reported[cause]
  }
  return Object.keys(fresh).length ? fresh : undefined
}

function envelope(writeKey: string, now: number, batch: Entry[], lost?: Partial<Dropped>): string {
  const head = JSON.stringify({
    write_key: writeKey,
    sent_at: new Date(now).toISOString(),
    sdk: {name: 'verdict-web', version: VERSION},
    dropped: lost,
  })
  return `${head.slice(0, -1)},"events":[${batch.map((e) => e.json).join(',')}]}`
}

function isIndexes(notStored: unknown): notStored is number[] {
  return Array.isArray(notStored) && notStored.every(Number.isInteger)
}

/** `not_stored` of a problem document, if it has one. */
async function problem(response: Response): Promise<unknown> {
  try {
    return ((await response.json()) as {not_stored?: unknown}).not_stored
  } catch {
    return undefined
  }
}
