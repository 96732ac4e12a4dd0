// Package awstest is an AWS service on loopback for the tests of adapters: it takes only requests
// that are signed (SigV4) for the right service with the test's credentials, and answers each action
// as the test says, in the service's own wire format.
package awstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const region = "eu-central-1"

func credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}
}

// RefusalError is an error answer.
type RefusalError struct {
	Status  int
	Code    string
	Message string
	XML     bool // as the services with the query protocol answer
}

// Error makes a RefusalError an error, so that an action can return it.
func (r *RefusalError) Error() string { return r.Code + ": " + r.Message }

// Action answers one action of a service. The input is the request's JSON; of SNS, whose protocol is a
// form, its fields as a JSON object. What it returns is sent as JSON, or, being a string, as it is.
type Action func(input []byte) (any, error)

// Service is a service with some actions, which may be replaced while it runs.
type Service struct {
	name    string
	mu      sync.Mutex
	actions map[string]Action
	calls   []string
}

// New starts a service under its signing name, and returns it with a configuration that leads there. The
// SDK does not repeat failed calls, so that a test sees each.
func New(t *testing.T, name string, actions map[string]Action) (*Service, aws.Config) {
	t.Helper()
	s := &Service{name: name, actions: actions}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read request: %v", err)
		}
		if err := s.signed(r, body); err != nil {
			t.Errorf("%s request: %v", name, err)
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		s.serve(w, r, body)
	}))
	t.Cleanup(server.Close)
	return s, aws.Config{
		Region: region, BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials:      aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials(), nil }),
		RetryMaxAttempts: 1,
	}
}

// Calls lists the actions that were called, in order.
func (s *Service) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// On replaces the answer to an action.
func (s *Service) On(action string, answer Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions[action] = answer
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if action == "" { // the query protocol: a form
		form, err := url.ParseQuery(string(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		action = form.Get("Action")
		fields := map[string]string{}
		for name := range form {
			fields[name] = form.Get(name)
		}
		if body, err = json.Marshal(fields); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	s.mu.Lock()
	s.calls = append(s.calls, action)
	answer := s.actions[action]
	s.mu.Unlock()
	if answer == nil {
		answer = func([]byte) (any, error) {
			return nil, &RefusalError{Status: http.StatusBadRequest, Code: "UnknownOperationException", Message: "the test has no action " + action}
		}
	}
	output, err := answer(body)
	if refusal, ok := err.(*RefusalError); ok { //nolint:errorlint // actions return it as it is
		if refusal.XML {
			w.WriteHeader(refusal.Status)
			fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", refusal.Code, refusal.Message)
			return
		}
		w.Header().Set("X-Amzn-Errortype", refusal.Code)
		w.WriteHeader(refusal.Status)
		fmt.Fprintf(w, `{"__type": %q, "message": %q}`, refusal.Code, refusal.Message)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if text, ok := output.(string); ok {
		_, _ = io.WriteString(w, text) // the client tells
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(output) // the client tells
}

// signed computes the request's signature anew, over the headers that it says it signed.
func (s *Service) signed(r *http.Request, body []byte) error {
	scope, rest, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential="), ", SignedHeaders=")
	if !ok {
		return fmt.Errorf("it is not signed: %q", r.Header.Get("Authorization"))
	}
	names, _, _ := strings.Cut(rest, ", Signature=")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	if want := fmt.Sprintf("%s/%s/%s/%s/aws4_request", credentials().AccessKeyID, at.Format("20060102"), region, s.name); scope != want {
		return fmt.Errorf("it is signed for %s, want %s", scope, want)
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	again.ContentLength = -1
	for name := range strings.SplitSeq(names, ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			again.Header[http.CanonicalHeaderKey(name)] = r.Header[http.CanonicalHeaderKey(name)]
		}
	}
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(r.Context(), credentials(), again, hex.EncodeToString(sum[:]), s.name, region, at); err != nil {
		return err
	}
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want {
		return fmt.Errorf("its signature is wrong: %s, want %s", got, want)
	}
	return nil
}
