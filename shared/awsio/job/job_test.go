package job_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"verdict/shared/awsio"
	"verdict/shared/awsio/job"
	"verdict/shared/awsio/setting"
	"verdict/shared/fault"
)

// open makes a home whose environment is complete but for one variable. Nothing is called: building an
// adapter reaches no service, and the endpoint leads nowhere.
func open(t *testing.T, missing string) *awsio.Home {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
	values := map[string]string{setting.QueryBytes: "1073741824"}
	home, err := awsio.Open(t.Context(), func(name string) (string, bool) { return cmp.Or(values[name], "x"), name != missing }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return home
}

func TestAMissingVariableIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		missing string
		build   func(*awsio.Home) error
	}{
		"engine":   {setting.AthenaWorkgroup, func(h *awsio.Home) error { _, err := job.Engine(h); return err }},
		"pipeline": {setting.GlueDatabase, func(h *awsio.Home) error { _, err := job.Pipeline(h); return err }},
		"metrics":  {setting.QueryBytes, func(h *awsio.Home) error { _, err := job.Metrics(h, nil); return err }},
		"officer":  {setting.LakeBucket, func(h *awsio.Home) error { _, err := job.NewOfficer(h, nil, nil); return err }},
		"leases":   {setting.StateTable, func(h *awsio.Home) error { _, err := job.Lease(h); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.build(open(t, c.missing)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.missing) {
				t.Errorf("error %v, want one that names %s", err, c.missing)
			}
		})
	}
}

func TestWhatNeedsNoSecretIsBuilt(t *testing.T) {
	home := open(t, "")
	p, err := job.Pipeline(home)
	if err != nil || p.Objects == nil || p.Engine == nil || p.Catalog == nil || len(p.Project.Experiments) == 0 {
		t.Errorf("pipeline %+v, %v", p, err)
	}
	if metrics, err := job.Metrics(home, nil); err != nil || metrics == nil {
		t.Errorf("metrics API %v, %v", metrics, err)
	}
	if lease, err := job.Lease(home); err != nil || lease == nil {
		t.Errorf("leases %v, %v", lease, err)
	}
}
