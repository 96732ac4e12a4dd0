package e2e_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"verdict/shared/identity/identitytest"
	"verdict/shared/identity/linkage"
)

// The engine through the binary: cases in, answers out.
func TestAnalyzeAndPower(t *testing.T) {
	for command, c := range map[string]struct{ in, want string }{
		"analyze": {`{"op":"srm","id":"kohavi","counts":[821588,815482],"weights":[1,1]}`, `"id":"kohavi","status":"ok","chi_square":22.7`},
		"power":   {`{"op":"sample_size","family":"proportion","mean":0.02,"effect":0.002}`, `"n_control":80678.6`},
	} {
		cmd := exec.CommandContext(t.Context(), binary, command)
		cmd.Stdin = strings.NewReader(c.in)
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte(c.want)) {
			t.Errorf("%s: %v: %s, want %s", command, err, out, c.want)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "analyze")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("nothing was given")) {
		t.Errorf("no cases: %v: %s", err, out)
	}
}

func TestReplayStatistics(t *testing.T) {
	file := filepath.Join(t.TempDir(), "statistics.csv")
	const rows = "experiment,metric,arm,day,count,mean,variance\ne,m,control,1,1000,10,4\ne,m,b,1,1000,10.9,4\ne,m,control,2,4000,10,4\ne,m,b,2,4000,10.02,4\n"
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, err := verdict(t, "replay-statistics", file)
	if err != nil || !strings.Contains(out, "sequence            1 of 1   25 %         0.0 %") {
		t.Errorf("%v: %s%s", err, out, complaints)
	}
}

// A plan in a git repository, changed in ways that may and may not be.
func TestPlanDiff(t *testing.T) {
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@localhost"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "events"), os.DirFS("../../events")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "events", "web")); err != nil {
		t.Fatal(err)
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-qm", "plan")
	if out, complaints, err := verdict(t, "plan", "diff", "--project", dir, "HEAD"); err != nil || !strings.Contains(out, "Nothing in the tracking plan has changed") {
		t.Errorf("unchanged: %v: %s%s", err, out, complaints)
	}
	schemas := filepath.Join(dir, "events", "schemas", "page_viewed")
	released, err := os.ReadFile(filepath.Join(schemas, "1-0-0.json"))
	if err != nil {
		t.Fatal(err)
	}
	narrower := bytes.Replace(released, []byte(`"home"`), []byte(`"start"`), 1)
	if err := os.WriteFile(filepath.Join(schemas, "1-0-0.json"), narrower, 0o600); err != nil {
		t.Fatal(err)
	}
	out, complaints, err := verdict(t, "plan", "diff", "--project", dir, "HEAD")
	if err == nil || !strings.Contains(out, "a released schema never changes") || !strings.Contains(complaints, "break the rules of versions") {
		t.Errorf("a released schema changed: %v: %s%s", err, out, complaints)
	}
	if out, complaints, err := verdict(t, "plan", "check"); err != nil || !strings.Contains(out, "12 events") {
		t.Errorf("check: %v: %s%s", err, out, complaints)
	}
}

// Labelled records through the binary: linked without their labels, scored against them.
func TestIdentityScore(t *testing.T) {
	persons := identitytest.NewPersons(300, 5)
	var rows bytes.Buffer
	w := csv.NewWriter(&rows)
	w.Write(append(persons.Table.Columns, "person"))
	for i, row := range persons.Table.Rows {
		w.Write(append(row, persons.Truth[i]))
	}
	w.Flush()
	dir := t.TempDir()
	file, config := filepath.Join(dir, "persons.csv"), filepath.Join(dir, "link.yaml")
	for name, body := range map[string][]byte{file: rows.Bytes(), config: []byte("blocking: [[surname], [date_of_birth], ['given_name:2', postcode]]\n")} {
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, complaints, err := verdict(t, "identity", "score", "--truth", "person", "--config", config, "--json", file)
	var got struct {
		Records, Threshold float64
		Blocking           []json.RawMessage
		Units              linkage.Quality
	}
	if err != nil || json.Unmarshal([]byte(out), &got) != nil {
		t.Fatalf("%v: %s%s", err, out, complaints)
	}
	if got.Records != float64(len(persons.Truth)) || len(got.Blocking) != 3 || got.Units.Persons != 300 || got.Units.Pairwise.F1 < 0.97 || got.Units.Pairwise.F1 > 1 {
		t.Errorf("%+v", got)
	}
	for _, wrong := range [][]string{{"score", file}, {"score", "--truth", "nobody", file}, {"veto", "--lake", dir, "a:1", "u:1"}, {"veto", "--lake", dir, "--reason", "x", "1", "2"}} {
		if out, _, err := verdict(t, append([]string{"identity"}, wrong...)...); err == nil {
			t.Errorf("%v: %s", wrong, out)
		}
	}
}
