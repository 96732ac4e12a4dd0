// Package measuretest has the rows that measuring reads, for tests that need no more of a warehouse than these.
package measuretest

import "time"

// Event is a row of fact_event.
type Event struct {
	Entity     string    `lake:"entity_id"`
	Name       string    `lake:"event_name"`
	At         time.Time `lake:"event_ts"`
	Value      float64   `lake:"value"`
	Bot        bool      `lake:"is_bot"`
	Properties string    `lake:"properties"`
}

// User is a row of dim_user.
type User struct {
	Entity  string    `lake:"entity_id"`
	Unit    string    `lake:"unit_id"`
	ValidTo time.Time `lake:"valid_to"`
}

// Exposure is a row of fact_experiment_exposure.
type Exposure struct {
	Experiment string    `lake:"experiment_id"`
	Unit       string    `lake:"unit_id"`
	Variant    string    `lake:"variant"`
	First      time.Time `lake:"first_exposure_ts"`
	Multi      bool      `lake:"is_multi_variant"`
	Day        string    `lake:"exposure_date"`
}

// Session is a row of ledger_session.
type Session struct {
	Entity string `lake:"entity_id"`
	Day    string `lake:"event_date"`
	Bot    bool   `lake:"is_bot"`
	Lost   int64  `lake:"lost"`
}
