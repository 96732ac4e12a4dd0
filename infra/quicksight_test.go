package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/dialect"
)

// withQuickSight is dev with somebody who looks at it there.
func withQuickSight() Environment {
	e := dev()
	e.QuickSight.Reader = "arn:aws:quicksight:eu-central-1:123456789012:group/default/experiments"
	return e
}

func synthesizeQuickSight(t *testing.T) synthesized {
	t.Helper()
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	s, err := synthesize(folder, withQuickSight())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestQuickSightReadsAndNothingElse(t *testing.T) {
	s := synthesizeQuickSight(t)
	stacks := map[string]bool{}
	for _, r := range s.resources {
		stacks[r.stack] = true
		if r.stack != "dev/quicksight" {
			continue
		}
		if r.kind == "AWS::IAM::Policy" {
			for _, st := range list(in(r.properties, "PolicyDocument")["Statement"]) {
				statement := st.(object)
				for _, action := range list(statement["Action"]) {
					_, verb, _ := strings.Cut(action.(string), ":")
					for _, where := range list(statement["Resource"]) {
						if strings.HasPrefix(verb, "Put") && !strings.HasSuffix(text(where), "/athena/adhoc/*") || text(where) == "*" {
							t.Errorf("%s may %s at %s", r, action, text(where))
						}
						if verb == "GetObject" && !strings.HasSuffix(text(where), "/athena/adhoc/*") && !strings.HasSuffix(text(where), "/warehouse/*") {
							t.Errorf("%s may read %s", r, text(where))
						}
					}
				}
			}
		}
		if granted := r.properties["Permissions"]; granted != nil {
			for _, g := range list(granted) {
				if got := g.(object)["Principal"]; got != withQuickSight().QuickSight.Reader {
					t.Errorf("%s is granted to %v", r, got)
				}
				for _, action := range list(g.(object)["Actions"]) {
					if writes := regexp.MustCompile("Update|Delete|Create").MatchString(action.(string)); writes && r.kind != "AWS::QuickSight::Analysis" {
						t.Errorf("readers may %s of %s", action, r)
					}
				}
			}
		}
	}
	if !stacks["dev/quicksight"] {
		t.Error("there is no stack of QuickSight")
	}
	for _, r := range all(t).resources {
		if strings.HasPrefix(r.kind, "AWS::QuickSight") {
			t.Errorf("%s is there, and nobody asked", r)
		}
	}
}

// QuickSight finds a wrong column only when somebody opens the dashboard.
func TestQuickSightShowsWhatTheTablesHold(t *testing.T) {
	s := synthesizeQuickSight(t)
	columns := map[string][]string{}
	for _, r := range s.of("AWS::QuickSight::DataSet") {
		for id, table := range in(r.properties, "PhysicalTableMap") {
			custom := in(table.(object), "CustomSql")
			sql := text(custom["SqlQuery"])
			for _, f := range dialect.Check(sql) {
				t.Errorf("%s: %q is not in the dialect", id, f.Found)
			}
			selected, _, _ := strings.Cut(strings.TrimPrefix(sql, "SELECT "), " FROM ")
			var got []string
			for part := range strings.SplitSeq(selected, ", ") {
				got = append(got, part[strings.LastIndex(part, " ")+1:])
			}
			for _, c := range list(custom["Columns"]) {
				columns[id] = append(columns[id], c.(object)["Name"].(string))
			}
			if diff := cmp.Diff(columns[id], got); diff != "" {
				t.Errorf("%s: columns -declared +selected:\n%s", id, diff)
			}
		}
	}
	shown := 0
	for _, r := range s.of("AWS::QuickSight::Analysis", "AWS::QuickSight::Dashboard") {
		definition, err := json.Marshal(r.properties["Definition"])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`"ColumnName":"(\w+)","DataSetIdentifier":"(\w+)"`).FindAllStringSubmatch(string(definition), -1) {
			shown++
			if !slices.Contains(columns[m[2]], m[1]) {
				t.Errorf("%s shows column %s, which %s lacks", r, m[1], m[2])
			}
		}
	}
	if len(columns) != len(dataSets()) || shown < 60 {
		t.Errorf("%d data sets, %d columns shown", len(columns), shown)
	}
}
