package analyze

import (
	"fmt"
	"math"

	"verdict/shared/stats"
)

// Split is a case of op srm: do the units of the arms match the planned split?
type Split struct {
	head
	Counts        []int64   `json:"counts,omitempty" jsonschema_description:"units of each arm"`
	Looks         [][]int64 `json:"looks,omitempty" jsonschema_description:"instead of counts: the units that each look added"`
	Weights       []float64 `json:"weights" jsonschema_description:"planned split, on any scale"`
	Concentration float64   `json:"concentration,omitempty" jsonschema_description:"one concentration instead of the average over 1e2, 1e3, 1e4 and 1e5"`
}

// SplitResult is the answer.
type SplitResult struct {
	ID          string `json:"id,omitempty"`
	Status      string `json:"status" jsonschema:"enum=ok,enum=insufficient,enum=undefined" jsonschema_description:"of the chi-square"`
	Reason      string `json:"reason,omitempty"`
	ChiSquare   Number `json:"chi_square"`
	DF          int    `json:"df"`
	P           Number `json:"p" jsonschema_description:"for one look"`
	LogE        Number `json:"log_e" jsonschema_description:"anytime-valid; null when units stand in an arm without weight: the split is broken for certain"`
	SequentialP Number `json:"sequential_p" jsonschema_description:"anytime-valid, the least over the looks"`
	Looks       []Look `json:"looks,omitempty"`
}

// Look is the sequential check after one look.
type Look struct {
	LogE Number `json:"log_e"`
	P    Number `json:"sequential_p" jsonschema_description:"the least so far"`
}

func checkSplit(in Split) (SplitResult, error) {
	out := SplitResult{ID: in.ID}
	looks := in.Looks
	if in.Counts != nil {
		looks = [][]int64{in.Counts}
	}
	if len(looks) == 0 || in.Counts != nil && in.Looks != nil {
		return out, fmt.Errorf("want either counts or looks")
	}
	if in.Concentration < 0 {
		return out, fmt.Errorf("concentration is %g; want above 0", in.Concentration)
	}
	total := make([]int64, len(in.Weights))
	least := 1.0
	for i, look := range looks {
		if len(look) != len(in.Weights) {
			return out, fmt.Errorf("look %d has %d counts for %d weights", i+1, len(look), len(in.Weights))
		}
		for j, n := range look {
			if n < 0 {
				return out, fmt.Errorf("look %d has a negative count", i+1)
			}
			total[j] += n
		}
		logE := stats.SplitLogE(total, in.Weights)
		if in.Concentration > 0 {
			logE = stats.SplitLogEAt(total, in.Weights, in.Concentration)
		}
		least = min(least, stats.PValue(logE))
		out.LogE, out.SequentialP = Number(logE), Number(least)
		if in.Looks != nil {
			out.Looks = append(out.Looks, Look{LogE: Number(logE), P: Number(least)})
		}
	}
	for _, w := range in.Weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			return out, fmt.Errorf("weights must be numbers from 0 on")
		}
	}
	s := stats.CheckSplit(total, in.Weights)
	out.Status, out.Reason, out.ChiSquare, out.DF, out.P = s.Status.String(), s.Reason, Number(s.Statistic), s.DF, Number(s.P)
	return out, nil
}
