import type {Store} from './store'

/** An event that no collector has acknowledged, as the text that is stored and sent. */
export interface Entry {
  at: number
  json: string
  bytes: number
  /** In a request that has not ended. */
  flying?: boolean
}

/** Events the SDK gave up, by cause. */
export interface Dropped {
  /** Pushed out of a full outbox (or, before consent, a full memory) by newer events. */
  evicted: number
  /** Undelivered for 12 hours. */
  expired: number
  /** Answered with a 4xx that no retry can cure. */
  rejected: number
  /** Too big for one request, or no JSON. */
  unsendable: number
  /** Refused or withdrawn consent. */
  consent: number
}

interface Event {
  event_id: string
  ts: string
  [field: string]: unknown
}

export interface Outbox {
  add(event: Event): void
  /** The oldest events that are not flying: at most `count`, `bytes` together. */
  take(count: number, bytes: number): Entry[]
  remove(entries: Entry[]): void
  /** Takes over what pages that are gone left behind. */
  adopt(): void
  /** Writes the record anew: its page lives. */
  keep(): void
  /** Leaves what is unsent to whichever page of the site comes next. */
  release(): void
  /** Takes it back, when the page came out of the back/forward cache. */
  reclaim(): void
  clear(): number
  size(): number
  /** Bytes of what is not flying. */
  waiting(): number
}

/** What a page that writes its outbox at least every 5 minutes (the longest wait) cannot reach while it lives. */
const ORPHAN_MS = 10 * 60_000
const AGE_CAP_MS = 12 * 3600_000
const PREFIX = 'outbox.'

/** UTF-8 bytes, as they go over the wire. */
export const byteLength = (text: string): number => new TextEncoder().encode(text).length

/**
 * The events of one page that wait for delivery: kept in memory, mirrored to the store at every change. Each page
 * writes only its own record, `<last write>\n<event>\n…`, so that tabs cannot overwrite each other's events; a record
 * whose page is gone (released, or silent for ORPHAN_MS after a crash) is taken over by the next page. Should both
 * pages send an event after all, its event_id is the same, and the warehouse keeps one.
 */
export function createOutbox(
  store: Store,
  page: string,
  now: () => number,
  maxBytes: number,
  maxEventBytes: number,
  dropped: Dropped,
): Outbox {
  let entries: Entry[] = []
  let released = false
  const own = PREFIX + page

  const keep = (): void => {
    if (entries.length) store.set(own, [released ? 0 : now(), ...entries.map((e) => e.json)].join('\n'))
    else store.remove(own)
  }

  const trim = (): void => {
    let bytes = entries.reduce((sum, e) => sum + e.bytes, 0)
    while (bytes > maxBytes) {
      bytes -= entries.shift()!.bytes
      dropped.evicted++
    }
  }
  const expire = (): void => {
    const before = entries.length
    entries = entries.filter((e) => now() - e.at < AGE_CAP_MS)
    dropped.expired += before - entries.length
    if (before > entries.length) keep()
  }

  return {
    add(event) {
      const entry = toEntry(event, JSON.stringify(event)) // JSON holds no raw line feed: a line is an event
      if (entry.bytes > maxEventBytes) {
        dropped.unsendable++
        return
      }
      entries.push(entry)
      trim()
      keep()
    },
    take(count, bytes) {
      expire()
      const taken: Entry[] = []
      for (const entry of entries) {
        if (entry.flying) continue
        bytes -= entry.bytes + 1 // the comma
        if (taken.length === count || bytes < 0) break
        taken.push(entry)
      }
      return taken
    },
    remove(gone) {
      entries = entries.filter((e) => !gone.includes(e))
      keep()
    },
    adopt() {
      const orphans = store.names(PREFIX).filter((name) => name !== own)
      for (const name of orphans) {
        const [at, ...lines] = (store.get(name) ?? '').split('\n')
        if (now() - Number(at) < ORPHAN_MS) continue
        const adopted = lines.map(fromLine).filter((e): e is Entry => !!e)
        entries.unshift(...adopted)
        trim()
        keep() // before the other copy goes: a crash in between doubles the record, and loses nothing
        store.remove(name)
      }
    },
    keep,
    release() {
      released = true
      keep()
    },
    reclaim() {
      released = false
      keep()
    },
    clear() {
      const cleared = entries.length
      entries = []
      keep()
      return cleared
    },
    size: () => entries.length,
    waiting: () => entries.reduce((sum, e) => sum + (e.flying ? 0 : e.bytes), 0),
  }
}

function toEntry(event: Event, json: string): Entry {
  return {at: Date.parse(event.ts), json, bytes: byteLength(json)}
}

function fromLine(line: string): Entry | undefined {
  try {
    const event = JSON.parse(line) as Event
    return event.event_id && event.ts ? toEntry(event, line) : undefined
  } catch {
    return undefined // another script wrote under our name
  }
}
