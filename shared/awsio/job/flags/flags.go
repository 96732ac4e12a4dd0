// Package flags builds what reads and moves feature flags on the platform that is configured, and what audits its
// assignments, for the jobs that do: the platforms' SDKs are large.
package flags

import (
	"context"
	"net/http"
	"time"

	"verdict/shared/awsio"
	"verdict/shared/awsio/setting"
	"verdict/shared/bucketing"
	"verdict/shared/decide"
	"verdict/shared/experiment"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/launchdarkly"
	"verdict/shared/optimizely"
	"verdict/shared/pipeline"
)

const (
	// flagTimeout bounds one request of a flag platform.
	flagTimeout = 10 * time.Second
	// hourly is how seldom elt may read the datafile, and twice what an SDK's polling takes.
	hourly = 70 * time.Minute
)

// Mover is the client that moves flags on the platform that is configured.
func Mover(ctx context.Context, home *awsio.Home) (decide.Flags, error) {
	platform, err := home.Setting(setting.FlagPlatform)
	if err != nil {
		return nil, err
	}
	switch platform {
	case setting.Optimizely:
		return newOptimizely(ctx, home)
	case setting.LaunchDarkly:
		return newLaunchDarkly(ctx, home)
	default:
		return nil, unknownPlatform(platform)
	}
}

// Datafile is what fetches the configuration that assignments follow from: Optimizely's datafile. LaunchDarkly has none
// that the audit could read.
func Datafile(home *awsio.Home) (func(context.Context) ([]byte, error), error) {
	v, err := home.Settings(setting.FlagPlatform, setting.Datafile)
	if err != nil || v[0] != setting.Optimizely {
		return nil, err
	}
	return optimizely.Datafile{URL: v[1], Client: &http.Client{Timeout: flagTimeout}}.Body, nil
}

// Reader is what says which flags are on: Optimizely's datafile, or LaunchDarkly's word on each
// flag of an experiment.
func Reader(ctx context.Context, home *awsio.Home, experiments []*experiment.Experiment) (func(context.Context) ([]feature.Flag, error), error) {
	platform, err := home.Setting(setting.FlagPlatform)
	if err != nil {
		return nil, err
	}
	switch platform {
	case setting.Optimizely:
		address, err := home.Setting(setting.Datafile)
		if err != nil {
			return nil, err
		}
		return optimizely.Datafile{URL: address, Client: &http.Client{Timeout: flagTimeout}}.Flags, nil
	case setting.LaunchDarkly:
		client, err := newLaunchDarkly(ctx, home)
		if err != nil {
			return nil, err
		}
		var keys []string
		for _, e := range experiments {
			keys = append(keys, e.Flag)
		}
		return func(ctx context.Context) ([]feature.Flag, error) { return client.Flags(ctx, keys) }, nil
	default:
		return nil, unknownPlatform(platform)
	}
}

// Audit recomputes assignments of Optimizely in the lake of a pipeline.
func Audit(p *pipeline.Pipeline) *bucketing.Auditor {
	return &bucketing.Auditor{
		Open:    func(body []byte) (bucketing.Bucketer, error) { return optimizely.NewBucketer(body) },
		Objects: p.Objects, Engine: p.Engine, Catalog: p.Catalog, NewRun: p.NewRun, Slack: hourly,
	}
}

func unknownPlatform(name string) error {
	return fault.New(fault.Invalid, "%s is %q: want %s or %s", setting.FlagPlatform, name, setting.Optimizely, setting.LaunchDarkly)
}

func newOptimizely(ctx context.Context, home *awsio.Home) (*optimizely.Client, error) {
	v, token, err := access(ctx, home)
	if err != nil {
		return nil, err
	}
	datafile, err := home.Setting(setting.Datafile)
	if err != nil {
		return nil, err
	}
	config := optimizely.Config{BaseURL: v[0], Project: v[1], Environment: v[2], Token: token, Datafile: datafile}
	return optimizely.New(config, &http.Client{Timeout: flagTimeout}, home.Now, awsio.Wait), nil
}

func newLaunchDarkly(ctx context.Context, home *awsio.Home) (*launchdarkly.Client, error) {
	v, token, err := access(ctx, home)
	if err != nil {
		return nil, err
	}
	config := launchdarkly.Config{BaseURL: v[0], Project: v[1], Environment: v[2], Token: token}
	return launchdarkly.New(config, &http.Client{Timeout: flagTimeout}, home.Now, awsio.Wait), nil
}

// access is the platform's address, project, environment and token.
func access(ctx context.Context, home *awsio.Home) (where []string, token string, err error) {
	where, err = home.Settings(setting.FlagURL, setting.FlagProject, setting.FlagStage)
	if err != nil {
		return nil, "", err
	}
	token, err = home.Secret(ctx, setting.FlagToken)
	if err != nil && !fault.Is(err, fault.NotFound) { // nobody moves flags yet
		return nil, "", err
	}
	return where, token, nil
}
