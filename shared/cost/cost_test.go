package cost_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"verdict/shared/cost"
	"verdict/shared/fault"
)

func usage() cost.Usage {
	return cost.Usage{EventsPerDay: 1e6, Experiments: 10, Batch: 10, EventBytes: 1000, Namespaces: 1, RawDays: 100}
}

func prices(t *testing.T) cost.Prices {
	t.Helper()
	p, err := cost.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Every line, worked out by hand for a million events of a kilobyte a day.
func TestMonthly(t *testing.T) {
	const days = 30.4
	requests := 100_000 * days // 3.04 million
	files := days * 24 * 12
	want := map[string]float64{
		"API Gateway":                 3.04,
		"collector (Lambda)":          3.04*0.20 + requests*0.01*0.25*0.0000133334,
		"CloudWatch logs and metrics": requests*350/1e9*0.50 + 30*0.30 + 37*0.10,
		"Firehose":                    requests*10*1024/1e9*0.049 + files/1000*0.005, // ten events are 9.8 KB: two times five
		"S3":                          (0.14*100+0.0243*365)*0.023 + files/1000*0.005,
		"Athena, tables":              0.14 * 1.5 * 24 * days / 1000 * 5,
		"Athena, experiments":         0.0243 * 21 * 4 * days / 1000 * 10 * 5,
		"jobs (Lambda)":               6 * 24 * days * 60 * 0.0000133334,
		"secrets":                     2.40,
	}
	lines := prices(t).Monthly(usage())
	sum := 0.0
	for _, l := range lines {
		if math.Abs(l.USD-want[l.Service]) > 1e-9 {
			t.Errorf("%s: %v, want %v", l.Service, l.USD, want[l.Service])
		}
		sum += want[l.Service]
	}
	if len(lines) != len(want) || math.Abs(cost.Total(lines)-sum) > 1e-9 {
		t.Errorf("%d lines, together %v, want %d and %v", len(lines), cost.Total(lines), len(want), sum)
	}
	if got, want := prices(t).PerExperimentDay(usage()), 0.0243*21*4/1000*5; math.Abs(got-want) > 1e-9 {
		t.Errorf("an experiment a day: %v, want %v", got, want)
	}
}

// From some ten requests a second on, a container is cheaper than API Gateway, as docs/collector.md says.
func TestContainersPayFromTenRequestsASecond(t *testing.T) {
	for perSecond, want := range map[float64]bool{5: false, 8: false, 12: true, 100: true} {
		u := usage()
		u.EventsPerDay = perSecond * u.Batch * 86_400
		lambda := cost.Total(prices(t).Monthly(u))
		u.Container = true
		if got := cost.Total(prices(t).Monthly(u)) < lambda; got != want {
			t.Errorf("%g requests a second: containers are cheaper: %t, want %t", perSecond, got, want)
		}
	}
}

func TestQuotas(t *testing.T) {
	if got := cost.Quotas(usage()); len(got) > 0 {
		t.Errorf("a million events a day exceed %+v", got)
	}
	u := usage()
	u.EventsPerDay = 1e10
	names := cost.Quotas(u)
	if !slices.ContainsFunc(names, func(q cost.Quota) bool {
		return strings.HasPrefix(q.Name, "API Gateway") && q.Needs > q.Has && q.Raise != ""
	}) {
		t.Errorf("ten billion events a day exceed only %+v", names)
	}
}

func TestAPriceIsMissing(t *testing.T) {
	_, err := cost.Load("mine.yaml", []byte("as_of: 2026-01-01\nprices:\n  s3_gb_month: {usd: 1, source: x}\n"))
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "mine.yaml:") || !strings.Contains(err.Error(), "api_request_million") {
		t.Errorf("error %v", err)
	}
}
