package analyze

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"verdict/shared/fault"
	"verdict/shared/stats"
)

// Replay asks of finished experiments: when would each method have stopped, and did the end agree?
type Replay struct {
	Alpha float64
	Daily bool // rows count the units of their day alone, not all so far
	// Control is the arm that is control; by default the one called control, c, a or 0, else the first
	// in the file.
	Control string
}

// Outcome is one method on one metric of one treatment.
type Outcome struct {
	Method    string  `json:"method"`
	Stopped   bool    `json:"stopped"`
	Day       string  `json:"day,omitempty"`
	Share     float64 `json:"share" jsonschema_description:"of the whole sample at that day; 1 when it ran to the end"`
	Effect    Number  `json:"effect" jsonschema_description:"treatment - control at that day"`
	Direction int     `json:"direction" jsonschema_description:"1 up, -1 down, 0 when it never stopped"`
	Agrees    bool    `json:"agrees" jsonschema_description:"one look at the end says the same"`
}

// Replayed is one metric of one treatment.
type Replayed struct {
	Experiment string    `json:"experiment"`
	Metric     string    `json:"metric"`
	Treatment  string    `json:"treatment"`
	Looks      int       `json:"looks"`
	Units      int64     `json:"units"`
	Effect     Number    `json:"effect" jsonschema_description:"at the end"`
	Lift       Number    `json:"lift"`
	EndP       Number    `json:"end_p" jsonschema_description:"Welch's t, one look at the end"`
	Status     string    `json:"status"`
	Methods    []Outcome `json:"methods"`
}

// row is one line of the file.
type row struct {
	experiment, metric, arm, day string
	gram                         stats.Gram
}

func replayColumns() []string {
	return []string{"experiment", "metric", "arm", "day", "count", "mean", "variance"}
}

// ReadStatistics replays a CSV file with a header and the columns experiment, metric, arm, day,
// count, mean and variance (of one unit), in any order. Days sort as numbers when they all are.
func (r Replay) ReadStatistics(in io.Reader) ([]Replayed, error) {
	file := csv.NewReader(in)
	file.TrimLeadingSpace = true
	header, err := file.Read()
	if err != nil {
		return nil, fault.New(fault.Invalid, "read statistics: want a CSV header with %s: %w", strings.Join(replayColumns(), ", "), err)
	}
	at := map[string]int{}
	for i, name := range header {
		at[strings.ToLower(strings.TrimSpace(name))] = i
	}
	for _, name := range replayColumns() {
		if _, ok := at[name]; !ok {
			return nil, fault.New(fault.Invalid, "read statistics: no column %q; want %s", name, strings.Join(replayColumns(), ", "))
		}
	}
	var rows []row
	for {
		record, err := file.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "read statistics: %w", err)
		}
		one, err := parseRow(record, at)
		if err != nil {
			line, _ := file.FieldPos(0)
			return nil, fault.New(fault.Invalid, "read statistics: line %d: %w", line, err)
		}
		rows = append(rows, one)
	}
	return r.replay(rows)
}

func parseRow(record []string, at map[string]int) (row, error) {
	out := row{experiment: record[at["experiment"]], metric: record[at["metric"]], arm: record[at["arm"]], day: record[at["day"]]}
	var figures [3]float64
	for i, name := range []string{"count", "mean", "variance"} {
		v, err := strconv.ParseFloat(strings.TrimSpace(record[at[name]]), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return out, fmt.Errorf("%s is %q; want a number", name, record[at[name]])
		}
		figures[i] = v
	}
	if figures[0] < 0 || figures[2] < 0 || figures[0] > math.MaxInt64/2 {
		return out, errors.New("count and variance cannot be negative")
	}
	n := math.Round(figures[0])
	out.gram = stats.Gram{N: int64(n), MeanY: figures[1], YY: figures[2] * max(0, n-1)}
	return out, nil
}

func (r Replay) replay(rows []row) ([]Replayed, error) {
	type key struct{ experiment, metric string }
	groups := map[key][]row{}
	var order []key
	for _, one := range rows {
		k := key{one.experiment, one.metric}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], one)
	}
	final := stats.FinalZ(r.Alpha, r.Alpha/5)
	var out []Replayed
	for _, k := range order {
		group := groups[k]
		control, err := r.control(group)
		if err != nil {
			return nil, fault.New(fault.Invalid, "experiment %q, metric %q: %w", k.experiment, k.metric, err)
		}
		days := sortedDays(group)
		arms := map[string]map[string]stats.Gram{}
		var names []string
		for _, one := range group {
			if arms[one.arm] == nil {
				arms[one.arm] = map[string]stats.Gram{}
				names = append(names, one.arm)
			}
			if r.Daily {
				one.gram = arms[one.arm][one.day].Merge(one.gram)
			}
			arms[one.arm][one.day] = one.gram
		}
		for _, name := range names {
			if name != control {
				one := r.one(days, arms[control], arms[name], final)
				one.Experiment, one.Metric, one.Treatment = k.experiment, k.metric, name
				out = append(out, one)
			}
		}
	}
	return out, nil
}

