package linkage

import "verdict/shared/definition"

// Settings say how units are made where people may choose: athena-sql/identity.yaml.
type Settings struct {
	LinkDevices bool    `json:"link_devices" yaml:"link_devices"` // also by what devices have in common
	Days        int     `json:"days" yaml:"days"`                 // signals older than so many days before the latest are left out
	Threshold   float64 `json:"threshold" yaml:"threshold"`       // probability from which on two devices are one person's
	Agreement   float64 `json:"agreement" yaml:"agreement"`       // mean probability that all pairs across two units must have
	Pairs       int     `json:"pairs" yaml:"pairs"`               // budget of compared pairs
}

// DefaultSettings link nothing. The threshold leaves out what agreement of locale and time zone would add
// (Comparison): 0.8 is stricter than it looks, and held 0.99 precision in simulation (docs/identity.md).
func DefaultSettings() Settings {
	return Settings{Days: 90, Threshold: 0.8, Agreement: 0.5, Pairs: 5_000_000}
}

// LoadSettings reads settings; what is left out is as by default. Broken ones are fault.Invalid with file, line and reason.
func LoadSettings(file string, source []byte) (Settings, error) {
	s := DefaultSettings()
	doc, err := definition.Decode(file, source, &s)
	if err != nil {
		return s, err
	}
	switch {
	case s.Days < 1:
		return s, doc.Errorf("$.days", "want a number of days above 0, not %d", s.Days)
	case s.Threshold < 0.5 || s.Threshold >= 1:
		return s, doc.Errorf("$.threshold", "a threshold is a probability from 0.5 to below 1, not %g", s.Threshold)
	case s.Agreement <= 0 || s.Agreement > 1:
		return s, doc.Errorf("$.agreement", "an agreement is a probability above 0, not %g", s.Agreement)
	case s.Pairs < 1:
		return s, doc.Errorf("$.pairs", "a budget of pairs is a number above 0")
	}
	return s, nil
}

// SignalColumns are those of a table of devices as Comparison reads it.
func SignalColumns() []string {
	return []string{"id", "user", "networks", "browser", "locale", "zone", "hours"}
}

// Comparison is how devices are compared, and how many a unit has at most. Networks are truncated addresses. A browser is known by its traits, and
// does not hold two cookies at once. Locale and time zone are the household's as much as the person's: they speak
// against a match, not for it.
func (s Settings) Comparison(most int) Config {
	return Config{
		Fields: []Field{
			{Column: "networks", As: "set"},
			{Column: "browser", As: "browser"},
			{Column: "locale", As: "check"},
			{Column: "zone", As: "check"},
			{Column: "hours", As: "profile"},
		},
		Blocking: [][]string{{"networks"}, {"browser", "zone", "locale"}},
		Known:    "user", Threshold: s.Threshold, Agreement: s.Agreement, Pairs: s.Pairs, Cap: most,
	}
}
