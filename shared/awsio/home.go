// Package awsio is Verdict's home on AWS: it builds the adapters that a Lambda's environment variables
// name, here those that most need, and in job those of the scheduled functions. The packages
// below it are the only ones that know the AWS SDK.
package awsio

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"verdict/shared/awsio/s3"
	"verdict/shared/awsio/secret"
	"verdict/shared/awsio/setting"
	"verdict/shared/fault"
	"verdict/shared/redact"
)

// Home builds adapters. What a variable is missing for is fault.Invalid and names the variable.
type Home struct {
	Config  aws.Config
	Now     func() time.Time
	env     func(string) (string, bool)
	secrets *secret.Store
}

// Open reads the SDK's own configuration: region, credentials, endpoints.
func Open(ctx context.Context, env func(string) (string, bool), now func() time.Time) (*Home, error) {
	config, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	return &Home{Config: config, Now: now, env: env, secrets: secret.New(config, now)}, nil
}

// Setting returns the value of an environment variable, which may be empty.
func (h *Home) Setting(name string) (string, error) {
	value, ok := h.env(name)
	if !ok {
		return "", fault.New(fault.Invalid, "the environment variable %s is not set: infra sets it", name)
	}
	return value, nil
}

// Optional is the value of an environment variable that infra may leave out; empty then.
func (h *Home) Optional(name string) string {
	value, _ := h.env(name)
	return value
}

// Settings are several of them.
func (h *Home) Settings(names ...string) ([]string, error) {
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
	return s3.New(h.Config, name), nil
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

// PrivacyKey is the key under which persons are hashed; fault.NotFound while nobody has made one.
func (h *Home) PrivacyKey(ctx context.Context) (redact.Key, error) {
	text, err := h.Secret(ctx, setting.PrivacyKey)
	return redact.Key(strings.TrimSpace(text)), err
}

// WriteKeys are the collector's keys and the namespace of each.
func (h *Home) WriteKeys(ctx context.Context) (map[string]string, error) {
	return h.keys(ctx, setting.WriteKeys, `write keys: the secret must be a JSON object like {"key": "namespace"}`)
}

// ReadKeys are the metrics API's keys and who has each.
func (h *Home) ReadKeys(ctx context.Context) (map[string]string, error) {
	return h.keys(ctx, setting.ReadKeys, `read keys: the secret must be a JSON object like {"key": "who has it"}`)
}

func (h *Home) keys(ctx context.Context, name, must string) (map[string]string, error) {
	text, err := h.Secret(ctx, name)
	if err != nil {
		return nil, err
	}
	var keys map[string]string
	if json.Unmarshal([]byte(text), &keys) != nil { // its error would show a part of the secret
		return nil, fault.New(fault.Invalid, "read %s", must)
	}
	return keys, nil
}

// EdgeProof reads the secret by which requests prove that they came through CloudFront. It is nil where they need not.
func (h *Home) EdgeProof() (func(context.Context) (string, error), error) {
	id, err := h.Setting(setting.EdgeProof)
	if err != nil || id == "" {
		return nil, err
	}
	return func(ctx context.Context) (string, error) { return h.secrets.Get(ctx, id) }, nil
}

// Wait sleeps unless ctx ends first.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
