package dashboard

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
)

// scale maps values onto coordinates of a drawing and keeps them inside it.
type scale struct{ low, high, from, to float64 }

func (s scale) at(x float64) float64 {
	t := (min(max(x, s.low), s.high) - s.low) / (s.high - s.low)
	return s.from + t*(s.to-s.from)
}

// px writes a coordinate.
func px(x float64) string { return fmt.Sprintf("%.1f", x) }

// ticks returns at most most+1 round values inside the scale: steps of 1, 2 or 5 times a power of ten.
func (s scale) ticks(most int) []float64 {
	rough := (s.high - s.low) / float64(most)
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, m := range []float64{1, 2, 5} {
		if m*power >= rough {
			step = m * power
			break
		}
	}
	var out []float64
	for i := math.Ceil(s.low / step); i*step <= s.high+step/1e6; i++ {
		out = append(out, i*step)
	}
	return out
}

// tick is a labelled place on an axis.
type tick struct{ At, Label string }

func (s scale) labels(most int) []tick {
	values := s.ticks(most)
	n := 0
	if len(values) > 1 && values[1]-values[0] < 0.0099 {
		n = 1
	}
	out := make([]tick, len(values))
	for i, v := range values {
		out[i] = tick{px(s.at(v)), signed(v, n)}
	}
	return out
}

// span chooses what a drawing of these results shows: zero, the margins, the estimates with their
// fixed-horizon intervals, and of the wider anytime-valid ones no more than twice that, so that one
// early look does not flatten the others. What lies beyond is drawn as an open end.
func span(results []evaluate.Result) (low, high float64) {
	var wideLow, wideHigh float64
	for _, r := range results {
		if r.Status != "ok" {
			continue
		}
		m := signedMargin(r)
		low, high = stretch(low, high, m, r.Lift, r.FixedLiftLow, r.FixedLiftHigh)
		wideLow, wideHigh = stretch(wideLow, wideHigh, m, r.LiftLow, r.LiftHigh)
	}
	if low == high {
		low, high = -0.1, 0.1 // nothing to show: any readable axis does
	}
	reach := high - low
	low, high = min(low, max(wideLow, low-reach/2)), max(high, min(wideHigh, high+reach/2))
	room := (high - low) * 0.06
	return low - room, high + room
}

