package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"verdict/shared/bundle"
	"verdict/shared/embedded/directory"
)

// The exit codes of verify beside 0: a script wants to tell a bundle that is wrong from one that is not there.
const (
	exitDiffers    = 1
	exitUnreadable = 2
)

// verified is what verify says of one bundle.
type verified struct {
	Bundle string `json:"bundle"` // as it was named
	OK     bool   `json:"ok"`
	bundle.Report
}

// verify is `verdict verify`.
func (p program) verify(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake in which hashes and experiments are looked up")
	asJSON := flags.Bool("json", false, "print the findings as JSON")
	if err := arguments(flags, args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return exit{exitUnreadable, errors.New("verify wants a bundle: a file, a hash or an experiment")}
	}
	var all []verified
	wrong := 0
	for _, name := range flags.Args() {
		report, err := verifyOne(ctx, *lakeDir, name)
		if err != nil {
			return exit{exitUnreadable, err}
		}
		all = append(all, verified{name, report.OK(), report})
		if !report.OK() {
			wrong++
		}
	}
	if err := p.tell(all, *asJSON); err != nil {
		return err
	}
	if wrong > 0 {
		return exit{exitDiffers, fmt.Errorf("%d of %d bundles do not come out as they state", wrong, len(all))}
	}
	return nil
}

// verifyOne verifies a file, or else what the lake has under a name.
func verifyOne(ctx context.Context, lakeDir, name string) (bundle.Report, error) {
	file, err := os.ReadFile(name)
	if err != nil {
		store := &directory.Store{Root: lakeDir}
		key, err := bundle.Find(ctx, store, name)
		if err != nil {
			return bundle.Report{}, err
		}
		if file, err = store.Get(ctx, key); err != nil {
			return bundle.Report{}, err
		}
		name = key
	}
	report, err := bundle.Verify(name, file)
	if err != nil {
		return report, fmt.Errorf("%s: %w", name, err)
	}
	return report, nil
}

func (p program) tell(all []verified, asJSON bool) error {
	if asJSON {
		return p.printJSON(all)
	}
	for _, v := range all {
		verdict := "DIFFERS"
		switch {
		case v.Identical && v.OK:
			verdict = "OK, to the same bytes"
		case v.OK:
			verdict = fmt.Sprintf("OK, but for last bits: it was computed on %s by %s", v.Engine.Architecture, v.Engine.Go)
		}
		fmt.Fprintf(p.out, "%s: %s\n  %s as of %s: %s; %d figures recomputed; engine %d, %s, %s\n",
			v.Hash, verdict, v.Experiment, v.AsOf, v.Verdict, v.Figures, v.Engine.Version, v.Engine.Architecture, v.Engine.Go)
		if v.Named == "" {
			fmt.Fprintln(p.out, "  The file's name states no hash: the decision's record must name this one, or it is not the bundle it rests on.")
		}
		for _, d := range v.Differences {
			fmt.Fprintf(p.out, "  %s: stated %s, recomputed %s\n", d.Field, d.Stated, d.Recomputed)
		}
	}
	return nil
}
