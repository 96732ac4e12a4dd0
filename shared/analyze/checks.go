package analyze

import (
	"errors"
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
		return out, errors.New("want either counts or looks")
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
			return out, errors.New("weights must be numbers from 0 on")
		}
	}
	s := stats.CheckSplit(total, in.Weights)
	out.Status, out.Reason, out.ChiSquare, out.DF, out.P = s.Status.String(), s.Reason, Number(s.Statistic), s.DF, Number(s.P)
	return out, nil
}

// Segmented is a case of op srm_segments.
type Segmented struct {
	head
	Segments [][]int64 `json:"segments" jsonschema_description:"units of each arm, by segment"`
	Weights  []float64 `json:"weights"`
	Alpha    float64   `json:"alpha,omitempty" jsonschema_description:"false discovery rate, default 0.05"`
}

// SegmentedOut is the answer.
type SegmentedOut struct {
	ID     string   `json:"id,omitempty"`
	LogE   []Number `json:"log_e"`
	Broken []bool   `json:"broken"`
}

func splitSegments(in Segmented) (SegmentedOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return SegmentedOut{}, err
	}
	for i, s := range in.Segments {
		if _, err := checkSplit(Split{Counts: append([]int64{}, s...), Weights: in.Weights}); err != nil {
			return SegmentedOut{}, fmt.Errorf("segment %d: %w", i+1, err)
		}
	}
	logE, broken := stats.CheckSplits(in.Segments, in.Weights, alpha)
	return SegmentedOut{ID: in.ID, LogE: numbers(logE), Broken: broken}, nil
}

// MultinomialSplit is a case of op multinomial.
type MultinomialSplit struct {
	head
	Counts        []int64   `json:"counts"`
	Weights       []float64 `json:"weights"`
	Concentration float64   `json:"concentration,omitempty" jsonschema_description:"default 100"`
	Alpha         float64   `json:"alpha,omitempty"`
}

// MultinomialOut is the answer.
type MultinomialOut struct {
	ID        string     `json:"id,omitempty"`
	LogE      Number     `json:"log_e"`
	P         Number     `json:"p" jsonschema_description:"anytime-valid"`
	Intervals []Interval `json:"intervals" jsonschema_description:"of each share, all valid at once"`
}

func multinomial(in MultinomialSplit) (MultinomialOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return MultinomialOut{}, err
	}
	if in.Concentration == 0 {
		in.Concentration = 100
	}
	s, err := checkSplit(Split{Counts: in.Counts, Weights: in.Weights, Concentration: in.Concentration})
	if err != nil {
		return MultinomialOut{}, err
	}
	out := MultinomialOut{ID: in.ID, LogE: s.LogE, P: s.SequentialP}
	for _, i := range stats.Multinomial(in.Counts, in.Weights, in.Concentration, alpha) {
		out.Intervals = append(out.Intervals, interval(i))
	}
	return out, nil
}

// FindingOut is the answer of a check.
type FindingOut struct {
	ID        string `json:"id,omitempty"`
	Status    string `json:"status"`
	Reason    string `json:"reason,omitempty"`
	Statistic Number `json:"statistic"`
	DF        int    `json:"df"`
	P         Number `json:"p" jsonschema_description:"for one look"`
	LogE      Number `json:"log_e" jsonschema_description:"anytime-valid"`
	PAnytime  Number `json:"sequential_p"`
}

func finding(id string, f stats.Finding) FindingOut {
	return FindingOut{
		ID: id, Status: f.Status.String(), Reason: f.Reason, Statistic: Number(f.Statistic), DF: f.DF, P: Number(f.P), LogE: Number(f.LogE),
		PAnytime: Number(stats.PValue(f.LogE)),
	}
}

// Balance is a case of op balance: were the arms alike before?
type Balance struct {
	head
	Variants []Data  `json:"variants" jsonschema_description:"control and treatment, with covariates"`
	Planned  int64   `json:"planned,omitempty"`
	Alpha    float64 `json:"alpha,omitempty"`
}

