package aws_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"
)

// present sends what the shop simulates as if its devices had kept it until today: the collector's
// clock is the real one, and corrects an event's time by how far sent_at is from it.
type present struct {
	next http.RoundTripper
	now  *atomic.Pointer[time.Time] // of the shop
}

var sentAt = regexp.MustCompile(`"sent_at":"([^"]*)"`)

func (p present) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	at := sentAt.FindSubmatchIndex(body)
	sent, err := time.Parse(time.RFC3339, string(body[at[2]:at[3]]))
	if err != nil {
		return nil, err
	}
	now := time.Now().Add(sent.Sub(*p.now.Load())).UTC().Format("2006-01-02T15:04:05.000Z")
	body = bytes.Join([][]byte{body[:at[2]], []byte(now), body[at[3]:]}, nil)
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return p.next.RoundTrip(r)
}
