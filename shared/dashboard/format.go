package dashboard

import (
	"math"
	"strconv"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
)

// none stands where there is no number.
const none = "–"

// fixed writes x with so many decimals, a true minus sign and separated thousands.
func fixed(x float64, decimals int) string {
	if math.IsNaN(x) {
		return none
	}
	text := strconv.FormatFloat(math.Abs(x), 'f', decimals, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if x < 0 && strings.ContainsAny(text, "123456789") {
		return "−" + whole
	}
	return whole
}

// value writes a mean in the metric's format.
func value(x float64, format string) string {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return none
	case format == "percent":
		return fixed(100*x, 2) + "%"
	case format == "currency" || math.Abs(x) >= 10:
		return fixed(x, 2)
	}
	return fixed(x, 3)
}

// signed writes a lift as a percentage with its sign.
func signed(x float64, decimals int) string {
	switch {
	case math.IsNaN(x):
		return none
	case math.IsInf(x, 0):
		return "unbounded"
	}
	text := fixed(100*x, decimals) + "%"
	if x > 0 && strings.ContainsAny(text, "123456789") {
		return "+" + text
	}
	return text
}

// decimals is how many a lift deserves: two when its interval is narrower than two points.
func decimals(low, high float64) int {
	if high-low < 0.02 {
		return 2
	}
	return 1
}

func lift(r evaluate.Result) string { return signed(r.Lift, decimals(r.LiftLow, r.LiftHigh)) }

// interval writes [low, high]; a side that does not exist is unbounded.
func interval(low, high float64) string {
	if math.IsInf(low, 0) && math.IsInf(high, 0) {
		return "unbounded"
	}
	n := decimals(low, high)
	return "[" + signed(low, n) + ", " + signed(high, n) + "]"
}

// probability writes a p-value; one too small to matter is an upper bound.
func probability(p float64) string {
	switch {
	case p < 0.0001:
		return "< 0.0001"
	case p > 0.99995:
		return "1"
	}
	return fixed(p, 4)
}

// chance writes a probability as a percentage that never claims certainty.
func chance(p float64) string {
	switch {
	case p > 0.999:
		return "> 99.9%"
	case p < 0.001:
		return "< 0.1%"
	}
	return fixed(100*p, 1) + "%"
}

func share(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fixed(100*x, 2), "0"), ".") + "%"
}
func count(n int64) string { return fixed(float64(n), 0) }

func moment(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04 UTC") }

// day writes an as_of the way people write days; what is none stays as it is.
func day(asOf string) string {
	t, err := time.Parse(time.DateOnly, asOf)
	if err != nil {
		return asOf
	}
	return t.Format("2 Jan 2006")
}

// verdictWords names a verdict in a badge.
func verdictWords(v decide.Verdict, variant string) string {
	switch v {
	case decide.Running:
		return "Running"
	case decide.Ship:
		return strings.TrimSpace("Ship " + variant)
	case decide.RollBack:
		return "Roll back"
	case decide.Stop:
		return "Stop"
	case decide.Extend:
		return "Extend"
	case decide.Blocked:
		return "Blocked"
	}
	return "No decision yet"
}

// checkName is how people call a check.
func checkName(name string) string {
	switch name {
	case "srm":
		return "Sample ratio"
	case "multiple_exposure":
		return "Multiple exposure"
	case "bucketing":
		return "Bucketing"
	case "event_loss":
		return "Event loss"
	}
	return strings.ReplaceAll(name, "_", " ")
}

// isP tells whether a check measures a p-value; the others measure a rate.
func isP(name string) bool { return name == "srm" || name == "event_loss" }

// measured writes what a check measured or its limit.
func measured(name string, x float64) string {
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return none
	case isP(name):
		return "p " + equals(probability(x))
	}
	return fixed(100*x, 2) + "%"
}

func limit(name string, x float64) string {
	if isP(name) {
		return "fails below p = " + strconv.FormatFloat(x, 'g', 3, 64)
	}
	return "fails above " + share(x)
}

func equals(text string) string {
	if strings.HasPrefix(text, "<") {
		return text
	}
	return "= " + text
}

// outcome says in words what a result means for the decision, and in which tone.
type outcome struct{ Words, Tone, Title string }

func outcomeOf(r evaluate.Result) outcome {
	switch {
	case r.Status != "ok":
		return outcome{r.Status, "muted", r.Reason}
	case r.Guardrail == "non_inferior" && r.Significance == "worse":
		return outcome{"Worse, within margin", "warn", "Significantly worse, and by less than the margin."}
	case r.Guardrail == "non_inferior":
		return outcome{"Within margin", "good", "Non-inferior: the whole interval lies on the safe side of the margin."}
	case r.Guardrail == "violated":
		return outcome{"Violated", "bad", "The whole interval lies beyond the margin: worse than tolerated."}
	case r.Guardrail != "":
		return outcome{"Undetermined", "muted", "The interval still contains the margin."}
	case r.Significance == "better":
		return outcome{"Better", "good", "Significant, by the rule in force at this look."}
	case r.Significance == "worse":
		return outcome{"Worse", "bad", "Significant, by the rule in force at this look."}
	}
	return outcome{"No clear effect", "muted", "Not significant by the rule in force at this look."}
}

// verdictTone is the colour of a verdict's badge; the badge always says the verdict in words too.
func verdictTone(v decide.Verdict) string {
	switch v {
	case decide.Ship:
		return "good"
	case decide.RollBack, decide.Blocked:
		return "bad"
	case decide.Extend:
		return "warn"
	case decide.Running:
		return "info"
	case decide.Stop:
		return "muted"
	}
	return "muted"
}

// statusMark is a check's status as a sign and a word.
func statusMark(status string) outcome {
	switch status {
	case "pass":
		return outcome{Words: "✓ Pass", Tone: "good"}
	case "fail":
		return outcome{Words: "✗ Fail", Tone: "bad"}
	}
	return outcome{Words: "· Too little data", Tone: "muted"}
}
