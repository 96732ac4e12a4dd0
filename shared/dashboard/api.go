package dashboard

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/register"
	"verdict/shared/restate"
)

// number is a float in JSON; what is unbounded or undefined is null.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if x := float64(n); !math.IsInf(x, 0) && !math.IsNaN(x) {
		return json.Marshal(x)
	}
	return []byte("null"), nil
}

// bounds is an interval [low, high] in JSON.
type bounds [2]number

// Summary is one element of "experiments" at /api/experiments, most urgent first.
type Summary struct {
	ID           string         `json:"id"`
	Name         string         `json:"name"`
	Owner        string         `json:"owner"`
	State        string         `json:"state"`     // not started, collecting, past its planned end, concluded: ...
	Verdict      decide.Verdict `json:"verdict"`   // empty before the first decision
	Variant      string         `json:"variant"`   // shipped or rolled back to
	Headline     string         `json:"headline"`  // of the decision in force
	Attention    string         `json:"attention"` // what a person should do; empty: nothing
	Withheld     []string       `json:"withheld"`  // why the effects must not be read; empty: they may
	AsOf         string         `json:"as_of"`     // day of the latest results
	Day          int            `json:"day"`
	PlannedDays  int            `json:"planned_days"`
	Units        int64          `json:"units"` // of all arms, windows complete
	PlannedUnits int64          `json:"planned_units"`
	Goals        []metricResult `json:"goals"`
	Checks       []check        `json:"checks"`
	Page         string         `json:"page"`
	Detail       string         `json:"detail"`
}

// Detail is the answer at /experiments/{id}.json.
type Detail struct {
	Summary
	Definition     *experiment.Experiment `json:"definition"`
	DefinitionHash string                 `json:"definition_hash"`
	Decisions      []decide.Decision      `json:"decisions"`     // oldest first
	Restatements   []restate.Restatement  `json:"restatements"`  // decisions that were taken again on events that came late
	Registrations  []register.Entry       `json:"registrations"` // oldest first; the first is the pre-registration
	Results        []metricResult         `json:"results"`       // of the latest look
	History        []metricResult         `json:"history"`       // of every look, oldest first
}

// metricResult is evaluate.Result in JSON: intervals are pairs, unbounded sides null.
type metricResult struct {
	AsOf           string    `json:"as_of"`
	Metric         string    `json:"metric"`
	Label          string    `json:"label"`
	Role           string    `json:"role"`
	Kind           string    `json:"kind"`
	Direction      string    `json:"direction"`
	Format         string    `json:"format"`
	Variant        string    `json:"variant"`
	Control        string    `json:"control"`
	UnitsControl   int64     `json:"units_control"`
	UnitsTreatment int64     `json:"units_treatment"`
	MeanControl    number    `json:"mean_control"`
	MeanTreatment  number    `json:"mean_treatment"`
	Effect         number    `json:"effect"`
	EffectInterval bounds    `json:"effect_interval"` // anytime-valid
	Lift           number    `json:"lift"`
	LiftInterval   bounds    `json:"lift_interval"`       // anytime-valid
	FixedInterval  bounds    `json:"fixed_lift_interval"` // valid for one look only
	FixedP         number    `json:"fixed_p"`
	AnytimeP       number    `json:"anytime_p"`
	LogEValue      number    `json:"log_e_value"`
	ChanceToBeat   number    `json:"chance_to_beat"`
	ExpectedLoss   number    `json:"expected_loss"`
	Margin         number    `json:"margin"`
	Significance   string    `json:"significance"`
	Guardrail      string    `json:"guardrail"`
	Status         string    `json:"status"`
	Reason         string    `json:"reason"`
	Definition     string    `json:"definition_hash"`
	EvaluatedAt    time.Time `json:"evaluated_at"`
}

type check struct {
	AsOf      string `json:"as_of"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	Value     number `json:"value"`
	Threshold number `json:"threshold"`
	Detail    string `json:"detail"`
}

func resultsJSON(results []evaluate.Result) []metricResult {
	out := make([]metricResult, len(results))
	for i, r := range results {
		out[i] = metricResult{
			AsOf: r.AsOf, Metric: r.Metric, Label: r.Label, Role: r.Role, Kind: r.Kind, Direction: r.Direction,
			Format: r.Format, Variant: r.Variant, Control: r.Control,
			UnitsControl: r.UnitsControl, UnitsTreatment: r.UnitsTreatment,
			MeanControl: number(r.MeanControl), MeanTreatment: number(r.MeanTreatment),
			Effect: number(r.Effect), EffectInterval: bounds{number(r.EffectLow), number(r.EffectHigh)},
			Lift: number(r.Lift), LiftInterval: bounds{number(r.LiftLow), number(r.LiftHigh)},
			FixedInterval: bounds{number(r.FixedLiftLow), number(r.FixedLiftHigh)},
			FixedP:        number(r.FixedP), AnytimeP: number(r.AnytimeP), LogEValue: number(r.LogEValue),
			ChanceToBeat: number(r.ChanceToBeat), ExpectedLoss: number(r.ExpectedLoss), Margin: number(r.Margin),
			Significance: r.Significance, Guardrail: r.Guardrail, Status: r.Status, Reason: r.Reason,
			Definition: r.Definition, EvaluatedAt: r.EvaluatedAt,
		}
	}
	return out
}

func (r *Report) summary() Summary {
	e := r.Experiment
	s := Summary{
		ID: e.ID, Name: e.Name, Owner: e.Owner, State: r.State(), Verdict: r.Verdict(),
		Attention: r.Attention(), Withheld: append([]string{}, r.Withheld()...), AsOf: r.AsOf(),
		Day: r.Day(), PlannedDays: e.PlannedDays, Units: r.Units(), PlannedUnits: e.PlannedUnits,
		Goals: resultsJSON(r.Goals()), Checks: []check{}, Page: r.Path(), Detail: r.Path() + ".json",
	}
	if d := r.Decision(); d != nil {
		s.Variant, s.Headline = d.Variant, d.Headline
	}
	for _, c := range r.Health() {
		s.Checks = append(s.Checks, check{c.AsOf, c.Name, c.Status, number(c.Value), number(c.Threshold), c.Detail})
	}
	return s
}

func (r *Report) detail() Detail {
	return Detail{
		Summary: r.summary(), Definition: r.Experiment, DefinitionHash: r.Experiment.Hash(),
		Decisions: append([]decide.Decision{}, r.Decisions...), Restatements: append([]restate.Restatement{}, r.Restatements...), Registrations: append([]register.Entry{}, r.Registrations...),
		Results: resultsJSON(r.Latest()), History: resultsJSON(r.Results),
	}
}

func (s *server) listJSON(w http.ResponseWriter, r *http.Request) {
	reports, _, err := s.overview(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	out := struct {
		Experiments []Summary `json:"experiments"`
	}{make([]Summary, len(reports))}
	for i, report := range reports {
		out.Experiments[i] = report.summary()
	}
	s.writeJSON(w, r, out)
}

func (s *server) writeJSON(w http.ResponseWriter, r *http.Request, answer any) {
	body, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that left needs no answer
}
