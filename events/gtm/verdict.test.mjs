import assert from 'node:assert/strict'
import {readFileSync} from 'node:fs'
import {createRequire} from 'node:module'
import {test} from 'node:test'

const Ajv = createRequire(new URL('../web/package.json', import.meta.url))('ajv/dist/2020.js').default
const ajv = new Ajv({strictTypes: false})

function conforms(event, properties) {
  const schema = JSON.parse(readFileSync(new URL(`../schemas/${event}/1-0-0.json`, import.meta.url)))
  const validate = ajv.getSchema(event) ?? ajv.compile({...schema, $id: event})
  assert.ok(validate(properties), `${event}: ${JSON.stringify(validate.errors)}`)
}

const SECTIONS = [
  'TERMS_OF_SERVICE', 'INFO', 'TEMPLATE_PARAMETERS', 'SANDBOXED_JS_FOR_WEB_TEMPLATE', 'WEB_PERMISSIONS', 'TESTS', 'NOTES',
]

// Which permission each of the sandbox's functions asks for (Tag Manager, custom template APIs and permissions).
const PERMISSION = {
  addConsentListener: 'access_consent',
  copyFromDataLayer: 'read_data_layer',
  createQueue: 'access_globals',
  injectScript: 'inject_script',
  isConsentGranted: 'access_consent',
  getType: undefined,
  makeNumber: undefined,
  makeString: undefined,
}

const text = readFileSync(new URL('verdict.tpl', import.meta.url), 'utf8')
const parts = text.split(/^___([A-Z_]+)___$/m).slice(1)
const names = parts.filter((_, i) => i % 2 === 0)
const section = Object.fromEntries(names.map((name, i) => [name, parts[2 * i + 1].trim()]))
const code = section.SANDBOXED_JS_FOR_WEB_TEMPLATE
const permissions = JSON.parse(section.WEB_PERMISSIONS)
const fields = JSON.parse(section.TEMPLATE_PARAMETERS)

/** Runs the template as Tag Manager would, with what it may require; answers what it pushed and asked for. */
function run(data, {denied = [], layer = {}} = {}) {
  const ran = {pushed: [], injected: [], listeners: {}, success: 0, failure: 0}
  const sandbox = {
    addConsentListener: (signal, listener) => (ran.listeners[signal] = listener),
    copyFromDataLayer: (key) => {
      assert.ok(JSON.stringify(permissions).includes(`{"type":1,"string":"${key}"}`), `${key} may not be read`)
      return layer[key]
    },
    createQueue: (name) => {
      assert.equal(name, 'verdictQueue')
      return (command) => ran.pushed.push(command)
    },
    injectScript: (url, success) => {
      ran.injected.push(url)
      success()
    },
    isConsentGranted: (signal) => !denied.includes(signal),
    getType: (value) => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value),
    makeNumber: Number,
    makeString: String,
  }
  const require = (name) => sandbox[name] ?? assert.fail(`${name} is not in the sandbox`)
  const own = {gtmOnSuccess: () => ran.success++, gtmOnFailure: () => ran.failure++}
  new Function('require', 'data', code)(require, {...data, ...own})
  return ran
}

test('the template has its sections in order, and their JSON parses', () => {
  assert.deepEqual(names, SECTIONS)
  const info = JSON.parse(section.INFO)
  assert.deepEqual([info.type, info.containerContexts], ['TAG', ['WEB']])
  assert.match(section.TESTS, /^scenarios:\n- name: /)
})

test('the code asks for exactly the permissions it is given', () => {
  const required = [...code.matchAll(/require\('(\w+)'\)/g)].map(([, name]) => name)
  for (const name of required) assert.ok(name in PERMISSION, `${name} has no known permission`)
  const wanted = new Set(required.map((name) => PERMISSION[name]).filter(Boolean))
  const given = permissions.map(({instance}) => instance.key.publicId)
  assert.deepEqual([...given].sort(), [...wanted].sort())
  const listed = JSON.stringify(permissions)
  for (const signal of ['analytics_storage', 'ad_storage', 'ad_user_data', 'ad_personalization', 'verdictQueue']) {
    assert.ok(listed.includes(`"${signal}"`), signal)
  }
})

test('the code reads the fields that the template declares', () => {
  const read = [...code.matchAll(/\bdata\.(\w+)/g)].map(([, name]) => name).filter((name) => !name.startsWith('gtmOn'))
  assert.deepEqual([...new Set(read)].sort(), fields.map(({name}) => name).sort())
})

