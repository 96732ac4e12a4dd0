package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"verdict/shared/decide"
	"verdict/shared/evaluate"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/stats"
)

// kept lists the bundles of the demo that stand in this repository for ever, by the engine that made them.
func kept(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern, "*.json.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no bundles in testdata/%s: %v", pattern, err)
	}
	return files
}

func unpack(t *testing.T, file string) []byte {
	t.Helper()
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := Decompress(packed)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func read(t *testing.T, content []byte) *Bundle {
	t.Helper()
	b, err := Decode(content)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const whatToDo = `
If you changed what an engine computes or says: raise evaluate.Version, keep the old figures for old bundles, and put bundles
of the new version beside the old ones (docs/bundle.md, "For who changes the engine").`

func TestKeptBundlesVerifyForEver(t *testing.T) {
	for _, file := range kept(t, "engine-*") {
		packed, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		report, err := Verify(file, packed)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		for _, d := range report.Differences {
			t.Errorf("%s (%s): %s: stated %s, recomputed %s%s", file, report.Experiment, d.Field, d.Stated, d.Recomputed, whatToDo)
		}
		// Also after a change of Go: amd64 without fused sums computes as IEEE 754 says, whoever compiles.
		if report.Engine.Architecture == thisEngine().Architecture && report.Engine.Version == evaluate.Version && !report.Identical {
			t.Errorf("%s (%s) comes out in other bytes%s", file, report.Experiment, whatToDo)
		}
	}
}

func TestEveryVerdictOfThisEngineIsKept(t *testing.T) {
	var have []string
	for _, file := range kept(t, fmt.Sprintf("engine-%d", evaluate.Version)) {
		var verdict string
		if err := json.Unmarshal(read(t, unpack(t, file)).Decision["verdict"], &verdict); err != nil {
			t.Fatal(err)
		}
		have = append(have, verdict)
	}
	for _, want := range []decide.Verdict{decide.Ship, decide.RollBack, decide.Stop, decide.Extend, decide.Blocked, decide.Running} {
		if !slices.Contains(have, string(want)) {
			t.Errorf("no bundle is kept of verdict %s of engine %d%s", want, evaluate.Version, whatToDo)
		}
	}
}

// verified verifies with a rule that was planned once.
func verified(t *testing.T, content []byte) (Report, error) {
	t.Helper()
	b, err := Decode(content)
	if err != nil {
		return Report{}, err
	}
	return b.verify(content, func(e *experiment.Experiment) stats.Hybrid {
		key := fmt.Sprint(e.Alpha, e.PlannedUnits, len(e.Metrics), len(e.Variants))
		if _, ok := rules[key]; !ok {
			rules[key] = evaluate.Rule(e)
		}
		return rules[key]
	})
}

var rules = map[string]stats.Hybrid{}

// leaves walks a document and gives the paths of all values, one for each that differs in more than a row's number.
func leaves(v any, path []string, seen map[string][]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			leaves(v[k], append(slices.Clone(path), k), seen)
		}
	case []any:
		for i, item := range v {
			leaves(item, append(slices.Clone(path), strconv.Itoa(i)), seen)
		}
	default:
		var shape []string
		for _, p := range path {
			if _, err := strconv.Atoi(p); err == nil {
				p = "*"
			}
			shape = append(shape, p)
		}
		if key := strings.Join(shape, "."); seen[key] == nil {
			seen[key] = path
		}
	}
}

