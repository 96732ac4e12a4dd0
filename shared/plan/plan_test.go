package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/valyala/fastjson"

	"verdict/events"
	"verdict/shared/fault"
	"verdict/shared/plan"
)

const order = `{"event_id":"0192f0c1-0000-7000-8000-000000000001","event":"order_completed","schema":"1-0-0",
"ts":"2026-01-05T10:11:12.345Z","anonymous_id":"a1","session_id":"s1","seq":3,
"consent":{"analytics_storage":"granted"},"context":{"page":{"path":"/thanks"},"device":{"type":"mobile","dpr":2.5}},
"experiments":[{"id":"x","variant":"control"}],
"properties":{"order_id":"o1","value":12.5,"currency":"EUR","lines":[{"product_id":"p","quantity":2,"price":6.25}]}}`

func loadPlan(tb testing.TB) *plan.Plan {
	tb.Helper()
	p, err := plan.Load(events.Files)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestCheckNamesEveryFailure(t *testing.T) {
	p := loadPlan(t)
	cases := map[string]struct {
		old, replacement string
		want             []plan.Failure
	}{
		"valid":           {"", "", nil},
		"unknown event":   {"order_completed", "order_eaten", []plan.Failure{{"/event", `event "order_eaten" is not in the tracking plan`}}},
		"unknown version": {`"1-0-0"`, `"9-0-0"`, []plan.Failure{{"/schema", `there is no version "9-0-0" of order_completed`}}},
		"wrong type":      {"12.5", `"12.5"`, []plan.Failure{{"/properties/value", "must be number, not string"}}},
		"missing":         {`"order_id":"o1",`, "", []plan.Failure{{"/properties/order_id", "is required"}}},
		"surplus":         {`"value"`, `"valu":1,"value"`, []plan.Failure{{"/properties/valu", "is not in the tracking plan"}}},
		"inside an array": {`"quantity":2`, `"quantity":2.5`, []plan.Failure{{"/properties/lines/0/quantity", "must be integer, not number"}}},
		"nobody":          {`"anonymous_id":"a1",`, "", []plan.Failure{{"", "must satisfy one of: has anonymous_id; has user_id; has consent"}}},
		"bad time":        {"2026-01-05T10", "2026-01-05 10", []plan.Failure{{"/ts", "must be a time like 2026-01-05T10:11:12.345Z"}}},
		"two at once": {`"currency":"EUR"`, `"currency":"euro","coupon":7`, []plan.Failure{
			{"/properties/currency", "must match ^[A-Z]{3}$"}, {"/properties/coupon", "must be string, not number"},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := p.Check(fastjson.MustParse(strings.Replace(order, c.old, c.replacement, 1)))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestConsentRefusalNeedsNoIdentity(t *testing.T) {
	event := strings.Replace(order, `"anonymous_id":"a1",`, "", 1)
	event = strings.Replace(event, "granted", "denied", 1)
	if got := loadPlan(t).Check(fastjson.MustParse(event)); got != nil {
		t.Errorf("refused: %v", got)
	}
}

func TestLoadRefusesAHalfPlan(t *testing.T) {
	envelope, err := events.Files.ReadFile("schemas/event-1-0-0.json")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"schemas/event-1-0-0.json": {Data: envelope},
		"plan.yaml":                {Data: []byte("events:\n  - {name: a, schema: 1-0-0, owner: o, description: d}\n")},
	}
	_, err = plan.Load(files)
	if want := "plan.yaml:2: there is no file schemas/a/1-0-0.json"; !fault.Is(err, fault.Invalid) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for list, wrong := range map[string]string{"session_id": "session_id", "user_id, user_id": "user_id"} {
		files["plan.yaml"] = &fstest.MapFile{Data: []byte("hash: [" + list + "]\nevents: []\n")}
		if _, err := plan.Load(files); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), "plan.yaml:1: hash lists") || !strings.Contains(err.Error(), wrong) {
			t.Errorf("hash of %s: %v", list, err)
		}
	}
	files["plan.yaml"] = &fstest.MapFile{Data: []byte("hash: [user_id]\nevents:\n  - {name: a, schema: 1-0-0, owner: o, description: d}\n")}
	files["schemas/a/1-0-0.json"] = &fstest.MapFile{Data: []byte(`{"type":"object","dependentRequired":{}}`)}
	if _, err = plan.Load(files); err == nil || !strings.Contains(err.Error(), "dependentRequired") {
		t.Errorf("an unsupported keyword passed: %v", err)
	}
}

// The reference validator must give the same answer on events that were broken at random.
func TestAgreesWithReferenceValidator(t *testing.T) {
	p := loadPlan(t)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	reference := func(name string) *jsonschema.Schema {
		t.Helper()
		source, err := events.Files.ReadFile("schemas/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(name+".json", doc); err != nil {
			t.Fatal(err)
		}
		s, err := compiler.Compile(name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	envelope := reference("event-1-0-0")
	type subject struct {
		properties *jsonschema.Schema
		example    string
	}
	documents, err := plan.Documents(events.Files)
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]subject{}
	var names []string
	for _, d := range documents {
		subjects[d.Name] = subject{reference(d.Name + "/" + d.Schema), d.Example}
		names = append(names, d.Name)
	}
	runs := 20_000
	if n, err := strconv.Atoi(os.Getenv("VERDICT_EVENTS")); err == nil {
		runs = n
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var valid, invalid int
	for i := range runs {
		name := names[i%len(names)]
		var event map[string]any
		if err := json.Unmarshal([]byte(order), &event); err != nil {
			t.Fatal(err)
		}
		var properties map[string]any
		if err := json.Unmarshal([]byte(subjects[name].example), &properties); err != nil {
			t.Fatal(err)
		}
		event["properties"] = properties
		for range rng.IntN(3) {
			mutate(rng, event)
		}
		event["event"], event["schema"] = name, "1-0-0"
		text, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		want := envelope.Validate(value) == nil
		if object, ok := value.(map[string]any); ok && object["properties"] != nil {
			want = want && subjects[name].properties.Validate(object["properties"]) == nil
		}
		got := p.Check(fastjson.MustParseBytes(text))
		if (got == nil) != want {
			t.Fatalf("reference says valid=%v, we say %v\n%s", want, got, text)
		}
		if want {
			valid++
		} else {
			invalid++
		}
	}
	t.Logf("%d valid and %d invalid events of %d kinds", valid, invalid, len(names))
	if valid < runs/20 || invalid < runs/20 {
		t.Errorf("the mutations are one-sided: %d valid, %d invalid", valid, invalid)
	}
}

// mutate changes up to one randomly chosen member somewhere in an object.
func mutate(rng *rand.Rand, object map[string]any) {
	keys := make([]string, 0, len(object))
	for k := range object {
		keys = append(keys, k)
	}
	// map order is random: sort for the seed to mean something
	for i := range keys {
		for j := i + 1; j < len(keys); j++ {
			if keys[j] < keys[i] {
				keys[i], keys[j] = keys[j], keys[i]
			}
		}
	}
	key := keys[rng.IntN(len(keys))]
	switch inner := object[key].(type) {
	case map[string]any:
		if len(inner) > 0 && rng.IntN(4) > 0 {
			mutate(rng, inner)
			return
		}
	case []any:
		if len(inner) == 0 {
			break
		}
		if first, ok := inner[0].(map[string]any); ok && len(first) > 0 && rng.IntN(4) > 0 {
			mutate(rng, first)
			return
		}
	}
	odd := []any{
		nil, true, "", "x", "EUR", "denied", "2026-01-05T10:11:12Z", 0.0, -1.0, 7.0, 2.5, 1e18, 1e308,
		map[string]any{},
		[]any{},
		[]any{"x"},
		strings.Repeat("é", 129), strings.Repeat("é", 128),
	}
	switch rng.IntN(4) {
	case 0:
		delete(object, key)
	case 1:
		object[fmt.Sprintf("extra_%d", rng.IntN(3))] = odd[rng.IntN(len(odd))]
	default:
		object[key] = odd[rng.IntN(len(odd))]
	}
}

// The general validator on the same event, parsed: what Check is to be compared with.
func BenchmarkReferenceValidator(b *testing.B) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compile := func(name string) *jsonschema.Schema {
		source, err := events.Files.ReadFile("schemas/" + name + ".json")
		if err != nil {
			b.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
		if err != nil {
			b.Fatal(err)
		}
		if err := compiler.AddResource(name+".json", doc); err != nil {
			b.Fatal(err)
		}
		return compiler.MustCompile(name + ".json")
	}
	envelope, properties := compile("event-1-0-0"), compile("order_completed/1-0-0")
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(order))
	if err != nil {
		b.Fatal(err)
	}
	inner := value.(map[string]any)["properties"]
	b.ReportAllocs()
	for b.Loop() {
		if envelope.Validate(value) != nil || properties.Validate(inner) != nil {
			b.Fatal("invalid")
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := loadPlan(b)
	event := fastjson.MustParse(order)
	b.ReportAllocs()
	for b.Loop() {
		if p.Check(event) != nil {
			b.Fatal("invalid")
		}
	}
}
