package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/privacy"
	"verdict/shared/redact"
	"verdict/shared/table/foreign"
)

// privacy is `verdict privacy erase|export|sweep|audit`.
func (p program) privacy(ctx context.Context, flags *flag.FlagSet, args []string) error {
	flags.Usage = func() {
		fmt.Fprint(p.err, `verdict privacy erase [--lake DIR] [--by NAME] [--json] ID...
  take all that is held about a person out of the lake; without an ID, complete what was cut off
verdict privacy export [--lake DIR] [--by NAME] [--out FILE] [--json] ID...
  write all that is held about a person as JSON Lines
verdict privacy sweep [--lake DIR] [--by NAME] [--json] --keep "NAMESPACE=DAYS ..."
  remove the landed events of days that are older than their namespace keeps them
verdict privacy audit [--lake DIR] [--json]
  show what was done, when and by whom

An ID is u:… of a user or a:… of a browser; one of a person's is enough.
`)
	}
	if len(args) == 0 {
		flags.Usage()
		return wrongUse("privacy wants one of erase, export, sweep, audit")
	}
	verb, rest := args[0], args[1:]
	do := map[string]func(program, context.Context, *flag.FlagSet, []string) error{
		"erase": program.erase, "export": program.export, "sweep": program.sweep, "audit": program.audits,
	}[verb]
	if do == nil {
		flags.Usage()
		return wrongUse("privacy wants one of erase, export, sweep, audit, not %q", verb)
	}
	return do(p, ctx, flags, rest)
}

// personal are the flags of what is done for a person.
type personal struct {
	lake, project, by *string
}

func (p program) personal(flags *flag.FlagSet) personal {
	user, _ := p.env("USER")
	return personal{
		flags.String("lake", ".verdict/lake", "folder of the lake"),
		flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)"),
		flags.String("by", user, "who answers for the request; stands in the audit trail"),
	}
}

func (p program) erase(ctx context.Context, flags *flag.FlagSet, args []string) error {
	of := p.personal(flags)
	asJSON := flags.Bool("json", false, "print what was done as JSON")
	if err := arguments(flags, args); err != nil {
		return err
	}
	officer, h, err := p.officer(ctx, of)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	if flags.NArg() > 0 {
		r := privacy.Request{Action: privacy.Erase, IDs: flags.Args(), By: *of.by, At: p.now().UTC()}
		if err := officer.Ask(ctx, r); err != nil {
			return err
		}
	}
	done, err := officer.Work(ctx)
	if *asJSON {
		return errors.Join(err, p.printJSON(append([]privacy.Audit{}, done...)))
	}
	for _, a := range done {
		var lines int64
		for _, n := range a.Lines {
			lines += n
		}
		fmt.Fprintf(p.out, "Erased %d ids: %d lines of %d files, and %d objects of superseded runs.\n", len(a.Persons), lines, a.Files, a.Objects)
	}
	if err == nil && len(done) == 0 {
		fmt.Fprintln(p.out, "Nothing was left to do.")
	}
	return err
}

func (p program) export(ctx context.Context, flags *flag.FlagSet, args []string) error {
	of := p.personal(flags)
	out := flags.String("out", "", "file to write (default: standard output)")
	asJSON := flags.Bool("json", false, "print what was written to --out as JSON")
	if err := arguments(flags, args); err != nil {
		return err
	}
	if *asJSON && *out == "" {
		return wrongUse("privacy export --json wants --out FILE: without it, standard output is the rows")
	}
	officer, h, err := p.officer(ctx, of)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	to := p.out
	if *out != "" {
		f, err := os.OpenFile(*out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return fmt.Errorf("write export: %w", err)
		}
		defer f.Close() //nolint:errcheck // a short file is told by its writer
		to = f
	}
	a, err := officer.HandOver(ctx, privacy.Request{Action: privacy.Export, IDs: flags.Args(), By: *of.by, At: p.now().UTC()}, to)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(a)
	}
	var rows int64
	for _, n := range a.Rows {
		rows += n
	}
	fmt.Fprintf(p.err, "%d rows of %d ids.\n", rows, len(a.Persons))
	return nil
}

func (p program) sweep(ctx context.Context, flags *flag.FlagSet, args []string) error {
	of := p.personal(flags)
	keep := flags.String("keep", "", `days for which namespaces keep what has landed, such as "games=30 shop=400"`)
	asJSON := flags.Bool("json", false, "print what was done as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	keeps, err := privacy.ParseRetention(*keep)
	if err != nil {
		return err
	}
	if len(keeps) == 0 {
		return wrongUse("privacy sweep wants --keep, such as --keep games=30")
	}
	officer, h, err := p.officer(ctx, of)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	a, err := officer.Sweep(ctx, keeps, *of.by)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(a)
	}
	fmt.Fprintf(p.out, "Removed %d files of days that are no longer kept.\n", a.Files)
	return nil
}

func (p program) audits(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	all, err := privacy.Trail{Objects: &directory.Store{Root: *lakeDir}}.All(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(append([]privacy.Audit{}, all...))
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ASKED\tDONE\tBY\tACTION\tPERSON\tFILES\tLINES\tROWS")
	for _, a := range all {
		var lines, rows int64
		for _, n := range a.Lines {
			lines += n
		}
		for _, n := range a.Rows {
			rows += n
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", a.At.Format(time.DateTime), a.Done.Format(time.DateTime), a.By, a.Action, strings.Join(a.Persons, " "), a.Files, lines, rows)
	}
	return w.Flush()
}

// officer opens a lake with all that was acknowledged in it.
func (p program) officer(ctx context.Context, of personal) (*privacy.Officer, *home, error) {
	h, err := p.open(ctx, *of.lake, *of.project)
	if err != nil {
		return nil, nil, err
	}
	key, err := privacyKey(ctx, h.store)
	if err == nil {
		err = h.land(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, h.close())
	}
	return h.pipeline().Officer(h.store, key, foreign.EachRow), h, nil
}

// privacyKey is the key of a lake on one machine, which is made when it is first needed: a file that only its owner reads.
func privacyKey(ctx context.Context, objects lake.Objects) (redact.Key, error) {
	const name = "privacy.key"
	body, err := objects.Get(ctx, name)
	if !fault.Is(err, fault.NotFound) {
		return bytes.TrimSpace(body), err
	}
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("make privacy key: %w", err)
	}
	key := []byte(hex.EncodeToString(fresh))
	return key, objects.Put(ctx, name, key, lake.Create)
}

// suppression is who was erased from a lake.
func suppression(objects lake.Objects) *privacy.Suppression {
	return &privacy.Suppression{Objects: objects, Key: keyOf(objects)}
}

func keyOf(objects lake.Objects) func(context.Context) (redact.Key, error) {
	return func(ctx context.Context) (redact.Key, error) { return privacyKey(ctx, objects) }
}
