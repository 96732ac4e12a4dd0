// Package cost prices a deployment: what each service would take a month at a number of events a day, with the
// arithmetic, so that a bill can be understood before it comes.
package cost

import (
	_ "embed"
	"fmt"
	"math"

	"verdict/shared/definition"
)

//go:embed prices.yaml
var priceList []byte

// Prices are list prices by name.
type Prices struct {
	AsOf   string           `yaml:"as_of"`
	Prices map[string]Price `yaml:"prices"`
}

// Price is one of them.
type Price struct {
	USD    float64 `yaml:"usd"`
	Source string  `yaml:"source"`
}

// Load reads a price list; nil is the built-in one.
func Load(file string, source []byte) (Prices, error) {
	if source == nil {
		file, source = "prices.yaml", priceList
	}
	var p Prices
	doc, err := definition.Decode(file, source, &p)
	if err != nil {
		return p, err
	}
	for _, name := range names() {
		if _, ok := p.Prices[name]; !ok {
			return p, doc.Errorf("$.prices", "the price %s is missing", name)
		}
	}
	return p, nil
}

func names() []string {
	return []string{
		"api_request_million", "api_request_million_over", "lambda_request_million", "lambda_gb_second", "balancer_hour", "balancer_unit_hour", "task_hour",
		"firehose_gb", "firehose_partition_gb", "firehose_partition_thousand_objects", "s3_gb_month", "s3_put_thousand", "athena_tb",
		"alarm_month", "metric_month", "log_gb", "secret_month",
	}
}

// Usage is what a deployment has to do.
type Usage struct {
	EventsPerDay float64
	Experiments  float64
	Batch        float64 // events a request; the SDK gathers for a second
	EventBytes   float64 // of a landed line, before gzip
	Namespaces   float64
	RawDays      float64 // how long raw events are kept
	Container    bool    // the collector behind a load balancer instead of API Gateway
}

// Measured on one machine; each names its test.
const (
	daysAMonth = 30.4
	// zipped is a landed line's share after gzip (the files of make demo).
	zipped = 0.14
	// factBytes an event takes as Parquet: 243 MB for ten million (make bench, shared/measure).
	factBytes = 24.3
	// collectSeconds of a function with collectGB of memory for a request, mostly waiting for Firehose.
	collectSeconds, collectGB = 0.010, 0.25
	// recordKB is what Firehose rounds each record up to.
	recordKB = 5
	// requestsPerTask is what a quarter of a core takes at half load (make bench, shared/collect).
	requestsPerTask = 450
	// modelRuns a day rebuild the day in force, half of it on average, and read the two beside it, of which the
	// one that is to come is empty.
	modelRuns, modelDays = 24, 1.5
	// windowDays of facts an evaluation reads: three weeks of exposures and what followed. Of a file Athena reads the
	// columns that the metrics name; the whole is an upper bound.
	windowDays, evaluations = 21, 4
	jobs, jobGB, jobMinutes = 6, 1.0, 1.0 // scheduled functions, hourly
	fileEvents              = 40_000      // Firehose writes a file after five minutes or 128 MB
	fixedAlarms, metrics    = 37, 30
	secrets                 = 6
	logBytes                = 350 // of metrics and a report line per request
)

// Line is what one service takes a month.
type Line struct {
	Service string  `json:"service"`
	USD     float64 `json:"usd"`
	How     string  `json:"how"`
}

