package dashboard

import (
	"cmp"
	"net/http"
	"slices"

	"verdict/shared/identity"
	"verdict/shared/ledger"
	"verdict/shared/monitor"
	"verdict/shared/spend"
)

// latestOf selects the rows of a table's latest day.
func latestOf(columns, table string) string {
	return "SELECT " + columns + " FROM " + table + " WHERE as_of = (SELECT max(as_of) FROM " + table + ")"
}

type reading struct {
	Name  string  `lake:"name" json:"name"`
	Of    string  `lake:"subject" json:"of"`
	Value float64 `lake:"value" json:"-"`
	Limit float64 `lake:"threshold" json:"limit"`
	Says  string  `lake:"says" json:"says"`
	AsOf  string  `lake:"as_of" json:"as_of"`
	Shown number  `json:"value"`
	High  bool    `json:"high"` // above its limit: somebody should look
}

type dayCount struct {
	Day    string `lake:"event_date" json:"day"`
	Events int64  `lake:"events" json:"events"`
}

// linkBalance is one link of the ledger over the week that was read.
type linkBalance struct {
	Link string `json:"link"`
	In   int64  `json:"in"`
	Out  int64  `json:"out"`
	Lost int64  `json:"lost"`
}

// pipelineView is what is shown of the pipeline's health.
type pipelineView struct {
	AsOf     string        `json:"as_of"`
	Readings []reading     `json:"readings"` // those above their limit first
	High     int           `json:"high"`
	Links    []linkBalance `json:"ledger"` // of the week before as_of
	Days     []dayCount    `json:"throughput"`
	Peak     int64         `json:"-"`
	Cost     []stepCost    `json:"read"`
	Missing  []string      `json:"missing"` // tables nobody has published yet
}

type stepCost struct {
	Step string  `lake:"step" json:"step"`
	Read int64   `lake:"bytes" json:"bytes"`
	USD  float64 `lake:"usd" json:"usd"`
}

func (s *server) pipeline(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	v := pipelineView{Missing: []string{}}
	var err error
	if v.Readings, err = some[reading](ctx, s.Engine, &v.Missing, monitor.ReadingTable, latestOf("*", monitor.ReadingTable)); err != nil {
		s.fail(w, r, err)
		return
	}
	for i := range v.Readings {
		x := &v.Readings[i]
		x.Shown, x.High, v.AsOf = number(x.Value), x.Value > x.Limit, x.AsOf
		if x.High {
			v.High++
		}
	}
	slices.SortStableFunc(v.Readings, func(a, b reading) int {
		if a.High != b.High {
			return map[bool]int{true: -1, false: 1}[a.High]
		}
		return cmp.Compare(a.Name, b.Name)
	})
	entries, err := some[ledger.Entry](ctx, s.Engine, &v.Missing, ledger.BalanceTable, latestOf("*", ledger.BalanceTable))
	if err == nil {
		for _, link := range []ledger.Link{ledger.Sending, ledger.Landing, ledger.Quarantine, ledger.Modelling} {
			if t := ledger.Total(entries, link); len(entries) > 0 {
				v.Links = append(v.Links, linkBalance{string(link), t.In, t.Out, t.Lost})
			}
		}
		v.Days, err = some[dayCount](ctx, s.Engine, &v.Missing, "fact_event", "SELECT event_date, count(*) AS events FROM fact_event GROUP BY event_date ORDER BY event_date DESC LIMIT 28")
	}
	if err == nil {
		v.Cost, err = some[stepCost](ctx, s.Engine, &v.Missing, spend.Table, "SELECT step, sum(bytes) AS bytes, sum(usd) AS usd FROM "+spend.Table+" GROUP BY step ORDER BY step")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, d := range v.Days {
		v.Peak = max(v.Peak, d.Events)
	}
	if wantsJSON(r) {
		s.writeJSON(w, r, v)
		return
	}
	s.render(w, r, http.StatusOK, "pipeline", v)
}

type sizeCount struct {
	IDs   int64 `lake:"ids" json:"ids"` // of one unit
	Units int64 `lake:"units" json:"units"`
}

type mergeDay struct {
	Day    string `lake:"day" json:"day"`
	Change string `lake:"change" json:"change"`
	Links  int64  `lake:"links" json:"links"`
}

type vetoCount struct {
	Reason string `lake:"reason" json:"reason"`
	Vetoes int64  `lake:"vetoes" json:"vetoes"`
}

// identityView is what is shown of who is who. It names no id.
type identityView struct {
	Sizes    []sizeCount        `json:"sizes"` // of units to which more than their own id belongs
	Largest  int64              `json:"largest"`
	Peak     int64              `json:"-"`
	Outcomes []identity.Outcome `json:"outcomes"`
	Merges   []mergeDay         `json:"merges"`
	Vetoes   []vetoCount        `json:"vetoes"`
	Missing  []string           `json:"missing"`
}

func (s *server) identity(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	v := identityView{Missing: []string{}}
	var err error
	v.Sizes, err = some[sizeCount](ctx, s.Engine, &v.Missing, "identity_map", `SELECT ids, count(*) AS units
FROM (SELECT unit_id, count(*) + 1 AS ids FROM identity_map GROUP BY unit_id) AS unit GROUP BY ids ORDER BY ids`)
	if err == nil {
		v.Outcomes, err = some[identity.Outcome](ctx, s.Engine, &v.Missing, "identity_outcome", "SELECT * FROM identity_outcome ORDER BY links DESC, fate")
	}
	if err == nil {
		v.Merges, err = some[mergeDay](ctx, s.Engine, &v.Missing, "identity_merge", `SELECT cast(cast(changed_at AS date) AS varchar) AS day, change, count(*) AS links
FROM identity_merge GROUP BY 1, 2 ORDER BY 1 DESC, 2 LIMIT 28`)
	}
	if err == nil {
		v.Vetoes, err = some[vetoCount](ctx, s.Engine, &v.Missing, "identity_veto", "SELECT reason, count(*) AS vetoes FROM identity_veto GROUP BY reason ORDER BY vetoes DESC, reason")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for _, x := range v.Sizes {
		v.Largest, v.Peak = max(v.Largest, x.IDs), max(v.Peak, x.Units)
	}
	if wantsJSON(r) {
		s.writeJSON(w, r, v)
		return
	}
	s.render(w, r, http.StatusOK, "identity", v)
}
