import assert from 'node:assert/strict'
import {test} from 'node:test'
import {startCollector} from './collector.mjs'
import {MINUTE, Site} from './site.mjs'

const named = (collector, name) => collector.events().filter((e) => e.event === name)

test('a session ends after 30 idle minutes and seq starts again', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.page()
  await site.pass(29 * MINUTE)
  verdict.page()
  await site.pass(29 * MINUTE)
  verdict.page()
  await site.pass(30 * MINUTE)
  verdict.page()
  await site.pass(MINUTE)
  const events = collector.events()
  assert.deepEqual(events.map((e) => e.seq), [0, 1, 2, 3, 0, 1])
  const sessions = events.map((e) => e.session_id)
  assert.equal(new Set(sessions.slice(0, 4)).size, 1)
  assert.equal(new Set(sessions).size, 2)
  assert.equal(new Set(events.map((e) => e.anonymous_id)).size, 1)
})

test('the pages and tabs of a visit share ids, session and seq', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const [one, two] = [site.open(collector), site.open(collector)]
  for (let i = 0; i < 10; i++) (i % 2 ? one : two).verdict.page()
  one.close()
  two.close()
  await site.settle()
  site.open(collector).verdict.page()
  await site.pass(MINUTE)
  const events = collector.events()
  assert.deepEqual(events.map((e) => e.seq).sort((a, b) => a - b), [...Array(12).keys()])
  assert.equal(new Set(events.map((e) => e.session_id)).size, 1)
  assert.equal(new Set(events.map((e) => e.anonymous_id)).size, 1)
})

test('a session record that is no session is replaced', async (t) => {
  for (const text of ['', '{}', 'null', '{"id":1']) {
    const collector = await startCollector(t)
    const site = new Site()
    site.storage.setItem('verdict.wk_demo.session', text)
    const {verdict} = site.open(collector)
    verdict.page()
    await verdict.flush()
    assert.deepEqual(collector.events().map((e) => e.seq), [0, 1], text)
  }
})

test('an exposure is sent once per experiment, variant and session, across pages', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const checkout = {experiment: 'one_page_checkout', variant: 'treatment', source: 'optimizely'}
  const first = site.open(collector)
  first.verdict.exposure(checkout)
  first.verdict.exposure(checkout)
  first.verdict.exposure({experiment: 'gift_wrap', variant: 'control'})
  first.close()
  await site.settle()
  const second = site.open(collector)
  second.verdict.exposure(checkout)
  second.verdict.track('order_completed', {order_id: 'o-1'})
  await site.pass(MINUTE)
  const keys = named(collector, 'experiment_exposed').map((e) => e.properties.experiment_id)
  assert.deepEqual(keys, ['one_page_checkout', 'gift_wrap'])
  const [order] = named(collector, 'order_completed')
  assert.deepEqual(order.experiments.map((e) => [e.id, e.variant]).sort(), [
    ['gift_wrap', 'control'],
    ['one_page_checkout', 'treatment'],
  ])
})

test('a changed variant is a new exposure, and the latest variant is in force', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector)
  for (const variant of ['a', 'b', 'a']) verdict.exposure({experiment: 'e', variant})
  verdict.track('product_viewed')
  await site.pass(MINUTE)
  assert.deepEqual(named(collector, 'experiment_exposed').map((e) => e.properties.variant), ['a', 'b'])
  assert.deepEqual(named(collector, 'product_viewed')[0].experiments, [{id: 'e', variant: 'a'}])
})

test('what a page shows stays in force in its next session, with an exposure of its own', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.exposure({experiment: 'e', variant: 'a'})
  await site.pass(31 * MINUTE)
  verdict.track('product_viewed')
  await site.pass(MINUTE)
  const exposed = named(collector, 'experiment_exposed')
  assert.equal(exposed.length, 2)
  assert.notEqual(exposed[0].session_id, exposed[1].session_id)
  assert.deepEqual(named(collector, 'product_viewed')[0].experiments, [{id: 'e', variant: 'a'}])
})
