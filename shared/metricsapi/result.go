package metricsapi

import (
	"time"

	"verdict/shared/evaluate"
)

// bounds is an interval [low, high]; a side that is not bounded is null.
type bounds [2]figure

// result is evaluate.Result in JSON. effects is null while nobody should read them.
type result struct {
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
	Status         string    `json:"status"`
	Reason         string    `json:"reason"`
	Margin         figure    `json:"margin"`
	Withheld       bool      `json:"withheld"`
	Effects        *effects  `json:"effects"`
	Definition     string    `json:"definition_hash"` // of the experiment
	EvaluatedAt    time.Time `json:"evaluated_at"`
}

// effects is what a result says about the variant.
type effects struct {
	MeanControl     figure `json:"mean_control"`
	MeanTreatment   figure `json:"mean_treatment"`
	Effect          figure `json:"effect"`
	EffectInterval  bounds `json:"effect_interval"`
	Lift            figure `json:"lift"`
	LiftInterval    bounds `json:"lift_interval"`
	FixedInterval   bounds `json:"fixed_lift_interval"`
	FixedP          figure `json:"fixed_p"`
	AnytimeP        figure `json:"anytime_p"`
	LogEValue       figure `json:"log_e_value"`
	ChanceToBeat    figure `json:"chance_to_beat"`
	ExpectedLoss    figure `json:"expected_loss"`
	VarianceRemoved figure `json:"variance_removed"`
	Significance    string `json:"significance"`
	Guardrail       string `json:"guardrail"`
}

type check struct {
	AsOf      string `json:"as_of"`
	Name      string `json:"name"`
	Status    string `json:"status"`
	Value     figure `json:"value"`
	Threshold figure `json:"threshold"`
	Detail    string `json:"detail"`
}

func resultOf(r evaluate.Result, withheld bool) result {
	out := result{
		AsOf: r.AsOf, Metric: r.Metric, Label: r.Label, Role: r.Role, Kind: r.Kind, Direction: r.Direction, Format: r.Format,
		Variant: r.Variant, Control: r.Control, UnitsControl: r.UnitsControl, UnitsTreatment: r.UnitsTreatment,
		Status: r.Status, Reason: r.Reason, Margin: figure(r.Margin), Withheld: withheld, Definition: r.Definition, EvaluatedAt: r.EvaluatedAt,
	}
	if withheld || r.Status != "ok" {
		return out
	}
	out.Effects = &effects{
		MeanControl: figure(r.MeanControl), MeanTreatment: figure(r.MeanTreatment),
		Effect: figure(r.Effect), EffectInterval: bounds{figure(r.EffectLow), figure(r.EffectHigh)},
		Lift: figure(r.Lift), LiftInterval: bounds{figure(r.LiftLow), figure(r.LiftHigh)},
		FixedInterval: bounds{figure(r.FixedLiftLow), figure(r.FixedLiftHigh)}, FixedP: figure(r.FixedP), AnytimeP: figure(r.AnytimeP),
		LogEValue: figure(r.LogEValue), ChanceToBeat: figure(r.ChanceToBeat), ExpectedLoss: figure(r.ExpectedLoss),
		VarianceRemoved: figure(r.VarianceRemoved), Significance: r.Significance, Guardrail: r.Guardrail,
	}
	return out
}
