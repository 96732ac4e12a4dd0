// Package lambdaio turns Lambda's envelopes into plain handlers, so that what runs in AWS and what
// runs on one machine is the same code.
package lambdaio

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// answerTime is what it takes to say that there was not enough time.
const answerTime = 250 * time.Millisecond

// HTTP adapts a handler to API Gateway's payload format 2.0.
func HTTP(handler http.Handler) func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	return func(ctx context.Context, in events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		// At its deadline Lambda ends a function without an answer: what is not done by then is refused a little
		// earlier, and the client knows what to send again.
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerTime))
			defer cancel()
		}
		r, err := request(ctx, in)
		if err != nil {
			return events.APIGatewayV2HTTPResponse{}, err
		}
		w := &recorder{header: http.Header{}, status: http.StatusOK}
		handler.ServeHTTP(w, r)
		return w.response(), nil
	}
}

func request(ctx context.Context, in events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(in.Body)
	if in.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(in.Body)
		if err != nil {
			return nil, fmt.Errorf("decode body: %w", err)
		}
		body = decoded
	}
	r, err := http.NewRequestWithContext(ctx, in.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	// In spite of its name rawPath comes decoded from a HTTP API, while the query comes as sent: a "%"
	// or "?" in the path stands for itself (aws/aws-lambda-dotnet#1901).
	r.URL.RawQuery = in.RawQueryString
	if in.RawPath != "" {
		r.URL.Path = in.RawPath
	}
	for name, value := range in.Headers {
		r.Header.Set(name, value)
	}
	if len(in.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(in.Cookies, "; "))
	}
	if who := in.RequestContext.Authorizer; who != nil && who.IAM != nil && who.IAM.UserARN != "" {
		r = r.WithContext(context.WithValue(ctx, signer{}, who.IAM.UserARN))
	}
	r.Host = in.RequestContext.DomainName
	r.RemoteAddr = in.RequestContext.HTTP.SourceIP
	r.RequestURI = r.URL.RequestURI()
	return r, nil
}

// signer is the key of a context under which stands who signed its request.
type signer struct{}

// Signed gives the ARN of who signed a request, as API Gateway's IAM authorizer has checked. No header can say so.
func Signed(ctx context.Context) (arn string, ok bool) {
	arn, ok = ctx.Value(signer{}).(string)
	return arn, ok
}

type recorder struct {
	header http.Header
	body   bytes.Buffer
	status int
	wrote  bool
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.wrote = true
	return w.body.Write(b)
}

func (w *recorder) response() events.APIGatewayV2HTTPResponse {
	out := events.APIGatewayV2HTTPResponse{StatusCode: w.status, Headers: make(map[string]string, len(w.header))}
	for name, values := range w.header {
		if name == "Set-Cookie" {
			out.Cookies = values // a header of its own each: commas may stand inside
			continue
		}
		out.Headers[name] = strings.Join(values, ",")
	}
	if body := w.body.Bytes(); utf8.Valid(body) {
		out.Body = string(body)
	} else {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return out
}

var _ io.Writer = (*recorder)(nil)
