package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"verdict/shared/awsio/setting"
	"verdict/shared/embedded/shop"
	"verdict/shared/embedded/traffic"
)

const (
	requestRate = 200 // a second
	requests    = 30 * requestRate
	warmUp      = 2 * requestRate
	turn        = 2 * requestRate // of one function, until it is the other's
)

// BenchmarkAddedTime says how much later an answer comes because the collector stands behind it: the shop's batches, at
// a constant rate, to the collector and to a function that does nothing, one process each, counted from when each
// request was to be sent. The stream answers at once; what it takes to ask it counts as the collector's.
// On AWS a request that meets a busy process gets another one; here it waits, and the wait counts.
func BenchmarkAddedTime(b *testing.B) {
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetSecretValue") {
			io.WriteString(w, `{"SecretString":"{\"wk\":\"shop\"}"}`)
			return
		}
		taken := strings.Repeat(`,{"RecordId":"1"}`, bytes.Count(body, []byte(`"Data"`)))
		fmt.Fprintf(w, `{"FailedPutCount":0,"RequestResponses":[%s]}`, strings.TrimPrefix(taken, ","))
	}))
	b.Cleanup(aws.Close)
	batches, err := traffic.Record(b.Context(), shop.Config{
		Seed: 1, Visitors: requests, Days: 7, Start: time.Now().AddDate(0, 0, -7).Truncate(24 * time.Hour), WriteKey: "wk",
		Decide: func(string, string) shop.Decision { return shop.Decision{Variant: "control"} },
	}, requests)
	if err != nil {
		b.Fatal(err)
	}
	all, n := make([][]byte, len(batches)), 0
	for i, batch := range batches {
		n += batch.Events
		request := events.APIGatewayV2HTTPRequest{
			Version: "2.0", RawPath: "/v1/events", Body: string(batch.Body(time.Now())),
			Headers: map[string]string{"content-type": "text/plain", "user-agent": batch.Agent, "origin": "https://shop.example", "accept": "*/*"},
		}
		request.RequestContext.HTTP.Method, request.RequestContext.HTTP.SourceIP = http.MethodPost, "192.0.2.7"
		if all[i], err = json.Marshal(request); err != nil {
			b.Fatal(err)
		}
	}
	environment := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": aws.URL,
		setting.GoodStream: "good", setting.QuarantineStream: "quarantine", setting.WriteKeys: "write-keys",
		setting.Origins: "", setting.CookieDomain: "", setting.EdgeProof: "",
	}
	collector, _ := launch(b, "collector", environment)
	empty, _ := launch(b, "../tests/lambda/testdata/empty", nil)
	for b.Loop() {
		latencies(b, empty, all[:warmUp])
		latencies(b, collector, all[:warmUp])
		var nothing, ours []time.Duration
		for some := range slices.Chunk(all, turn) { // so that what else the machine does meets both
			nothing, ours = append(nothing, latencies(b, empty, some)...), append(ours, latencies(b, collector, some)...)
		}
		for name, share := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
			n, o := traffic.Quantile(nothing, share).Seconds()*1000, traffic.Quantile(ours, share).Seconds()*1000
			b.ReportMetric(n, "empty-"+name+"-ms")
			b.ReportMetric(o, "collector-"+name+"-ms")
			b.ReportMetric(o-n, "added-"+name+"-ms")
		}
	}
	b.ReportMetric(float64(n)/float64(len(batches)), "events/request")
	b.ReportMetric(0, "ns/op") // how long it ran says nothing
}

// latencies sends requests to a function at the constant rate.
func latencies(b *testing.B, r *runtime, requests [][]byte) []time.Duration {
	b.Helper()
	var mu sync.Mutex // a process has one invocation at a time
	call := func(_ context.Context, i int) {
		mu.Lock()
		defer mu.Unlock()
		r.next <- requests[i]
		if answer := <-r.answers; !bytes.Contains(answer, []byte(`"statusCode":200`)) {
			b.Errorf("answer %s", answer)
		}
	}
	return traffic.Constant(b.Context(), time.Now, len(requests), requestRate, call)
}
