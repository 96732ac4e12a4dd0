package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

// explained is what the help of a command says besides its usage and flags.
type explained struct {
	page     string // that says more
	examples []string
}

func explanations() map[string]explained {
	return map[string]explained{
		"demo":              {"README.md", []string{"verdict demo", "verdict demo --visitors 5000 --seed 2 --json > demo.json"}},
		"init":              {"docs/guide.md", []string{"verdict init signup"}},
		"serve":             {"docs/guide.md", []string{"verdict serve --project . --lake lake", "verdict serve --addr 127.0.0.1:9000 --every 1m"}},
		"check":             {"docs/guide.md", []string{"verdict check --project .", "verdict check --json"}},
		"completion":        {"docs/cli.md", []string{"source <(verdict completion bash)", "source <(verdict completion zsh)", "verdict completion fish > ~/.config/fish/completions/verdict.fish"}},
		"plan":              {"docs/plan.md", []string{"verdict plan check --project .", "verdict plan diff main", "verdict plan types > plan.ts"}},
		"import":            {"docs/import.md", []string{"verdict import --project . --lake lake --mapping visits.yaml visits.csv", "verdict import --mapping visits.yaml --collector https://collect.example.com/v1/events --write-key wk_site visits.csv"}},
		"replay":            {"docs/replay.md", []string{"verdict replay export.json.gz", "verdict replay --quarantine --lake lake"}},
		"load":              {"docs/collector.md", []string{"verdict load --rate 200", "verdict load --url https://collect.example.com/v1/events --write-key wk_load --rate 50 --duration 5m"}},
		"gtm":               {"docs/gtm.md", []string{"verdict gtm plan --env dev", "verdict gtm publish --env dev --yes"}},
		"run":               {"docs/guide.md", []string{"verdict run --project . --lake lake --as-of 2026-03-19", "verdict run --json"}},
		"notebook":          {"docs/notebooks.md", []string{"verdict notebook one_page_checkout", "verdict notebook one_page_checkout --metric revenue_per_user_d3 --funnel product_viewed,checkout_started,order_completed", "verdict notebook one_page_checkout --engine athena --database verdict_prod --workgroup adhoc"}},
		"identity":          {"docs/identity.md", []string{"verdict identity score --truth person people.csv", "verdict identity log --json", "verdict identity veto --reason \"two people, one tablet\" a:one a:two"}},
		"metrics":           {"docs/metrics.md", []string{"verdict metrics list", "verdict metrics sql one_page_checkout", "verdict metrics export --format eppo"}},
		"tables":            {"docs/tables.md", []string{"verdict tables show fact_event", "verdict tables page > docs/tables.md"}},
		"approve":           {"docs/experiments.md", []string{"verdict approve --by Ada --lake lake 121ad9d1d4467cfb"}},
		"reject":            {"docs/experiments.md", []string{"verdict reject --by Ada --lake lake 121ad9d1d4467cfb"}},
		"analyze":           {"docs/analyze.md", []string{"verdict analyze < cases.json"}},
		"replay-statistics": {"docs/analyze.md", []string{"verdict replay-statistics --daily history.csv"}},
		"experiment":        {"docs/experiments.md", []string{"verdict experiment check --project .", "verdict experiment show --lake lake one_page_checkout"}},
		"power":             {"docs/analyze.md", []string{"verdict power < plans.json"}},
		"flag":              {"docs/flags.md", []string{"verdict flag show checkout", "verdict flag ramp checkout one_page_checkout 0.5", "verdict flag rollback checkout one_page_checkout control"}},
		"verify":            {"docs/bundle.md", []string{"verdict verify one_page_checkout --lake lake", "verdict verify --json bundle.json.gz"}},
		"ledger":            {"docs/monitoring.md", []string{"verdict ledger --days 1 --hours", "verdict ledger --until 2026-01-26 --json"}},
		"health":            {"docs/monitoring.md", []string{"verdict health", "verdict health --as-of 2026-01-26 --all"}},
		"notifications":     {"docs/experiments.md", []string{"verdict notifications --lake lake --all"}},
		"privacy":           {"docs/privacy.md", []string{"verdict privacy export --by \"data protection\" --out person.jsonl u:4711", "verdict privacy erase --by \"data protection\" u:4711", "verdict privacy sweep --by \"data protection\" --keep games=30", "verdict privacy audit --json"}},
		"cost":              {"docs/cost.md", []string{"verdict cost --events-per-day 1e8 --experiments 20", "verdict cost --container --json"}},
	}
}

// help is `verdict help`, `verdict help COMMAND`, and `verdict help --page`, which writes docs/cli.md.
func (p program) help(ctx context.Context, args []string) error {
	switch {
	case len(args) == 0:
		p.overview()
		return nil
	case args[0] == "--page":
		return p.page(ctx)
	}
	c, err := find(args[0])
	if err != nil {
		return err
	}
	fmt.Fprint(p.out, p.explain(ctx, c, args[1:]))
	return nil
}

func (p program) overview() {
	var b strings.Builder
	b.WriteString("Verdict: from product events to rollout decisions.\n")
	for _, g := range groups() {
		fmt.Fprintf(&b, "\n%s: %s\n", g.title, g.does)
		for _, c := range g.commands {
			fmt.Fprintf(&b, "  %-18s %s\n", c.name, c.does)
		}
	}
	b.WriteString("\nverdict help COMMAND explains a command. docs/guide.md begins at the beginning.\n")
	fmt.Fprint(p.out, b.String())
}

var oneDash = regexp.MustCompile(`(?m)^  -(\w)`)

