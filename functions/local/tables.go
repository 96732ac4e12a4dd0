package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"

	"verdict/shared/fault"
	"verdict/shared/model"
)

// tables is `verdict tables page|show`.
func (p program) tables(_ context.Context, flags *flag.FlagSet, args []string) error {
	dir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asJSON := flags.Bool("json", false, "print the tables as JSON")
	if len(args) == 0 {
		flags.Usage()
		return errors.New("tables wants one of page, show")
	}
	verb, rest := args[0], args[1:]
	wanted := map[string]int{"page": 0, "show": 1}
	n, ok := wanted[verb]
	if !ok {
		flags.Usage()
		return fmt.Errorf("tables wants one of page, show, not %q", verb)
	}
	if err := parse(flags, rest, n); err != nil {
		return err
	}
	d, err := load(*dir)
	if err != nil {
		return err
	}
	if verb == "page" {
		if *asJSON {
			return p.printJSON(d.Models.Tables())
		}
		_, err = io.WriteString(p.out, d.Models.Page())
		return err
	}
	all := d.Models.Tables()
	at := slices.IndexFunc(all, func(t model.Described) bool { return t.Name == flags.Arg(0) })
	if at < 0 {
		return fault.New(fault.NotFound, "there is no table %q", flags.Arg(0))
	}
	if *asJSON {
		return p.printJSON(all[at])
	}
	_, err = io.WriteString(p.out, all[at].Page())
	return err
}
