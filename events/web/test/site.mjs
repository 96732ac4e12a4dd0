// A browser with one site open: its storage, its clock, and pages that come and go.
import {createVerdict} from '../dist/verdict.mjs'

const KEEPALIVE_QUOTA = 64 * 1024 // Fetch, HTTP-network-or-cache fetch
export const granted = {analytics_storage: 'granted'}
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

export function seeded(seed) {
  return () => {
    // mulberry32
    seed = (seed + 0x6d2b79f5) | 0
    let x = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

/** localStorage with a quota in characters. */
export class MemoryStorage {
  #items = new Map()
  quota = Infinity
  get length() {
    return this.#items.size
  }
  key = (i) => [...this.#items.keys()][i] ?? null
  getItem = (key) => this.#items.get(key) ?? null
  removeItem = (key) => void this.#items.delete(key)
  setItem(key, text) {
    const used = [...this.#items].reduce((sum, [k, v]) => sum + (k === key ? 0 : k.length + v.length), 0)
    if (used + key.length + text.length > this.quota) throw new DOMException('full', 'QuotaExceededError')
    this.#items.set(key, text)
  }
}

export class Site {
  time = Date.parse('2026-01-05T10:00:00.000Z')
  storage = new MemoryStorage()
  random = seeded(7)
  flying = 0
  timers = []

  /** A page of the site, with a small share of `window`. */
  open(collector, {consent = granted, browser = {}, window = {}, ...options} = {}) {
    const page = this.#window(window)
    const alive = {page: true, bytes: 0, refused: 0, largest: 0}
    const fetchAsBrowsersDo = async (url, request) => {
      const bytes = Buffer.byteLength(request.body)
      if (alive.bytes + bytes > KEEPALIVE_QUOTA) {
        alive.refused++
        throw new TypeError('Failed to fetch')
      }
      alive.bytes += bytes
      alive.largest = Math.max(alive.largest, alive.bytes)
      this.flying++
      try {
        const response = await fetch(url, request)
        return alive.page ? response : new Promise(() => {}) // a keepalive is answered to a page that is gone
      } finally {
        alive.bytes -= bytes
        this.flying--
      }
    }
    const after = (ms, then) => {
      const timer = {due: this.time + ms, then: () => alive.page && then()}
      this.timers.push(timer)
      return () => (this.timers = this.timers.filter((other) => other !== timer))
    }
    const given = {now: () => this.time, after, random: this.random, fetch: fetchAsBrowsersDo, storage: this.storage}
    const verdict = createVerdict(
      {url: collector.url, writeKey: 'wk_demo', consent, ...options},
      {...given, window: page, ...browser},
    )
    return {
      verdict,
      window: page,
      keepalive: alive,
      hide: () => page.document.fire('visibilitychange', 'hidden'),
      /** The tab is closed, or navigates. */
      close() {
        page.document.fire('visibilitychange', 'hidden')
        page.fire('pagehide')
        alive.page = false
      },
      /** The process dies: no event tells the page. */
      crash: () => (alive.page = false),
      /** Back from the back/forward cache. */
      restore() {
        alive.page = true
        page.fire('pageshow')
      },
    }
  }

  /** Lets `ms` pass: runs what falls due, and waits for the answers to it. */
  async pass(ms) {
    const end = this.time + ms
    for (;;) {
      await this.settle()
      const next = this.timers.filter((timer) => timer.due <= end).sort((a, b) => a.due - b.due)[0]
      if (!next) break
      this.timers = this.timers.filter((timer) => timer !== next)
      this.time = Math.max(this.time, next.due)
      next.then()
    }
    this.time = end
  }

  /** Waits until no request is in flight and their answers have been read. */
  async settle() {
    for (let quiet = 0; quiet < 5; quiet = this.flying ? 0 : quiet + 1) {
      await new Promise((resume) => setImmediate(resume))
    }
  }

  stored(name) {
    return this.storage.getItem(`verdict.wk_demo.${name}`)
  }

  keys() {
    return Array.from({length: this.storage.length}, (_, i) => this.storage.key(i))
  }

  #window(changes) {
    const page = Object.assign(new Target(), {
      document: Object.assign(new Target(), {title: 'Cart', referrer: '', visibilityState: 'visible'}),
      location: new URL('https://shop.example/cart?utm_source=mail&utm_campaign=jan'),
      navigator: {language: 'de-DE'},
      screen: {width: 390, height: 844},
      devicePixelRatio: 3,
      innerWidth: 390,
      innerHeight: 844,
      matchMedia: () => ({matches: true}),
    })
    return Object.assign(page, changes)
  }
}

class Target {
  #listeners = []
  addEventListener(type, listener) {
    this.#listeners.push([type, listener])
  }
  fire(type, state) {
    if (state) this.visibilityState = state
    for (const [of, listener] of this.#listeners) if (of === type) listener({type, persisted: true})
  }
}
