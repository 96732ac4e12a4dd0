import assert from 'node:assert/strict'
import {test} from 'node:test'
import {startCollector} from './collector.mjs'
import {MINUTE, Site, granted} from './site.mjs'

const denied = {analytics_storage: 'denied'}

test('until consent is decided nothing is stored or sent', async (t) => {
  const defaults = {none: undefined, denied, 'denied with a wait': {...denied, wait_for_update: 500}}
  for (const [name, consent] of Object.entries(defaults)) {
    await t.test(name, async (t) => {
      const collector = await startCollector(t)
      const site = new Site()
      const page = site.open(collector, {consent: consent ?? null})
      page.verdict.identify('u-1')
      page.verdict.page()
      page.verdict.exposure({experiment: 'e', variant: 'a'})
      await site.pass(MINUTE)
      await page.verdict.flush()
      page.hide()
      await site.pass(MINUTE)
      assert.equal(site.storage.length, 0)
      assert.equal(collector.requests.length, 0)
    })
  }
})

test('a grant delivers what waited, with the time and the properties of then', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const then = site.time
  const {verdict} = site.open(collector, {consent: denied})
  const properties = {product: 'p-1'}
  verdict.track('product_viewed', properties)
  properties.product = 'changed since'
  await site.pass(MINUTE)
  verdict.consent('update', {analytics_storage: 'granted', ad_storage: 'denied'})
  await site.pass(MINUTE)
  const viewed = collector.events().find((e) => e.event === 'product_viewed')
  assert.equal(Date.parse(viewed.ts), then)
  assert.equal(viewed.properties.product, 'p-1')
  assert.equal(viewed.consent.analytics_storage, 'granted')
  assert.equal(site.stored('anonymous'), viewed.anonymous_id)
})

test('a refusal discards what waited, counts it, and stores nothing', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector, {consent: denied})
  verdict.page()
  verdict.consent('update', denied)
  verdict.track('product_viewed')
  await site.pass(MINUTE)
  assert.equal(verdict.dropped.consent, 2)
  assert.equal(site.storage.length, 0)
  assert.equal(collector.requests.length, 0)
})

test('withdrawal erases ids and undelivered events; a later grant starts anew', async (t) => {
  const collector = await startCollector(t, [{status: 500}])
  const site = new Site()
  const {verdict} = site.open(collector)
  verdict.identify('u-1')
  verdict.track('product_viewed')
  const before = site.stored('anonymous')
  await verdict.flush()
  assert.ok(site.storage.length >= 4)
  verdict.consent('update', denied)
  assert.equal(site.storage.length, 0)
  await site.pass(MINUTE)
  assert.equal(collector.stored.size, 0)

  verdict.consent('update', granted)
  verdict.track('product_viewed')
  await site.pass(MINUTE)
  assert.notEqual(collector.events()[0].anonymous_id, before)
  assert.equal(collector.events()[0].seq, 0)
})

test('a default of granted waits for the update it was told to wait for', async (t) => {
  for (const word of ['granted', 'denied', 'nothing']) {
    await t.test(word, async (t) => {
      const collector = await startCollector(t)
      const site = new Site()
      const {verdict} = site.open(collector, {consent: {...granted, wait_for_update: 500}})
      verdict.page()
      assert.equal(site.storage.length, 0)
      await site.pass(400)
      assert.equal(site.storage.length, 0)
      if (word !== 'nothing') verdict.consent('update', {analytics_storage: word})
      await site.pass(MINUTE)
      assert.equal(collector.stored.size, word === 'denied' ? 0 : 2)
    })
  }
})

test('a default that comes after the update does not overrule it', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector, {consent: null})
  verdict.consent('update', granted)
  verdict.consent('default', denied)
  verdict.page()
  await site.pass(MINUTE)
  assert.equal(collector.stored.size, 2)
})

test('memory before consent is bounded, and evictions are counted', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const {verdict} = site.open(collector, {consent: denied})
  for (let i = 0; i < 230; i++) verdict.track('product_viewed', {i})
  assert.equal(verdict.dropped.evicted, 30)
  verdict.consent('update', granted)
  await site.pass(MINUTE)
  assert.equal(collector.stored.size, 201)
})

test('the consent of an event has the four signals; Global Privacy Control denies those of ads', async (t) => {
  const all = {analytics_storage: 'granted', ad_storage: 'granted', ad_user_data: 'granted', ad_personalization: 'granted'}
  const refused = {analytics_storage: 'granted', ad_storage: 'denied', ad_user_data: 'denied', ad_personalization: 'denied'}
  for (const [name, control, given, want] of [
    ['as given', undefined, all, all],
    ['unsaid is denied', false, granted, refused],
    ['refused by GPC', true, all, refused],
  ]) {
    await t.test(name, async (t) => {
      const collector = await startCollector(t)
      const site = new Site()
      const navigator = {language: 'en', globalPrivacyControl: control}
      const {verdict} = site.open(collector, {consent: given, window: {navigator}})
      verdict.page()
      await verdict.flush()
      assert.deepEqual(collector.events()[0].consent, want)
    })
  }
})

test('a sign-in or sign-out before consent names the right events', async (t) => {
  const collector = await startCollector(t)
  const site = new Site()
  const earlier = site.open(collector)
  earlier.verdict.identify('old')
  earlier.verdict.track('product_viewed', {who: 'old'})
  await earlier.verdict.flush()
  earlier.close()

  const {verdict} = site.open(collector, {consent: denied})
  verdict.track('product_viewed', {who: 'old'})
  verdict.identify(null)
  verdict.track('product_viewed', {})
  verdict.identify('new')
  verdict.track('product_viewed', {who: 'new'})
  verdict.consent('update', granted)
  await site.pass(MINUTE)
  const viewed = collector.events().filter((e) => e.event === 'product_viewed')
  assert.equal(viewed.length, 4)
  for (const event of viewed) assert.equal(event.user_id, event.properties.who)
  assert.equal(site.stored('user'), 'new')
})
