package aws_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

const region = "us-east-1"

// emulator is AWS on loopback. It knows one account and believes every signature.
type emulator struct {
	address string
	cdk     string
	log     string
	client  *http.Client // for addresses that the emulator gives out, whatever their names
}

// start runs the emulator, whose Lambdas find the given services elsewhere than at the emulator.
func start(t *testing.T, elsewhere map[string]string) *emulator {
	t.Helper()
	binary, cdk := os.Getenv("EMULATOR"), os.Getenv("CDK")
	if binary == "" || cdk == "" {
		t.Skip("no emulator of AWS: make e2e-aws brings one")
	}
	e := &emulator{address: free(t), cdk: cdk, log: filepath.Join(t.TempDir(), "emulator.log")}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	e.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, e.address)
		},
		MaxIdleConnsPerHost: 16,
	}}
	_, port, err := net.SplitHostPort(e.address)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(e.log)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary) //nolint:gosec // the Makefile names it; it is ended below, with its Lambdas
	command.Stdout, command.Stderr = log, log
	command.Env = append(e.environment(),
		"GATEWAY_PORT="+port, "BIND_HOST=127.0.0.1", "IOT_MTLS_ENABLED=0", "SFTP_ENABLED=0", "DOCKER_HOST=unix:///dev/null")
	for service, url := range elsewhere {
		command.Env = append(command.Env, "AWS_ENDPOINT_URL_"+service+"="+url)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt) // it ends its Lambdas, too
		done := make(chan error, 1)
		go func() { done <- command.Wait() }()
		select {
		case <-done:
		case <-time.After(15 * time.Second):
			_ = command.Process.Kill()
			<-done
		}
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(e.log)
			t.Logf("the emulator's last words:\n%s", text[max(0, len(text)-8000):])
		}
	})
	within(t, time.Minute, "the emulator answers", func() bool {
		response, err := http.Get(e.url() + "/_ministack/health")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return e
}

// free is an address on loopback that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// environment leads everything that speaks to AWS to the emulator, with credentials of nobody.
func (e *emulator) environment() []string {
	home := os.TempDir() // no settings of whoever runs this
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + home, "GOFLAGS=" + os.Getenv("GOFLAGS"),
		"AWS_ENDPOINT_URL=" + e.url(), "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"CDK_DISABLE_CLI_TELEMETRY=true", "CDK_DISABLE_VERSION_CHECK=true", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=20",
	}
}

func (e *emulator) url() string { return "http://" + e.address }