func stretch(low, high float64, values ...float64) (float64, float64) {
	for _, v := range values {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	return low, high
}

// signedMargin is the lift at which a guardrail is worse by its margin, 0 for other roles.
func signedMargin(r evaluate.Result) float64 {
	if r.Direction == "decrease" {
		return r.Margin
	}
	return -r.Margin
}

// bar is one row of a forest plot.
type bar struct {
	Width, Height, Middle, Top, Thick string
	Low, Length, FixedLow, FixedHigh  string
	Point, Zero, Margin               string
	ArrowLow, ArrowHigh               string // corners, when the interval goes on beyond the drawing
	Tone, Label                       string
}

// draw makes the bar of one result, or nil when there is nothing to draw.
func (s scale) draw(r evaluate.Result, width, height float64) *bar {
	if r.Status != "ok" || math.IsNaN(r.Lift) || math.IsInf(r.Lift, 0) {
		return nil
	}
	middle := height / 2
	b := &bar{
		Width: px(width), Height: px(height), Middle: px(middle), Top: px(middle - height/6), Thick: px(height / 3),
		Low: px(s.at(r.LiftLow)), Length: px(max(2, s.at(r.LiftHigh)-s.at(r.LiftLow))),
		FixedLow: px(s.at(r.FixedLiftLow)), FixedHigh: px(s.at(r.FixedLiftHigh)),
		Point: px(s.at(r.Lift)), Zero: px(s.at(0)),
		Tone: outcomeOf(r).Tone,
	}
	arrow := func(edge, tip float64) string {
		return fmt.Sprintf("%.1f,%.1f %.1f,%.1f %.1f,%.1f", tip, middle, edge, middle-6, edge, middle+6)
	}
	if r.LiftLow < s.low {
		b.ArrowLow = arrow(s.from, s.from-6)
	}
	if r.LiftHigh > s.high {
		b.ArrowHigh = arrow(s.to, s.to+6)
	}
	b.Label = fmt.Sprintf("%s, %s: lift %s, anytime-valid interval %s, fixed-horizon interval %s",
		r.Label, r.Variant, lift(r), interval(r.LiftLow, r.LiftHigh), interval(r.FixedLiftLow, r.FixedLiftHigh))
	if r.Margin != 0 {
		b.Margin = px(s.at(signedMargin(r)))
		b.Label += ", margin " + signed(signedMargin(r), 1)
	}
	return b
}

// Sizes of the drawings in CSS pixels.
const (
	forestWidth, forestHeight = 250, 46
	miniWidth, miniHeight     = 150, 22
)

func forestScale(results []evaluate.Result) scale {
	low, high := span(results)
	return scale{low, high, 10, forestWidth - 10}
}

// miniScale has zero in its middle, so that the bars of a list line up.
func miniScale(results []evaluate.Result) scale {
	low, high := span(results)
	// Beyond half of the control's mean nobody needs the exact length of a bar.
	reach := min(max(-low, high), 0.5)
	return scale{-reach, reach, 8, miniWidth - 8}
}

// frame is the place of a trend's axes in its drawing.
type frame struct{ Width, Height, Left, Right, Top, Bottom float64 }

func trendFrame() frame { return frame{560, 230, 52, 546, 26, 204} }

// LabelX, LabelY, TickY and WordY place what stands around the axes.
func (f frame) LabelX() float64 { return f.Left - 8 }
func (f frame) LabelY() float64 { return f.Bottom + 18 }
func (f frame) TickY() float64  { return f.Bottom + 6 }
func (f frame) WordY() float64  { return f.Top - 8 }

// trend is the drawing of one metric's lift over time.
type trend struct {
	frame
	Last         evaluate.Result
	Label, Tone  string
	Band, Line   string
	Points       []point
	Days, Lifts  []tick
	Zero, Margin string
	Minimum, End string
	Marks        []mark
	Looks        []evaluate.Result // newest first
}

type point struct{ X, Y string }

// mark is a decision on the time axis.
type mark struct{ X, Anchor, Word, Title string }

// Trends draws each metric of each variant, in the order of the latest results.
func (r *Report) Trends() []trend {
	looked := map[[2]string][]evaluate.Result{}
	for i := range r.Results {
		if x := &r.Results[i]; x.Status == "ok" {
			key := [2]string{x.Metric, x.Variant}
			looked[key] = append(looked[key], *x)
		}
	}
	var out []trend
	for _, last := range r.Latest() {
		looks := looked[[2]string{last.Metric, last.Variant}]
		if len(looks) > 0 {
			out = append(out, r.trend(looks))
		}
	}
	return out
}

func (r *Report) trend(looks []evaluate.Result) trend {
	last := looks[len(looks)-1]
	f := trendFrame()
	days, lifts := r.axes(f, looks)
	t := trend{
		frame: f, Last: last, Tone: outcomeOf(last).Tone, Zero: px(lifts.at(0)),
		Days: r.dayLabels(days), Lifts: lifts.labels(5),
		Minimum: px(days.at(float64(r.Experiment.MinimumDays))), End: px(days.at(float64(r.Experiment.PlannedDays))),
		Marks: r.marks(f, days), Looks: slices.Clone(looks),
		Label: fmt.Sprintf("Lift of %s over %d looks; on %s it is %s with anytime-valid interval %s",
			last.Label, len(looks), day(last.AsOf), lift(last), interval(last.LiftLow, last.LiftHigh)),
	}
	slices.Reverse(t.Looks)
	if last.Margin != 0 {
		t.Margin = px(lifts.at(signedMargin(last)))
	}
	var upper, lower, line []string
	for _, x := range looks {
		p := point{px(days.at(r.since(x.AsOf))), px(lifts.at(x.Lift))}
		t.Points = append(t.Points, p)
		line = append(line, p.X+","+p.Y)
		upper = append(upper, p.X+","+px(lifts.at(x.LiftHigh)))
		lower = append(lower, p.X+","+px(lifts.at(x.LiftLow)))
	}
	slices.Reverse(lower)
	t.Band, t.Line = strings.Join(append(upper, lower...), " "), strings.Join(line, " ")
	return t
}

// axes choose days from the start to the planned end, and lifts by what the last
// look can tell: three times the reach of its interval shows the band shrinking to it.
func (r *Report) axes(f frame, looks []evaluate.Result) (days, lifts scale) {
	days = scale{0, float64(r.Experiment.PlannedDays), f.Left, f.Right}
	low, high := span(looks)
	tightLow, tightHigh := span(looks[len(looks)-1:])
	reach := tightHigh - tightLow
	return days, scale{max(low, tightLow-reach), min(high, tightHigh+reach), f.Bottom, f.Top}
}

// since counts days from the start of the experiment to its planned end: looks after it are that of the
// end, taken again.
func (r *Report) since(asOf string) float64 {
	t, err := time.Parse(time.DateOnly, asOf)
	if err != nil {
		return 0
	}
	return min(t.Sub(r.Experiment.Start.Time).Hours()/24, float64(r.Experiment.PlannedDays))
}

func (r *Report) dayLabels(days scale) []tick {
	var out []tick
	for _, d := range days.ticks(5) {
		if d == math.Trunc(d) {
			out = append(out, tick{px(days.at(d)), r.Experiment.Start.AddDate(0, 0, int(d)).Format("2 Jan")})
		}
	}
	return out
}

// wordWidth is how much of the axis the word of a mark takes.
const wordWidth = 60

// marks leaves out a first "running": it marks the beginning of evaluation, not a change. Where decisions come too
// close for their words, the later ones keep theirs.
func (r *Report) marks(f frame, days scale) []mark {
	var out []mark
	free := math.Inf(1) // up to where there is room for words
	for i, d := range slices.Backward(r.Decisions) {
		if i == 0 && d.Verdict == decide.Running {
			continue
		}
		at := days.at(r.since(d.AsOf))
		m := mark{X: px(at), Anchor: "middle", Title: day(d.AsOf) + ": " + d.Headline}
		if at > f.Right-wordWidth/2 {
			m.Anchor = "end"
		}
		if at+wordWidth <= free {
			m.Word, free = verdictWords(d.Verdict, ""), at
		}
		out = append(out, m)
	}
	slices.Reverse(out)
	return out
}
