/** Google Consent Mode v2's signals that bear on events. */
const SIGNALS = ['analytics_storage', 'ad_storage', 'ad_user_data', 'ad_personalization'] as const

export type Signal = (typeof SIGNALS)[number]
export type Choice = 'granted' | 'denied'
/** The shape of gtag('consent', …): signals, and on a default how long to wait for the visitor's word. */
export type ConsentChoices = Partial<Record<Signal, Choice>> & {wait_for_update?: number}
export type ConsentRecord = Record<Signal, Choice>

export interface Consent {
  set(kind: 'default' | 'update', choices: ConsentChoices): void
  /** Of analytics. Open: nobody has decided yet, so events wait in memory. */
  state(): 'open' | Choice
  record(): ConsentRecord
}

/**
 * Keeps what the site (default) and the visitor (update) said about consent.
 *
 * A default of denied is not yet the visitor's word: it leaves the state open, so that a banner accepted on the first
 * page does not cost that page's events. A default of granted counts once `wait_for_update` milliseconds have passed.
 */
export function createConsent(
  globalPrivacyControl: boolean,
  after: (ms: number, then: () => void) => void,
  changed: () => void,
): Consent {
  let said: ConsentChoices = {}
  let decided = false

  const settle = (): void => {
    decided ||= said.analytics_storage === 'granted'
    changed()
  }
  return {
    set(kind, choices) {
      if (kind === 'update') {
        said = {...said, ...choices}
        decided ||= !!choices.analytics_storage
        changed()
        return
      }
      said = {...choices, ...said}
      if (choices.wait_for_update) after(choices.wait_for_update, settle)
      else settle()
    },
    state: () => (decided ? said.analytics_storage! : 'open'),
    record() {
      const record = {} as ConsentRecord
      for (const signal of SIGNALS) {
        // GPC is a refusal of sale and sharing (W3C Global Privacy Control): it binds the ad signals, not first-party analytics.
        const refused = globalPrivacyControl && signal !== 'analytics_storage'
        record[signal] = refused ? 'denied' : said[signal] ?? 'denied'
      }
      return record
    },
  }
}
