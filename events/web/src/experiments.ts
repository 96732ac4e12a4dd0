import type {Exposure, Verdict} from './index'

/**
 * Connects the experiment platform of the page: each function turns what the platform says it has decided into
 * `exposure`, which sends one event per experiment, variant and session, and notes the variant on every later event.
 */
type Exposes = Pick<Verdict, 'exposure'>

interface OptimizelyClient {
  notificationCenter: {addNotificationListener(type: never, listener: (decision: never) => void): unknown}
}

interface OptimizelyDecision {
  type: string
  decisionInfo: {flagKey?: string; ruleKey?: string | null; variationKey?: string | null; decisionEventDispatched?: boolean}
}

/**
 * Optimizely Feature Experimentation: the decisions for which the SDK dispatches an event of its own. That leaves out
 * rollouts and DISABLE_DECISION_EVENT; a client needs an event processor, whose dispatcher may do nothing.
 */
export function optimizely(verdict: Exposes, client: OptimizelyClient): void {
  const listener = ({type, decisionInfo: {flagKey, ruleKey, variationKey, decisionEventDispatched}}: OptimizelyDecision): void => {
    if (type === 'flag' && decisionEventDispatched && ruleKey && variationKey) {
      verdict.exposure({experiment: ruleKey, variant: variationKey, flag: flagKey, source: 'optimizely'})
    }
  }
  // NOTIFICATION_TYPES.DECISION of @optimizely/optimizely-sdk, from version 6 on and before: each ignores the other's.
  for (const type of ['DECISION', 'DECISION:type, userId, attributes, decisionInfo']) {
    client.notificationCenter.addNotificationListener(type as never, listener as (decision: never) => void)
  }
}

interface OptimizelyWebEvent {
  data: {decision: {experimentId?: string | null; variationId?: string | null; isCampaignHoldback?: boolean}}
}

/** Optimizely Web Experimentation, before or after its snippet has loaded. The ids are numbers: name experiments by them. */
export function optimizelyWeb(verdict: Exposes, page: {optimizely?: {push(call: unknown): unknown}}): void {
  page.optimizely ??= []
  page.optimizely.push({
    type: 'addListener',
    filter: {type: 'lifecycle', name: 'campaignDecided'},
    handler: ({data: {decision}}: OptimizelyWebEvent) => {
      if (decision.experimentId && decision.variationId && !decision.isCampaignHoldback) {
        verdict.exposure({experiment: decision.experimentId, variant: decision.variationId, source: 'optimizely'})
      }
    },
  })
}

/** GrowthBook: pass the answer as `trackingCallback`. */
export function growthbook(verdict: Exposes): (experiment: {key: string}, result: {key: string; featureId?: string | null}) => void {
  return (experiment, {key, featureId}) => verdict.exposure({experiment: experiment.key, variant: key, flag: featureId || undefined, source: 'growthbook'})
}

interface LaunchDarklyDetail {
  value: unknown
  variationIndex?: number | null
  reason?: {kind?: string; inExperiment?: boolean} | null
}

/** LaunchDarkly: pass the answer among `inspectors`, and `evaluationReasons: true`, which says what is an experiment. */
export function launchDarkly(verdict: Exposes): {type: 'flag-used'; name: string; method: (flag: string, detail: LaunchDarklyDetail) => void} {
  return {
    type: 'flag-used',
    name: 'verdict',
    method: (flag, {value, variationIndex, reason}) => {
      if (!reason?.inExperiment) return
      const variant = typeof value === 'string' || typeof value === 'boolean' ? String(value) : String(variationIndex)
      verdict.exposure({experiment: flag, variant, flag, source: 'launchdarkly'})
    },
  }
}

/** A dataLayer's pushes, those to come and those already there: `{event: 'experience_impression', experiment_id, variant}`. */
export function dataLayer(verdict: Exposes, layer: unknown[], event = 'experience_impression'): void {
  const read = (pushed: unknown): void => {
    const {event: name, experiment_id: experiment, variant, exp_variant_string: named} = (pushed ?? {}) as Record<string, unknown>
    const shown = variant ?? named
    if (name === event && experiment && shown) verdict.exposure({experiment: String(experiment), variant: String(shown), source: 'datalayer'} satisfies Exposure)
  }
  layer.forEach(read)
  const push = layer.push.bind(layer)
  layer.push = (...items) => {
    const length = push(...items)
    items.forEach(read)
    return length
  }
}
