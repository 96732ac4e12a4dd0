package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"verdict/events"
	"verdict/shared/plan"
)

// plan is `verdict plan check|diff|impact|types|page`.
func (p program) plan(ctx context.Context, flags *flag.FlagSet, args []string) error {
	dir := flags.String("project", "", "folder with events/ (default: built in; diff: the folder here)")
	asJSON := new(bool)
	if len(args) == 0 || args[0] != "types" && args[0] != "page" { // these two write a file
		flags.BoolVar(asJSON, "json", false, "print JSON (check, diff, impact)")
	}
	if len(args) == 0 {
		flags.Usage()
		return errors.New("plan wants one of check, diff, impact, types, page")
	}
	verb, rest := args[0], args[1:]
	if verb == "diff" {
		if err := parse(flags, rest, 1); err != nil {
			return err
		}
		return p.planDiff(ctx, *dir, flags.Arg(0), *asJSON)
	}
	if verb == "impact" {
		return p.planImpact(ctx, flags, rest, asJSON)
	}
	if err := parse(flags, rest, 0); err != nil {
		return err
	}
	files := fs.FS(events.Files)
	if *dir != "" {
		files = os.DirFS(filepath.Join(*dir, "events"))
	}
	documents, err := plan.Documents(files)
	if err != nil {
		return fmt.Errorf("events/%w", err)
	}
	switch verb {
	case "check":
		fields := 0
		for _, d := range documents {
			fields += len(d.Fields)
		}
		if *asJSON {
			return p.printJSON(map[string]int{"events": len(documents), "fields": fields})
		}
		fmt.Fprintf(p.out, "%d events with %d fields are sound: schemas compile, every field has a PII class, every example keeps its contract.\n", len(documents), fields)
		return nil
	case "types":
		_, err = io.WriteString(p.out, plan.TypeScript(documents))
	case "page":
		_, err = io.WriteString(p.out, plan.Page(documents))
	default:
		flags.Usage()
		return wrongUse("plan wants one of check, diff, impact, types, page, not %q", verb)
	}
	return err
}

// planDiff compares the plan of a folder with that of a git revision.
func (p program) planDiff(ctx context.Context, dir, revision string, asJSON bool) error {
	if dir == "" {
		dir = "."
	}
	before, err := checkout(ctx, dir, revision, "events")
	if err != nil {
		return err
	}
	defer os.RemoveAll(before) //nolint:errcheck // a temporary folder
	changes, err := plan.Diff(os.DirFS(filepath.Join(before, "events")), os.DirFS(filepath.Join(dir, "events")))
	if err != nil {
		return err
	}
	return p.printChanges(changes, revision, asJSON)
}

// checkout writes folders, as they were in a git revision, below a temporary folder, which is the caller's to remove.
func checkout(ctx context.Context, dir, revision string, folders ...string) (string, error) {
	if strings.HasPrefix(revision, "-") {
		return "", wrongUse("want a git revision, not %q", revision)
	}
	var archive, complaint bytes.Buffer
	git := exec.CommandContext(ctx, "git", append([]string{"-C", dir, "archive", "--format=tar", revision}, folders...)...)
	git.Stdout, git.Stderr = &archive, &complaint
	if err := git.Run(); err != nil {
		return "", fmt.Errorf("read %s of %s: %w: %s", strings.Join(folders, ", "), revision, err, strings.TrimSpace(complaint.String()))
	}
	before, err := os.MkdirTemp("", "verdict-plan-*")
	if err != nil {
		return "", err
	}
	if err := untar(&archive, before); err != nil {
		return "", errors.Join(fmt.Errorf("read %s of %s: %w", strings.Join(folders, ", "), revision, err), os.RemoveAll(before))
	}
	return before, nil
}

func (p program) printChanges(changes []plan.Change, revision string, asJSON bool) error {
	wrong := 0
	if asJSON {
		if err := p.printJSON(append([]plan.Change{}, changes...)); err != nil {
			return err
		}
	}
	for _, c := range changes {
		if asJSON {
			if c.Wrong != "" {
				wrong++
			}
			continue
		}
		effect := "compatible"
		if c.Breaking {
			effect = "BREAKING"
		}
		fmt.Fprintf(p.out, "%-22s %-10s  %s\n", c.Event, effect, c.Text)
		if c.Wrong != "" {
			wrong++
			fmt.Fprintf(p.out, "%-22s %-10s  → %s\n", "", "", c.Wrong)
		}
	}
	switch {
	case wrong > 0:
		return fmt.Errorf("%d of %d changes since %s break the rules of versions", wrong, len(changes), revision)
	case len(changes) == 0 && !asJSON:
		fmt.Fprintf(p.out, "Nothing in the tracking plan has changed since %s.\n", revision)
	}
	return nil
}

// untar writes the regular files of an archive below a folder.
func untar(r io.Reader, folder string) error {
	root, err := os.OpenRoot(folder) // no name in the archive leads out of it
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing is buffered
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		body, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, body, 0o644); err != nil {
			return err
		}
	}
}
