// Package aws_test deploys the AWS side to an emulator on loopback, as docs/deploy.md says, and runs it
// there: the stacks of infra, the Lambdas' own binaries, the shop's traffic through API Gateway.
package aws_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/firehose"

	"verdict/shared/awsio/s3"
	"verdict/shared/awsio/setting"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/embedded/shop"
	"verdict/shared/experiment"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/optimizely"
	"verdict/shared/project"
	"verdict/tests/athenafront"
)

const (
	stage       = "production" // of the flag platform
	token       = "token"
	flagProject = "1"
	writeKey    = "wk_shop"
	visitors    = 300
	days        = 21
)

func TestOnAnEmulator(t *testing.T) {
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	// What the emulator's Athena and Firehose cannot do, these do; they get their insides after the deployment.
	athena, hose := http.NewServeMux(), http.NewServeMux()
	e := start(t, map[string]string{"ATHENA": serve(t, athena), "FIREHOSE": serve(t, hose)})
	hose.Handle("/", streams{firehose.NewFromConfig(e.config())})

	e.run(t, "bootstrap", "aws://000000000000/"+region)
	out := e.deploy(t)
	e.run(t, "diff", "dev/*", "--fail") // nothing is left to deploy
	e.rest(t)                           // jobs run when this test says so
	bucket := out.get(t, "verdict-dev-data", "ExportsOutputRefLakeBucket")
	m := newMirror(t, e.config(), bucket, "verdict_dev", p)
	athena.Handle("/", athenafront.New(e.query(t, m), m.bucket.Location("")))
	e.fill(t, "verdict/dev/write-keys", `{"`+writeKey+`":"shop"}`)

	flags := openFlags(t, p.Experiments)
	collector := out.get(t, "verdict-dev-app", "collectorAddress")
	start := p.Experiments[0].Start.Time
	flagAPI, inbox, channel := serve(t, flags), &mailbox{}, &mailbox{}
	e.fill(t, "verdict/dev/flags", token)
	e.fill(t, "verdict/dev/slack", serve(t, channel))
	e.set(t, "elt", map[string]string{setting.Datafile: flagAPI + flagapi.DatafilePath(stage)})
	e.set(t, "decider", map[string]string{
		setting.FlagURL: flagAPI + flagapi.BasePath, setting.FlagProject: flagProject, setting.FlagStage: stage,
	})
	e.subscribe(t, inbox)

	end := start.AddDate(0, 0, days)
	_ = t.Run("events land", func(t *testing.T) { e.collects(t, m.bucket, collector, flags, start) }) && // the next steps need what one does
		t.Run("a browser's events land", func(t *testing.T) { browses(t, m.bucket, collector) }) &&
		t.Run("a schedule runs elt", func(t *testing.T) { e.gather(t, bucket); e.models(t, m) }) &&
		t.Run("the jobs decide", func(t *testing.T) { e.decides(t, m, flags, inbox, channel, end) }) &&
		t.Run("the dashboard answers", func(t *testing.T) { e.shows(t, out.get(t, "verdict-dev-app", "dashboardAddress")) }) &&
		t.Run("the metrics API answers", func(t *testing.T) {
			e.tells(t, out.get(t, "verdict-dev-app", "metricsSignedAddress"), out.get(t, "verdict-dev-app", "metricsKeyedAddress"), start)
		}) &&
		t.Run("one machine says the same", func(t *testing.T) { sameOnOneMachine(t, m, p, end) }) &&
		t.Run("a person is erased", func(t *testing.T) { e.forgets(t, m, end) }) &&
		t.Run("a load generator's events land", func(t *testing.T) { e.loads(t, m.bucket, collector) }) &&
		t.Run("a redeployment and its rollback fail no request", func(t *testing.T) { e.redeploys(t, m.bucket, collector) }) &&
		t.Run("destroy leaves nothing", func(t *testing.T) { e.vanishes(t, bucket) })
}

