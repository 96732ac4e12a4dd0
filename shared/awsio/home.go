// Package awsio is Verdict's home on AWS: it builds the adapters that a Lambda's environment variables
// name. The packages below it are the only ones that know the AWS SDK.
package awsio

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/uuid"

	"verdict/shared/awsio/athena"
	"verdict/shared/awsio/firehose"
	"verdict/shared/awsio/glue"
	"verdict/shared/awsio/lease"
	"verdict/shared/awsio/s3"
	"verdict/shared/awsio/secret"
	"verdict/shared/awsio/setting"
	"verdict/shared/awsio/sns"
	"verdict/shared/fault"
	"verdict/shared/optimizely"
	"verdict/shared/pipeline"
	"verdict/shared/project"
)

// leaseHold is longer than a Lambda can run, which is 15 minutes.
const leaseHold = 16 * time.Minute

// Home builds adapters. What a variable is missing for is fault.Invalid and names the variable.
type Home struct {
	config  aws.Config
	env     func(string) (string, bool)
	now     func() time.Time
	secrets *secret.Store
}

// Open reads the SDK's own configuration: region, credentials, endpoints.
func Open(ctx context.Context, env func(string) (string, bool), now func() time.Time) (*Home, error) {
	config, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return &Home{config: config, env: env, now: now, secrets: secret.New(config, now)}, nil
}

// Setting returns the value of an environment variable, which may be empty.
func (h *Home) Setting(name string) (string, error) {
	value, ok := h.env(name)
	if !ok {
		return "", fault.New(fault.Invalid, "the environment variable %s is not set: infra sets it", name)
	}
	return value, nil
}

func (h *Home) all(names ...string) ([]string, error) {
	out := make([]string, len(names))
	for i, name := range names {
		var err error
		if out[i], err = h.Setting(name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Objects is the lake's bucket.
func (h *Home) Objects() (*s3.Bucket, error) {
	name, err := h.Setting(setting.LakeBucket)
	if err != nil {
		return nil, err
	}
	return s3.New(h.config, name), nil
}

// Engine is Athena.
func (h *Home) Engine() (*athena.Engine, error) {
	v, err := h.all(setting.AthenaWorkgroup, setting.GlueDatabase)
	if err != nil {
		return nil, err
	}
	objects, err := h.Objects()
	if err != nil {
		return nil, err
	}
	return athena.New(h.config, athena.Config{Workgroup: v[0], Database: v[1]}, objects, wait), nil
}

// Pipeline is the pipeline over the lake; the steps' own parts are for the caller to add.
func (h *Home) Pipeline() (*pipeline.Pipeline, error) {
	objects, err := h.Objects()
	if err != nil {
		return nil, err
	}
	engine, err := h.Engine()
	if err != nil {
		return nil, err
	}
	database, err := h.Setting(setting.GlueDatabase)
	if err != nil {
		return nil, err
	}
	p, err := project.BuiltIn()
	if err != nil {
		return nil, err
	}
	return &pipeline.Pipeline{
		Project: p, Objects: objects, Engine: engine, Catalog: glue.New(h.config, database, objects.Location),
		NewRun: func() string { return uuid.Must(uuid.NewV7()).String() }, Now: h.now,
	}, nil
}

// Lease is the table of leases.
func (h *Home) Lease() (*lease.Table, error) {
	table, err := h.Setting(setting.StateTable)
	if err != nil {
		return nil, err
	}
	return lease.New(h.config, table, leaseHold, uuid.NewString, h.now), nil
}

// Stream is the delivery stream that a setting names.
func (h *Home) Stream(name string) (*firehose.Stream, error) {
	stream, err := h.Setting(name)
	if err != nil {
		return nil, err
	}
	return firehose.New(h.config, stream, wait), nil
}

// Topic is where decisions are published.
func (h *Home) Topic() (*sns.Topic, error) {
	arn, err := h.Setting(setting.DecisionTopic)
	if err != nil {
		return nil, err
	}
	return sns.New(h.config, arn), nil
}

// Secret is the current value of the secret that a setting names; fault.NotFound while nobody has
// given it one.
func (h *Home) Secret(ctx context.Context, name string) (string, error) {
	id, err := h.Setting(name)
	if err != nil {
		return "", err
	}
	return h.secrets.Get(ctx, id)
}

// WriteKeys are the collector's keys and the namespace of each.
func (h *Home) WriteKeys(ctx context.Context) (map[string]string, error) {
	text, err := h.Secret(ctx, setting.WriteKeys)
	if err != nil {
		return nil, err
	}
	var keys map[string]string
	if json.Unmarshal([]byte(text), &keys) != nil { // its error would show a part of the secret
		return nil, fault.New(fault.Invalid, `read write keys: the secret must be a JSON object like {"key": "namespace"}`)
	}
	return keys, nil
}

// Optimizely is the client that moves flags.
func (h *Home) Optimizely(ctx context.Context) (*optimizely.Client, error) {
	v, err := h.all(setting.OptimizelyURL, setting.OptimizelyProject, setting.OptimizelyStage)
	if err != nil {
		return nil, err
	}
	token, err := h.Secret(ctx, setting.OptimizelyToken)
	if err != nil && !fault.Is(err, fault.NotFound) { // nobody moves flags yet
		return nil, err
	}
	config := optimizely.Config{BaseURL: v[0], Project: v[1], Environment: v[2], Token: token}
	return optimizely.New(config, &http.Client{Timeout: 10 * time.Second}, h.now, wait), nil
}

// wait sleeps unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
