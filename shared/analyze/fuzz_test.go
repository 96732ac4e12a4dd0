package analyze

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"verdict/shared/fault"
)

func allOps() Ops {
	both := Ops{}
	maps.Copy(both, Analyses())
	maps.Copy(both, Plans())
	return both
}

// FuzzAnalyze wants an answer in JSON for every case, whatever its bytes.
func FuzzAnalyze(f *testing.F) {
	for _, seed := range examples() {
		f.Add([]byte(seed))
	}
	ops := allOps()
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4000 {
			t.Skip("the engine is linear in its input; long ones only slow the fuzzer")
		}
		var out bytes.Buffer
		if err := ops.Run(bytes.NewReader(in), &out); err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Fatalf("%s: %v", in, err)
			}
			return
		}
		d := json.NewDecoder(&out)
		for {
			var v any
			if err := d.Decode(&v); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatalf("%s: answered what is not JSON: %v", in, err)
			}
		}
	})
}

// FuzzNumbers puts any number in the place of any number of an example: figures stay figures, and
// probabilities stay probabilities.
func FuzzNumbers(f *testing.F) {
	cases := examples()
	for i := range cases {
		for place := range 5 {
			for _, v := range []float64{0, -1, 1e300, 1e-300} {
				f.Add(uint8(i), uint8(place), v)
			}
		}
	}
	ops := allOps()
	f.Fuzz(func(t *testing.T, which, place uint8, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Skip("no number of JSON")
		}
		var in any
		if err := json.Unmarshal([]byte(cases[int(which)%len(cases)]), &in); err != nil {
			t.Fatal(err)
		}
		left := int(place)
		replaced := replace(in, &left, v)
		b, err := json.Marshal(replaced)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := ops.Run(bytes.NewReader(b), &out); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		var answer any
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
			t.Fatalf("%s: answered what is not JSON: %v", b, err)
		}
		sound(t, string(b), answer, "")
	})
}

// replace puts v in the place of the number that is left-th from here.
func replace(in any, left *int, v float64) any {
	switch x := in.(type) {
	case float64:
		*left--
		if *left == -1 {
			return v
		}
	case []any:
		for i := range x {
			x[i] = replace(x[i], left, v)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			x[k] = replace(x[k], left, v)
		}
	}
	return in
}

// sound says that probabilities lie between 0 and 1, and that a status of ok comes with them.
func sound(t *testing.T, in string, v any, name string) {
	t.Helper()
	switch x := v.(type) {
	case float64:
		probability := name == "p" || strings.HasPrefix(name, "p_") || strings.HasSuffix(name, "_p") || strings.HasPrefix(name, "chance") || name == "power" || name == "rejects"
		if probability && !(x >= 0 && x <= 1+1e-9) {
			t.Fatalf("%s: %s is %v", in, name, x)
		}
	case []any:
		for _, y := range x {
			sound(t, in, y, name)
		}
	case map[string]any:
		if p, ok := x["p"]; ok && p == nil && x["status"] != "undefined" && x["status"] != "insufficient" {
			t.Fatalf("%s: p of %s is null", in, name)
		}
		if i, ok := x["shape"]; ok && i == "bounded" {
			low, okL := x["low"].(float64)
			high, okH := x["high"].(float64)
			if !okL || !okH || low > high {
				t.Fatalf("%s: %s is bounded by %v and %v", in, name, x["low"], x["high"])
			}
		}
		for k, y := range x {
			sound(t, in, y, k)
		}
	}
}

// FuzzReplay reads any file.
func FuzzReplay(f *testing.F) {
	f.Add("experiment,metric,arm,day,count,mean,variance\ne,m,a,1,100,1,1\ne,m,b,1,100,2,1\n", false)
	f.Add("experiment,metric,arm,day,count,mean,variance\ne,m,a,1,1e300,1e300,1e300\ne,m,b,1,100,2,1\ne,m,b,2,1,2,0\n", true)
	f.Fuzz(func(t *testing.T, file string, daily bool) {
		got, err := Replay{Alpha: 0.05, Daily: daily}.ReadStatistics(strings.NewReader(file))
		if err != nil {
			return
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatalf("%q: %v", file, err)
		}
	})
}
