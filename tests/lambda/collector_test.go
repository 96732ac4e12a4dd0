// Package lambda_test runs a Lambda's own binary as AWS does: it asks the Runtime API for events and
// reaches the services over the wire.
package lambda_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/setting"
)

// runtime is the Runtime API: it hands out invocations one at a time and takes their answers
// (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
type runtime struct {
	next    chan []byte
	answers chan []byte
}

func (r *runtime) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	switch path := strings.TrimPrefix(request.URL.Path, "/2018-06-01/runtime/"); path {
	case "invocation/next":
		select {
		case event := <-r.next:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", "r1")
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
			w.Write(event)
		case <-request.Context().Done():
		}
	case "invocation/r1/response":
		body, _ := io.ReadAll(request.Body)
		w.WriteHeader(http.StatusAccepted)
		r.answers <- body
	default: // an error of the function or its start
		body, _ := io.ReadAll(request.Body)
		w.WriteHeader(http.StatusAccepted)
		r.answers <- fmt.Appendf(nil, "%s: %s", path, body)
	}
}

// build makes a function's binary.
func build(tb testing.TB, name string) string {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "bootstrap")
	build := exec.CommandContext(tb.Context(), "go", "build", "-tags", "lambda.norpc", "-o", binary, "../../functions/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return binary
}

// launch runs a function with an environment, under a Runtime API of its own.
func launch(tb testing.TB, name string, environment map[string]string) (r *runtime, log *strings.Builder) {
	tb.Helper()
	binary := build(tb, name)
	r, log = &runtime{next: make(chan []byte), answers: make(chan []byte)}, &strings.Builder{}
	api := httptest.NewServer(r)
	tb.Cleanup(api.Close)
	ctx, cancel := context.WithCancel(tb.Context())
	function := exec.CommandContext(ctx, binary)
	function.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_EC2_METADATA_DISABLED=true"}
	for k, v := range environment {
		function.Env = append(function.Env, k+"="+v)
	}
	function.Stderr = log
	if err := function.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cancel()
		_ = function.Wait() // it was killed
	})
	return r, log
}

// start runs a function with an environment and returns how to invoke it.
func start(t *testing.T, name string, environment map[string]string) func(event any) []byte {
	t.Helper()
	r, log := launch(t, name, environment)
	return func(event any) []byte {
		t.Helper()
		body, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case r.next <- body:
		case answer := <-r.answers:
			t.Fatalf("the function did not start: %s", answer)
		case <-time.After(20 * time.Second):
			t.Fatalf("the function asks for no event: %s", log.String())
		}
		return <-r.answers
	}
}

func TestTheCollectorAsAWSRunsIt(t *testing.T) {
	secrets, config := awstest.New(t, "secretsmanager", map[string]awstest.Action{"GetSecretValue": func([]byte) (any, error) {
		return map[string]string{"SecretString": `{"wk":"shop"}`}, nil
	}})
	var stored []string
	streams, hose := awstest.New(t, "firehose", map[string]awstest.Action{"PutRecordBatch": func(input []byte) (any, error) {
		var in struct {
			DeliveryStreamName string
			Records            []struct{ Data []byte }
		}
		if err := json.Unmarshal(input, &in); err != nil {
			return nil, err
		}
		var answers []map[string]string
		for _, r := range in.Records {
			stored = append(stored, in.DeliveryStreamName+" "+string(r.Data))
			answers = append(answers, map[string]string{"RecordId": "1"})
		}
		return map[string]any{"FailedPutCount": 0, "RequestResponses": answers}, nil
	}})
	credentials, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	invoke := start(t, "collector", map[string]string{
		"AWS_REGION": config.Region, "AWS_ACCESS_KEY_ID": credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": *config.BaseEndpoint, "AWS_ENDPOINT_URL_FIREHOSE": *hose.BaseEndpoint, "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
		setting.GoodStream: "good", setting.QuarantineStream: "quarantine", setting.WriteKeys: "write-keys",
		setting.Origins: "", setting.CookieDomain: "", setting.EdgeProof: "",
	})
	request := events.APIGatewayV2HTTPRequest{
		RawPath: "/v1/events", Headers: map[string]string{"x-write-key": "wk", "content-type": "application/json"},
		Body: `{"events":[
			{"event_id":"0192f0c1-0000-7000-8000-000000000001","event":"page_viewed","schema":"1-0-0","ts":"2026-01-05T10:00:00Z","anonymous_id":"a","properties":{"page_type":"home"}},
			{"event_id":"0192f0c1-0000-7000-8000-000000000002","event":"page_eaten","schema":"1-0-0","ts":"2026-01-05T10:00:00Z","anonymous_id":"a","properties":{}}]}`,
	}
	request.RequestContext.HTTP.Method, request.RequestContext.HTTP.SourceIP = http.MethodPost, "192.0.2.7"
	for range 2 { // the second time by a warm function
		var answer events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(invoke(request), &answer); err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Body, `"accepted":1,"quarantined":1`) {
			t.Fatalf("answer %+v", answer)
		}
	}
	if len(stored) != 4 || !strings.HasPrefix(stored[0], "good {") || !strings.Contains(stored[0], `"namespace":"shop"`) || !strings.HasPrefix(stored[1], "quarantine {") {
		t.Errorf("stored %q", stored)
	}
	if n := len(secrets.Calls()); n != 1 || len(streams.Calls()) != 4 {
		t.Errorf("%d reads of the secret and %d puts, want 1 and 4", n, len(streams.Calls()))
	}
	request.Headers["x-write-key"] = "other"
	if answer := string(invoke(request)); !strings.Contains(answer, `"statusCode":401`) {
		t.Errorf("a wrong key: %s", answer)
	}
}

