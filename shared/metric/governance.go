package metric

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Status says how far a metric may be relied on.
type Status string

// The statuses. What says nothing is certified: it came into the repository by review.
const (
	Certified  Status = "certified"  // may decide an experiment
	Draft      Status = "draft"      // may be looked at, decides nothing
	Deprecated Status = "deprecated" // decides what uses it already; take another for what is new
)

// Governance is who answers for a metric, and how far it may be relied on.
type Governance struct {
	Owner   string
	Status  Status
	Version int // raised by people when the meaning changes
}

func (d *declared) governance() (Governance, error) {
	meta := d.Config.Meta
	g := Governance{Owner: meta.Owner, Status: meta.Status, Version: meta.Version}
	if g.Status == "" {
		g.Status = Certified
	}
	if g.Version == 0 && !d.doc.Has("$.metric.config.meta.version") {
		g.Version = 1
	}
	switch {
	case !slices.Contains([]Status{Certified, Draft, Deprecated}, g.Status):
		return g, d.doc.Errorf("$.metric.config.meta.status", "status must be certified, draft or deprecated, not %q", g.Status)
	case g.Version < 1:
		return g, d.doc.Errorf("$.metric.config.meta.version", "a version is a whole number from 1")
	}
	return g, nil
}

// Hash identifies what the metric computes: it changes when anything that could change a number does, and not with
// what people only read.
func (m Metric) Hash() string {
	m.Label, m.Description, m.Format, m.Governance = "", "", "", Governance{}
	return hash(m)
}

func hash(meaning any) string {
	b, err := json.Marshal(meaning)
	if err != nil {
		panic("metric: its definition does not marshal: " + err.Error()) // plain fields only: cannot happen
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
