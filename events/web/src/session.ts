import type {Store} from './store'

// Google Analytics 4's default session timeout, so that session counts can be compared.
const IDLE_MS = 30 * 60_000

/** A unit's variant in an experiment. */
export interface Assignment {
  id: string
  variant: string
  source?: string
}

/** One visit, shared by the tabs of the site. `seq` is the number of the next event; zero is a new session. */
export interface Session {
  id: string
  last: number
  seq: number
  exposed: Assignment[]
}

/** The session that an event at `at` belongs to. Read from the store each time: another tab may have moved it on. */
export function sessionAt(store: Store, at: number, newId: () => string): Session {
  const stored = parse(store.get('session'))
  if (stored && at - stored.last < IDLE_MS) return {...stored, last: Math.max(at, stored.last)}
  return {id: newId(), last: at, seq: 0, exposed: []}
}

export function saveSession(store: Store, session: Session): void {
  store.set('session', JSON.stringify(session))
}

/** Notes that the unit saw its variant; false if this session knew. The latest variant of an experiment stands last. */
export function expose(session: Session, seen: Assignment): boolean {
  const others = session.exposed.filter((e) => e.id !== seen.id || e.variant !== seen.variant)
  const first = others.length === session.exposed.length
  session.exposed = [...others, seen]
  return first
}

/** The variant in force of every experiment of the session. */
export function inForce(session: Session): Assignment[] {
  return [...new Map(session.exposed.map((e) => [e.id, e])).values()]
}

function parse(text: string | null): Session | undefined {
  try {
    const session = JSON.parse(text ?? '') as Session
    return Array.isArray(session.exposed) && session.seq >= 0 && session.last >= 0 ? session : undefined
  } catch {
    return undefined
  }
}
