package evaluate

import "time"

// The tables of results and checks, by as_of.
const (
	ResultTable = "fact_experiment_results"
	CheckTable  = "fact_experiment_check"
)

// Result is one row of fact_experiment_results: a metric of one variant against the control, as
// known at one moment. Effects are in the metric's own direction of measurement: treatment minus
// control, and as a lift relative to control. Intervals have confidence 1 - Alpha of the
// experiment; bounds that do not exist are ±Inf.
type Result struct {
	ExperimentID string `lake:"experiment_id"`
	Definition   string `lake:"definition"` // hash of the experiment's definition
	Metric       string `lake:"metric"`
	Label        string `lake:"label"`
	Role         string `lake:"role"`      // goal, guardrail, secondary
	Kind         string `lake:"kind"`      // metric.Kind
	Direction    string `lake:"direction"` // increase: more is better; decrease: less is
	Format       string `lake:"format"`    // percent, currency, number
	Variant      string `lake:"variant"`
	Control      string `lake:"control"`

	UnitsControl   int64   `lake:"units_control"` // whose window is complete
	UnitsTreatment int64   `lake:"units_treatment"`
	Days           int64   `lake:"days"`         // of first exposure that these came in on
	MeanControl    float64 `lake:"mean_control"` // or quantile; with covariates, at the mean of everybody's
	MeanTreatment  float64 `lake:"mean_treatment"`
	Effect         float64 `lake:"effect"`
	EffectLow      float64 `lake:"effect_low"` // anytime-valid
	EffectHigh     float64 `lake:"effect_high"`
	Lift           float64 `lake:"lift"`
	LiftLow        float64 `lake:"lift_low"` // anytime-valid, Fieller
	LiftHigh       float64 `lake:"lift_high"`
	FixedLiftLow   float64 `lake:"fixed_lift_low"` // valid for one look only
	FixedLiftHigh  float64 `lake:"fixed_lift_high"`
	FixedP         float64 `lake:"fixed_p"`
	AnytimeP       float64 `lake:"anytime_p"`   // never rises from look to look
	LogEValue      float64 `lake:"log_e_value"` // natural logarithm
	ChanceToBeat   float64 `lake:"chance_to_beat"`
	ExpectedLoss   float64 `lake:"expected_loss"` // relative, of choosing the variant

	VarianceRemoved float64 `lake:"variance_removed"` // share of the effect's variance that covariates took (CUPED)

	Margin       float64   `lake:"margin"`       // of a guardrail, else 0
	Significance string    `lake:"significance"` // better, worse, or empty: by the rule in force at this look
	Guardrail    string    `lake:"guardrail"`    // non_inferior, violated, undetermined; empty for other roles
	Status       string    `lake:"status"`       // ok, insufficient, undefined
	Reason       string    `lake:"reason"`       // why the status is not ok
	EvaluatedAt  time.Time `lake:"evaluated_at"`
	AsOf         string    `lake:"as_of"` // partition: the day (UTC) at whose start this was known
}

// Check is one row of fact_experiment_check: a test of the experiment's validity at one moment.
type Check struct {
	ExperimentID string  `lake:"experiment_id" json:"experiment_id"`
	Name         string  `lake:"name" json:"name"`           // srm, multiple_exposure, event_loss, bucketing
	Status       string  `lake:"status" json:"status"`       // pass, fail, insufficient
	Value        float64 `lake:"value" json:"value"`         // what was measured: a p-value or a rate
	Threshold    float64 `lake:"threshold" json:"threshold"` // beyond which the check fails
	Detail       string  `lake:"detail" json:"detail"`       // a sentence for people
	AsOf         string  `lake:"as_of" json:"as_of"`         // partition
}
