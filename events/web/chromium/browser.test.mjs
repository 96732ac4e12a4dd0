// The SDK in a real Chromium, against the real collector (bin/verdict serve), with a proxy between them that counts
// what goes over the wire and breaks the network on demand. `make test-browser` sets everything up.
import assert from 'node:assert/strict'
import {execFileSync, spawn} from 'node:child_process'
import {mkdtempSync, readFileSync, readdirSync, rmSync} from 'node:fs'
import {createServer, request as forward} from 'node:http'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {after, before, test} from 'node:test'
import {fileURLToPath} from 'node:url'
import {gunzipSync} from 'node:zlib'
import {chromium} from 'playwright-core'

const here = dirname(fileURLToPath(import.meta.url))
const script = readFileSync(join(here, '../dist/verdict.js'))
const binary = join(here, '../../../bin/verdict')
const minutes = 60_000

const lake = mkdtempSync(join(tmpdir(), 'verdict-lake-'))
let browser
let collector // the real one
let proxy

/** Starts `bin/verdict serve` on a free port. */
function serve() {
  const child = spawn(binary, ['serve', '--lake', lake, '--addr', '127.0.0.1:0', '--every', '24h'], {stdio: ['ignore', 'ignore', 'pipe']})
  return new Promise((resolve, reject) => {
    let said = ''
    child.stderr.on('data', (text) => {
      said += text
      const at = /Collector\s+(http:\/\/\S+?)\/v1\/events/.exec(said)
      if (at) resolve({url: at[1], stop: () => new Promise((ended) => child.once('exit', ended) && child.kill('SIGINT'))})
    })
    child.once('exit', () => reject(new Error(said)))
  })
}

/** Serves the pages and the script, and passes events on to the collector. */
function startProxy() {
  const state = {down: false, answers: [], events: [], attempts: 0}
  const server = createServer((incoming, response) => {
    if (incoming.url.startsWith('/v1/')) return events(incoming, response)
    if (incoming.url === '/verdict.js') return response.setHeader('Content-Type', 'text/javascript').end(script)
    // The page that a split-URL experiment redirects to runs the SDK as well.
    const start = `<script>verdict.createVerdict({url: location.origin, writeKey: 'wk_local', app: {name: 'redirect'}, consent: {analytics_storage: 'granted'}})</script>`
    const html = '<!doctype html><title>shop</title><script src="/verdict.js"></script>' + (incoming.url === '/variant' ? start : '')
    response.setHeader('Content-Type', 'text/html').end(html)
  })
  const events = (incoming, response) => {
    const chunks = []
    incoming.on('data', (chunk) => chunks.push(chunk))
    incoming.on('end', () => {
      state.attempts++
      const body = Buffer.concat(chunks)
      if (state.down) return incoming.socket.destroy()
      const answer = state.answers.shift()
      if (answer) return response.writeHead(answer, {'Access-Control-Allow-Origin': '*'}).end('{}')
      const on = forward(collector.url + incoming.url, {method: incoming.method, headers: incoming.headers}, (answered) => {
        if (answered.statusCode === 200) state.events.push(...JSON.parse(body).events)
        response.writeHead(answered.statusCode, answered.headers)
        answered.pipe(response)
      })
      on.on('error', () => response.destroy())
      on.end(body)
    })
  }
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      state.url = `http://127.0.0.1:${server.address().port}`
      state.stop = () => {
        server.closeAllConnections()
        server.close()
      }
      resolve(state)
    })
  })
}

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu'],
  })
  collector = await serve()
  proxy = await startProxy()
})

after(async () => {
  await browser?.close()
  proxy?.stop()
  await collector?.stop()
  rmSync(lake, {recursive: true, force: true})
})

/** A visitor with consent; each test has its own, and its own name to find its events by. */
async function visitor(t, name, {clock = false, init} = {}) {
  const context = await browser.newContext()
  t.after(() => context.close())
  proxy.down = false
  proxy.answers = []
  if (clock) await context.clock.install()
  if (init) await context.addInitScript(init)
  const open = async (path = '/') => {
    const page = await context.newPage()
    await page.goto(proxy.url + path)
    await page.evaluate(
      ([url, name]) => {
        window.v = verdict.createVerdict({url, writeKey: 'wk_local', app: {name}, consent: {analytics_storage: 'granted'}})
      },
      [proxy.url, name],
    )
    return page
  }
  const sent = () => proxy.events.filter((e) => e.context?.app?.name === name)
  return {context, open, sent}
}

/** Polls in real time; with `clock`, lets the page's time pass meanwhile. */
async function until(what, check, pages = []) {
  for (let i = 0; i < 300; i++) {
    if (check()) return
    for (const page of pages) await page.clock.runFor(1000)
    await new Promise((wait) => setTimeout(wait, 50))
  }
  assert.fail(`${what} never came true`)
}

