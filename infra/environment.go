package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"

	"verdict/shared/awsio/setting"
	"verdict/shared/collect"
	"verdict/shared/notify"
	"verdict/shared/privacy"
)

// Environment is everything in which one deployment differs from another.
type Environment struct {
	Name    string // first part of every stack's name
	Account string // that may be deployed to; empty: that of the credentials
	Region  string // likewise
	Keep    bool   // data outlives its stack

	Namespaces []string // that write keys may stand for: Athena sees no other
	Since      string   // first event date that Athena looks for
	Domain     Domain   // of the collector; without it AWS names the address
	Edge       Edge     // CloudFront before the site and the collector; empty: none
	Origins    []string // of pages that may send events, as "https://shop.example" or "https://*.example"; none: all
	Cookie     string   // site of the network user id's cookie, such as "shop.example", of which Domain or Edge is a part; empty: none

	RequestsPerSecond float64       // the collector takes, steadily
	RequestBurst      float64       // and at once
	Buffer            time.Duration // how long Firehose gathers events before it writes a file
	CollectorMemory   float64       // MB; Lambda's share of a CPU grows with it
	JobMemory         float64       // MB

	RawDays   float64               // how long landed events are kept; 0: for ever
	Retention privacy.Retention     // likewise of namespaces that keep them for a shorter time
	LogDays   awslogs.RetentionDays // likewise of all logs
	ScanGiB   Scan                  // Athena cancels a query that would read more
	Schedule  Schedule

	Budget        Budget
	AlarmEmail    string // where alarms and warnings about cost go
	Docs          string // address at which people read this repository's docs, for links in alarms; empty: paths in it
	DecisionEmail string // where decisions go
	QuickSight    QuickSight
	Flags         Flags
	Lineage       string // address of an OpenLineage endpoint that is told of each job's runs, such as Marquez's; empty: they stand in the lake only
	Slack         Slack
	Notify        string // what each channel wants to be spared, such as "slack quiet=22-7 zone=Europe/Berlin; sns digest=only"
}

// Slack is how decisions are told and answered there. Its secrets are filled by people (docs/notifications.md).
type Slack struct {
	Channel   string   // that a bot posts to, such as "C0123456789"; a webhook has its own
	Buttons   bool     // proposals can be answered: the app's request URL is set
	Approvers []string // ids of the users who may answer, such as "U0123456789"; empty: everybody in the channel
}

// Domain is the address of the collector on the customer's own site, which keeps browsers from
// taking it for a third party.
type Domain struct {
	Name        string
	Certificate string // ARN in the same region
}

// Edge is a CloudFront distribution that serves a site and, on the collector's paths, the collector: as one server
// to browsers, which keep its cookies for longer than another's. It needs Domain, by which it reaches the collector.
type Edge struct {
	Name               string  // that people type, such as "www.shop.example"
	Certificate        string  // ARN in us-east-1
	Site               string  // host of everything but events, such as "origin.shop.example"
	RequestsPerAddress float64 // to the collector in five minutes, above which WAF blocks an address; 0: there is no WAF
}

// Budget is what the environment may cost, in USD; 0: nobody is told.
type Budget struct {
	Month, Day float64
}

// Scan is how much one query may read, by who asks: a job may read weeks of facts, a page is read by many, and a
// person may have forgotten a date.
type Scan struct {
	Pipeline, API, AdHoc float64
}

// Schedule says when each job runs, as EventBridge Scheduler writes it, in UTC.
type Schedule struct {
	Replay, Model, Resolve, Evaluate, Decide, Notify, Monitor, Privacy string
}

// Flags is where flags are read and moved.
type Flags struct {
	Platform    string // optimizely or launchdarkly
	Project     string // id or key; empty: no rollout is moved
	Environment string // key on the flag platform
	BaseURL     string // of the REST API; LaunchDarkly's is https://app.launchdarkly.com/api/v2
	Datafile    string // Optimizely: address of the environment's datafile; empty: none is read
}

// ready tells whether flags can be read.
func (f Flags) ready() bool {
	return f.Project != "" && (f.Platform == setting.LaunchDarkly || f.Datafile != "")
}