// explain is the help of a command, or of one of its verbs.
func (p program) explain(ctx context.Context, c command, verbs []string) string {
	text, _ := p.probe(ctx, c, verbs)
	more := explanations()[c.name]
	if len(more.examples) > 0 {
		text = strings.TrimRight(text, "\n") + "\n\nExamples:\n  " + strings.Join(more.examples, "\n  ") + "\n"
	}
	if more.page != "" {
		text += "\nMore: " + more.page + "\n"
	}
	return text
}

// probe asks a command for help, and gives what it says with the flags that it defines. Nothing is read or done.
func (p program) probe(ctx context.Context, c command, verbs []string) (string, *flag.FlagSet) {
	var said bytes.Buffer
	nobody := func(string) (string, bool) { return "", false }
	silent := program{in: strings.NewReader(""), out: io.Discard, err: &said, env: nobody, now: p.now, log: slog.New(slog.DiscardHandler)}
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(&said)
	flags.Usage = func() {
		said.Reset()
		fmt.Fprintf(&said, "verdict %s %s\n  %s\n\n", c.name, c.usage, c.does)
		flags.PrintDefaults()
	}
	_ = c.run(silent, ctx, flags, append(slices.Clone(verbs), "-h")) // the error says that help was asked for
	if said.Len() == 0 {
		flags.Usage()
	}
	return oneDash.ReplaceAllString(said.String(), "  --$1"), flags
}

// wantsHelp tells whether a command line asks for help instead of work, and on which verbs.
func wantsHelp(args []string) (verbs []string, ok bool) {
	for i, a := range args {
		switch a {
		case "--":
			return nil, false
		case "-h", "-help", "--help":
			for _, before := range args[:i] {
				if strings.HasPrefix(before, "-") {
					return nil, true
				}
			}
			return args[:i], true
		}
	}
	return nil, false
}

var (
	verbWord = regexp.MustCompile(`^[a-z]+(\|[a-z]+)*$`)
	optional = regexp.MustCompile(`\[[^\]]*\]`)
)

// verbs are the words of a command's usage that stand for themselves.
func (c command) verbs() []string {
	var out []string
	before := ""
	for word := range strings.FieldsSeq(optional.ReplaceAllString(c.usage, "")) {
		for part := range strings.SplitSeq(strings.TrimSuffix(word, ","), "|") {
			if verbWord.MatchString(part) && !strings.HasPrefix(before, "--") {
				out = append(out, part)
			}
		}
		before = word
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// find returns a command, or says which one may have been meant.
func find(name string) (command, error) {
	nearest, distance := "", 3
	for _, c := range commands() {
		if c.name == name {
			return c, nil
		}
		if d := edits(name, c.name); d < distance {
			nearest, distance = c.name, d
		}
	}
	if nearest != "" {
		return command{}, wrongUse("there is no command %q: did you mean %s? verdict help lists them", name, nearest)
	}
	return command{}, wrongUse("there is no command %q; verdict help lists them", name)
}

// edits is Levenshtein's distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal, row[j+1] = row[j+1], min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// page writes docs/cli.md.
func (p program) page(ctx context.Context) error {
	var b strings.Builder
	b.WriteString(`# Command line

Made by ` + "`verdict help --page`" + `; a test holds it to the code. ` + "`verdict help COMMAND`" + ` says the same in a terminal.

Flags may stand before and after other arguments. Results go to standard output, progress and complaints to standard error. Nothing
is coloured. Progress bars are redrawn in place on a terminal only, and not where ` + "`NO_COLOR`" + ` is set or ` + "`TERM`" + ` is ` + "`dumb`" + `; elsewhere
each is a line when it is complete. With ` + "`--json`" + ` standard output is one JSON document; what takes JSON (` + "`analyze`, `power`" + `) always
answers with it. Every command has it but those that write something else: ` + "`serve`, `completion`, `notebook`, `plan types` and `plan page`" + `.

| exit code | means |
|---|---|
| 0 | done, and what was checked holds |
| 1 | it failed, or what was checked does not hold |
| 2 | the command line cannot be meant; ` + "`verify`" + `: also, a bundle cannot be read |
| 130 | interrupted |

` + "`source <(verdict completion bash)`" + ` completes commands, verbs and flags; ` + "`zsh` and `fish`" + ` too.
`)
	for _, g := range groups() {
		fmt.Fprintf(&b, "\n## %s\n\n%s%s.\n\n| command | does |\n|---|---|\n", g.title, strings.ToUpper(g.does[:1]), g.does[1:])
		for _, c := range g.commands {
			fmt.Fprintf(&b, "| [%s](#verdict-%s) | %s |\n", c.name, c.name, c.does)
		}
		for _, c := range g.commands {
			fmt.Fprintf(&b, "\n### verdict %s\n\n```text\n", c.name)
			b.WriteString(p.explain(ctx, c, nil))
			for _, verb := range c.verbs() {
				_, without := p.probe(ctx, c, nil)
				_, with := p.probe(ctx, c, []string{verb})
				if names := newFlags(without, with); names != "" {
					fmt.Fprintf(&b, "\n%s %s also takes %s\n", c.name, verb, names)
				}
			}
			b.WriteString("```\n")
		}
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

func newFlags(without, with *flag.FlagSet) string {
	var names []string
	with.VisitAll(func(f *flag.Flag) {
		if without.Lookup(f.Name) == nil {
			names = append(names, "--"+f.Name)
		}
	})
	return strings.Join(names, ", ")
}

// The exit codes beside those that a command has of its own.
const (
	exitFailed      = 1
	exitMisused     = 2
	exitInterrupted = 130 // as shells say it
)

// exitCode is how the process ends.
func exitCode(ctx context.Context, err error) int {
	own, hasOwn := errors.AsType[exit](err)
	_, misused := errors.AsType[misuse](err)
	switch {
	case err == nil:
		return 0
	case hasOwn:
		return own.code
	case misused:
		return exitMisused
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailed
}
