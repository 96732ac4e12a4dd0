package main

import (
	"context"
	"embed"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"verdict/events"
)

// starter is the project that init writes, but for the events that every project has.
//
//go:embed starter
var starter embed.FS

// shared are the files of the built-in project that a new one begins with.
func shared() []string {
	return []string{
		"schemas/event-1-0-0.json", "schemas/page_viewed/1-0-0.json", "schemas/session_started/1-0-0.json", "schemas/experiment_exposed/1-0-0.json",
		"examples/page_viewed.json", "examples/session_started.json", "examples/experiment_exposed.json",
	}
}

// initProject is `verdict init`: a project to begin with, and two weeks of made-up visits to try it on.
func (p program) initProject(_ context.Context, flags *flag.FlagSet, args []string) error {
	asJSON := flags.Bool("json", false, "print folder and files as JSON")
	dir, err := parseNamed(flags, args, "folder")
	if err != nil {
		return err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty: init writes a new folder", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into folder: %w", err)
	}
	for _, name := range shared() {
		if err := copyFile(events.Files, name, filepath.Join(dir, "events", name)); err != nil {
			return err
		}
	}
	template, err := fs.Sub(starter, "starter")
	if err != nil {
		return err
	}
	err = fs.WalkDir(template, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return copyFile(template, name, filepath.Join(dir, name))
	})
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "visits.csv"))
	if err != nil {
		return fmt.Errorf("write visits: %w", err)
	}
	if err := errors.Join(writeVisits(f), f.Close()); err != nil {
		return fmt.Errorf("write visits: %w", err)
	}
	if _, err := load(dir); err != nil {
		return err
	}
	if *asJSON {
		files := []string{}
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("list project: %w", err)
		}
		return p.printJSON(map[string]any{"folder": dir, "files": files})
	}
	fmt.Fprintf(p.out, `%s holds a project:
  events/plan.yaml, events/schemas   which events there are
  athena-sql/metrics/site.yaml       two metrics
  events/experiments/short_form.yaml an experiment
  visits.csv, visits.yaml            two weeks of made-up visits, and which events they stand for
Next: docs/guide.md, or cd %[1]s and verdict import --project . --lake lake --mapping visits.yaml visits.csv
`, dir)
	return nil
}

func copyFile(from fs.FS, name, to string) error {
	body, err := fs.ReadFile(from, name)
	if err != nil {
		return fmt.Errorf("write project: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return fmt.Errorf("write project: %w", err)
	}
	if err := os.WriteFile(to, body, 0o640); err != nil {
		return fmt.Errorf("write project: %w", err)
	}
	return nil
}

// The visits that init makes up: the short form has more sign-ups, and its visitors come back less.
const (
	visitors    = 8000
	visitDays   = 14
	signsUp     = 0.20 // of visitors who see the long form
	signsUpMore = 0.05 // of those who see the short one, besides
	comesBack   = 0.45
	comesLess   = 0.12
)

// writeVisits makes the same visits each time.
func writeVisits(to io.Writer) error {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // made-up visits, the same each time
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	w := csv.NewWriter(to)
	if err := w.Write([]string{"visitor", "form", "seen_at", "signed_up_at", "came_back_at"}); err != nil {
		return err
	}
	for i := range visitors {
		seen := start.AddDate(0, 0, i*visitDays/visitors).Add(time.Duration(random.IntN(86_400)) * time.Second)
		form, signs, returns := "long", signsUp, comesBack
		if random.IntN(2) == 1 {
			form, signs, returns = "short", signsUp+signsUpMore, comesBack-comesLess
		}
		row := []string{fmt.Sprintf("v%05d", i+1), form, seen.Format(time.DateTime), "", ""}
		if random.Float64() < signs {
			row[3] = seen.Add(time.Duration(60+random.IntN(3600)) * time.Second).Format(time.DateTime)
		}
		if random.Float64() < returns {
			row[4] = seen.Add(time.Duration(25+random.IntN(40)) * time.Hour).Format(time.DateTime)
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