func (r Replay) control(group []row) (string, error) {
	first := group[0].arm
	for _, one := range group {
		if r.Control != "" && one.arm == r.Control {
			return r.Control, nil
		}
		switch strings.ToLower(one.arm) {
		case "control", "c", "a", "0":
			if r.Control == "" {
				return one.arm, nil
			}
		}
	}
	if r.Control != "" {
		return "", fmt.Errorf("no arm is called %q", r.Control)
	}
	return first, nil
}

func sortedDays(group []row) []string {
	seen := map[string]bool{}
	var days []string
	numbers := true
	for _, one := range group {
		if !seen[one.day] {
			seen[one.day] = true
			days = append(days, one.day)
			_, err := strconv.ParseFloat(one.day, 64)
			numbers = numbers && err == nil
		}
	}
	slices.SortFunc(days, func(a, b string) int {
		if !numbers {
			return strings.Compare(a, b)
		}
		x, _ := strconv.ParseFloat(a, 64)
		y, _ := strconv.ParseFloat(b, 64)
		return cmp.Compare(x, y)
	})
	return days
}

// one replays one treatment. Each method is tuned with what a plan would have known: the sample at
// the end.
func (r Replay) one(days []string, control, treatment map[string]stats.Gram, final float64) Replayed {
	var looks []stats.Contrast
	var labels []string
	var c, t stats.Gram
	for _, day := range days {
		if r.Daily {
			c, t = c.Merge(control[day]), t.Merge(treatment[day])
		} else {
			if control[day].N == 0 || treatment[day].N == 0 {
				continue // an arm without a row on this day
			}
			c, t = control[day], treatment[day]
		}
		looks = append(looks, stats.Compare(c.Arm(stats.Mean), t.Arm(stats.Mean)))
		labels = append(labels, day)
	}
	if len(looks) == 0 {
		return Replayed{Status: stats.Insufficient.String(), EndP: 1, Effect: Number(math.NaN()), Lift: Number(math.NaN())}
	}
	end := looks[len(looks)-1]
	out := Replayed{
		Looks: len(looks), Units: end.N, Effect: Number(end.Effect()), Lift: Number(end.Lift()), EndP: Number(end.WelchP()), Status: end.Status.String(),
	}
	truth := 0
	if end.WelchP() <= r.Alpha {
		truth = sign(end.Effect())
	}
	for _, m := range r.methods(looks, final) {
		o := Outcome{Method: m.name, Share: 1, Effect: out.Effect}
		for i, l := range looks {
			if l.Status == stats.OK && m.stops(i, l) {
				o.Stopped, o.Day, o.Share, o.Effect, o.Direction = true, labels[i], float64(l.N)/float64(end.N), Number(l.Effect()), sign(l.Effect())
				break
			}
		}
		o.Agrees = o.Direction == truth
		out.Methods = append(out.Methods, o)
	}
	return out
}

type stopping struct {
	name  string
	stops func(i int, l stats.Contrast) bool
}

func (r Replay) methods(looks []stats.Contrast, final float64) []stopping {
	planned, last := looks[len(looks)-1].N, len(looks)-1
	sequence := stats.Tune(r.Alpha, planned)
	hybrid := stats.Hybrid{Alpha: r.Alpha, AlphaSeq: r.Alpha / 5, FinalZ: final, Mixture: stats.Tune(r.Alpha/5, planned)}
	z := func(l stats.Contrast) float64 { return math.Abs(l.Z()) }
	// A mixture as wide as the effect that the whole sample would have found with power 0.8.
	likely := stats.DetectableEffect(looks[last].SE(), r.Alpha, 0.8)
	msprt := stats.MSPRT{Tau2: likely * likely}
	times := make([]float64, len(looks))
	for i, l := range looks {
		times[i] = float64(l.N) / float64(planned)
	}
	// nil when an arm shrank: then there is no design.
	bounds := stats.GroupSequential{Alpha: r.Alpha, TwoSided: true, Spend: stats.OBrienFleming()}.Bounds(times, true)
	return []stopping{
		{"fixed, at the end", func(i int, l stats.Contrast) bool { return i == last && l.WelchP() <= r.Alpha }},
		{"naive peeking", func(_ int, l stats.Contrast) bool { return l.WelchP() <= r.Alpha }},
		{"sequence", func(_ int, l stats.Contrast) bool { return z(l) > sequence.Critical(l.N, r.Alpha) }},
		{"hybrid", func(i int, l stats.Contrast) bool { return z(l) > hybrid.Critical(l.N, i == last) }},
		{"O'Brien-Fleming", func(i int, l stats.Contrast) bool { return i < len(bounds) && z(l) > bounds[i] }},
		{"mSPRT", func(_ int, l stats.Contrast) bool { return z(l) > msprt.Critical(l, r.Alpha) }},
		{"Bayes, 95 % chance", func(_ int, l stats.Contrast) bool {
			p := stats.DefaultPrior().Update(l.Lift(), l.LiftSE()).ChancePositive()
			return max(p, 1-p) >= 0.95
		}},
	}
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
