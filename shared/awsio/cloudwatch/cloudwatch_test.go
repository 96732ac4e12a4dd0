package cloudwatch_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/cloudwatch"
	"verdict/shared/fault"
	"verdict/shared/ledger"
)

// page is an answer of GetMetricData as the API reference has it.
func page(next string, members ...string) string {
	token := ""
	if next != "" {
		token = "<NextToken>" + next + "</NextToken>"
	}
	return `<GetMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><GetMetricDataResult>` + token +
		"<MetricDataResults>" + strings.Join(members, "") + "</MetricDataResults></GetMetricDataResult></GetMetricDataResponse>"
}

func series(label, at, value string) string {
	return "<member><Id>counts</Id><Label>" + label + "</Label><StatusCode>Complete</StatusCode><Timestamps><member>" + at +
		"</member></Timestamps><Values><member>" + value + "</member></Values></member>"
}

func TestCollected(t *testing.T) {
	var asked []map[string]string
	_, config := awstest.New(t, "monitoring", map[string]awstest.Action{"GetMetricData": func(input []byte) (any, error) {
		var in map[string]string
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, err
		}
		asked = append(asked, in)
		switch {
		case strings.Contains(in["MetricDataQueries.member.1.Expression"], `MetricName="Quarantined"`):
			return page("", series("shop", "2026-01-05T10:00:00Z", "3")), nil
		case in["NextToken"] == "":
			return page("more", series("shop", "2026-01-05T10:00:00Z", "100"), series("other", "2026-01-05T10:00:00Z", "7")), nil
		default:
			return page("", series("shop", "2026-01-05T11:00:00Z", "50")), nil
		}
	}})
	from := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	got, err := cloudwatch.New(config, "Verdict").Collected(t.Context(), from, from.AddDate(0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	want := []ledger.Count{
		{Namespace: "other", Hour: "2026-01-05T10", Accepted: 7},
		{Namespace: "shop", Hour: "2026-01-05T10", Accepted: 100, Quarantined: 3},
		{Namespace: "shop", Hour: "2026-01-05T11", Accepted: 50},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(asked) != 3 {
		t.Fatalf("asked %d times, want two pages and one", len(asked))
	}
	if got, want := asked[0]["MetricDataQueries.member.1.Expression"], `SEARCH('{Verdict,namespace} MetricName="Accepted"', 'Sum', 3600)`; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if asked[0]["StartTime"] != "2026-01-05T00:00:00Z" || asked[0]["EndTime"] != "2026-01-06T00:00:00Z" {
		t.Errorf("asked from %s to %s", asked[0]["StartTime"], asked[0]["EndTime"])
	}
}

func TestABusyServiceIsTransient(t *testing.T) {
	_, config := awstest.New(t, "monitoring", map[string]awstest.Action{"GetMetricData": func([]byte) (any, error) {
		return nil, &awstest.RefusalError{Status: 400, Code: "Throttling", Message: "Rate exceeded", XML: true}
	}})
	_, err := cloudwatch.New(config, "Verdict").Collected(t.Context(), time.Unix(0, 0), time.Unix(1, 0))
	if !fault.Is(err, fault.Transient) {
		t.Errorf("error %v (%s), want transient", err, fault.Of(err))
	}
}
