package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// tables is `verdict tables page|show`.
func (p program) tables(_ context.Context, flags *flag.FlagSet, args []string) error {
	dir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
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
	page := d.Models.Page()
	if verb == "show" {
		_, section, found := strings.Cut(page, "\n## "+flags.Arg(0)+"\n")
		if !found {
			return fmt.Errorf("there is no table %q", flags.Arg(0))
		}
		section, _, _ = strings.Cut(section, "\n## ")
		page = strings.TrimSpace(section) + "\n"
	}
	_, err = io.WriteString(p.out, page)
	return err
}
