import assert from 'node:assert/strict'
import {test} from 'node:test'
import {startCollector} from './collector.mjs'
import {HOUR, MINUTE, MemoryStorage, Site} from './site.mjs'

const numbers = (collector) =>
  collector.events().filter((e) => e.event === 'product_viewed').map((e) => e.properties.i).sort((a, b) => a - b)

test('a closing page stays in the keepalive budget, and the next page sends the rest', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const first = site.open(collector)
  for (let i = 0; i < 49; i++) first.verdict.track('product_viewed', {i, text: 'x'.repeat(2500)})
  first.close()
  await site.settle()
  assert.equal(first.keepalive.refused, 0)
  assert.ok(first.keepalive.largest > 50 * 1024 && first.keepalive.largest <= 64 * 1024, `${first.keepalive.largest}`)
  const sent = numbers(collector).length
  assert.ok(sent > 15 && sent < 49, `${sent} sent while closing`)

  site.open(collector)
  await site.pass(MINUTE)
  assert.deepEqual(numbers(collector), [...Array(49).keys()])
})

test('a request in flight counts against the budget of the closing page', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const page = site.open(collector)
  for (let i = 0; i < 20; i++) page.verdict.track('product_viewed', {i, text: 'x'.repeat(2000)})
  const flushed = page.verdict.flush()
  for (let i = 20; i < 60; i++) page.verdict.track('product_viewed', {i, text: 'x'.repeat(2000)})
  page.hide()
  assert.ok(page.keepalive.bytes > 50 * 1024, 'the rest of the budget is used at once')
  await flushed
  await site.pass(MINUTE)
  assert.equal(page.keepalive.refused, 0)
  assert.ok(page.keepalive.largest <= 64 * 1024)
  assert.deepEqual(numbers(collector), [...Array(60).keys()])
})

test('30 events of 3 KB, then closed 400 ms later: all arrive with the next page', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const page = site.open(collector)
  for (let i = 0; i < 30; i++) page.verdict.track('product_viewed', {i, text: 'x'.repeat(3000)})
  await site.pass(400)
  page.close()
  await site.settle()
  site.open(collector)
  await site.pass(MINUTE)
  assert.deepEqual(numbers(collector), [...Array(30).keys()])
})

test('a page back from the back/forward cache goes on delivering', async (t) => {
  const collector = await startCollector(t, ['broken', 'broken'])
  const site = new Site()
  const page = site.open(collector)
  page.verdict.track('product_viewed', {i: 0})
  await page.verdict.flush()
  page.close()
  await site.settle()
  const unsent = page.verdict.dropped
  page.restore()
  page.verdict.track('product_viewed', {i: 1})
  site.open(collector) // reclaimed, so not this page's to send
  await site.pass(MINUTE)
  assert.deepEqual(numbers(collector), [0, 1])
  assert.equal(collector.deliveries, 3)
  assert.deepEqual(Object.values(unsent), [0, 0, 0, 0, 0])
})

test('after a crash the next page adopts the events once their page must be dead', async (t) => {
  const collector = await startCollector(t, Array(3).fill('broken'))
  const site = new Site()
  const first = site.open(collector)
  for (let i = 0; i < 5; i++) first.verdict.track('product_viewed', {i})
  first.crash()

  site.open(collector)
  await site.pass(MINUTE)
  assert.deepEqual(numbers(collector), [], 'a page silent for a minute may live')
  await site.pass(10 * MINUTE)
  site.open(collector)
  await site.pass(MINUTE)
  assert.deepEqual(numbers(collector), [0, 1, 2, 3, 4])
})

test('a page that lives but cannot deliver keeps its events to itself', async (t) => {
  const collector = await startCollector(t, Array(40).fill('broken'))
  const site = new Site()
  const records = () => site.keys().filter((key) => key.includes('outbox'))
  const first = site.open(collector)
  first.verdict.track('product_viewed', {i: 0})
  const [own] = records()
  await site.pass(15 * MINUTE)
  site.open(collector)
  assert.deepEqual(records(), [own])
  await site.pass(2 * HOUR)
  assert.deepEqual(numbers(collector), [0])
  assert.equal(collector.deliveries, 2)
})

test('three tabs, ten minutes without network: 1000 events arrive, none twice', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  let online = false
  const gated = async (url, request) => {
    if (!online) throw new TypeError('Failed to fetch')
    return fetch(url, request)
  }
  const tabs = [0, 1, 2].map(() => site.open(collector, {browser: {fetch: gated}}))
  for (let i = 0; i < 1000; i++) {
    tabs[i % 3].verdict.track('product_viewed', {i})
    if (i % 10 === 9) await site.pass(6000)
  }
  online = true
  // These fetches do not pass the site's own counter: wait for the collector itself.
  for (let i = 0; i < 200 && numbers(collector).length < 1000; i++) {
    await site.pass(MINUTE)
    await Promise.all(tabs.map(({verdict}) => verdict.flush()))
  }
  assert.deepEqual(numbers(collector), [...Array(1000).keys()])
  assert.equal(collector.deliveries, collector.stored.size)
  const seqs = collector.events().map((e) => e.seq).sort((a, b) => a - b)
  assert.deepEqual(seqs, [...Array(1001).keys()])
})

test('a full outbox evicts its oldest events and counts them', async (t) => {
  const collector = await startCollector(t, ['broken'])
  const site = new Site()
  const {verdict} = site.open(collector, {maxOutboxBytes: 20_000})
  for (let i = 0; i < 40; i++) verdict.track('product_viewed', {i, text: 'x'.repeat(400)})
  const evicted = verdict.dropped.evicted
  assert.ok(evicted > 10, `${evicted} evicted`)
  await site.pass(MINUTE)
  assert.equal(collector.stored.size, 41 - evicted)
  assert.equal(numbers(collector).at(-1), 39)
})

test('storage that is full or forbidden costs persistence, not events', async (t) => {
  const full = new MemoryStorage()
  full.quota = 600
  for (const [name, storage] of Object.entries({full, forbidden: undefined})) {
    await t.test(name, async (t) => {
      const collector = await startCollector(t, ['broken'])
      const site = new Site()
      const {verdict} = site.open(collector, {browser: {storage}})
      for (let i = 0; i < 20; i++) verdict.track('product_viewed', {i})
      await site.pass(MINUTE)
      assert.deepEqual(numbers(collector), [...Array(20).keys()])
      assert.deepEqual(collector.events().map((e) => e.seq), [...Array(21).keys()])
      assert.equal(new Set(collector.events().map((e) => e.anonymous_id)).size, 1)
    })
  }
})