const search = (n) => ['search_performed', {results: n}]
const searches = (events) => events.filter((e) => e.event === 'search_performed')
const distinct = (events) => new Set(events.map((e) => e.event_id)).size

test('a. the network is down for ten minutes: 1,000 events of 3 tabs arrive, once each', async (t) => {
  const {open, sent} = await visitor(t, 'outage', {clock: true})
  const tabs = [await open(), await open(), await open()]
  await until('the first events', () => searches(sent()).length === 0 && sent().length >= 0, tabs)
  proxy.down = true
  for (let n = 0; n < 1000; n++) {
    const tab = tabs[n % 3]
    await tab.evaluate(([event, properties]) => v.track(event, properties), search(n))
    if (n % 50 === 49) for (const each of tabs) await each.clock.runFor(30_000) // 20 rounds of half a minute
  }
  assert.equal(searches(sent()).length, 0, 'nothing passes a dead network')
  proxy.down = false
  await until('all events', () => distinct(searches(sent())) === 1000, tabs)
  const found = searches(sent())
  assert.deepEqual([...new Set(found.map((e) => e.properties.results))].length, 1000)
  assert.ok(found.length <= 1001, `${found.length - 1000} duplicates on the wire`)
  t.diagnostic(`${found.length} on the wire, ${distinct(found)} distinct`)
})

test('b. 30 events of 3 KB, and the page closes after 400 ms: 95 % arrive', async (t) => {
  const {open, sent} = await visitor(t, 'closing')
  const page = await open()
  await page.evaluate(() => {
    const lines = Array.from({length: 60}, (_, i) => ({product_id: `p-${i}`.padEnd(20, 'x'), quantity: 1, price: 1}))
    for (let n = 0; n < 30; n++) v.track('order_completed', {order_id: `o-${n}`, value: 60, currency: 'EUR', lines})
  })
  await new Promise((wait) => setTimeout(wait, 400))
  await page.close({runBeforeUnload: false})
  const orders = () => distinct(sent().filter((e) => e.event === 'order_completed'))
  await new Promise((wait) => setTimeout(wait, 1500))
  t.diagnostic(`${orders()} of 30`)
  assert.ok(orders() >= 29, `${orders()} of 30 arrived`)
})

test('c. the renderer is killed: what was stored is sent by the next page', async (t) => {
  const {context, open, sent} = await visitor(t, 'crash', {clock: true})
  const page = await open()
  proxy.down = true
  for (let n = 0; n < 100; n++) await page.evaluate(([event, properties]) => v.track(event, properties), search(n))
  await new Promise((wait) => setTimeout(wait, 6000)) // Chromium writes localStorage to disk every 5 seconds at the latest
  const cdp = await context.newCDPSession(page)
  const crashed = page.waitForEvent('crash')
  void cdp.send('Page.crash').catch(() => {}) // no answer comes from the dead
  await crashed
  await page.close()
  proxy.down = false
  const next = await context.newPage()
  await next.goto(proxy.url)
  await next.clock.fastForward(11 * minutes) // a crashed page's record is adopted once it is silent for ten
  await next.evaluate((url) => {
    window.v = verdict.createVerdict({url, writeKey: 'wk_local', app: {name: 'crash'}, consent: {analytics_storage: 'granted'}})
    v.page()
  }, proxy.url)
  await until('the crashed page’s events', () => distinct(searches(sent())) === 100, [next])
  assert.equal(searches(sent()).length, 100)
})

test('d. the clock is a day fast, and four attempts fail: the corrected time is right within a second', async (t) => {
  const {open, sent} = await visitor(t, 'clock')
  const page = await open()
  await page.clock.install({time: Date.now() + 24 * 60 * minutes})
  await page.reload()
  proxy.answers = [503, 503, 503, 503]
  await page.evaluate((url) => {
    window.v = verdict.createVerdict({url, writeKey: 'wk_local', app: {name: 'clock'}, consent: {analytics_storage: 'granted'}})
    v.track('search_performed', {results: 4711})
  }, proxy.url)
  const begun = Date.now()
  await until('delivery on the fifth attempt', () => searches(sent()).length === 1) // in real time: 4 to 8 s of backoff
  assert.equal(proxy.answers.length, 0)
  await collector.stop()
  execFileSync(binary, ['run', '--lake', lake], {stdio: 'ignore'}) // lands what was accepted
  const rows = landed().filter((row) => row.properties?.results === 4711)
  collector = await serve()
  assert.equal(rows.length, 1)
  const off = Date.parse(rows[0].event_ts) - begun
  t.diagnostic(`corrected to ${off} ms from the call`)
  assert.ok(Math.abs(off) <= 1000, `corrected time is ${off} ms off`)
  const event = searches(sent())[0]
  assert.ok(Date.parse(event.ts) - begun > 23 * 60 * minutes, 'the client’s own time is a day off')
})

