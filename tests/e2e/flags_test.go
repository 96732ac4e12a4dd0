package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"verdict/shared/embedded/flagapi"
	"verdict/shared/embedded/ldapi"
	"verdict/shared/feature"
)

// People move flags of either platform through the binary, and are told when users would move.
func TestFlagCommand(t *testing.T) {
	seed := []feature.Flag{{Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{
		{Key: "one_page", Kind: feature.Experiment, Included: 0.5, Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}}},
	}}}
	// Each command is a process that knows nothing of the requests before; the stand-ins' time goes fast enough.
	begin := time.Now()
	now := func() time.Time { return begin.Add(100 * time.Since(begin)) }
	optimizely, err := flagapi.New(flagapi.Config{Project: "1", Token: "t0ken"}, seed, now)
	if err != nil {
		t.Fatal(err)
	}
	launchdarkly, err := ldapi.New(ldapi.Config{Project: "1", Token: "t0ken"}, seed, now)
	if err != nil {
		t.Fatal(err)
	}
	for platform, at := range map[string]struct {
		handler        http.Handler
		path, datafile string
	}{
		"optimizely":   {optimizely, flagapi.BasePath, flagapi.DatafilePath("production")},
		"launchdarkly": {launchdarkly, ldapi.BasePath, ""},
	} {
		t.Run(platform, func(t *testing.T) {
			host := httptest.NewServer(at.handler)
			t.Cleanup(host.Close)
			environment := append(os.Environ(), "FLAG_PLATFORM="+platform, "FLAG_PROJECT=1", "FLAG_TOKEN=t0ken", "FLAG_BASE_URL="+host.URL+at.path)
			if at.datafile != "" {
				environment = append(environment, "FLAG_DATAFILE_URL="+host.URL+at.datafile)
			}
			for _, c := range []struct {
				args  string
				fails bool
				says  string
			}{
				{"show checkout", false, "one_page  a/b   50 %      control 50 %, treatment 50 %"},
				{"ramp checkout one_page 0.1", true, "users would lose their variant"},
				{"--rebucket ramp checkout one_page 0.1", false, "one_page  a/b   10 %"},
				{"conclude checkout one_page treatment", false, "one_page_delivery  targeted_delivery  100 %     treatment 100 %"},
				{"conclude checkout", true, "flag wants"},
				{"ramp checkout one_page much", true, "a share from 0 to 1"},
			} {
				cmd := exec.CommandContext(t.Context(), binary, append([]string{"flag"}, strings.Fields(c.args)...)...)
				cmd.Env = environment
				out, err := cmd.CombinedOutput()
				if (err != nil) != c.fails || !strings.Contains(string(out), c.says) {
					t.Fatalf("verdict flag %s: %v\n%s\nwant %q", c.args, err, out, c.says)
				}
			}
		})
	}
}
