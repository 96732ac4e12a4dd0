import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'
import {test} from 'node:test'
import Ajv from 'ajv/dist/2020.js'
import {startCollector} from './collector.mjs'
import {HOUR, MINUTE, Site, seeded} from './site.mjs'

const schema = (path) => JSON.parse(readFileSync(new URL(`../../schemas/${path}`, import.meta.url)))
const ajv = new Ajv({validateFormats: false, strictTypes: false})
const conforms = (path, value) => {
  const validate = ajv.getSchema(schema(path).title) ?? ajv.compile({...schema(path), $id: schema(path).title})
  assert.ok(validate(value), JSON.stringify(validate.errors))
}
const sentTimes = (collector) => collector.requests.map(({body}) => Date.parse(body.sent_at))

test('a batch keeps the wire contract', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector, {app: {name: 'shop', version: '4.2.0'}})
  verdict.page({page_type: 'cart'})
  verdict.exposure({experiment: 'one_page_checkout', variant: 'treatment', flag: 'checkout', source: 'optimizely'})
  verdict.identify('u-1')
  verdict.track('order_completed', {order_id: 'o-1', value: 59.9, currency: 'EUR', items: 2})
  await verdict.flush()

  const [{path, headers, body}] = collector.requests
  assert.equal(path, '/v1/events')
  assert.match(headers['content-type'], /^text\/plain/)
  assert.equal(headers['x-write-key'], undefined, 'a header of our own would cost a preflight')
  assert.equal(body.write_key, 'wk_demo')
  assert.deepEqual(body.sdk, {name: 'verdict-web', version: '0.1.0'})
  const names = ['session_started', 'page_viewed', 'experiment_exposed', 'order_completed']
  assert.deepEqual(body.events.map((e) => e.event), names)
  for (const event of body.events) {
    conforms('event-1-0-0.json', event)
    conforms(`${event.event}/1-0-0.json`, event.properties)
    assert.match(event.event_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(parseInt(event.event_id.replace('-', '').slice(0, 12), 16), Date.parse(event.ts))
  }
  const order = body.events[3]
  assert.equal(order.user_id, 'u-1')
  assert.deepEqual(order.experiments, [{id: 'one_page_checkout', variant: 'treatment', source: 'optimizely'}])
  assert.deepEqual(order.context.utm, {source: 'mail', campaign: 'jan'})
  assert.equal(order.context.device.type, 'mobile')
  assert.equal(order.context.device.screen, '1170x2532')
  assert.equal(order.context.device.ua, undefined, 'Safari and Firefox give no hints')
})

test('whatever the network does, every event arrives once by its id', async (t) => {
  for (const seed of [1, 2, 3]) {
    await t.test(`seed ${seed}`, async (t) => {
      const random = seeded(seed)
      const trouble = [
        'ok', 'lost', 'broken', {status: 503}, {status: 500}, {status: 429, retryAfter: '2'},
        ({events}) => ({status: 503, retryAfter: '1', notStored: [...events.keys()].filter(() => random() < 0.4)}),
      ]
      const answers = Array.from({length: 60}, () => trouble[Math.floor(random() * trouble.length)])
      const collector = await startCollector(t, answers)
      const site = new Site()
      const {verdict} = site.open(collector)
      for (let i = 0; i < 300; i++) {
        verdict.track('product_viewed', {i})
        if (random() < 0.1) await site.pass(random() * 3000)
      }
      await site.pass(HOUR)

      const events = collector.events()
      const tracked = events.filter((e) => e.event === 'product_viewed').map((e) => e.properties.i)
      assert.deepEqual(tracked.sort((a, b) => a - b), [...Array(300).keys()])
      assert.deepEqual(events.map((e) => e.seq).sort((a, b) => a - b), [...Array(301).keys()])
      assert.ok(collector.deliveries > events.length, 'some answer was lost, so some event came again')
      assert.deepEqual(verdict.dropped, {evicted: 0, expired: 0, rejected: 0, unsendable: 0, consent: 0})
      assert.equal(site.storage.getItem('verdict.wk_demo.outbox'), null)
    })
  }
})

test('events go in the order of seq, at most 50 together', async (t) => {
  const collector = await startCollector(t, [{status: 500}])
  const site = new Site()
  const {verdict} = site.open(collector)
  for (let i = 0; i < 120; i++) verdict.track('product_viewed', {i})
  await site.pass(MINUTE)
  const [, ...delivered] = collector.requests.map((r) => r.body.events.map((e) => e.seq))
  assert.deepEqual(delivered.flat(), [...Array(121).keys()])
  assert.deepEqual(delivered.map((seqs) => seqs.length <= 50), delivered.map(() => true))
})

