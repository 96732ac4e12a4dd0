package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"

	"verdict/shared/embedded/directory"
	"verdict/shared/replay"
	"verdict/shared/table/foreign"
)

// replayFiles is `verdict replay`.
func (p program) replayFiles(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	job := replay.Job{}
	flags.StringVar(&job.Namespace, "namespace", namespace, "namespace of the events")
	kind := flags.String("kind", "", "ga4, sgtm, datalayer or quarantine (default: what the first row looks like)")
	flags.Float64Var(&job.MaxBad, "max-bad", replay.DefaultMaxBad, "refuse a file of whose events more than this share breaks its contract")
	quarantine := flags.Bool("quarantine", false, "replay the lake's own quarantine, under the plan in force")
	asJSON := flags.Bool("json", false, "print the reports as JSON")
	if err := arguments(flags, args); err != nil {
		return err
	}
	if job.Kind = replay.Kind(*kind); *kind != "" && !slices.Contains(replay.Kinds(), job.Kind) {
		return fmt.Errorf("--kind wants one of %v, not %q", replay.Kinds(), *kind)
	}
	if flags.NArg() == 0 && !*quarantine {
		flags.Usage()
		return errors.New("replay wants files, or --quarantine")
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	store := &directory.Store{Root: *lakeDir}
	r := &replay.Replayer{Plan: d.Plan, Mapping: d.replay, Objects: store, Erased: suppression(store), Parquet: foreign.EachRow, Key: keyOf(store)}
	lock, err := lockLake(*lakeDir)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // the process gives it back in any case
	var reports []replay.Report
	for _, path := range flags.Args() {
		one := job
		one.Name = path
		report, err := p.replay(ctx, r, one)
		if err != nil {
			p.replayed(report)
			return err
		}
		reports = append(reports, report)
	}
	if *quarantine {
		inbox := &replay.Inbox{Replayer: r, Source: store, Told: func(r replay.Report) { reports = append(reports, r) }}
		if err := inbox.Quarantine(ctx); err != nil {
			return err
		}
	}
	if *asJSON {
		return p.printJSON(reports)
	}
	for _, r := range reports {
		p.replayed(r)
	}
	fmt.Fprintf(p.out, "Next: bin/verdict run --lake %s --as-of DAY, the day after the last that counts.\n", *lakeDir)
	return nil
}

// replay replays a file of this machine, with a bar that moves.
func (p program) replay(ctx context.Context, r *replay.Replayer, job replay.Job) (replay.Report, error) {
	f, err := directory.OpenFile(job.Name)
	if err != nil {
		return replay.Report{}, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	job.File = f
	const steps = 1000 // of a bar: a file's bytes may not fit an int
	b := newBoard(p.err, p.live, steps, "replay")
	job.Moved = func(done, total int64) { b.moved("replay", int(float64(steps)*float64(done)/float64(max(total, 1)))) }
	return r.Run(ctx, job)
}

// replayed says what became of a file.
func (p program) replayed(r replay.Report) {
	if r.Rows == 0 {
		return
	}
	fmt.Fprintf(p.out, "%s (%s): %d rows; %d events accepted, %d in quarantine, written as %d files.\n", r.Name, r.Kind, r.Rows, r.Accepted, r.Quarantined, len(r.Objects))
	if r.Again {
		fmt.Fprintln(p.out, "  It was replayed before, with this plan and mapping: nothing was changed.")
	}
	if r.Erased > 0 {
		fmt.Fprintf(p.out, "  Left out, since their persons were erased: %d events.\n", r.Erased)
	}
	var left []string
	for _, name := range slices.SortedFunc(maps.Keys(r.LeftOut), func(a, b string) int { return r.LeftOut[b] - r.LeftOut[a] }) {
		left = append(left, fmt.Sprintf("%s %d", name, r.LeftOut[name]))
	}
	if left != nil {
		fmt.Fprintf(p.out, "  Left out, since events/replay.yaml does not name them: %s.\n", strings.Join(left, ", "))
	}
	for _, f := range r.Failures {
		for _, one := range f.Failures {
			fmt.Fprintf(p.out, "  row %d, %s: %s %s\n", f.Row, f.Event, one.Path, one.Message)
		}
	}
}