// alter changes the value at a path and returns the document as Verdict would write it.
func alter(t *testing.T, content []byte, path []string, change func(any) any) []byte {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var document any
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	at := document
	for i, p := range path {
		last := i == len(path)-1
		switch in := at.(type) {
		case map[string]any:
			if last {
				in[p] = change(in[p])
			}
			at = in[p]
		case []any:
			n, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			if last {
				in[n] = change(in[n])
			}
			at = in[n]
		}
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func another(v any) any {
	switch v := v.(type) {
	case json.Number:
		if x, err := v.Float64(); err == nil && x == float64(int64(x)) {
			return json.Number(strconv.FormatInt(int64(x)+1, 10))
		}
		return json.Number("0." + strings.TrimLeft(string(v), "-0.")[:1] + "12345")
	case string:
		return v + "x"
	case bool:
		return !v
	}
	return "something"
}

func TestTamperingIsFoundAndNamed(t *testing.T) {
	content := one(t, decide.Ship)
	var document any
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{}
	leaves(document, nil, paths)
	if len(paths) < 150 {
		t.Fatalf("only %d values to alter", len(paths))
	}
	for shape, path := range paths {
		report, err := verified(t, alter(t, content, path, another))
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s altered: %v", shape, err)
			}
			continue // that it cannot be read names it
		}
		part := path[0]
		if part == "given" {
			part = path[1]
		}
		if !names(report, part) {
			t.Errorf("%s altered, and no difference names %s: %v", shape, part, report.Differences)
		}
	}
	for part := range document.(map[string]any) {
		report, err := verified(t, without(t, content, part))
		if err == nil && !names(report, part) && (part != "given" || !names(report, "sql")) {
			t.Errorf("%s left out, and no difference names it: %v", part, report.Differences)
		}
	}
}

func names(r Report, part string) bool {
	return slices.ContainsFunc(r.Differences, func(d Difference) bool {
		return d.Field == part || strings.HasPrefix(d.Field, part+".") || strings.HasPrefix(d.Field, part+"[")
	})
}

