package optimizely_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/optimizely/go-sdk/v2/pkg/logging"

	"verdict/shared/embedded/flagapi"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/optimizely"
)

// mixed is a datafile in the platform's own layout: an experiment in a mutual exclusion group, at
// half its traffic, with an allow list; a delivery; and the platform's default rule.
const mixed = `{
	"version": "4", "revision": "17", "projectId": "1", "accountId": "1", "environmentKey": "production",
	"featureFlags": [
		{"id": "1", "key": "search", "rolloutId": "r1", "experimentIds": ["11"], "variables": []},
		{"id": "2", "key": "banner", "rolloutId": "r2", "experimentIds": [], "variables": []}
	],
	"experiments": [],
	"groups": [{"id": "g", "policy": "random",
		"trafficAllocation": [{"entityId": "99", "endOfRange": 6000}, {"entityId": "11", "endOfRange": 10000}],
		"experiments": [{"id": "11", "key": "fuzzy_search", "layerId": "1", "status": "Running", "audienceIds": [],
			"forcedVariations": {"tester": "treatment"},
			"variations": [{"id": "v2", "key": "treatment", "featureEnabled": true}, {"id": "v1", "key": "control", "featureEnabled": true}],
			"trafficAllocation": [
				{"entityId": "v1", "endOfRange": 3000}, {"entityId": "", "endOfRange": 6000},
				{"entityId": "v2", "endOfRange": 8000}, {"entityId": "", "endOfRange": 10000}]}]}],
	"rollouts": [
		{"id": "r1", "experiments": [
			{"id": "12", "key": "fr_first", "status": "Running", "audienceIds": ["fr"], "variations": [{"id": "v2", "key": "treatment", "featureEnabled": true}],
			 "trafficAllocation": [{"entityId": "v2", "endOfRange": 10000}], "forcedVariations": {}},
			{"id": "default-rollout-1", "key": "default-rollout-1", "status": "Running", "audienceIds": [], "variations": [{"id": "v0", "key": "off", "featureEnabled": false}],
			 "trafficAllocation": [{"entityId": "v0", "endOfRange": 10000}], "forcedVariations": {}}]},
		{"id": "r2", "experiments": [
			{"id": "default-rollout-2", "key": "default-rollout-2", "status": "Running", "audienceIds": [], "variations": [{"id": "v9", "key": "off", "featureEnabled": false}],
			 "trafficAllocation": [{"entityId": "v9", "endOfRange": 10000}], "forcedVariations": {}}]}
	],
	"audiences": [], "typedAudiences": [{"id": "fr", "name": "French", "conditions": ["or", {"type": "custom_attribute", "match": "exact", "name": "country", "value": "FR"}]}],
	"attributes": [{"id": "c", "key": "country"}], "events": [], "variables": [], "anonymizeIP": true, "botFiltering": false
}`

func TestReadDatafile(t *testing.T) {
	got, err := optimizely.ReadDatafile([]byte(mixed), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []feature.Flag{
		{Key: "banner", Environment: "production", Revision: "17"},
		{Key: "search", Environment: "production", Revision: "17", Enabled: true, Rules: []feature.Rule{
			{Key: "fuzzy_search", Kind: feature.Experiment, Included: 0.2, Variants: []feature.Variant{{Key: "control", Share: 0.6}, {Key: "treatment", Share: 0.4}}},
			{Key: "fr_first", Kind: feature.Delivery, Included: 1, Variants: []feature.Variant{{Key: "treatment", Share: 1}}},
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

func TestReadDatafileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, environment, says string }{
		"nothing":               {"", "", "parse datafile"},
		"null":                  {"null", "", "version"},
		"another version":       {`{"version": "3"}`, "", `"3"`},
		"a page":                {"<html>", "", "parse datafile"},
		"another environment":   {mixed, "staging", "SDK key"},
		"fields of wrong types": {`{"version": "4", "experiments": {}}`, "", "parse datafile"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := optimizely.ReadDatafile([]byte(c.file), c.environment)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error = %v, want an invalid one that says %q", err, c.says)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	b, err := optimizely.NewBucketer([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("allow list comes first", func(t *testing.T) {
		got, err := b.Decide("search", "tester", nil)
		want := optimizely.Decision{Flag: "search", Rule: "fuzzy_search", Kind: feature.Experiment, Variation: "treatment", Enabled: true}
		if err != nil || got != want {
			t.Errorf("decision = %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("audiences look at attributes", func(t *testing.T) {
		for country, want := range map[string]string{"FR": "fr_first", "DE": "default-rollout-1"} {
			for i := range 100 {
				got, err := b.Decide("search", strconv.Itoa(i), map[string]any{"country": country})
				if err != nil || (got.Rule != want && got.Rule != "fuzzy_search") {
					t.Fatalf("decision in %s = %+v, %v, want rule %s or the experiment", country, got, err, want)
				}
			}
		}
	})
	t.Run("a flag without rules gives its default", func(t *testing.T) {
		got, err := b.Decide("banner", "u", nil)
		want := optimizely.Decision{Flag: "banner", Rule: "default-rollout-2", Kind: feature.Delivery, Variation: "off"}
		if err != nil || got != want {
			t.Errorf("decision = %+v, %v, want %+v", got, err, want)
		}
	})
	t.Run("an unknown flag is not found", func(t *testing.T) {
		if _, err := b.Decide("nowhere", "u", nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("error = %v, want not found", err)
		}
	})
}

// heard collects what the SDK would print; its default is everything from level info.
type heard []string

func (h *heard) Log(level logging.LogLevel, message string, _ map[string]any) {
	if level >= logging.LogLevelInfo {
		*h = append(*h, message)
	}
}

func (*heard) SetLogLevel(logging.LogLevel) {}

func TestNothingIsPrinted(t *testing.T) {
	var got heard
	logging.SetLogger(&got)
	t.Cleanup(func() { logging.SetLogger(logging.NewFilteredLevelLogConsumer(logging.LogLevelInfo, os.Stdout)) })
	b, err := optimizely.NewBucketer([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := optimizely.ReadDatafile([]byte(mixed), ""); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := b.Decide("search", strconv.Itoa(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) > 0 {
		t.Errorf("the SDK printed %q, want nothing", got)
	}
}

func BenchmarkDecide(b *testing.B) {
	for name, attributes := range map[string]map[string]any{"no attributes": nil, "attributes": {"country": "FR"}} {
		b.Run(name, func(b *testing.B) {
			bucketer, err := optimizely.NewBucketer([]byte(mixed))
			if err != nil {
				b.Fatal(err)
			}
			users := make([]string, 1024)
			for i := range users {
				users[i] = fmt.Sprintf("user-%05d", i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := bucketer.Decide("search", users[i%len(users)], attributes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("experiment only", func(b *testing.B) {
		server, err := flagapi.New(flagapi.Config{}, []feature.Flag{checkout()}, newClock().Now)
		if err != nil {
			b.Fatal(err)
		}
		file, err := server.Datafile("production")
		if err != nil {
			b.Fatal(err)
		}
		bucketer, err := optimizely.NewBucketer(file)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := bucketer.Decide("checkout", "user-12345", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
