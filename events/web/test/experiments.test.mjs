import assert from 'node:assert/strict'
import {test} from 'node:test'
import {GrowthBook} from '@growthbook/growthbook'
import {createForwardingEventProcessor, createInstance, createStaticProjectConfigManager, OptimizelyDecideOption} from '@optimizely/optimizely-sdk'
import {dataLayer, growthbook, launchDarkly, optimizely, optimizelyWeb} from '../dist/experiments.mjs'

const recorder = () => {
  const seen = []
  return {seen, exposure: (one) => seen.push(JSON.parse(JSON.stringify(one)))}
}

// A flag with an experiment for everybody, and one that is only rolled out.
const datafile = JSON.stringify({
  version: '4', revision: '1', accountId: '1', projectId: '1', anonymizeIP: true, botFiltering: false, sendFlagDecisions: false,
  environmentKey: 'production', sdkKey: 's', attributes: [], audiences: [], typedAudiences: [], groups: [], events: [], integrations: [], variables: [],
  featureFlags: [
    {id: '10', key: 'checkout', experimentIds: ['20'], rolloutId: '', variables: []},
    {id: '11', key: 'banner', experimentIds: [], rolloutId: '40', variables: []},
  ],
  experiments: [{
    id: '20', key: 'one_page_checkout', layerId: '21', status: 'Running', audienceIds: [], forcedVariations: {},
    variations: [{id: '30', key: 'control', featureEnabled: false, variables: []}, {id: '31', key: 'treatment', featureEnabled: true, variables: []}],
    trafficAllocation: [{entityId: '30', endOfRange: 5000}, {entityId: '31', endOfRange: 10000}],
  }],
  rollouts: [{id: '40', experiments: [{
    id: '41', key: 'banner_for_all', layerId: '40', status: 'Running', audienceIds: [], forcedVariations: {},
    variations: [{id: '42', key: 'on', featureEnabled: true, variables: []}], trafficAllocation: [{entityId: '42', endOfRange: 10000}],
  }]}],
})

test("Optimizely Feature Experimentation's own SDK: experiments, not rollouts", () => {
  const verdict = recorder()
  const eventProcessor = createForwardingEventProcessor({dispatchEvent: async () => ({statusCode: 204})})
  const client = createInstance({projectConfigManager: createStaticProjectConfigManager({datafile}), eventProcessor})
  optimizely(verdict, client)
  for (const id of ['u1', 'u2', 'u3', 'u4']) {
    const user = client.createUserContext(id)
    const decision = user.decide('checkout')
    assert.deepEqual(verdict.seen.at(-1), {experiment: 'one_page_checkout', variant: decision.variationKey, flag: 'checkout', source: 'optimizely'})
    user.decide('banner')
    user.decide('checkout', [OptimizelyDecideOption.DISABLE_DECISION_EVENT]) // asked, not shown
  }
  assert.equal(verdict.seen.length, 4)
  assert.equal(new Set(verdict.seen.map((e) => e.variant)).size, 2)
})

test('Optimizely Web, before its snippet has loaded', () => {
  const verdict = recorder()
  const page = {}
  optimizelyWeb(verdict, page)
  const [{type, filter, handler}] = page.optimizely
  assert.deepEqual([type, filter], ['addListener', {type: 'lifecycle', name: 'campaignDecided'}])
  handler({data: {campaign: {id: '1'}, decision: {campaignId: '1', experimentId: '2', variationId: '3', isCampaignHoldback: false}}})
  handler({data: {campaign: {id: '1'}, decision: {campaignId: '1', experimentId: '2', variationId: '3', isCampaignHoldback: true}}})
  handler({data: {campaign: {id: '1'}, decision: {campaignId: '1', experimentId: null, variationId: null}}})
  assert.deepEqual(verdict.seen, [{experiment: '2', variant: '3', source: 'optimizely'}])
})

test("GrowthBook's own SDK", () => {
  const verdict = recorder()
  const gb = new GrowthBook({attributes: {id: 'u1'}, trackingCallback: growthbook(verdict)})
  gb.initSync({payload: {features: {
    checkout: {defaultValue: 'a', rules: [{key: 'one_page_checkout', variations: ['a', 'b'], meta: [{key: 'control'}, {key: 'treatment'}], coverage: 1, weights: [0.5, 0.5], hashAttribute: 'id'}]},
    banner: {defaultValue: true},
  }}})
  const value = gb.getFeatureValue('checkout', 'a')
  gb.isOn('banner')
  assert.deepEqual(verdict.seen, [{experiment: 'one_page_checkout', variant: value === 'a' ? 'control' : 'treatment', flag: 'checkout', source: 'growthbook'}])
})

test('LaunchDarkly: what its inspectors are told', () => {
  const verdict = recorder()
  const {type, method} = launchDarkly(verdict)
  assert.equal(type, 'flag-used')
  method('checkout', {value: 'treatment', variationIndex: 1, reason: {kind: 'FALLTHROUGH', inExperiment: true}})
  method('layout', {value: {columns: 2}, variationIndex: 1, reason: {kind: 'RULE_MATCH', inExperiment: true}})
  method('banner', {value: true, variationIndex: 0, reason: {kind: 'FALLTHROUGH'}})
  method('silent', {value: true, variationIndex: 0})
  assert.deepEqual(verdict.seen, [
    {experiment: 'checkout', variant: 'treatment', flag: 'checkout', source: 'launchdarkly'},
    {experiment: 'layout', variant: '1', flag: 'layout', source: 'launchdarkly'},
  ])
})

test('a dataLayer, what is there and what comes', () => {
  const verdict = recorder()
  const layer = [{event: 'gtm.js'}, {event: 'experience_impression', experiment_id: 7, exp_variant_string: 'A'}]
  dataLayer(verdict, layer)
  assert.equal(layer.push({event: 'experience_impression', experiment_id: 'x', variant: 'b'}, null, 'text'), 5)
  assert.deepEqual(verdict.seen, [{experiment: '7', variant: 'A', source: 'datalayer'}, {experiment: 'x', variant: 'b', source: 'datalayer'}])
  assert.equal(layer.length, 5)
})