func without(t *testing.T, content []byte, part string) []byte {
	t.Helper()
	var document map[string]json.RawMessage
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	delete(document, part)
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// forge writes a bundle again after a change, with hashes that fit.
func forge(t *testing.T, content []byte, change func(*Bundle)) []byte {
	t.Helper()
	b := read(t, content)
	change(b)
	var err error
	if b.Given, err = b.parts(); err != nil {
		t.Fatal(err)
	}
	text, _, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// one is a kept bundle of a verdict.
func one(t *testing.T, verdict decide.Verdict) []byte {
	t.Helper()
	for _, file := range kept(t, fmt.Sprintf("engine-%d", evaluate.Version)) {
		content := unpack(t, file)
		if string(read(t, content).Decision["verdict"]) == strconv.Quote(string(verdict)) {
			return content
		}
	}
	t.Fatalf("no bundle is kept of verdict %s", verdict)
	return nil
}

func TestForgedStatisticsDoNotGiveTheResults(t *testing.T) {
	content := forge(t, one(t, decide.Ship), func(b *Bundle) { b.Statistics[0]["mean_y"] = json.RawMessage("0.9") })
	report, err := verified(t, content)
	if err != nil || !names(report, "results") || names(report, "statistics") {
		t.Errorf("%v %v", report.Differences, err)
	}
}

// A whole that fits is found by its name alone: the decision's record names the true one.
func TestAWholeForgeryHasAnotherName(t *testing.T) {
	original := one(t, decide.Ship)
	forged := forge(t, original, func(b *Bundle) { b.SQL += " -- and more" })
	name := contentHash(original) + ".json"
	if report, err := Verify(name, original); err != nil || !report.OK() || report.Named != report.Hash {
		t.Errorf("original: %v %v", report, err)
	}
	if report, err := Verify(name, forged); err != nil || !names(report, "name") {
		t.Errorf("forged: %v %v", report.Differences, err)
	}
	if report, err := Verify("renamed.json", forged); err != nil || report.Named != "" || !report.OK() {
		t.Errorf("renamed: %v %v", report, err)
	}
}

func TestTheSameInOtherBytesIsNamed(t *testing.T) {
	content := one(t, decide.Ship)
	var indented bytes.Buffer
	if err := json.Indent(&indented, content, "", " "); err != nil {
		t.Fatal(err)
	}
	reordered := forge(t, content, func(b *Bundle) { slices.Reverse(b.Results) })
	for name, altered := range map[string][]byte{
		"indented":   indented.Bytes(),
		"field more": append([]byte(`{"extra":1,`), content[1:]...),
		"twice":      append([]byte(`{"format":1,`), content[1:]...),
		"reordered":  reordered,
	} {
		if report, err := verified(t, altered); err != nil || report.Identical || !names(report, "file") {
			t.Errorf("%s: %v %v", name, report, err)
		}
	}
	if _, err := Verify("x", append(slices.Clone(content), " {}"...)); !fault.Is(err, fault.Invalid) {
		t.Errorf("more after it: %v", err)
	}
	if _, err := Verify("x", content[:len(content)/2]); !fault.Is(err, fault.Invalid) {
		t.Errorf("half of it: %v", err)
	}
}

func TestOtherEnginesMayDifferInLastBitsOnly(t *testing.T) {
	scaled := func(by float64) func(*Bundle) {
		return func(b *Bundle) {
			b.Engine.Architecture = "arm64+fma"
			var x float64
			if err := json.Unmarshal(b.Results[0]["fixed_lift_high"], &x); err != nil || x == 0 {
				t.Fatalf("%v %v", x, err)
			}
			b.Results[0]["fixed_lift_high"] = json.RawMessage(strconv.FormatFloat(x*by, 'g', -1, 64))
		}
	}
	content := one(t, decide.Ship)
	if report, err := verified(t, forge(t, content, scaled(1+1e-10))); err != nil || !report.OK() || report.Identical {
		t.Errorf("last bits: %v %v", report, err)
	}
	if report, err := verified(t, forge(t, content, scaled(1+1e-8))); err != nil || !names(report, "results") {
		t.Errorf("more: %v %v", report, err)
	}
}

func TestOlderEnginesHaveTheirOwnWords(t *testing.T) {
	older := func(column, text string) func(*Bundle) {
		return func(b *Bundle) {
			b.Engine.Version = evaluate.Version - 1
			b.Decision[column] = json.RawMessage(text)
			delete(b.Results[0], "log_e_value") // a column that it did not have
		}
	}
	content := one(t, decide.Ship)
	var reasons []decide.Reason
	if err := json.Unmarshal(read(t, content).Decision["reasons"], &reasons); err != nil {
		t.Fatal(err)
	}
	reasons[0].Text = "In other words."
	reworded, _ := json.Marshal(reasons)
	reasons[0].Code = "another"
	recoded, _ := json.Marshal(reasons)
	for name, c := range map[string]struct {
		change func(*Bundle)
		ok     bool
	}{
		"headline":             {older("headline", `"In other words"`), true},
		"reasons":              {older("reasons", string(reworded)), true},
		"codes":                {older("reasons", string(recoded)), false},
		"verdict":              {older("verdict", `"stop"`), false},
		"this version's words": {func(b *Bundle) { b.Decision["headline"] = json.RawMessage(`"In other words"`) }, false},
	} {
		if report, err := verified(t, forge(t, content, c.change)); err != nil || report.OK() != c.ok {
			t.Errorf("%s: %v %v", name, report.Differences, err)
		}
	}
}

func TestNewerEnginesAndFormatsAreRefused(t *testing.T) {
	content := one(t, decide.Ship)
	for name, change := range map[string]func(*Bundle){
		"engine":     func(b *Bundle) { b.Engine.Version = evaluate.Version + 1 },
		"format":     func(b *Bundle) { b.Format = Format + 1 },
		"no goal":    func(b *Bundle) { b.Experiment.Text = json.RawMessage(`{"id":"x","alpha":0.05}`) },
		"no metrics": func(b *Bundle) { b.Metrics = nil },
		"as of":      func(b *Bundle) { b.AsOf = "today" },
	} {
		if _, err := verified(t, forge(t, content, change)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Notes and segments are no part of the hash that results carry, and some part of the bundle.
func TestNotesDoNotChangeTheDefinition(t *testing.T) {
	noted := forge(t, one(t, decide.Ship), func(b *Bundle) {
		var e experiment.Experiment
		if err := json.Unmarshal(b.Experiment.Text, &e); err != nil {
			t.Fatal(err)
		}
		e.Notes, e.Segments = "Looks good.", []string{"device"}
		var err error
		if b.Experiment.Text, err = marshal(e); err != nil {
			t.Fatal(err)
		}
	})
	if report, err := verified(t, noted); err != nil || !report.OK() || !report.Identical {
		t.Errorf("%v %v", report, err)
	}
}
