import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'
import {test} from 'node:test'
import {createContext, runInContext} from 'node:vm'
import {startCollector} from './collector.mjs'
import {MemoryStorage} from './site.mjs'

const script = readFileSync(new URL('../dist/verdict.js', import.meta.url), 'utf8')

/** A window with the globals that the script takes for itself. */
function openWindow(changes = {}) {
  const window = {
    addEventListener() {},
    document: {addEventListener() {}, title: 'Home', referrer: '', visibilityState: 'visible'},
    location: new URL('https://shop.example/'),
    navigator: {language: 'en'},
    screen: {width: 1440, height: 900},
    innerWidth: 1440,
    innerHeight: 800,
    matchMedia: () => ({matches: false}),
    localStorage: new MemoryStorage(),
    setTimeout, clearTimeout, crypto, fetch, TextEncoder, AbortController, URLSearchParams,
  }
  Object.defineProperties(window, Object.getOwnPropertyDescriptors(changes))
  window.window = window
  return createContext(window)
}

const until = async (holds) => {
  while (!holds()) await new Promise((resume) => setTimeout(resume, 5))
}

test('the script runs the commands pushed before and after it arrived, in order', async (t) => {
  const collector = await startCollector(t)
  const options = {url: collector.url + '/', writeKey: 'wk_demo', consent: {analytics_storage: 'granted'}}
  const window = openWindow({verdictQueue: [['page', {page_type: 'home'}], ['create', options]]})
  runInContext(script, window)
  window.verdictQueue.push(['track', 'search_performed', {results: 3}], ['no_such_command'])
  window.verdictQueue.push(['create', {...options, writeKey: 'wk_other'}], ['flush'])
  await until(() => collector.stored.size === 3)
  assert.deepEqual(collector.events().map((e) => e.event), ['session_started', 'page_viewed', 'search_performed'])
  assert.deepEqual(new Set(collector.requests.map((r) => r.body.write_key)), new Set(['wk_demo']))
  assert.equal(collector.events()[0].context.device.type, 'desktop')
})

test('the script gives the page a global verdict, which works where storage is forbidden', async (t) => {
  const collector = await startCollector(t)
  const window = openWindow({
    get localStorage() {
      throw new DOMException('The operation is insecure.', 'SecurityError')
    },
  })
  runInContext(script, window)
  const verdict = window.verdict.createVerdict({
    url: collector.url,
    writeKey: 'wk_demo',
    consent: {analytics_storage: 'granted'},
  })
  verdict.page()
  await verdict.flush()
  assert.equal(collector.stored.size, 2)
})
