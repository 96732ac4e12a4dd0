package lambda_test

import (
	"archive/zip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"verdict/shared/awsio/setting"
)

// built lists what make functions has built for an architecture.
func built(arch string) []string {
	found, _ := filepath.Glob(filepath.Join("../../.build", arch, "*", "bootstrap")) // the pattern is right
	return found
}

func nameOf(bootstrap string) string { return filepath.Base(filepath.Dir(bootstrap)) }

const (
	megabyte = 1 << 20
	most     = 12 * megabyte
)

// What is large is slow to start, and slow to deploy.
func TestFunctionsAreSmall(t *testing.T) {
	all := built("arm64")
	if len(all) == 0 {
		t.Skip("nothing is built: make functions")
	}
	for _, bootstrap := range all {
		size := zipped(t, bootstrap)
		t.Logf("%-10s %5.1f MB", nameOf(bootstrap), float64(size)/megabyte)
		if size > most {
			t.Errorf("%s has %.1f MB zipped, more than %d", nameOf(bootstrap), float64(size)/megabyte, most/megabyte)
		}
	}
}

// zipped is how many bytes a file has in a zip.
func zipped(t *testing.T, file string) int {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out counter
	w := zip.NewWriter(&out)
	w.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) { return flate.NewWriter(to, flate.BestCompression) })
	entry, err := w.Create("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(entry, in); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return int(out)
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// BenchmarkInit takes the time from the start of each function's process until it asks the Runtime API for its first event:
// what AWS calls Init Duration, less what AWS does to start a process.
func BenchmarkInit(b *testing.B) {
	all := built(goruntime.GOARCH)
	if len(all) == 0 {
		b.Skip("nothing is built for this machine: make functions ARCH=" + goruntime.GOARCH)
	}
	secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		io.WriteString(w, `{"SecretString":"{\"wk\":\"shop\"}"}`)
	}))
	defer secrets.Close()
	asked := make(chan struct{}, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/invocation/next") {
			asked <- struct{}{}
			<-r.Context().Done()
		}
	}))
	defer api.Close()
	environment := []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=http://127.0.0.1:9", "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + secrets.URL,
	}
	for name, value := range map[string]string{
		setting.LakeBucket: "lake", setting.GlueDatabase: "verdict", setting.AthenaWorkgroup: "w", setting.StateTable: "state",
		setting.GoodStream: "good", setting.QuarantineStream: "quarantine", setting.WriteKeys: "keys", setting.Origins: "", setting.CookieDomain: "",
		setting.EdgeProof: "", setting.CollectorURL: "http://127.0.0.1:9", setting.DecisionTopic: "arn:aws:sns:eu-central-1:1:t", setting.Dashboard: "http://127.0.0.1:9",
		setting.SlackWebhook: "slack", setting.Environment: "test", setting.FlagPlatform: setting.Optimizely, setting.FlagToken: "flags", setting.FlagProject: "1",
		setting.FlagStage: "production", setting.FlagURL: "http://127.0.0.1:9", setting.Datafile: "", setting.ReadKeys: "keys", setting.PrivacyKey: "privacy",
		setting.QueryBytes: "1000000000", setting.SlackChannel: "", setting.SlackButtons: "", setting.SlackSigning: "signing", setting.Approvers: "",
		setting.AnswerTopic: "arn:aws:sns:eu-central-1:1:a", setting.Policies: "",
	} {
		environment = append(environment, name+"="+value)
	}
	for _, bootstrap := range all {
		b.Run(nameOf(bootstrap), func(b *testing.B) {
			var busy time.Duration // of a CPU: on a machine that others use, too, the clock says more than the function took
			for b.Loop() {
				var log strings.Builder
				function := exec.CommandContext(b.Context(), bootstrap) //nolint:gosec // what make functions has built
				function.Env, function.Stderr = environment, &log
				if err := function.Start(); err != nil {
					b.Fatal(err)
				}
				select {
				case <-asked:
				case <-time.After(20 * time.Second):
					b.Fatalf("it asks for no event: %s", log.String())
				}
				b.StopTimer()
				_ = function.Process.Kill()
				_ = function.Wait() // it was killed
				busy += function.ProcessState.UserTime() + function.ProcessState.SystemTime()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/init")
			b.ReportMetric(float64(busy.Microseconds())/1000/float64(b.N), "cpu-ms/init")
		})
	}
}
