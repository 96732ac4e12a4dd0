package emf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/collect"
	"verdict/shared/lambdaio/emf"
	"verdict/shared/monitor"
)

func now() time.Time { return time.UnixMilli(1_767_607_200_000).UTC() }

// The shape is that of the specification: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
func TestLinesAreEmbeddedMetrics(t *testing.T) {
	var out bytes.Buffer
	c := &emf.Collector{W: &out, Now: now, Log: slog.New(slog.DiscardHandler)}
	c.Measure(t.Context(), collect.Measurement{
		Namespace: "shop", Received: 3, Accepted: 1, Quarantined: 2, Broken: map[string]int{"unknown": 1, "page_viewed": 1},
		Dropped: map[string]int{"evicted": 3}, Skew: -90 * time.Second, Took: 12 * time.Millisecond,
	})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var got []map[string]any
	for _, line := range lines {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		// Every dimension and every metric that is declared is there, at the top level.
		for _, d := range v["_aws"].(map[string]any)["CloudWatchMetrics"].([]any) {
			for _, set := range d.(map[string]any)["Dimensions"].([]any) {
				for _, name := range set.([]any) {
					if _, ok := v[name.(string)].(string); !ok {
						t.Errorf("dimension %v is missing in %s", name, line)
					}
				}
			}
			for _, m := range d.(map[string]any)["Metrics"].([]any) {
				if _, ok := v[m.(map[string]any)["Name"].(string)].(float64); !ok {
					t.Errorf("metric %v is missing in %s", m, line)
				}
			}
		}
		if v["_aws"].(map[string]any)["Timestamp"] != 1_767_607_200_000.0 {
			t.Errorf("timestamp in %s", line)
		}
		delete(v, "_aws")
		got = append(got, v)
	}
	want := []map[string]any{
		{"namespace": "shop", "Received": 3.0, "Accepted": 1.0, "Quarantined": 2.0, "NotStored": 0.0, "Duplicated": 0.0, "ClockSkew": 90000.0, "Latency": 12.0},
		{"namespace": "shop", "contract": "page_viewed", "ContractBroken": 1.0},
		{"namespace": "shop", "contract": "unknown", "ContractBroken": 1.0},
		{"namespace": "shop", "cause": "evicted", "ClientDropped": 3.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestALogThatIsGoneIsSaid(t *testing.T) {
	var log bytes.Buffer
	c := &emf.Collector{W: broken{}, Now: now, Log: slog.New(slog.NewTextHandler(&log, nil))}
	c.Measure(t.Context(), collect.Measurement{Namespace: "shop"})
	if !strings.Contains(log.String(), "a metric was not written") {
		t.Errorf("log: %q", log.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("closed") }

// Of each reading the highest is a metric without dimensions; what is above its limit is said in the log.
func TestReadingsAreMetrics(t *testing.T) {
	var out, log bytes.Buffer
	c := &emf.Collector{W: &out, Now: now, Log: slog.New(slog.NewTextHandler(&log, nil))}
	c.Readings(t.Context(), []monitor.Reading{
		{Name: "psi", Of: "a.b", Value: 0.1, Limit: 0.25},
		{Name: "psi", Of: "a.c", Value: 0.4, Limit: 0.25, Says: "another mix"},
		{Name: "lag_seconds", Value: math.Inf(1), Limit: 7800, Says: "nothing arrived"},
	})
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["psi"] != 0.4 || got["lag_seconds"] != 1e12 {
		t.Errorf("metrics %v", got)
	}
	if text := log.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "a.c") || !strings.Contains(text, "nothing arrived") {
		t.Errorf("log %s", text)
	}
}