// config leads the SDK to the emulator.
func (e *emulator) config() aws.Config {
	url := e.url()
	return aws.Config{Region: region, BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

// run is the CDK command line on this project's app, for the functions of this machine's architecture.
func (e *emulator) run(t *testing.T, args ...string) {
	t.Helper()
	e.command(t, append(args, "--context", "arch="+runtime.GOARCH, "--output", filepath.Join(t.TempDir(), "cdk.out"))...)
}

// command is the CDK command line.
func (e *emulator) command(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), e.cdk, append(args, "--no-notices", "--ci")...) //nolint:gosec // the Makefile names it
	command.Dir, command.Env = "../..", e.environment()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// outputs are the values that a deployment gave out, by stack and the beginning of their name.
type outputs map[string]map[string]string

func (o outputs) get(t *testing.T, stack, name string) string {
	t.Helper()
	for key, value := range o[stack] {
		if strings.HasPrefix(key, name) {
			return value
		}
	}
	t.Fatalf("stack %s has no output %s in %v", stack, name, o[stack])
	return ""
}

func (e *emulator) deploy(t *testing.T) outputs {
	t.Helper()
	file := filepath.Join(t.TempDir(), "outputs.json")
	e.run(t, "deploy", "dev/*", "--require-approval", "never", "--concurrency", "1", "--outputs-file", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out outputs
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// call speaks to an API of the emulator for which this project has no adapter.
// It goes by the service that a signature names, which nobody checks.
func (e *emulator) call(t *testing.T, service, method, path, target string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, e.url()+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=test/20260101/%s/%s/aws4_request, SignedHeaders=host, Signature=0", region, service))
	if target != "" {
		request.Header.Set("X-Amz-Target", target)
		request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	client := &http.Client{Timeout: 10 * time.Minute} // a job takes its time
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %d %s %v", method, path, response.StatusCode, text, err)
	}
	if failed := response.Header.Get("X-Amz-Function-Error"); failed != "" {
		t.Fatalf("%s %s: %s %s", method, path, failed, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

// function is a deployed Lambda's full name.
func (e *emulator) function(t *testing.T, name string) string {
	t.Helper()
	var all struct {
		Functions []struct{ FunctionName string }
	}
	e.call(t, "lambda", http.MethodGet, "/2015-03-31/functions/", "", nil, &all)
	for _, f := range all.Functions {
		if strings.HasPrefix(f.FunctionName, "verdict-dev-app-"+name) {
			return f.FunctionName
		}
	}
	t.Fatalf("there is no function %s in %v", name, all)
	return ""
}

// variable is one of the environment of a deployed function.
func (e *emulator) variable(t *testing.T, function, name string) string {
	t.Helper()
	var now struct {
		Environment struct{ Variables map[string]string }
	}
	e.call(t, "lambda", http.MethodGet, "/2015-03-31/functions/"+e.function(t, function)+"/configuration", "", nil, &now)
	return now.Environment.Variables[name]
}

// set changes variables in the environment of a deployed function.
func (e *emulator) set(t *testing.T, name string, variables map[string]string) {
	t.Helper()
	path := "/2015-03-31/functions/" + e.function(t, name) + "/configuration"
	var now struct {
		Environment struct{ Variables map[string]string }
	}
	e.call(t, "lambda", http.MethodGet, path, "", nil, &now)
	for k, v := range variables {
		if _, known := now.Environment.Variables[k]; !known {
			t.Fatalf("%s has no variable %s", name, k)
		}
		now.Environment.Variables[k] = v
	}
	e.call(t, "lambda", http.MethodPut, path, "", now, nil)
}

// invoke runs a function as its schedule would at the given moment, and waits for its end.
func (e *emulator) invoke(t *testing.T, name string, at time.Time) {
	t.Helper()
	e.call(t, "lambda", http.MethodPost, "/2015-03-31/functions/"+e.function(t, name)+"/invocations", "", map[string]time.Time{"scheduled_time": at}, nil)
}

// within waits until something is so.
func within(t *testing.T, d time.Duration, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !so(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

// fill puts a value into a secret.
func (e *emulator) fill(t *testing.T, secret, value string) {
	t.Helper()
	e.call(t, "secretsmanager", http.MethodPost, "/", "secretsmanager.PutSecretValue", map[string]string{"SecretId": secret, "SecretString": value}, nil)
}

// schedule changes when a job runs; an empty expression lets it rest.
func (e *emulator) schedule(t *testing.T, job, expression string) {
	t.Helper()
	var all struct{ Schedules []struct{ Name string } }
	e.call(t, "scheduler", http.MethodGet, "/schedules", "", nil, &all)
	for _, s := range all.Schedules {
		if !strings.HasPrefix(s.Name, "verdict-dev-app-"+job) && !strings.HasPrefix(s.Name, job) {
			continue
		}
		var now map[string]any
		e.call(t, "scheduler", http.MethodGet, "/schedules/"+s.Name, "", nil, &now)
		now["State"] = "DISABLED"
		if expression != "" {
			now["State"], now["ScheduleExpression"] = "ENABLED", expression
			// The emulator's scheduler does not fill this in.
			if target, ok := now["Target"].(map[string]any); ok {
				target["Input"] = strings.ReplaceAll(fmt.Sprint(target["Input"]), "<aws.scheduler.scheduled-time>", time.Now().UTC().Format(time.RFC3339))
			}
		}
		e.call(t, "scheduler", http.MethodPut, "/schedules/"+s.Name, "", now, nil)
		return
	}
	t.Fatalf("there is no schedule of %s in %v", job, all)
}

// rest stops all schedules.
func (e *emulator) rest(t *testing.T) {
	t.Helper()
	for _, job := range []string{"elt", "identity", "evaluator", "decider"} {
		e.schedule(t, job, "")
	}
}