/** Every line of the raw zone. */
function landed() {
  const rows = []
  const walk = (folder) => {
    for (const entry of readdirSync(folder, {withFileTypes: true})) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else if (path.endsWith('.ndjson.gz') && path.includes('/raw/')) {
        for (const line of gunzipSync(readFileSync(path)).toString().split('\n')) if (line) rows.push(JSON.parse(line))
      }
    }
  }
  walk(lake)
  return rows
}

test('e. consent and Global Privacy Control: exactly what is permitted leaves the page', async (t) => {
  const {context, sent} = await visitor(t, 'consent', {
    init: () => Object.defineProperty(navigator, 'globalPrivacyControl', {value: true}),
  })
  const page = await context.newPage()
  await page.goto(proxy.url)
  const attempts = proxy.attempts
  await page.evaluate((url) => {
    window.v = verdict.createVerdict({url, writeKey: 'wk_local', app: {name: 'consent'}})
    v.track('search_performed', {results: 1})
    v.consent('update', {analytics_storage: 'denied'})
    v.track('search_performed', {results: 2})
  }, proxy.url)
  await new Promise((wait) => setTimeout(wait, 1500))
  assert.equal(proxy.attempts, attempts, 'a refusal sends nothing')
  assert.equal(await page.evaluate(() => localStorage.length), 0, 'and stores nothing')
  await page.evaluate(() => {
    v.consent('update', {analytics_storage: 'granted', ad_storage: 'granted'})
    v.track('search_performed', {results: 3})
  })
  await until('the event after consent', () => searches(sent()).length > 0)
  assert.deepEqual(searches(sent()).map((e) => e.properties.results), [3])
  const [event] = searches(sent())
  assert.equal(event.context.device.ua.platform, 'Linux')
  assert.deepEqual(event.context.device.ua.brands.map(({brand}) => brand).filter((brand) => /brand/i.test(brand)), [], 'no invented brand')
  assert.deepEqual(event.consent, {analytics_storage: 'granted', ad_storage: 'denied', ad_user_data: 'denied', ad_personalization: 'denied'})
  assert.deepEqual(Object.keys(event).sort(), ['anonymous_id', 'consent', 'context', 'event', 'event_id', 'experiments', 'properties', 'schema', 'seq', 'session_id', 'ts'])
})

test('f. an exposure, and the page redirects at once: 95 % arrive', async (t) => {
  const {context, sent} = await visitor(t, 'redirect')
  const page = await context.newPage()
  const runs = 40
  for (let n = 0; n < runs; n++) {
    await page.goto(proxy.url)
    await page.evaluate(
      ([url, n]) => {
        const v = verdict.createVerdict({url, writeKey: 'wk_local', app: {name: 'redirect'}, consent: {analytics_storage: 'granted'}})
        v.exposure({experiment: `experiment_${n}`, variant: 'treatment'})
        location.href = '/variant'
      },
      [proxy.url, n],
    )
    await page.waitForURL('**/variant')
  }
  await new Promise((wait) => setTimeout(wait, 2500)) // the last page gathers for a second
  const arrived = new Set(sent().filter((e) => e.event === 'experiment_exposed').map((e) => e.properties.experiment_id)).size
  t.diagnostic(`${arrived} of ${runs}`)
  assert.ok(arrived >= runs * 0.95, `${arrived} of ${runs} arrived`)
})

test('g. the ledger says how many events were lost: of what was acknowledged none, of what was sent the gaps', async () => {
  await collector.stop()
  execFileSync(binary, ['run', '--lake', lake], {stdio: 'ignore'})
  const entries = JSON.parse(execFileSync(binary, ['ledger', '--lake', lake, '--days', '4', '--json'], {stdio: ['ignore', 'pipe', 'ignore']})) // fails when we lost something
  const total = (link) => entries.filter((e) => e.link === link).reduce((sum, e) => [sum[0] + e.in, sum[1] + e.out, sum[2] + e.lost], [0, 0, 0])
  const sessions = new Map()
  for (const {session_id: id, seq} of proxy.events) sessions.set(id, (sessions.get(id) ?? new Set()).add(seq))
  let [sent, arrived] = [0, 0]
  for (const seqs of sessions.values()) {
    sent += Math.max(...seqs) + 1
    arrived += seqs.size
  }
  assert.ok(sent > 300) // fewer than events: tabs that record in the same instant share numbers
  assert.deepEqual(total('client to collector'), [sent, arrived, sent - arrived])
  for (const link of ['collector to raw', 'raw to facts']) assert.equal(total(link)[2], 0, link)
  assert.equal(total('collector to raw')[0], proxy.events.length, 'every acknowledged copy was counted')
  collector = await serve()
})