// Monthly prices a usage.
func (p Prices) Monthly(u Usage) []Line {
	at := func(name string) float64 { return p.Prices[name].USD }
	requests := u.EventsPerDay * daysAMonth / u.Batch
	million := requests / 1e6
	var out []Line
	add := func(service string, usd float64, how string, args ...any) {
		out = append(out, Line{service, usd, fmt.Sprintf(how, args...)})
	}
	if u.Container {
		perSecond := requests / (daysAMonth * 86_400)
		tasks := math.Max(2, math.Ceil(perSecond/requestsPerTask))
		hours := daysAMonth * 24
		add("collector (containers)", hours*(at("balancer_hour")+at("balancer_unit_hour")*math.Max(1, perSecond/25)+tasks*at("task_hour")),
			"%.0f requests a second: a load balancer with %.0f capacity units, %.0f tasks", perSecond, math.Max(1, perSecond/25), tasks)
	} else {
		over := math.Max(0, million-300)
		add("API Gateway", (million-over)*at("api_request_million")+over*at("api_request_million_over"), "%.1f million requests of %.0f events", million, u.Batch)
		add("collector (Lambda)", million*at("lambda_request_million")+requests*collectSeconds*collectGB*at("lambda_gb_second"), "10 ms of 0.25 GB each")
	}
	add("CloudWatch logs and metrics", requests*logBytes/1e9*at("log_gb")+metrics*at("metric_month")+(fixedAlarms)*at("alarm_month"), "%.0f bytes a request, %d metrics, %d alarms", float64(logBytes), metrics, fixedAlarms)
	record := math.Ceil(u.Batch*u.EventBytes/1024/recordKB) * recordKB * 1024
	files := daysAMonth * math.Max(u.Namespaces*24*12, u.EventsPerDay/fileEvents)
	add("Firehose", requests*record/1e9*(at("firehose_gb")+at("firehose_partition_gb"))+files/1000*at("firehose_partition_thousand_objects"),
		"%.0f KB a record of %.0f events, %.1f TB, %.0f files", record/1024, u.Batch, requests*record/1e12, files)
	rawGB := u.EventsPerDay * u.EventBytes * zipped / 1e9
	factGB := u.EventsPerDay * factBytes / 1e9
	const factDays = 365
	add("S3", (rawGB*u.RawDays+factGB*factDays)*at("s3_gb_month")+files/1000*at("s3_put_thousand"), "%.1f GB raw a day for %.0f days, %.1f GB of facts a day for a year", rawGB, u.RawDays, factGB)
	model := rawGB * modelDays * modelRuns * daysAMonth / 1000
	evaluate := factGB * windowDays * evaluations * daysAMonth / 1000 * u.Experiments
	add("Athena, tables", model*at("athena_tb"), "%.2f TB: %d times a day, %.1f days of raw", model, modelRuns, modelDays)
	add("Athena, experiments", evaluate*at("athena_tb"), "%.2f TB: %.0f experiments, %d times a day, %d days of facts", evaluate, u.Experiments, evaluations, windowDays)
	add("jobs (Lambda)", jobs*24*daysAMonth*jobMinutes*60*jobGB*at("lambda_gb_second"), "%d an hour, %.0f minute of %.0f GB each", jobs, jobMinutes, jobGB)
	add("secrets", secrets*at("secret_month"), "%d", secrets)
	return out
}

// Total adds up.
func Total(lines []Line) float64 {
	sum := 0.0
	for _, l := range lines {
		sum += l.USD
	}
	return sum
}

// PerExperimentDay is what one more experiment costs a day.
func (p Prices) PerExperimentDay(u Usage) float64 {
	one := u
	one.Experiments++
	return (Total(p.Monthly(one)) - Total(p.Monthly(u))) / daysAMonth
}

// Quota is a limit of AWS's that binds.
type Quota struct {
	Name  string  `json:"name"`
	Needs float64 `json:"needs"`
	Has   float64 `json:"has"`
	Raise string  `json:"raise"`
}

// peak is how much a busy second is above an average one.
const peak = 3

// Quotas lists the default limits of a region that a usage exceeds at its peak, the nearest first.
func Quotas(u Usage) []Quota {
	perSecond := u.EventsPerDay / 86_400 * peak
	requests := perSecond / u.Batch
	all := []Quota{
		{"Firehose, records a second and stream", requests, 500_000, "ask for more, or one stream per namespace"},
		{"Firehose, MiB a second and stream", perSecond * u.EventBytes / (1 << 20), 5, "ask for more (us-east-1; 1 MiB/s elsewhere), or one stream per namespace"},
		{"API Gateway, requests a second and region", requests, 10_000, "ask for more, or put the collector into containers"},
		{"Lambda, functions at once and region", requests * collectSeconds * 10, 1000, "ask for more; reserve some for the jobs"},
		{"Firehose, partitions open at once", u.Namespaces * 30, 500, "ask for more; a month of days arrives after an outage"},
		{"Athena, minutes of a query", u.EventsPerDay * u.EventBytes * zipped * modelDays / 1e9 / 60, 30, "run the tables by namespace, or ask for more"},
	}
	out := []Quota{}
	for _, q := range all {
		if q.Needs > q.Has {
			out = append(out, q)
		}
	}
	return out
}
