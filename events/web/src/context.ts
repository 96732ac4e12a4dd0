export interface App {
  name?: string
  version?: string
  /** What the application wants every event to say of its state, such as the theme or the plan. */
  state?: Record<string, unknown>
}

/** Where an event happened. */
export interface Context {
  page?: Record<string, string>
  device?: Record<string, unknown>
  utm?: Record<string, string>
  app?: App
}

// Android's sw600dp: the shortest side from which a touch device counts as a tablet.
const TABLET_SIDE = 600

export function readContext(page: Window | undefined, app: App | undefined): Context {
  const context: Context = page ? {page: readPage(page), device: readDevice(page)} : {}
  const utm = page && readUTM(page.location.search)
  if (utm && Object.keys(utm).length) context.utm = utm
  if (app) context.app = app
  return context
}

// The lengths are those of the envelope, events/schemas/event-1-0-0.json.
function readPage({location, document}: Window): Record<string, string> {
  return filled({
    url: location.href.slice(0, 4096),
    path: location.pathname.slice(0, 2048),
    title: document.title.slice(0, 1024),
    referrer: document.referrer.slice(0, 4096),
  })
}

function readDevice(page: Window): Record<string, unknown> {
  const {screen, devicePixelRatio: dpr = 1} = page
  const size = (width: number, height: number): string => `${Math.round(width)}x${Math.round(height)}`
  return {
    type: deviceType(page),
    viewport: size(page.innerWidth, page.innerHeight),
    screen: size(screen.width * dpr, screen.height * dpr), // screen.* is in CSS pixels
    dpr,
    ua: readHints(page.navigator),
    ...filled({
      locale: page.navigator.language,
      time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
    }),
  }
}

// The low-entropy client hints, which need no permission (UA-CH, NavigatorUAData); JSON leaves out undefined. The
// invented brand that browsers mix in says nothing.
function readHints({userAgentData: hints}: Navigator & {userAgentData?: Hints}): Partial<Hints> | undefined {
  return hints && {brands: hints.brands.filter(({brand}) => !/not.?a.?brand/i.test(brand)), mobile: hints.mobile, platform: hints.platform}
}

interface Hints {
  brands: {brand: string; version: string}[]
  mobile: boolean
  platform: string
}

// Asks for the pointer, not the user agent: Safari on an iPad says it is a Macintosh, and a laptop with a touch screen
// has touch points but a fine primary pointer.
function deviceType({screen, matchMedia}: Window): string {
  if (!matchMedia('(pointer: coarse)').matches) return 'desktop'
  return Math.min(screen.width, screen.height) < TABLET_SIDE ? 'mobile' : 'tablet'
}

function readUTM(search: string): Record<string, string> {
  const query = new URLSearchParams(search)
  const utm: Record<string, string> = {}
  for (const name of ['source', 'medium', 'campaign', 'term', 'content']) {
    utm[name] = (query.get(`utm_${name}`) ?? '').slice(0, 256)
  }
  return filled(utm)
}

function filled(values: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value)) as Record<string, string>
}