test('the script field accepts what inject_script permits', () => {
  const [{args}] = fields.find(({name}) => name === 'script').valueValidators
  const pattern = new RegExp(args[0])
  for (const url of ['https://static.example.com/verdict.js', 'https://example.com/a/b/verdict.js']) assert.match(url, pattern)
  for (const url of ['http://example.com/verdict.js', 'https://example.com/other.js']) assert.doesNotMatch(url, pattern)
})

test('loading hands over Consent Mode, now and when it changes', () => {
  const settings = {script: 'https://static.example.com/verdict.js', collector: 'https://e.example.com', writeKey: 'wk_demo'}
  const ran = run({command: 'create', ...settings}, {denied: ['ad_storage', 'ad_user_data']})
  const consent = {
    analytics_storage: 'granted', ad_storage: 'denied', ad_user_data: 'denied', ad_personalization: 'granted',
  }
  assert.deepEqual(ran.pushed, [['create', {url: 'https://e.example.com', writeKey: 'wk_demo', consent}]])
  assert.deepEqual(ran.injected, [settings.script])
  assert.equal(ran.success, 1)
  ran.listeners.ad_storage('ad_storage', true)
  ran.listeners.analytics_storage('analytics_storage', false)
  assert.deepEqual(ran.pushed.slice(1), [
    ['consent', 'update', {ad_storage: 'granted'}],
    ['consent', 'update', {analytics_storage: 'denied'}],
  ])
})

test('the other commands queue one call, and load nothing', () => {
  const cases = [
    [{command: 'page', properties: {page_type: 'home'}}, ['page', {page_type: 'home'}]],
    [{command: 'page', properties: 'no object'}, ['page', {}]],
    [{command: 'track', event: 'product_viewed'}, ['track', 'product_viewed', {}]],
    [{command: 'exposure', experiment: 7, variant: 'b'}, ['exposure', {experiment: '7', variant: 'b', source: 'datalayer'}]],
    [{command: 'identify', user: 42}, ['identify', '42']],
    [{command: 'identify', user: ''}, ['identify', null]],
  ]
  for (const [data, want] of cases) {
    const ran = run(data)
    assert.deepEqual([ran.pushed, ran.injected, ran.success], [[want], [], 1])
  }
})

// What the tag sends keeps the contracts of the tracking plan, whatever types the shop pushes.
test("Google Analytics 4's ecommerce events become the tracking plan's", () => {
  const items = [{item_id: 'p1', price: '6.25', quantity: '2'}, {item_name: 'Sock', price: 3}]
  const cases = [
    ['view_item', {currency: 'EUR', items}, [['product_viewed', {product_id: 'p1', price: 6.25, currency: 'EUR'}], ['product_viewed', {product_id: 'Sock', price: 3, currency: 'EUR'}]]],
    ['add_to_cart', {items: [{item_id: 7}]}, [['product_added', {product_id: '7', quantity: 1}]]],
    ['begin_checkout', {value: '15.5', currency: 'EUR'}, [['checkout_started', {value: 15.5, currency: 'EUR'}]]],
    ['purchase', {transaction_id: 4711, value: 15.5, currency: 'EUR', coupon: '', items}, [['order_completed', {
      order_id: '4711', value: 15.5, currency: 'EUR', lines: [{product_id: 'p1', quantity: 2, price: 6.25}, {product_id: 'Sock', quantity: 1, price: 3}],
    }]]],
    ['refund', {transaction_id: 'T1', value: 3, currency: 'EUR'}, [['order_refunded', {order_id: 'T1', value: 3, currency: 'EUR'}]]],
    ['scroll', undefined, []],
  ]
  for (const [event, ecommerce, want] of cases) {
    const ran = run({command: 'datalayer'}, {layer: {event, ecommerce}})
    assert.deepEqual(ran.pushed.map(([, ...rest]) => rest), want)
    for (const [name, properties] of ran.pushed.map(([, ...rest]) => rest)) conforms(name, properties)
    assert.equal(ran.success, 1)
  }
  assert.deepEqual(run({command: 'datalayer'}, {layer: {event: 'login', method: 'sso'}}).pushed, [['track', 'user_signed_in', {method: 'sso'}]])
})