test('only what a 503 names goes again', async (t) => {
  const collector = await startCollector(t, [{status: 503, notStored: [1, 3], retryAfter: '1'}])
  const site = new Site()
  const {verdict} = site.open(collector)
  for (let i = 0; i < 4; i++) verdict.track('product_viewed', {i})
  await site.pass(MINUTE)
  const [first, second, ...more] = collector.requests.map((r) => r.body.events.map((e) => e.event_id))
  assert.deepEqual(second, [first[1], first[3]])
  assert.deepEqual(more, [])
})

test('a 503 whose indexes are unreadable costs nothing', async (t) => {
  const collector = await startCollector(t, [{status: 503, notStored: ['1', null]}])
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.track('product_viewed')
  await site.pass(MINUTE)
  assert.deepEqual(collector.requests.map((r) => r.body.events.length), [2, 2])
})

test('backoff doubles from half a second to a minute, with jitter, and restamps sent_at', async (t) => {
  const collector = await startCollector(t, Array(12).fill('broken'))
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.track('product_viewed')
  await site.pass(20 * MINUTE)
  const times = sentTimes(collector)
  assert.equal(times.length, 13)
  const waits = times.slice(1).map((time, i) => time - times[i])
  for (const [i, wait] of waits.entries()) {
    const longest = Math.min(60_000, 500 * 2 ** i)
    assert.ok(wait >= longest / 2 && wait <= longest, `wait ${i} of ${wait} ms is outside ${longest / 2}..${longest}`)
  }
  const fractions = waits.map((wait, i) => (wait / Math.min(60_000, 500 * 2 ** i)).toFixed(3))
  assert.ok(new Set(fractions).size > 6, 'the waits differ')
  assert.equal(new Set(collector.requests.map((r) => JSON.stringify(r.body.events))).size, 1, 'the events do not')
})

test('Retry-After is kept, even by flush and by a page that hides', async (t) => {
  const cases = {
    seconds: [() => '20', 20_000],
    'a date': [(site) => new Date(site.time + 21_000).toUTCString(), 20_000],
    'an hour, which is too long': [() => '3600', 300_000],
  }
  for (const [name, [retryAfter, shortest]] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const site = new Site()
      const collector = await startCollector(t, [() => ({status: 503, retryAfter: retryAfter(site)})])
      const {verdict, hide} = site.open(collector)
      verdict.track('product_viewed')
      await verdict.flush()
      hide()
      await verdict.flush()
      assert.equal(collector.requests.length, 1)
      await site.pass(shortest + MINUTE)
      const [first, second] = sentTimes(collector)
      assert.ok(second - first >= shortest && second - first < shortest + 2000, `${second - first} ms`)
    })
  }
})

test('an answer that never comes is given up after 30 seconds', async (t) => {
  const collector = await startCollector(t, ['silent'])
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.track('product_viewed')
  const flushed = verdict.flush()
  while (!collector.requests.length) await new Promise((resume) => setImmediate(resume))
  const timeout = site.timers.find((timer) => timer.due === site.time + 30_000)
  site.time = timeout.due
  timeout.then()
  await flushed
  await site.pass(MINUTE)
  assert.equal(collector.requests.length, 2)
  assert.equal(collector.stored.size, 2)
})

test('after 12 hours an event is given up and counted', async (t) => {
  const collector = await startCollector(t, Array(1500).fill('broken'))
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.track('product_viewed')
  await site.pass(11 * HOUR)
  collector.answers.length = 0
  collector.answers.push(...Array(200).fill('broken'))
  await site.pass(2 * HOUR)
  assert.equal(verdict.dropped.expired, 2)
  assert.equal(collector.stored.size, 0)
})

test('what no retry can cure is dropped and counted', async (t) => {
  for (const status of [400, 401, 413]) {
    await t.test(String(status), async (t) => {
      const collector = await startCollector(t, [{status}])
      const site = new Site()
      const {verdict} = site.open(collector)
      verdict.track('product_viewed')
      await site.pass(MINUTE)
      assert.equal(collector.requests.length, 1)
      assert.equal(verdict.dropped.rejected, 2)
      verdict.track('product_viewed')
      await site.pass(MINUTE)
      assert.equal(collector.stored.size, 1, 'the next event is not held up')
    })
  }
})

