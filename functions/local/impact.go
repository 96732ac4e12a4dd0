package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/impact"
	"verdict/shared/project"
)

// planImpact is `verdict plan impact`: what a change of models, metrics and experiments would do.
func (p program) planImpact(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake, for the bytes")
	asOfText := flags.String("as-of", "", "the day on which experiments must run to count (default: today)")
	asJSON := flags.Bool("json", false, "print JSON")
	revision, err := parseNamed(flags, args, "git REVISION to compare with")
	if err != nil {
		return err
	}
	asOf, err := p.day("as-of", *asOfText, 0)
	if err != nil {
		return err
	}
	dir := flags.Lookup("project").Value.String()
	if dir == "" {
		dir = "."
	}
	folder, err := checkout(ctx, dir, revision, "events", "athena-sql")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	before, err := project.Load(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("%s: %w", revision, err)
	}
	after, err := project.Load(os.DirFS(dir))
	if err != nil {
		return err
	}
	var there *impact.Lake
	if _, err := os.Stat(filepath.Join(*lakeDir, "catalog")); err == nil {
		store := &directory.Store{Root: *lakeDir}
		w, err := duck.Open(ctx, store)
		if err != nil {
			return err
		}
		defer w.Close() //nolint:errcheck // nothing was written
		there = &impact.Lake{Objects: store, Catalog: w}
	}
	changes, err := impact.Assess(ctx, before, after, there, asOf)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(changes)
	}
	for _, c := range changes {
		fmt.Fprintf(p.out, "%s %s is %s\n", c.Kind, c.Name, c.How)
		if len(c.Tables) > 0 {
			fmt.Fprintf(p.out, "  made again:     %s\n", strings.Join(c.Tables, ", "))
		}
		if len(c.Experiments) > 0 {
			fmt.Fprintf(p.out, "  measured anew:  %s\n", strings.Join(c.Experiments, ", "))
		}
		if there != nil {
			fmt.Fprintf(p.out, "  to be read:     at most %.1f MB\n", float64(c.Bytes)/1e6)
		}
	}
	switch {
	case len(changes) == 0:
		fmt.Fprintf(p.out, "No model, metric or experiment has changed since %s.\n", revision)
	case there == nil:
		fmt.Fprintf(p.out, "There is no lake in %s: bytes are not known.\n", *lakeDir)
	}
	return nil
}
