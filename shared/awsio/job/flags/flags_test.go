package flags_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/awsio"
	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/job/flags"
	"verdict/shared/awsio/setting"
	"verdict/shared/decide"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/embedded/ldapi"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
)

const token = "t0ken"

// configured makes a home with these variables; its secret service holds the flag platform's token.
func configured(t *testing.T, variables map[string]string) *awsio.Home {
	t.Helper()
	_, config := awstest.New(t, "secretsmanager", map[string]awstest.Action{"GetSecretValue": func([]byte) (any, error) {
		return map[string]string{"SecretString": token}, nil
	}})
	credentials, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ENDPOINT_URL", *config.BaseEndpoint)
	t.Setenv("AWS_REGION", config.Region)
	t.Setenv("AWS_ACCESS_KEY_ID", credentials.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", credentials.SecretAccessKey)
	t.Setenv("AWS_SESSION_TOKEN", "")
	home, err := awsio.Open(t.Context(), func(name string) (string, bool) { v, ok := variables[name]; return v, ok }, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// Both platforms are reached by the same variables, read for dim_feature, and moved.
func TestFlagPlatforms(t *testing.T) {
	flag := feature.Flag{Key: "checkout", Environment: "production", Enabled: true, Rules: []feature.Rule{
		{Key: "one_page", Kind: feature.Experiment, Included: 0.5, Variants: []feature.Variant{{Key: "control", Share: 0.5}, {Key: "treatment", Share: 0.5}}},
	}}
	for platform, start := range map[string]func() (handler http.Handler, path, datafile string, err error){
		setting.Optimizely: func() (http.Handler, string, string, error) {
			s, err := flagapi.New(flagapi.Config{Project: "1", Token: token}, []feature.Flag{flag}, time.Now)
			return s, flagapi.BasePath, flagapi.DatafilePath("production"), err
		},
		setting.LaunchDarkly: func() (http.Handler, string, string, error) {
			s, err := ldapi.New(ldapi.Config{Project: "1", Token: token}, []feature.Flag{flag}, time.Now)
			return s, ldapi.BasePath, "", err
		},
	} {
		t.Run(platform, func(t *testing.T) {
			handler, path, datafile, err := start()
			if err != nil {
				t.Fatal(err)
			}
			host := httptest.NewServer(handler)
			t.Cleanup(host.Close)
			variables := map[string]string{
				setting.FlagPlatform: platform, setting.FlagURL: host.URL + path, setting.FlagProject: "1", setting.FlagStage: "production",
				setting.FlagToken: "verdict/dev/flags", setting.Datafile: "",
			}
			if datafile != "" {
				variables[setting.Datafile] = host.URL + datafile
			}
			home := configured(t, variables)
			read, err := flags.Reader(t.Context(), home, []*experiment.Experiment{{Flag: "checkout"}, {Flag: "checkout"}, {Flag: "not made yet"}})
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(t.Context())
			if diff := cmp.Diff([]feature.Flag{flag}, got, cmpopts.IgnoreFields(feature.Flag{}, "Revision")); err != nil || diff != "" {
				t.Errorf("%v, flags (-want +got):\n%s", err, diff)
			}
			flags, err := flags.Mover(t.Context(), home)
			if err != nil {
				t.Fatal(err)
			}
			applied, err := flags.Apply(t.Context(), decide.Change{DecisionID: "d1", Flag: "checkout", Rule: "one_page", Action: decide.Conclude, Variant: "treatment"})
			if err != nil || !applied.Changed {
				t.Errorf("applied = %+v, %v, want a change", applied, err)
			}
		})
	}
}

func TestNoFlagsAreReadBeforeThePlatformIsConfigured(t *testing.T) {
	for _, platform := range []string{setting.Optimizely, setting.LaunchDarkly} {
		home := configured(t, map[string]string{
			setting.FlagPlatform: platform, setting.FlagURL: "", setting.FlagProject: "", setting.FlagStage: "", setting.FlagToken: "s", setting.Datafile: "",
		})
		read, err := flags.Reader(t.Context(), home, []*experiment.Experiment{{Flag: "checkout"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(t.Context()); err != nil || len(got) > 0 {
			t.Errorf("%s: %v, %v, want no flags", platform, got, err)
		}
	}
}

func TestAnUnknownPlatformIsRefused(t *testing.T) {
	home := configured(t, map[string]string{setting.FlagPlatform: "unleash"})
	_, err := flags.Mover(t.Context(), home)
	_, other := flags.Reader(t.Context(), home, nil)
	for _, err := range []error{err, other} {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), setting.LaunchDarkly) {
			t.Errorf("error = %v, want one that names the platforms", err)
		}
	}
}

func TestAMissingVariableIsNamed(t *testing.T) {
	home := configured(t, nil)
	_, mover := flags.Mover(t.Context(), home)
	_, reader := flags.Reader(t.Context(), home, nil)
	for _, err := range []error{mover, reader} {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), setting.FlagPlatform) {
			t.Errorf("error %v, want one that names %s", err, setting.FlagPlatform)
		}
	}
}
