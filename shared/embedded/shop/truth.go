package shop

// effect is what a variant really does to a person. Only this file knows it: the pipeline has to
// find out from the events.
type effect struct {
	buy      float64 // factor on the propensity to buy
	comeBack float64 // factor on the propensity to come back
	lost     float64 // share of units whose exposures never reach the collector
}

// truth is the effect of the treatment of each experiment.
func truth() map[string]effect {
	return map[string]effect{
		"one_page_checkout":    {buy: 1.20, comeBack: 1},          // a true winner
		"urgency_banner":       {buy: 1.06, comeBack: 0.78},       // sells today, and drives people away
		"cart_service_rewrite": {buy: 1, comeBack: 1},             // A/A
		"new_navigation":       {buy: 1, comeBack: 1, lost: 0.10}, // its page is left before the exposure is sent
		"gift_wrap":            {buy: 1, comeBack: 1},             // nothing, and too few people to tell
	}
}

// The shop's people. The rates are those of an ordinary shop; what matters is that each kind of
// difficulty occurs often enough to be seen.
const (
	buys          = 0.20  // buys within three days of the first visit
	buysAtOnce    = 0.75  // of buyers: in the first session, the others within 20 hours
	comesBack     = 0.40  // between 26 and 90 hours after the first visit
	refunds       = 0.06  // of orders, one to six days later
	severalDevice = 0.20  // uses two or three devices, and signs in on each
	looksFirst    = 0.02  // of those: is shown the flags before signing in, as somebody else
	signsIn       = 0.10  // of people with one device
	refusesCookie = 0.08  // denies analytics storage
	wrongClock    = 0.05  // of devices: minutes to 26 hours off
	goesOffline   = 0.03  // of sessions: delivered 2 to 48 hours late
	answerLost    = 0.03  // of batches: sent again, with the same ids
	broken        = 0.005 // of events: break the tracking plan
	crawls        = 0.02  // crawlers per person
	orderMedian   = 48.0  // EUR; lognormal with sigma 0.65 has a mean of about 59
	orderSigma    = 0.65
)