// check says everything that is wrong with an environment.
func (e Environment) check() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(e.Name+": "+format, args...))
		}
	}
	matches := func(pattern, text string) bool { return regexp.MustCompile("^(?:" + pattern + ")$").MatchString(text) }
	address := func(text string) bool {
		_, err := mail.ParseAddress(text)
		return text == "" || err == nil
	}

	must(matches("[a-z][a-z0-9]{1,11}", e.Name), "Name %q must be 2 to 12 small letters or digits", e.Name)
	must(matches("([0-9]{12})?", e.Account), "Account %q must be 12 digits or empty", e.Account)
	must(e.Keep || e.Name != "prod", "Keep must be true: prod's data outlives its stack")
	must(len(e.Namespaces) > 0, "Namespaces must name at least one")
	for _, n := range e.Namespaces {
		must(matches("[a-z][a-z0-9_]*", n), "Namespaces: %q must be small letters, digits and underscores", n)
	}
	_, err := time.Parse(time.DateOnly, e.Since)
	must(err == nil, "Since %q must be a day such as 2026-01-31", e.Since)
	must((e.Domain.Name == "") == (e.Domain.Certificate == ""), "Domain needs both Name and Certificate")
	must(collect.Origins(e.Origins).Check() == nil, "Origins %q must look like https://shop.example or https://*.example", e.Origins)
	must(e.Edge == Edge{} || e.Edge.Name != "" && e.Edge.Site != "" && strings.HasPrefix(e.Edge.Certificate, "arn:aws:acm:"+edgeRegion+":"),
		"Edge needs Name, Site, and a Certificate in %s", edgeRegion)
	must(e.Edge == Edge{} || e.Domain.Name != "" && e.Region != "", "Edge needs Domain, by which CloudFront reaches the collector, and Region")
	must(e.Edge.RequestsPerAddress == 0 || e.Edge.RequestsPerAddress >= 10, "Edge: RequestsPerAddress must be at least 10, as WAF demands, or 0")
	must(e.Cookie == "" || len(e.Origins) > 0 && strings.HasSuffix("."+cmp.Or(e.Edge.Name, e.Domain.Name), "."+e.Cookie),
		"Cookie %q needs Origins, and an Edge or Domain below it: a browser keeps no other", e.Cookie)
	must(e.RequestsPerSecond > 0 && e.RequestBurst > 0, "RequestsPerSecond and RequestBurst must be positive")
	must(e.Buffer >= time.Minute && e.Buffer <= 15*time.Minute, "Buffer %s must be from 1m to 15m, as Firehose demands", e.Buffer)
	must(e.CollectorMemory >= 128 && e.JobMemory >= 128, "CollectorMemory and JobMemory must be at least 128 MB, as Lambda demands")
	must(e.RawDays >= 0, "RawDays must not be negative")
	for _, n := range slices.Sorted(maps.Keys(e.Retention)) {
		must(slices.Contains(e.Namespaces, n), "Retention: %q is no namespace", n)
		must(e.Retention[n] >= 1, "Retention: %s must keep events for one day at least", n)
		must(e.RawDays == 0 || float64(e.Retention[n]) <= e.RawDays, "Retention: %s cannot keep events for longer than RawDays", n)
	}
	must(e.LogDays != "", "LogDays must be set")
	must(min(e.ScanGiB.Pipeline, e.ScanGiB.API, e.ScanGiB.AdHoc) >= 1, "ScanGiB must be at least 1 for Pipeline, API and AdHoc")
	for _, s := range []string{e.Schedule.Replay, e.Schedule.Model, e.Schedule.Resolve, e.Schedule.Evaluate, e.Schedule.Decide, e.Schedule.Notify, e.Schedule.Monitor, e.Schedule.Privacy} {
		must(matches(`rate\(.+\)|cron\(.+\)`, s), "Schedule %q must be rate(...) or cron(...)", s)
	}
	must(e.Budget.Month >= 0 && e.Budget.Day >= 0, "Budget must not be negative")
	must(e.Docs == "" || strings.HasPrefix(e.Docs, "https://"), "Docs %q must start with https://", e.Docs)
	must(matches("(arn:aws:quicksight:.+:.+:(group|user)/.+)?", e.QuickSight.Reader), "QuickSight: Reader %q must be the ARN of a group or user there", e.QuickSight.Reader)
	must(address(e.AlarmEmail), "AlarmEmail %q is no address", e.AlarmEmail)
	must(address(e.DecisionEmail), "DecisionEmail %q is no address", e.DecisionEmail)
	must(matches(setting.Optimizely+"|"+setting.LaunchDarkly, e.Flags.Platform), "Flags: Platform %q must be %s or %s", e.Flags.Platform, setting.Optimizely, setting.LaunchDarkly)
	must((e.Flags.Project == "") == (e.Flags.Environment == ""), "Flags needs both Project and Environment")
	must(e.Flags.Datafile == "" || e.Flags.Platform == setting.Optimizely, "Flags: Datafile is Optimizely's")
	for _, url := range []string{e.Flags.BaseURL, e.Flags.Datafile} {
		must(url == "" || strings.HasPrefix(url, "https://"), "Flags: %q must start with https://", url)
	}
	must(e.Lineage == "" || strings.HasPrefix(e.Lineage, "https://"), "Lineage %q must start with https://", e.Lineage)
	for _, user := range e.Slack.Approvers {
		must(matches("[UW][A-Z0-9]+", user), "Slack: approver %q must be a user's id such as U0123456789", user)
	}
	_, err = notify.ParsePolicies(e.Notify)
	must(err == nil, "Notify %q cannot be meant: %v", e.Notify, err)
	must(matches("([CG][A-Z0-9]+)?", e.Slack.Channel), "Slack: Channel %q must be a channel's id such as C0123456789", e.Slack.Channel)
	return errors.Join(wrong...)
}

// hints says what an environment does without, so that nobody finds out by waiting.
func (e Environment) hints() []string {
	var out []string
	if e.AlarmEmail == "" {
		out = append(out, "alarms reach nobody: set AlarmEmail")
	}
	if e.Budget == (Budget{}) {
		out = append(out, "nobody is told what it costs: set Budget")
	}
	if !e.Flags.ready() {
		out = append(out, "no flags are read and no rollout is moved: set Flags")
	}
	return out
}
