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

	"verdict/shared/decide"
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
	name, usage, does string // does: one line, at most 72 characters; `verdict help COMMAND` tells the rest
	run               func(p program, ctx context.Context, flags *flag.FlagSet, args []string) error
}

type group struct {
	title, does string
	commands    []command
}

// groups are all commands, in the order in which a newcomer meets them.
func groups() []group {
	return []group{
		{"Start", "see it work, begin a project of your own", []command{
			{"demo", "[--visitors N] [--seed N] [--serve=false] [--json]", "play a shop's traffic through the whole pipeline, show what it decides", program.demo},
			{"init", "[--json] DIR", "write a small project of your own to begin with, and data to try it on", program.initProject},
			{"serve", "[--lake DIR] [--addr HOST:PORT] [--every DURATION]", "collect events, run the pipeline on a schedule, show the dashboard", program.serve},
			{"check", "[--project DIR] [--json]", "check the whole project: tracking plan, models, metrics, experiments", program.check},
			{"completion", "bash|zsh|fish", "write a script that completes commands and flags in a shell", program.completion},
		}},
		{"Collect", "get events in", []command{
			{"plan", "check|types|page|diff REVISION|impact REVISION [--project DIR]", "check the tracking plan; write types and page; what a change touches", program.plan},
			{"import", "--mapping FILE [--lake DIR] DATA.csv|DATA.parquet", "send somebody else's file through the collector as events", program.importFile},
			{"replay", "[--namespace NAME] [--lake DIR] FILE… | --quarantine", "land events recorded elsewhere (GA4, Tag Manager), or our quarantine", program.replayFiles},
			{"load", "[--url URL] [--rate N] [--duration D] [--write-key KEY] [--json]", "send a shop's traffic to a collector at a constant rate, time answers", program.load},
			{"gtm", "plan|publish|container --env ENV [--yes] [--json]", "compare the Tag Manager container with what is live, publish it", program.gtm},
		}},
		{"Analyse", "from events to numbers", []command{
			{"run", "[--lake DIR] [--as-of DATE] [--since DATE] [--models A,B] [--full] [--json]", "bring tables, results and decisions of a lake up to date", program.pipeline},
			{"tables", "page|show TABLE [--project DIR] [--json]", "describe the tables, column by column; write their page", program.tables},
			{"notebook", "EXPERIMENT [--out FILE] [--engine local|athena] [--metric NAME] [--segment SQL] [--funnel A,B]", "write a Jupyter notebook that reproduces a readout and looks deeper", program.notebook},
			{"metrics", "list|show|sql|export|lineage", "explain metrics, print SQL, export them, show what they are made of", program.metrics},
			{"identity", "score|log|veto|allow|sensitivity", "score a linking; show merges of ids, undo one; what hangs on them?", program.identity},
			{"analyze", "< CASES.json", "push statistics of your own through the engine: JSON in, JSON out", program.analyze},
			{"replay-statistics", "[--daily] [--control ARM] [--json] FILE.csv", "when would each method have stopped finished experiments?", program.replayStatistics},
		}},
		{"Decide", "plan experiments, conclude them, prove it", []command{
			{"experiment", "check|list|show|plan", "check experiments, list and show them; plan one: power, run time, cost", program.experiment},
			{"power", "< PLANS.json", "sample size, detectable effect and run time of planned experiments", program.power},
			{"flag", "[--rebucket] show|on|off FLAG, ramp FLAG RULE SHARE, conclude|rollback FLAG RULE VARIANT", "read or move a flag on the flag platform", program.moveFlag},
			{"approve", "[--by NAME] [--lake DIR] DECISION", "approve the change that an experiment in mode propose asks for", answer(decide.Approved)},
			{"reject", "[--by NAME] [--lake DIR] DECISION", "reject it", answer(decide.Rejected)},
			{"verify", "[--lake DIR] [--json] BUNDLE…", "recompute an evaluation and its decision from its bundle", program.verify},
		}},
		{"Operate", "keep it healthy, lawful and cheap", []command{
			{"ledger", "[--lake DIR] [--days N] [--hours] [--json]", "balance what was sent, collected, landed and made into facts", program.ledger},
			{"health", "[--lake DIR] [--as-of DATE] [--all] [--json]", "take the pipeline's pulse: freshness, lateness, ledger, drift", program.health},
			{"notifications", "[--lake DIR] [--all] [--json]", "what became of each message: delivered, held, or failed", program.notifications},
			{"privacy", "erase|export|sweep|audit [--by NAME] [--json] ID…", "erase or export what is held about a person; end old days; audit", program.privacy},
			{"cost", "[--events-per-day N] [--experiments M] [--container] [--json]", "price a deployment on AWS and name the quotas that bind", program.cost},
		}},
	}
}

// commands lists them all.
func commands() []command {
	var all []command
	for _, g := range groups() {
		all = append(all, g.commands...)
	}
	return all
}

// exit is an error with an exit code of its own.
type exit struct {
	code int
	error
}

func (e exit) Unwrap() error { return e.error }

// run executes one command line.
func (p program) run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
		p.overview()
		return nil
	}
	if args[0] == "help" {
		return p.help(ctx, args[1:])
	}
	c, err := find(args[0])
	if err != nil {
		return err
	}
	if verbs, ok := wantsHelp(args[1:]); ok {
		return p.help(ctx, append([]string{c.name}, verbs...))
	}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	var said strings.Builder
	misused := false
	flags.SetOutput(&said)
	flags.Usage = func() { misused = true } // the complaint says what is wrong, help says what would be right
	err = c.run(p, ctx, flags, args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		complaint, _, _ := strings.Cut(said.String(), "\n")
		return wrongUse("%s: %s; verdict help %s explains", c.name, strings.Replace(complaint, "defined: -", "defined: --", 1), c.name)
	case misused && err != nil && exitCode(ctx, err) == exitFailed:
		return wrongUse("%s; verdict help %s explains", err.Error(), c.name)
	}
	return err
}

// misuse is a command line that cannot be meant, as opposed to work that failed.
type misuse struct{ says string }

func (m misuse) Error() string { return m.says }

func wrongUse(format string, args ...any) error { return misuse{fmt.Sprintf(format, args...)} }

// arguments reads a command's flags, which may stand before, between and after its other arguments, and leaves these in
// flags.Args.
func arguments(flags *flag.FlagSet, args []string) error {
	var rest []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return flag.ErrHelp // flag has printed what is wrong
		}
		if read := len(args) - flags.NArg(); flags.NArg() == 0 || read > 0 && args[read-1] == "--" {
			rest = append(rest, flags.Args()...)
			break
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
	return flags.Parse(append([]string{"--"}, rest...))
}

// parseNamed reads a command's flags around its one argument.
func parseNamed(flags *flag.FlagSet, args []string, what string) (string, error) {
	if err := arguments(flags, args); err != nil {
		return "", err
	}
	if flags.NArg() != 1 {
		return "", wrongUse("%s wants one %s, not %d", flags.Name(), what, flags.NArg())
	}
	return flags.Arg(0), nil
}

// parse reads a command's flags and wants exactly n arguments besides.
func parse(flags *flag.FlagSet, args []string, n int) error {
	if err := arguments(flags, args); err != nil {
		return err
	}
	if flags.NArg() != n {
		return wrongUse("%s wants %d argument(s) besides its flags, not %d", flags.Name(), n, flags.NArg())
	}
	return nil
}
