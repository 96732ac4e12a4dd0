// Made from events/plan.yaml by `verdict plan types`. Do not edit: a test holds it to the plan.

/** The properties of every event of the tracking plan. */
export interface PlanEvents {
  /** A page was shown. */
  page_viewed: {
    page_type: 'home' | 'category' | 'product' | 'cart' | 'checkout' | 'account' | 'other'
  }
  /** First event of a session. */
  session_started: {
    entry?: 'direct' | 'search' | 'social' | 'email' | 'ads' | 'referral'
  }
  /** A visitor proved who they are. */
  user_signed_in: {
    method: 'password' | 'sso' | 'magic_link' | 'passkey'
  }
  /** A search answered with results. */
  search_performed: {
    results: number
    query_length?: number
  }
  /** A product page was shown. */
  product_viewed: {
    product_id: string
    /** ISO 4217. */
    currency?: string
    /** In units of currency. */
    price?: number
  }
  /** A product went into the cart. */
  product_added: {
    product_id: string
    quantity: number
    /** ISO 4217. */
    currency?: string
    /** In units of currency. */
    price?: number
  }
  /** The checkout was opened. */
  checkout_started: {
    /** In units of currency. */
    value: number
    cart_id?: string
    /** ISO 4217. */
    currency?: string
    items?: number
  }
  /** An order was paid; value is its total. */
  order_completed: {
    /** ISO 4217. */
    currency: string
    order_id: string
    /** In units of currency. */
    value: number
    coupon?: string
    items?: number
    lines?: {price: number; product_id: string; quantity: number}[]
  }
  /** An order, or part of it, came back; value is what was paid back. */
  order_refunded: {
    /** ISO 4217. */
    currency: string
    order_id: string
    /** In units of currency. */
    value: number
    reason?: string
  }
  /** Rounds of a game; value is their number. */
  game_rounds_played: {
    /** Number of rounds. */
    value: number
  }
  /** The canary, sent every minute by a scheduled function, so that silence can be told from a broken pipeline. */
  pipeline_probed: {
    /** What sent it. */
    sender: string
  }
  /** A unit saw its variant of an experiment. */
  experiment_exposed: {
    experiment_id: string
    variant: string
    flag_key?: string
    source?: 'optimizely' | 'launchdarkly' | 'growthbook' | 'datalayer' | 'import' | 'server'
  }
}

/** Versions in force other than 1-0-0. */
export const versions: Record<string, string> = {}
