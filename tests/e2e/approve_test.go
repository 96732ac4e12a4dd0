package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/lake"
	"verdict/shared/project"
)

// proposals makes a lake that holds proposals to ship, as an experiment of the built-in project in mode propose would
// have made them, and one that another decision took the place of.
func proposals(t *testing.T) (dir string, store *directory.Store) {
	t.Helper()
	p, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	store = &directory.Store{Root: dir}
	for i, e := range p.Experiments[:2] {
		d := decide.Decision{ID: "aa" + strconv.Itoa(i), ExperimentID: e.ID, Definition: e.Hash(), AsOf: "2026-01-20", Verdict: decide.Ship, Headline: "Ship it", Flag: e.Flag, Action: decide.Conclude, Mode: "propose"}
		before := d
		before.ID, before.AsOf, before.Headline = "bb"+strconv.Itoa(i), "2026-01-12", "Raise the traffic"
		for n, d := range []decide.Decision{before, d} {
			body, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Put(t.Context(), "decisions/"+e.ID+"/000"+strconv.Itoa(n)+".json", body, lake.Create); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, store
}

func TestProposalsAreAnsweredAtTheCommandLine(t *testing.T) {
	dir, store := proposals(t)
	for range 2 {
		out, complaints, err := verdict(t, "approve", "--lake", dir, "--by", "jane", "aa0")
		if err != nil || !strings.Contains(out, "aa0 is approved by jane") {
			t.Fatalf("%s%s%v", out, complaints, err)
		}
	}
	for _, c := range []struct{ args, says string }{
		{"reject --by joe aa0", "approved already, by jane"},
		{"approve --by jane bb1", "no longer the current one"},
		{"approve --by jane aa", "write more of it"},
		{"approve --by jane cc", "no decision"},
		{"approve --by jane", "wants one decision"},
	} {
		if out, complaints, err := verdict(t, append(strings.Fields(c.args), "--lake", dir)...); err == nil || !strings.Contains(complaints, c.says) {
			t.Errorf("verdict %s: %v, %s%s, want %q", c.args, err, out, complaints, c.says)
		}
	}
	if list, err := store.List(t.Context(), "approvals/"); err != nil || len(list) != 1 {
		t.Errorf("approvals %v, %v", list, err)
	}
}

// What Slack sends to a running verdict serve is believed by its signature alone.
func TestServeTakesAnswersFromSlack(t *testing.T) {
	dir, store := proposals(t)
	t.Setenv("VERDICT_SLACK_SIGNING_SECRET", "s3cret")
	address, _ := serve(t, dir)
	press := func(secret string) int {
		body := url.Values{"payload": {`{"type":"block_actions","user":{"id":"U1"},"actions":[{"action_id":"verdict_reject","value":"cart_service_rewrite/aa0"}]}`}}.Encode()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/slack/actions", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		at := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("v0:" + at + ":" + body))
		r.Header.Set("X-Slack-Request-Timestamp", at)
		r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if status := press("guess"); status != http.StatusUnauthorized {
		t.Errorf("a forged answer got %d", status)
	}
	if status := press("s3cret"); status != http.StatusOK {
		t.Errorf("Slack's answer got %d", status)
	}
	body, err := store.Get(t.Context(), "approvals/aa0.json")
	if err != nil || !strings.Contains(string(body), `"rejected"`) || !strings.Contains(string(body), `"U1"`) {
		t.Errorf("recorded %s, %v", body, err)
	}
}
