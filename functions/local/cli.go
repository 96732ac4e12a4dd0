package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"
)

// program is what a command needs of the process it runs in.
type program struct {
	in   io.Reader
	out  io.Writer // results
	err  io.Writer // progress and complaints
	env  func(string) (string, bool)
	now  func() time.Time
	log  *slog.Logger
	live bool // a person watches err: progress is redrawn in place
}

type command struct {
	name, usage, does string
	run               func(p program, ctx context.Context, flags *flag.FlagSet, args []string) error
}

func commands() []command {
	return []command{
		{"demo", "[--visitors N] [--seed N] [--serve=false] [--json]", "play a shop's traffic through the whole pipeline and serve the dashboard", program.demo},
		{"run", "[--lake DIR] [--as-of DATE] [--json]", "bring tables, results and decisions of a lake up to date", program.pipeline},
		{"serve", "[--lake DIR] [--addr HOST:PORT] [--every DURATION]", "collect events, run the pipeline on a schedule, show the dashboard", program.serve},
		{"import", "--mapping FILE [--lake DIR] DATA.csv|DATA.parquet", "send somebody else's file through the collector as events", program.importFile},
		{"replay", "[--namespace NAME] [--lake DIR] FILE… | --quarantine", "land events that were recorded elsewhere: GA4 and Tag Manager exports, dataLayer dumps; or our own quarantine (docs/replay.md)", program.replayFiles},
		{"ledger", "[--lake DIR] [--days N] [--hours] [--json]", "balance what was sent, collected, landed and made into facts; fails when we lost something", program.ledger},
		{"health", "[--lake DIR] [--as-of DATE] [--all] [--json]", "take the pipeline's pulse: freshness, lateness, the ledger, drift of events against the week before", program.health},
		{"gtm", "plan|publish|container --env ENV [--yes] [--json]", "compare the Tag Manager container as code with what is live, publish it, print it for import (docs/gtm.md)", program.gtm},
		{"notebook", "EXPERIMENT [--out FILE] [--engine local|athena] [--metric NAME] [--segment SQL] [--funnel A,B]", "write a Jupyter notebook that reproduces an experiment's readout and looks deeper (docs/notebooks.md)", program.notebook},
		{"identity", "score|log|veto|allow", "score the linking of a labelled table; show merges, undo one (docs/identity.md)", program.identity},
		{"privacy", "erase|export|audit [--by NAME] ID…", "erase or export all that is held about a person; show what was done (docs/privacy.md)", program.privacy},
		{"cost", "[--events-per-day N] [--experiments M] [--container] [--json]", "price a deployment on AWS, service by service, and name the quotas that bind (docs/cost.md)", program.cost},
		{"experiment", "check|list|show|plan", "check experiments, list and show them, plan one: power, run time, cost, what a change would do (docs/experiments.md)", program.experiment},
		{"metrics", "list|show|sql|export|lineage", "list and explain metrics, print their SQL, say them in MetricFlow's, Eppo's or GrowthBook's words, show what they are made of (docs/metrics.md)", program.metrics},
		{"check", "[--project DIR]", "check tracking plan, models, metrics and experiments", program.check},
		{"verify", "[--lake DIR] [--json] BUNDLE…", "recompute what an evaluation found and decided from its bundle, a file, hash or experiment; exits 1 if it differs, 2 if it cannot be read (docs/bundle.md)", program.verify},
		{"flag", "[--rebucket] show|on|off FLAG, ramp FLAG RULE SHARE, conclude|rollback FLAG RULE VARIANT", "read or move a flag on the platform that FLAG_PLATFORM, FLAG_PROJECT, FLAG_ENVIRONMENT and FLAG_TOKEN name (docs/flags.md)", program.moveFlag},
		{"plan", "check|types|page|diff REVISION [--project DIR]", "check the tracking plan, write its types or its page, compare it with a git revision", program.plan},
		{"analyze", "< CASES.json", "push statistics of your own through the engine: JSON in, JSON out (docs/analyze.md)", program.analyze},
		{"power", "< PLANS.json", "power, sample size, detectable effect, run time of planned and running experiments (docs/analyze.md)", program.power},
		{"replay-statistics", "[--daily] [--control ARM] [--json] FILE.csv", "when would each method have stopped finished experiments, and did their end agree?", program.replayStatistics},
	}
}

// exit is an error with an exit code of its own.
type exit struct {
	code int
	error
}

func (e exit) Unwrap() error { return e.error }

// run executes one command line.
func (p program) run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		p.help()
		return nil
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
		flags.SetOutput(p.err)
		flags.Usage = func() {
			fmt.Fprintf(p.err, "verdict %s %s\n  %s\n\n", c.name, c.usage, c.does)
			flags.PrintDefaults()
		}
		err := c.run(p, ctx, flags, args[1:])
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	return fmt.Errorf("there is no command %q; verdict help lists them", args[0])
}

func (p program) help() {
	var b strings.Builder
	b.WriteString("Verdict: from product events to rollout decisions.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  verdict %s %s\n      %s\n", c.name, c.usage, c.does)
	}
	fmt.Fprintf(p.out, "%s\nverdict COMMAND -h explains the flags.\n", b.String())
}

// misuse is a command line that cannot be meant, as opposed to work that failed.
type misuse struct{ says string }

func (m misuse) Error() string { return m.says }

func wrongUse(format string, args ...any) error { return misuse{fmt.Sprintf(format, args...)} }

// parseNamed reads a command's flags around its one argument, which may stand before or after them.
func parseNamed(flags *flag.FlagSet, args []string, what string) (string, error) {
	var named []string
	for rest := args; ; {
		if err := flags.Parse(rest); err != nil {
			return "", flag.ErrHelp // flag has printed what is wrong
		}
		if flags.NArg() == 0 {
			break
		}
		named, rest = append(named, flags.Arg(0)), flags.Args()[1:]
	}
	if len(named) != 1 {
		flags.Usage()
		return "", wrongUse("%s wants one %s, not %d", flags.Name(), what, len(named))
	}
	return named[0], nil
}

// parse reads a command's flags and wants exactly n arguments after them.
func parse(flags *flag.FlagSet, args []string, n int) error {
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp // flag has printed what is wrong
	}
	if flags.NArg() != n {
		flags.Usage()
		return fmt.Errorf("%s wants %d file(s) after its flags, not %d", flags.Name(), n, flags.NArg())
	}
	return nil
}
