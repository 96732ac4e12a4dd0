import {ownBrowser, type Browser} from './browser'
import {createConsent, type ConsentChoices, type ConsentRecord} from './consent'
import {readContext, type App, type Context} from './context'
import {createDelivery, maxEventBytes} from './delivery'
import {uuid7} from './id'
import {createOutbox, type Dropped} from './outbox'
import {versions, type PlanEvents} from './plan'
import {expose, inForce, saveSession, sessionAt, type Assignment, type Session} from './session'
import {createStore} from './store'

export type {App, Assignment, Browser, ConsentChoices, ConsentRecord, Dropped}
export type {Choice, Signal} from './consent'
export type {PlanEvents} from './plan'

export type Properties = Record<string, unknown>

export interface Options {
  /** The collector's origin, such as https://events.example.com. */
  url: string
  writeKey: string
  app?: App
  /** The default of consent, as in `consent('default', …)`. Without one, events wait in memory for an update. */
  consent?: ConsentChoices
  /** Sends the collector's own cookie along, the network user id: for a collector on the same site that names this origin. */
  cookies?: boolean
  /** The share of visitors, from 0 to 1, of whom anything is sent; a visitor is always in or always out. */
  sample?: number
  /** UTF-8 bytes of undelivered events a page may hold. */
  maxOutboxBytes?: number
}

/** The properties of experiment_exposed 1-0-0, and what stands in `experiments` of later events. */
export interface Exposure {
  experiment: string
  variant: string
  flag?: string
  source?: 'optimizely' | 'launchdarkly' | 'growthbook' | 'datalayer' | 'import' | 'server'
}

/** The properties of an event of a plan; to leave them out where none is required. */
type Given<Plan, Event extends keyof Plan> = object extends Plan[Event] ? [properties?: Plan[Event], schema?: string] : [properties: Plan[Event], schema?: string]

/** Plan is the tracking plan as types: by default that of this repository, or your own by `verdict plan types`. */
export interface Verdict<Plan = PlanEvents> {
  track<Event extends keyof Plan & string>(event: Event, ...given: Given<Plan, Event>): void
  page(properties?: Partial<PlanEvents['page_viewed']>): void
  /** Names the user of the events that follow; null after a sign-out. */
  identify(user: string | null): void
  /** The unit saw its variant: one experiment_exposed per experiment, variant and session. */
  exposure(seen: Exposure): void
  consent(kind: 'default' | 'update', choices: ConsentChoices): void
  /** Settles when everything is delivered or an attempt has failed; the rest stays in the outbox. */
  flush(): Promise<void>
  readonly dropped: Readonly<Dropped>
}

/** A call as it was made; it becomes an event, with ids, once consent to analytics is given. */
interface Call {
  event: string
  properties: Properties
  schema: string
  at: number
  /** Undefined: whoever the store remembers. */
  user: string | null | undefined
  context: Context
  exposure?: Exposure
}

// A tenth of the 5 MiB or so that an origin has, which belong to the site (MDN, Storage quotas).
const OUTBOX_BYTES = 512 * 1024
const PENDING_CALLS = 200 // four full batches of events before the visitor decides

