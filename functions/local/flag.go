package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"verdict/shared/decide"
	"verdict/shared/feature"
	"verdict/shared/launchdarkly"
	"verdict/shared/optimizely"
)

// moveFlag is `verdict flag`: what people change on the flag platform, by the decider's own means.
func (p program) moveFlag(ctx context.Context, flags *flag.FlagSet, args []string) error {
	rebucket := flags.Bool("rebucket", false, "ramp although users lose their variant or get another one")
	asJSON := flags.Bool("json", false, "print the flag as JSON")
	if err := arguments(flags, args); err != nil {
		return err
	}
	change, err := changeOf(flags.Args())
	if err != nil {
		flags.Usage()
		return err
	}
	change.Rebucket = *rebucket
	platform, err := p.platform()
	if err != nil {
		return err
	}
	if change.Action != "" {
		applied, err := platform.Apply(ctx, change)
		if err != nil {
			return err
		}
		if !*asJSON {
			fmt.Fprintf(p.out, "%s\n\n", applied.Detail)
		}
	}
	now, err := platform.Flag(ctx, change.Flag)
	if err != nil {
		return err
	}
	if *asJSON {
		return p.printJSON(now)
	}
	return showFlag(p.out, now)
}

// changeOf reads what is left of the command line; to show a flag is to change nothing.
func changeOf(args []string) (decide.Change, error) {
	wants := map[string]int{"show": 2, "on": 2, "off": 2, "ramp": 4, "conclude": 4, "rollback": 4}
	if len(args) == 0 || wants[args[0]] != len(args) {
		return decide.Change{}, errors.New("flag wants show, on or off and a flag, or ramp, conclude or rollback, a flag, a rule, and a share or a variant")
	}
	change := decide.Change{DecisionID: "by hand", Flag: args[1]}
	switch args[0] {
	case "show":
		return change, nil
	case "on":
		change.Action = decide.Enable
		return change, nil
	case "off":
		change.Action = decide.Disable
		return change, nil
	}
	change.Action, change.Rule = decide.Action(args[0]), args[2]
	if change.Action != decide.Ramp {
		change.Variant = args[3]
		return change, nil
	}
	var err error
	if change.Included, err = strconv.ParseFloat(args[3], 64); err != nil {
		return change, fmt.Errorf("ramp wants a share from 0 to 1, not %q", args[3])
	}
	return change, nil
}

// platform is the one that the environment names, by the names that the Lambdas know.
func (p program) platform() (decide.Flags, error) {
	env := func(name, otherwise string) string {
		value, _ := p.env(name)
		return cmp.Or(value, otherwise)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	project, stage, token := env("FLAG_PROJECT", ""), env("FLAG_ENVIRONMENT", environment), env("FLAG_TOKEN", "")
	switch name := env("FLAG_PLATFORM", "optimizely"); name {
	case "optimizely":
		return optimizely.New(optimizely.Config{
			BaseURL: env("FLAG_BASE_URL", "https://api.optimizely.com/flags/v1"), Project: project, Environment: stage, Token: token,
			Datafile: env("FLAG_DATAFILE_URL", ""),
		}, client, p.now, wait), nil
	case "launchdarkly":
		return launchdarkly.New(launchdarkly.Config{
			BaseURL: env("FLAG_BASE_URL", "https://app.launchdarkly.com/api/v2"), Project: project, Environment: stage, Token: token,
		}, client, p.now, wait), nil
	default:
		return nil, fmt.Errorf("FLAG_PLATFORM is %q: want optimizely or launchdarkly", name)
	}
}

func showFlag(out io.Writer, f feature.Flag) error {
	state := "off"
	if f.Enabled {
		state = "on"
	}
	fmt.Fprintf(out, "%s is %s in %s, revision %s\n", f.Key, state, f.Environment, f.Revision)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RULE\tKIND\tINCLUDED\tVARIANTS")
	for _, r := range f.Rules {
		var variants []string
		for _, v := range r.Variants {
			variants = append(variants, fmt.Sprintf("%s %.4g %%", v.Key, 100*v.Share))
		}
		fmt.Fprintf(table, "%s\t%s\t%.4g %%\t%s\n", r.Key, r.Kind, 100*r.Included, strings.Join(variants, ", "))
	}
	return table.Flush()
}