// serve is a server on loopback for as long as the test.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// openFlags starts the stand-in for Optimizely with the experiments as they would be set up there.
func openFlags(t *testing.T, experiments []*experiment.Experiment) *flagapi.Server {
	t.Helper()
	var flags []feature.Flag
	for _, e := range experiments {
		rule := feature.Rule{Key: e.ID, Kind: feature.Experiment, Included: e.Traffic}
		for _, v := range e.Variants {
			rule.Variants = append(rule.Variants, feature.Variant{Key: v.Key, Share: v.Share})
		}
		flags = append(flags, feature.Flag{Key: e.Flag, Environment: stage, Enabled: true, Rules: []feature.Rule{rule}})
	}
	server, err := flagapi.New(flagapi.Config{Project: flagProject, Token: token, Default: "control"}, flags, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// collects plays the shop against the deployed collector, and looks where its events went.
func (e *emulator) collects(t *testing.T, bucket *s3.Bucket, collector string, flags *flagapi.Server, start time.Time) {
	t.Helper()
	datafile, err := flags.Datafile(stage)
	if err != nil {
		t.Fatal(err)
	}
	bucketer, err := optimizely.NewBucketer(datafile)
	if err != nil {
		t.Fatal(err)
	}
	var now atomic.Pointer[time.Time]
	client := *e.client
	client.Transport = present{e.client.Transport, &now}
	visits := shop.New(shop.Config{
		Seed: 1, Visitors: visitors, Days: days, Start: start, CollectorURL: collector + "/v1/events", WriteKey: writeKey,
		SetClock: func(at time.Time) { now.Store(&at) }, Client: &client,
		Decide: func(flag, user string) shop.Decision {
			d, err := bucketer.Decide(flag, user, nil)
			if err != nil || d.Kind != feature.Experiment {
				return shop.Decision{Variant: d.Variation}
			}
			return shop.Decision{Variant: d.Variation, Experiment: d.Rule}
		},
	})
	for day := range days {
		if err := visits.PlayDay(t.Context(), day); err != nil {
			t.Fatal(err)
		}
	}
	if err := visits.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent := visits.Counts()
	deserters := desert(bucketer, start)
	e.post(t, collector, deserters)
	landed := map[string]int{}
	for _, prefix := range []string{"raw/", "quarantine/", "errors/"} {
		objects, err := bucket.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			landed[prefix] += lines(t, bucket, o)
			if parts := strings.Split(o.Key, "/"); prefix != "errors/" && (parts[1] != "namespace=shop" || !strings.HasPrefix(parts[2], "event_date=2026-")) {
				t.Errorf("an event landed at %s", o.Key)
			}
		}
	}
	t.Logf("sent %+v, landed %v", sent, landed)
	if landed["quarantine/"] == 0 || landed["errors/"] != 0 || landed["raw/"]+landed["quarantine/"] != sent.Events+len(deserters) {
		t.Errorf("landed %v of %d events, %d of them broken", landed, sent.Events, sent.Invalid)
	}
}

// browses lets the browser SDK in a real Chromium, on a page of another origin, send to the collector.
func browses(t *testing.T, bucket *s3.Bucket, collector string) {
	t.Helper()
	chromium := exec.CommandContext(t.Context(), "node", "../../events/web/chromium/deployed.mjs", collector, writeKey)
	out, err := chromium.CombinedOutput()
	if err != nil {
		t.Fatalf("browser: %v\n%s", err, out)
	}
	objects, err := bucket.List(t.Context(), "raw/namespace=shop/event_date=2026-")
	if err != nil {
		t.Fatal(err)
	}
	landed := 0
	for _, o := range objects {
		body, err := bucket.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), `"event_name":"search_performed"`) && strings.Contains(string(body), `"app":{"name":"deployed"`) { // one event an object, see streams
			landed++
		}
	}
	if sent := strings.TrimSpace(string(out)); sent == "0" || strconv.Itoa(landed) != sent {
		t.Errorf("%d events landed of %s", landed, sent)
	}
}

func lines(t *testing.T, bucket *s3.Bucket, o lake.Object) int {
	t.Helper()
	body, err := bucket.Get(t.Context(), o.Key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(body), "\n")
}
