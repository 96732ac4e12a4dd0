package analyze

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
)

func TestAnswersHaveTheFormOfTheCases(t *testing.T) {
	run := func(in string) string {
		t.Helper()
		var out bytes.Buffer
		if err := Analyses().Run(strings.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	const srm = `{"op":"srm","id":"x","counts":[50,50],"weights":[1,1]}`
	if got := run(srm); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, `{"id":"x"`) {
		t.Errorf("one object: %s", got)
	}
	if got := run(srm + "\n" + srm); strings.Count(got, "\n") != 2 {
		t.Errorf("a stream: %s", got)
	}
	var array []map[string]any
	if err := json.Unmarshal([]byte(run("["+srm+`,{"op":"srm","counts":[1]},`+srm+"]")), &array); err != nil || len(array) != 3 {
		t.Fatalf("an array: %v %v", array, err)
	}
	if array[1]["error"] == nil || array[2]["id"] != "x" {
		t.Errorf("a bad case in the middle: %v", array)
	}
}

func TestBadCasesAreExplained(t *testing.T) {
	for in, want := range map[string]string{
		`{"op":"compar"}`: `there is no op "compar"`,
		`{"op":"srm","count":[1,2],"weights":[1,1]}`:                                                             `unknown field "count"`,
		`{"op":"srm","counts":[1,2,3],"weights":[1,1]}`:                                                          "3 counts for 2 weights",
		`{"op":"compare","metrics":[]}`:                                                                          "metrics is empty",
		`{"op":"compare","metrics":[{"family":"median","variants":[]}]}`:                                         `family is "median"; want mean`,
		`{"op":"compare","metrics":[{"name":"m","family":"mean","variants":[{"n":5,"sum":1},{"n":5,"sum":1}]}]}`: `metric 1 "m": variant "": sum without sum_sq`,
		`{"op":"compare","alpha":0.7,"metrics":[{"family":"mean"}]}`:                                             "alpha is 0.7",
		`{"op":"group_sequential","times":[0.5,0.4]}`:                                                            "times[1] is 0.4",
		`{"op":"correct","p":[2]}`:                                                                               "p[0] is 2",
		`7`:                                                                                                      "cannot unmarshal number",
	} {
		var out bytes.Buffer
		if err := Analyses().Run(strings.NewReader(in), &out); err != nil {
			t.Fatal(err)
		}
		var f Failure
		if err := json.Unmarshal(out.Bytes(), &f); err != nil || !strings.Contains(f.Error, want) {
			t.Errorf("%s: %s, want %q", in, out.String(), want)
		}
	}
	for in, want := range map[string]string{"": "nothing was given", "{": "read case 1", `{"op":"srm","counts":[1,1],"weights":[1,1]} {`: "read case 2"} {
		err := Analyses().Run(strings.NewReader(in), io.Discard)
		if err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func TestWriteErrorsAreReported(t *testing.T) {
	broken := errors.New("disk full")
	if err := Analyses().Run(strings.NewReader(`{"op":"x"}`), failing{broken}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// An outage: 0 of 10,000 against 300, which gbstats gives p = 1.
func TestOutageIsAViolation(t *testing.T) {
	answer := ask(t, Analyses(), object{"op": "compare", "metrics": []object{{
		"family": "proportion", "role": "guardrail", "margin": 0.02,
		"variants": []object{{"n": 10000, "successes": 300}, {"name": "broken", "n": 10000, "successes": 0}},
	}}})
	if p := at(t, answer, first+"guardrail.p_violated"); p > 1e-20 {
		t.Errorf("p of a violation %v", p)
	}
	if p := at(t, answer, first+"counts.p"); p > 1e-20 {
		t.Errorf("exact p %v", p)
	}
	if v := answer["metrics"].([]any)[0].(object)["variants"].([]any)[0].(object); v["corrected"] != nil {
		t.Error("a guardrail was corrected as if it were a goal")
	}
}

// Below 100 units an arm the asymptotic sequence gives way to what is exact.
func TestSmallArmsAreJudgedExactly(t *testing.T) {
	method := func(metric object) any {
		answer := ask(t, Analyses(), object{"op": "compare", "metrics": []object{metric}})
		return answer["metrics"].([]any)[0].(object)["variants"].([]any)[0].(object)["sequential"].(object)["method"]
	}
	for want, metric := range map[string]object{
		"counts":    {"family": "proportion", "variants": []object{{"n": 60, "successes": 3}, {"n": 60, "successes": 9}}},
		"t_mixture": {"family": "mean", "variants": []object{{"n": 60, "mean": 3, "variance": 1}, {"n": 600, "mean": 3, "variance": 1}}},
		"mixture":   {"family": "proportion", "variants": []object{{"n": 600, "successes": 30}, {"n": 600, "successes": 90}}},
	} {
		if got := method(metric); got != want {
			t.Errorf("%v: judged by %v, want %s", metric, got, want)
		}
	}
}

func TestReplay(t *testing.T) {
	const file = `experiment,metric,arm,day,count,mean,variance
e1,m,control,1,1000,10,4
e1,m,b,1,1000,10.9,4
e1,m,control,2,2000,10,4
e1,m,b,2,2000,10.9,4
e1,m,control,10,4000,10,4
e1,m,b,10,4000,10.02,4
`
	got, err := Replay{Alpha: 0.05}.ReadStatistics(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Looks != 3 || got[0].Units != 8000 || math.Abs(float64(got[0].Effect)-0.02) > 1e-12 {
		t.Fatalf("%+v", got)
	}
	// Every peeking method stops on day 1; only the one look at the end says that nothing was there.
	want := map[string]string{"fixed, at the end": "", "naive peeking": "1", "sequence": "1", "hybrid": "1", "O'Brien-Fleming": "1", "mSPRT": "1", "Bayes, 95 % chance": "1"}
	days := map[string]string{}
	for _, m := range got[0].Methods {
		days[m.Method] = m.Day
		if m.Agrees != (m.Day == "") {
			t.Errorf("%s: agrees %v", m.Method, m.Agrees)
		}
	}
	if diff := cmp.Diff(want, days); diff != "" {
		t.Errorf("stopped on (-want +got):\n%s", diff)
	}
	daily, err := Replay{Alpha: 0.05, Daily: true, Control: "b"}.ReadStatistics(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if daily[0].Units != 14000 || daily[0].Treatment != "control" || !(daily[0].Effect < 0) {
		t.Errorf("daily, other control: %+v", daily[0])
	}
	for in, want := range map[string]string{
		"a,b\n": `no column "experiment"`,
		"":      "want a CSV header",
		"experiment,metric,arm,day,count,mean,variance\ne,m,a,1,x,1,1\n":  `line 2: count is "x"`,
		"experiment,metric,arm,day,count,mean,variance\ne,m,a,1,5,1,-1\n": "line 2: count and variance cannot be negative",
	} {
		if _, err := (Replay{Alpha: 0.05}).ReadStatistics(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
	if _, err := (Replay{Alpha: 0.05, Control: "z"}).ReadStatistics(strings.NewReader(file)); err == nil || !strings.Contains(err.Error(), `no arm is called "z"`) {
		t.Errorf("missing control: %v", err)
	}
}