func balance(in Balance) (FindingOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return FindingOut{}, err
	}
	strata, err := readStrata([][]Data{in.Variants}, stats.Mean)
	if err != nil {
		return FindingOut{}, err
	}
	s := strata[0]
	planned := max(in.Planned, s.Control.N+s.Treatment.N, 1)
	return finding(in.ID, stats.CheckBalance(s.Control, s.Treatment, stats.Tune(alpha, planned))), nil
}

// Loss is a case of op loss: does an arm lose more of its events?
type Loss struct {
	head
	LostControl   int64 `json:"lost_control"`
	SentControl   int64 `json:"sent_control"`
	LostTreatment int64 `json:"lost_treatment"`
	SentTreatment int64 `json:"sent_treatment"`
}

func loss(in Loss) (FindingOut, error) {
	if in.LostControl < 0 || in.LostTreatment < 0 || in.LostControl > in.SentControl || in.LostTreatment > in.SentTreatment {
		return FindingOut{}, errors.New("lost events must lie between 0 and those sent")
	}
	return finding(in.ID, stats.CheckLoss(in.LostControl, in.SentControl, in.LostTreatment, in.SentTreatment)), nil
}

// Rate is a case of op rate: units in several variants, or in another than their bucket says.
type Rate struct {
	head
	Hits      int64   `json:"hits"`
	Units     int64   `json:"units"`
	Tolerated float64 `json:"tolerated" jsonschema_description:"share of units that raises no alarm"`
}

func rate(in Rate) (FindingOut, error) {
	if in.Hits < 0 || in.Hits > in.Units || !(in.Tolerated > 0 && in.Tolerated < 1) {
		return FindingOut{}, errors.New("hits must lie between 0 and units, tolerated between 0 and 1")
	}
	return finding(in.ID, stats.CheckRate(in.Hits, in.Units, in.Tolerated)), nil
}

// Crossed is a case of op interaction: two experiments on the same units.
type Crossed struct {
	head
	Family  string     `json:"family" jsonschema:"enum=mean,enum=count,enum=proportion,enum=ratio"`
	Cells   [2][2]Data `json:"cells" jsonschema_description:"cells[a][b]: units in arm a of the one and arm b of the other"`
	Planned int64      `json:"planned,omitempty"`
	Alpha   float64    `json:"alpha,omitempty"`
}

// CrossedOut is the answer.
type CrossedOut struct {
	ID          string `json:"id,omitempty"`
	Status      string `json:"status"`
	Reason      string `json:"reason,omitempty"`
	Interaction Number `json:"interaction" jsonschema_description:"what both together add to the sum of each alone"`
	SE          Number `json:"se"`
	P           Number `json:"p" jsonschema_description:"for one look"`
	LogE        Number `json:"log_e"`
	ChiSquare   Number `json:"chi_square" jsonschema_description:"of the independence of the two assignments"`
	ChiSquareP  Number `json:"chi_square_p"`
}

func interaction(in Crossed) (CrossedOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return CrossedOut{}, err
	}
	f, err := family(in.Family)
	if err != nil {
		return CrossedOut{}, err
	}
	var cells [2][2]stats.Arm
	var n int64
	for a := range 2 {
		for b := range 2 {
			m, err := in.Cells[a][b].moments(f)
			if err != nil {
				return CrossedOut{}, fmt.Errorf("cell %d, %d: %w", a, b, err)
			}
			cells[a][b] = m.Gram().Arm(f)
			n += m.N
		}
	}
	x := stats.Interact(cells, stats.Tune(alpha, max(in.Planned, n, 1)))
	return CrossedOut{
		ID: in.ID, Status: x.Status.String(), Reason: x.Reason, Interaction: Number(x.Effect), SE: Number(x.SE), P: Number(x.P), LogE: Number(x.LogE),
		ChiSquare: Number(x.Independent.Statistic), ChiSquareP: Number(x.Independent.P),
	}, nil
}

// Segments is a case of op segments: does the effect differ between segments?
type Segments struct {
	head
	Contrasts []Contrast `json:"contrasts" jsonschema_description:"treatment against control in each segment"`
	Planned   int64      `json:"planned,omitempty"`
	Alpha     float64    `json:"alpha,omitempty"`
}