test('properties that are no JSON, or too big for a request, are counted and do not throw', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict, keepalive} = site.open(collector)
  const cycle = {}
  cycle.self = cycle
  verdict.track('product_viewed', cycle)
  verdict.track('product_viewed', {text: 'ü'.repeat(31 * 1024)})
  verdict.track('product_viewed', {text: 'x'.repeat(59 * 1024)})
  await site.pass(MINUTE)
  assert.equal(verdict.dropped.unsendable, 2)
  assert.equal(collector.stored.size, 2)
  assert.equal(keepalive.refused, 0)
})

test('what was given up is reported once, with the next batch that arrives', async (t) => {
  const collector = await startCollector(t, [{status: 503}])
  const site = new Site()
  const {verdict} = site.open(collector)
  const cycle = {}
  cycle.self = cycle
  verdict.track('page_viewed', cycle)
  verdict.page()
  await verdict.flush() // refused
  await verdict.flush()
  verdict.page()
  await verdict.flush()
  verdict.track('page_viewed', cycle)
  verdict.page()
  await verdict.flush()
  assert.deepEqual(collector.requests.map(({body}) => body.dropped), [{unsendable: 1}, {unsendable: 1}, undefined, {unsendable: 1}])
})

test('a closing page leaves to fetchLater what does not fit into the keepalive budget', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const later = []
  const fetchLater = (url, request) => later.push({url, body: JSON.parse(request.body), signal: request.signal})
  const page = site.open(collector, {browser: {fetchLater}})
  for (let i = 0; i < 30; i++) page.verdict.track('product_viewed', {i, text: 'x'.repeat(3000)})
  page.hide()
  const sent = new Set(later.flatMap(({body}) => body.events.map((e) => e.event_id)))
  assert.equal(later.length, 1)
  assert.ok(sent.size > 5, `${sent.size} events were left to the browser`)
  assert.equal(later[0].body.write_key, 'wk_demo')
  await site.pass(MINUTE) // the page was only in the background: it goes on, and takes back what it had left
  assert.ok(later[0].signal.aborted)
  assert.deepEqual(collector.events().filter((e) => e.event === 'product_viewed').map((e) => e.properties.i).sort((a, b) => a - b), [...Array(30).keys()])
})

test('a browser whose fetchLater is full loses nothing', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const fetchLater = () => {
    throw new DOMException('full', 'QuotaExceededError')
  }
  const page = site.open(collector, {browser: {fetchLater}})
  for (let i = 0; i < 30; i++) page.verdict.track('product_viewed', {i, text: 'x'.repeat(3000)})
  page.hide()
  await site.pass(MINUTE)
  assert.equal(collector.events().filter((e) => e.event === 'product_viewed').length, 30)
})

test('cookies go along only when asked for', async (t) => {
  for (const [cookies, want] of [[undefined, 'omit'], [true, 'include']]) {
    const collector = await startCollector(t)
    const site = new Site()
    const modes = []
    const {verdict} = site.open(collector, {cookies, browser: {fetch: (url, request) => (modes.push(request.credentials), fetch(url, request))}})
    verdict.page()
    await verdict.flush()
    assert.deepEqual(modes, [want])
  }
})

test('a sampled visitor is always in or always out, in the asked share', async (t) => {
  const collector = await startCollector(t)
  let visitors = 0
  for (let n = 0; n < 400; n++) {
    const site = new Site()
    site.random = seeded(n)
    const events = []
    for (let page = 0; page < 2; page++) {
      const {verdict} = site.open(collector, {sample: 0.25})
      verdict.page()
      await verdict.flush()
      events.push(collector.events().filter((e) => e.anonymous_id === site.storage.getItem('verdict.wk_demo.anonymous') && e.event === 'page_viewed').length)
    }
    assert.ok(events[0] === events[1] / 2, `pages sent ${events}`)
    visitors += events[0]
  }
  assert.ok(visitors > 70 && visitors < 130, `${visitors} of 400 visitors at 25 %`) // 100 +- 3.5 standard deviations
})

test('tabs adopt under a lock, one at a time', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const crashed = site.open(collector, {browser: {fetch: () => new Promise(() => {})}})
  crashed.verdict.track('product_viewed', {i: 1})
  site.time += 11 * MINUTE
  let free = false
  const locks = {request: async (name, options, then) => then(free ? {name} : null)}
  const open = () => site.open(collector, {window: {navigator: {language: 'en', locks}}})
  open()
  await site.pass(MINUTE)
  assert.equal(collector.events().length, 0, 'another tab has the lock')
  free = true
  open()
  await site.pass(MINUTE)
  assert.equal(collector.events().filter((e) => e.event === 'product_viewed').length, 1)
})
