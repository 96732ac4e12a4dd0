import assert from 'node:assert/strict'
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {createRequire} from 'node:module'
import {test} from 'node:test'

const Ajv = createRequire(new URL('../web/package.json', import.meta.url))('ajv/dist/2020.js').default
const ajv = new Ajv({strictTypes: false, strictRequired: false, validateFormats: false})
const schema = (path) => JSON.parse(readFileSync(new URL(`../schemas/${path}`, import.meta.url)))
function conforms(path, value) {
  const validate = ajv.getSchema(path) ?? ajv.compile({...schema(path), $id: path})
  assert.ok(validate(value), `${path}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value)}`)
}

// Which permission each of the sandbox's functions asks for (Tag Manager, server-side APIs and permissions).
const PERMISSION = {getAllEventData: 'read_event_data', sendHttpRequest: 'send_http'}
const FREE = ['getTimestampMillis', 'getType', 'JSON', 'makeInteger', 'makeNumber', 'makeString', 'sha256Sync']

const text = readFileSync(new URL('verdict-server.tpl', import.meta.url), 'utf8')
const parts = text.split(/^___([A-Z_]+)___$/m).slice(1)
const section = Object.fromEntries(parts.filter((_, i) => i % 2 === 0).map((name, i) => [name, parts[2 * i + 1].trim()]))
const code = section.SANDBOXED_JS_FOR_SERVER
const NOW = Date.parse('2028-02-29T23:59:58.007Z')

/** Runs the template as a server container would. */
async function run(event, {now = NOW, status = 200} = {}) {
  const ran = {sent: [], success: 0, failure: 0}
  const sandbox = {
    getAllEventData: () => event,
    getTimestampMillis: () => now,
    getType: (value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value),
    JSON,
    makeInteger: (value) => Math.trunc(Number(value)),
    makeNumber: Number,
    makeString: String,
    sendHttpRequest: async (url, options, body) => {
      ran.sent.push({url, options, body: JSON.parse(body)})
      if (status === 0) throw new Error('unreachable')
      return {statusCode: status}
    },
    sha256Sync: (input, {outputEncoding}) => createHash('sha256').update(input).digest(outputEncoding),
  }
  const require = (name) => sandbox[name] ?? assert.fail(`${name} is not in the sandbox`)
  const data = {collector: 'https://events.example.com', writeKey: 'wk_demo', gtmOnSuccess: () => ran.success++, gtmOnFailure: () => ran.failure++}
  // The sandbox's own JSON and no globals of Node's: a Date would not be there.
  new Function('require', 'data', 'Date', 'Math', 'crypto', code)(require, data)
  await new Promise((done) => setImmediate(done))
  return ran
}

test('the sections parse, and the code asks for exactly the permissions it is given', () => {
  assert.deepEqual(JSON.parse(section.INFO).containerContexts, ['SERVER'])
  const required = [...code.matchAll(/require\('(\w+)'\)/g)].map(([, name]) => name)
  for (const name of required) assert.ok(FREE.includes(name) || name in PERMISSION, `${name} has no known permission`)
  const given = JSON.parse(section.SERVER_PERMISSIONS).map(({instance}) => instance.key.publicId)
  assert.deepEqual(given.sort(), required.map((name) => PERMISSION[name]).filter(Boolean).sort())
  const fields = JSON.parse(section.TEMPLATE_PARAMETERS).map(({name}) => name)
  const read = [...code.matchAll(/\bdata\.(\w+)/g)].map(([, name]) => name).filter((name) => !name.startsWith('gtmOn'))
  assert.deepEqual([...new Set(read)].sort(), fields.sort())
})

const base = {client_id: 'c.1', ga_session_id: 77, 'x-ga-gcs': 'G111', page_location: 'https://shop.example/a', page_title: 'A', user_agent: 'Mozilla/5.0', ip_override: '203.0.113.9'}
const items = [{item_id: 'p1', price: '6.25', quantity: 2}, {item_name: 'Sock'}]

test("every mapped event keeps the tracking plan's contracts", async () => {
  const cases = {
    page_view: [{}, ['page_viewed']], session_start: [{}, ['session_started']], login: [{method: 'sso'}, ['user_signed_in']],
    view_item: [{items, currency: 'EUR'}, ['product_viewed', 'product_viewed']], add_to_cart: [{items}, ['product_added', 'product_added']],
    begin_checkout: [{value: 3}, ['checkout_started']], purchase: [{transaction_id: 4711, value: '9.5', currency: 'EUR', items}, ['order_completed']],
    refund: [{transaction_id: 'T1', value: 1, currency: 'EUR'}, ['order_refunded']],
    experience_impression: [{experiment_id: 'x', exp_variant_string: 'b'}, ['experiment_exposed']],
  }
  for (const [event_name, [fields, want]] of Object.entries(cases)) {
    const {sent, success} = await run({...base, ...fields, event_name})
    assert.equal(success, 1)
    const [{url, options, body}] = sent
    assert.equal(url, 'https://events.example.com/v1/events')
    assert.deepEqual(options.headers, {'Content-Type': 'application/json', 'X-Write-Key': 'wk_demo', 'User-Agent': 'Mozilla/5.0', 'X-Forwarded-For': '203.0.113.9'})
    assert.deepEqual(body.events.map((e) => e.event), want)
    for (const e of body.events) {
      conforms('event-1-0-0.json', e)
      conforms(`${e.event}/1-0-0.json`, e.properties)
      assert.equal(e.session_id, 'c.1.77')
    }
    assert.equal(new Set(body.events.map((e) => e.event_id)).size, want.length)
  }
})

test('times are right on every day of eighty years', async () => {
  for (let day = 0; day < 80 * 366; day += 13) {
    const now = Date.parse('1999-12-27T00:00:00Z') + day * 86_400_000 + (day * 7919) % 86_400_000
    const {sent} = await run({...base, event_name: 'page_view'}, {now})
    assert.equal(sent[0].body.events[0].ts, new Date(now).toISOString())
  }
})

test('a retried request is the same event, another one is not', async () => {
  const ids = []
  for (const fields of [{event_time: 1}, {event_time: 1}, {event_time: 2}]) {
    const {sent} = await run({...base, ...fields, event_name: 'page_view'}, {now: NOW + ids.length})
    ids.push(sent[0].body.events[0].event_id)
  }
  assert.equal(ids[0], ids[1])
  assert.notEqual(ids[0], ids[2])
})

test('who refuses analytics storage is not named', async () => {
  const {sent} = await run({...base, event_name: 'page_view', user_id: 'u', 'x-ga-gcs': 'G110'})
  const [event] = sent[0].body.events
  conforms('event-1-0-0.json', event)
  assert.deepEqual(event.consent, {analytics_storage: 'denied'})
  for (const name of ['anonymous_id', 'user_id', 'session_id', 'context']) assert.ok(!(name in event), name)
})

test('what the plan does not have is left out, and a failure is a failure', async () => {
  const scroll = await run({...base, event_name: 'scroll'})
  assert.deepEqual([scroll.sent.length, scroll.success, scroll.failure], [0, 1, 0])
  for (const status of [503, 0]) {
    const {success, failure} = await run({...base, event_name: 'page_view'}, {status})
    assert.deepEqual([success, failure], [0, 1])
  }
})
