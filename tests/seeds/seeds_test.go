// Package seeds_test plays the whole demo for many seeds: the verdicts must be right for each.
package seeds_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

func TestVerdictsAreRight(t *testing.T) {
	if *seeds == 0 {
		t.Skip("slow, about a minute a seed: run it with make test-seeds")
	}
	want := map[string]string{
		"one_page_checkout":    "ship treatment", // the true winner
		"urgency_banner":       "roll_back control",
		"cart_service_rewrite": "stop ", // A/A
		"new_navigation":       "blocked ",
		"gift_wrap":            "extend ", // too small to decide
	}
	binary, err := filepath.Abs("../../bin/verdict")
	if err != nil {
		t.Fatal(err)
	}
	for seed := *from; seed < *from+*seeds; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), binary, "demo", "--json", "--addr", "127.0.0.1:0", "--lake", t.TempDir(), "--seed", strconv.Itoa(seed))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var outcome struct {
				Experiments []struct{ ID, Verdict, Variant string }
			}
			if err := json.Unmarshal(out, &outcome); err != nil {
				t.Fatal(err)
			}
			if len(outcome.Experiments) != len(want) {
				t.Errorf("%d experiments, want %d", len(outcome.Experiments), len(want))
			}
			for _, e := range outcome.Experiments {
				if got := e.Verdict + " " + e.Variant; got != want[e.ID] {
					t.Errorf("%s: %s, want %s", e.ID, got, want[e.ID])
				}
			}
		})
	}
}

var (
	seeds = flag.Int("seeds", 0, "how many seeds to play")
	from  = flag.Int("from", 1, "the first seed")
)