export function createVerdict<Plan = PlanEvents>(options: Options, given: Partial<Browser> = {}): Verdict<Plan> {
  const browser: Browser = {...ownBrowser(), ...given}
  const {window: page, now} = browser
  const newId = (at = now()): string => uuid7(at, browser.random)
  const dropped: Dropped = {evicted: 0, expired: 0, rejected: 0, unsendable: 0, consent: 0}

  const store = createStore(browser.storage, `verdict.${options.writeKey}.`)
  const eventBytes = maxEventBytes(options.writeKey)
  const outbox = createOutbox(store, newId(), now, options.maxOutboxBytes ?? OUTBOX_BYTES, eventBytes, dropped)
  const endpoint = options.url.replace(/\/+$/, '') + '/v1/events'
  const delivery = createDelivery(browser, outbox, endpoint, options.writeKey, dropped, options.cookies)

  const privacyControl = (page?.navigator as {globalPrivacyControl?: boolean} | undefined)?.globalPrivacyControl
  const consent = createConsent(privacyControl === true, browser.after, applyConsent)
  const shown = new Map<string, Exposure>() // on this page: they hold in its next session as well
  let pending: Call[] = []
  let user: string | null | undefined

  function applyConsent(): void {
    const state = consent.state()
    if (state === 'granted') {
      adopt()
      for (const made of pending) record(made)
      pending = []
      if (user !== undefined) rememberUser(user)
      delivery.wake()
    } else if (state === 'denied') {
      dropped.consent += pending.length + outbox.clear()
      pending = []
      for (const name of store.names('')) store.remove(name)
    }
  }

  // One tab at a time, or two that open together take over the same record. The lock is not held for longer: a page
  // that holds one cannot go into the back/forward cache, which is why liveness is a time and no lock.
  function adopt(): void {
    const take = (): void => {
      outbox.adopt()
      delivery.wake()
    }
    const locks = page?.navigator.locks
    if (locks) void locks.request(`verdict.${options.writeKey}.adopt`, {ifAvailable: true}, (lock) => void (lock && take()))
    else take()
  }

  function call(event: string, properties: Properties, schema: string, exposure?: Exposure): void {
    const copied = copy(properties)
    if (!copied) {
      dropped.unsendable++
      return
    }
    const context = readContext(page, options.app)
    const made: Call = {event, properties: copied, schema, at: now(), user, context, exposure}
    switch (consent.state()) {
      case 'granted':
        record(made)
        delivery.wake()
        break
      case 'denied':
        dropped.consent++
        break
      default:
        if (pending.push(made) > PENDING_CALLS) {
          pending.shift()
          dropped.evicted++
        }
    }
  }

  /** Only with consent: from here on, ids are made and storage is written. */
  function record(made: Call): void {
    if (bucket(anonymousId()) >= (options.sample ?? 1)) return
    const session = sessionAt(store, made.at, () => newId(made.at))
    if (session.seq === 0) {
      append(session, {...made, event: 'session_started', properties: {}, schema: '1-0-0'})
      for (const seen of shown.values()) appendExposure(session, made, seen)
    }
    if (!made.exposure) append(session, made)
    else appendExposure(session, made, made.exposure)
    saveSession(store, session)
  }

  function appendExposure(session: Session, made: Call, seen: Exposure): void {
    shown.set(seen.experiment, seen)
    const {experiment, variant, flag, source} = seen
    if (!expose(session, {id: experiment, variant, source})) return
    const properties = {experiment_id: experiment, variant, flag_key: flag, source}
    append(session, {...made, event: 'experiment_exposed', properties, schema: '1-0-0'})
  }

  function append(session: Session, made: Call): void {
    outbox.add({
      event_id: newId(made.at),
      event: made.event,
      schema: made.schema,
      ts: new Date(made.at).toISOString(),
      anonymous_id: anonymousId(),
      user_id: (made.user === undefined ? store.get('user') : made.user) ?? undefined,
      session_id: session.id,
      seq: session.seq++,
      consent: consent.record(),
      context: made.context,
      experiments: inForce(session),
      properties: made.properties,
    })
  }

  function anonymousId(): string {
    const known = store.get('anonymous')
    if (known) return known
    const id = newId()
    store.set('anonymous', id)
    return id
  }

  function rememberUser(id: string | null): void {
    if (id === null) store.remove('user')
    else store.set('user', id)
  }

  // visibilitychange to hidden is the last event a phone is sure to send; pagehide adds the desktop cases. Not
  // beforeunload or unload, which bar the page from the back/forward cache.
  page?.document.addEventListener('visibilitychange', () => {
    if (page.document.visibilityState === 'hidden') delivery.unload()
  })
  page?.addEventListener('pagehide', () => {
    delivery.unload()
    outbox.release()
  })
  page?.addEventListener('pageshow', (event) => {
    if (!event.persisted) return
    outbox.reclaim()
    delivery.wake()
  })
  page?.addEventListener('online', () => void delivery.flush())

  if (options.consent) consent.set('default', options.consent)

  return {
    track: ((event: string, properties: Properties = {}, schema = versions[event] ?? '1-0-0') => call(event, properties, schema)) as Verdict<Plan>['track'],
    page: (properties) => call('page_viewed', {page_type: 'other', ...properties}, '1-0-0'),
    identify(id) {
      user = id
      if (consent.state() === 'granted') rememberUser(id)
    },
    exposure: (seen) => call('experiment_exposed', {}, '1-0-0', seen),
    consent: consent.set,
    flush: delivery.flush,
    dropped,
  }
}

/** FNV-1a of an id, as a number in [0, 1). */
function bucket(id: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  return (hash >>> 0) / 2 ** 32
}

/** The properties as they are now: the site may change its object before consent comes. */
function copy(properties: Properties): Properties | undefined {
  try {
    return JSON.parse(JSON.stringify(properties)) as Properties
  } catch {
    return undefined // a cycle or a BigInt; the site's own code must not fail for it
  }
}