// SegmentsOut is the answer.
type SegmentsOut struct {
	ID       string     `json:"id,omitempty"`
	Status   string     `json:"status"`
	Reason   string     `json:"reason,omitempty"`
	Q        Number     `json:"q" jsonschema_description:"Cochran's heterogeneity"`
	DF       int        `json:"df"`
	P        Number     `json:"p" jsonschema_description:"for one look"`
	LogE     Number     `json:"log_e"`
	Differ   bool       `json:"differ" jsonschema_description:"the omnibus test rejects: only then are single segments judged"`
	Rejected []bool     `json:"rejected" jsonschema_description:"segments with an effect, by e-BH"`
	Effects  []Gaussian `json:"effects" jsonschema_description:"shrunk towards the common effect"`
}

func segments(in Segments) (SegmentsOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return SegmentsOut{}, err
	}
	contrasts, n, err := readContrasts(in.Contrasts)
	if err != nil {
		return SegmentsOut{}, err
	}
	s := stats.CompareSegments(contrasts, stats.Tune(alpha, max(in.Planned, n, 1)), alpha)
	out := SegmentsOut{
		ID: in.ID, Status: s.Status.String(), Reason: s.Reason, Q: Number(s.Q), DF: s.DF, P: Number(s.P), LogE: Number(s.LogE), Differ: s.Differ, Rejected: s.Rejected,
	}
	for _, e := range s.Effects {
		out.Effects = append(out.Effects, gaussian(e))
	}
	return out, nil
}

func readContrasts(in []Contrast) ([]stats.Contrast, int64, error) {
	var out []stats.Contrast
	var n int64
	for i, c := range in {
		read, err := c.read()
		if err != nil {
			return nil, 0, fmt.Errorf("%d: %w", i+1, err)
		}
		out = append(out, read[0].Contrast)
		n += c.N
	}
	return out, n, nil
}

// Daily is a case of op trend: does the effect wear off?
type Daily struct {
	head
	Days      []float64  `json:"days" jsonschema_description:"days since exposure"`
	Contrasts []Contrast `json:"contrasts" jsonschema_description:"of each day"`
}

// TrendOut is the answer.
type TrendOut struct {
	ID     string `json:"id,omitempty"`
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	Slope  Number `json:"slope" jsonschema_description:"effect per day"`
	SE     Number `json:"se"`
	P      Number `json:"p"`
}

func trend(in Daily) (TrendOut, error) {
	if len(in.Days) != len(in.Contrasts) {
		return TrendOut{}, fmt.Errorf("%d days for %d contrasts", len(in.Days), len(in.Contrasts))
	}
	contrasts, _, err := readContrasts(in.Contrasts)
	if err != nil {
		return TrendOut{}, err
	}
	t := stats.FitTrend(in.Days, contrasts)
	return TrendOut{ID: in.ID, Status: t.Status.String(), Reason: t.Reason, Slope: Number(t.Slope), SE: Number(t.SE), P: Number(t.P)}, nil
}

// AA is a case of op calibration: p-values of A/A experiments.
type AA struct {
	head
	P     []float64 `json:"p"`
	Alpha float64   `json:"alpha,omitempty"`
}

// AAOut is the answer.
type AAOut struct {
	ID       string   `json:"id,omitempty"`
	Status   string   `json:"status"`
	Reason   string   `json:"reason,omitempty"`
	D        Number   `json:"d" jsonschema_description:"Kolmogorov-Smirnov distance from uniform"`
	P        Number   `json:"p"`
	Rate     Number   `json:"false_positives" jsonschema_description:"share of p-values at most alpha"`
	Interval Interval `json:"interval" jsonschema_description:"Wilson's 95 %"`
}

func calibration(in AA) (AAOut, error) {
	alpha, err := level(in.Alpha)
	if err != nil {
		return AAOut{}, err
	}
	u := stats.CheckUniform(in.P, alpha)
	return AAOut{ID: in.ID, Status: u.Status.String(), Reason: u.Reason, D: Number(u.D), P: Number(u.P), Rate: Number(u.Rate), Interval: interval(u.Interval)}, nil
}