// In a container the same binary serves HTTP, and answers what it has accepted before it ends.
func TestTheCollectorAsAContainerRunsIt(t *testing.T) {
	_, secrets := awstest.New(t, "secretsmanager", map[string]awstest.Action{"GetSecretValue": func([]byte) (any, error) {
		return map[string]string{"SecretString": `{"wk":"shop"}`}, nil
	}})
	stored := make(chan string, 1)
	putting := make(chan struct{})
	_, hose := awstest.New(t, "firehose", map[string]awstest.Action{"PutRecordBatch": func(input []byte) (any, error) {
		close(putting)
		time.Sleep(300 * time.Millisecond) // until after the container was told to end
		stored <- string(input)
		return map[string]any{"FailedPutCount": 0, "RequestResponses": []map[string]string{{"RecordId": "1"}}}, nil
	}})
	credentials, err := secrets.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	var log strings.Builder
	collector := exec.CommandContext(t.Context(), build(t, "collector"))
	collector.Stderr = &log
	for k, v := range map[string]string{
		"AWS_REGION": secrets.Region, "AWS_ACCESS_KEY_ID": credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": *secrets.BaseEndpoint, "AWS_ENDPOINT_URL_FIREHOSE": *hose.BaseEndpoint, "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
		setting.GoodStream: "good", setting.QuarantineStream: "quarantine", setting.WriteKeys: "write-keys",
		setting.Origins: "", setting.CookieDomain: "shop.example", setting.EdgeProof: "", setting.Listen: address, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		collector.Env = append(collector.Env, k+"="+v)
	}
	if err := collector.Start(); err != nil {
		t.Fatal(err)
	}
	for tries := 0; ; tries++ {
		response, err := http.Get("http://" + address + "/health")
		if err == nil {
			response.Body.Close()
			break
		}
		if tries == 200 {
			t.Fatalf("it does not listen: %v\n%s", err, log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
	answers := make(chan string, 1)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/v1/events", strings.NewReader(
			`{"write_key":"wk","events":[{"event_id":"0192f0c1-0000-7000-8000-000000000001","event":"page_viewed","schema":"1-0-0","ts":"2026-01-05T10:00:00Z","anonymous_id":"a","properties":{"page_type":"home"}}]}`))
		r.Header.Set("X-Forwarded-For", "6.6.6.6, 198.51.100.7") // the client says the first, the load balancer the last
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answers <- response.Status + string(body) + response.Header.Get("Set-Cookie")
	}()
	<-putting
	if err := collector.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if answer := <-answers; !strings.HasPrefix(answer, "200 OK") || !strings.Contains(answer, `"accepted":1`) || !strings.Contains(answer, "verdict_nid=") {
		t.Errorf("answer %s", answer)
	}
	if err := collector.Wait(); err != nil {
		t.Errorf("the container ended with %v\n%s", err, log.String())
	}
	var in struct{ Records []struct{ Data []byte } }
	if err := json.Unmarshal([]byte(<-stored), &in); err != nil {
		t.Fatal(err)
	}
	if line := string(in.Records[0].Data); !strings.Contains(line, `"ip":"198.51.100.0"`) {
		t.Errorf("stored %s", line)
	}
}
