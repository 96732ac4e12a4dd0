package aws_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"verdict/shared/lake"
	"verdict/shared/privacy"
)

// forgets has the deployed function erase somebody, and looks for what is left of them.
func (e *emulator) forgets(t *testing.T, m *mirror, at time.Time) {
	t.Helper()
	ask := func(sql string) []string {
		t.Helper()
		result, err := m.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, v := range result.Rows[0] {
			out = append(out, *v)
		}
		return out
	}
	ids := ask("SELECT user_id, anonymous_id FROM fact_event WHERE user_id IS NOT NULL AND anonymous_id IS NOT NULL ORDER BY event_id LIMIT 1")
	user, browser := ids[0], ids[1]
	theirs := fmt.Sprintf("FROM fact_event WHERE user_id = %s OR anonymous_id = %s", lake.Quote(user), lake.Quote(browser))
	before := ask("SELECT count(*) " + theirs)[0]
	request, err := json.Marshal(privacy.Request{Action: privacy.Erase, IDs: []string{"u:" + user}, By: "tests", At: time.Now().Add(-time.Hour).UTC()})
	if err != nil {
		t.Fatal(err)
	}
	e.fill(t, "verdict/dev/privacy-key", strings.Repeat("k", 32))
	if err := m.bucket.Put(t.Context(), "privacy/requests/ticket-17.json", request, lake.Create); err != nil {
		t.Fatal(err)
	}
	e.invoke(t, "privacy", at)

	trail, err := privacy.Trail{Objects: m.bucket}.All(t.Context())
	if err != nil || len(trail) != 1 || trail[0].By != "tests" || trail[0].Lines["raw"] == 0 {
		t.Fatalf("audit trail %+v, %v", trail, err)
	}
	if left, all := ask("SELECT count(*) " + theirs)[0], ask("SELECT count(*) FROM fact_event")[0]; left != "0" || all == "0" {
		t.Errorf("fact_event has %s rows, of them %s of %s", all, left, user)
	}
	if left := ask(fmt.Sprintf("SELECT count(*) FROM dim_user WHERE entity_id IN (%s)", lake.QuoteList([]string{"u:" + user, "a:" + browser})))[0]; left != "0" {
		t.Errorf("dim_user has %s rows of %s", left, user)
	}
	for _, prefix := range []string{"raw/", "quarantine/", "privacy/"} {
		objects, err := m.bucket.List(t.Context(), prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			body, err := landed(t.Context(), m.bucket, o.Key)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(body, []byte(browser)) || bytes.Contains(body, []byte(`"`+user+`"`)) {
				t.Errorf("%s still tells of %s", o.Key, user)
			}
		}
	}
	t.Logf("of %s, known by %s events, nothing is left: %d files were rewritten", user, before, trail[0].Files)
}
