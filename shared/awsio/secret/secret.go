// Package secret reads secrets from AWS Secrets Manager. A value is kept for a few minutes, so that a
// warm Lambda does not ask again each time and yet picks up a rotated one. No error shows a value.
package secret

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/fault"
)

// keep is how long a value is used without asking: rotation leaves the old one valid for longer.
const keep = 5 * time.Minute

// Store reads secrets. It is safe for concurrent use.
type Store struct {
	client *secretsmanager.Client
	now    func() time.Time

	mu    sync.Mutex
	known map[string]value
}

type value struct {
	text string
	read time.Time
}

// New returns a Store.
func New(config aws.Config, now func() time.Time) *Store {
	return &Store{client: secretsmanager.NewFromConfig(config), now: now, known: map[string]value{}}
}

// Get returns the current value of a secret, named by its name or ARN.
func (s *Store) Get(ctx context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.known[name]; ok && s.now().Sub(v.read) < keep {
		return v.text, nil
	}
	answer, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(name)})
	if err != nil {
		return "", awsfault.Wrap("read secret "+name, err)
	}
	if aws.ToString(answer.SecretString) == "" {
		return "", fault.New(fault.Invalid, "read secret %s: it has no text", name)
	}
	s.known[name] = value{*answer.SecretString, s.now()}
	return *answer.SecretString, nil
}
