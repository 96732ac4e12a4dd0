package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// completion is `verdict completion`: a script that completes commands, verbs and flags, from the commands themselves.
func (p program) completion(ctx context.Context, flags *flag.FlagSet, args []string) error {
	if err := parse(flags, args, 1); err != nil {
		return err
	}
	var script string
	switch shell := flags.Arg(0); shell {
	case "bash":
		script = p.bash(ctx)
	case "zsh":
		script = "autoload -U +X bashcompinit && bashcompinit\n" + p.bash(ctx)
	case "fish":
		script = p.fish(ctx)
	default:
		return wrongUse("completion wants bash, zsh or fish, not %q", shell)
	}
	_, err := io.WriteString(p.out, script)
	return err
}

// taken is a flag of a command, or of one of its verbs.
type taken struct {
	name, does string
	value      bool // it wants one
}

func (p program) taken(ctx context.Context, c command) []taken {
	var out []taken
	for _, verb := range append([]string{""}, c.verbs()...) {
		verbs := []string{verb}
		if verb == "" {
			verbs = nil
		}
		_, flags := p.probe(ctx, c, verbs)
		flags.VisitAll(func(f *flag.Flag) {
			boolean, ok := f.Value.(interface{ IsBoolFlag() bool })
			out = append(out, taken{f.Name, f.Usage, !ok || !boolean.IsBoolFlag()})
		})
	}
	slices.SortStableFunc(out, func(a, b taken) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b taken) bool { return a.name == b.name })
}

// bash leaves to the shell's own completion of files what is no word of ours.
func (p program) bash(ctx context.Context) string {
	var b strings.Builder
	var names []string
	b.WriteString("_verdict() {\n  local current=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" words= valued=\n  case \"${COMP_WORDS[1]}\" in\n")
	for _, c := range commands() {
		names = append(names, c.name)
		words, valued := c.verbs(), []string{}
		for _, f := range p.taken(ctx, c) {
			words = append(words, "--"+f.name)
			if f.value {
				valued = append(valued, "--"+f.name)
			}
		}
		fmt.Fprintf(&b, "    %s) words=%q valued=%q ;;\n", c.name, strings.Join(words, " "), " "+strings.Join(valued, " ")+" ")
	}
	fmt.Fprintf(&b, `    help) words=%[1]q ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words=%[2]q valued=; fi
  case "$valued" in *" $before "*) words= ;; esac
  COMPREPLY=( $(compgen -W "$words" -- "$current") )
}
complete -o default -F _verdict verdict
`, strings.Join(names, " "), strings.Join(append(names, "help"), " "))
	return b.String()
}

func (p program) fish(ctx context.Context) string {
	var b strings.Builder
	quote := func(text string) string { return "'" + strings.ReplaceAll(text, "'", `\'`) + "'" }
	for _, c := range commands() {
		fmt.Fprintf(&b, "complete -c verdict -n __fish_use_subcommand -f -a %s -d %s\n", c.name, quote(c.does))
		here := "-n " + quote("__fish_seen_subcommand_from "+c.name)
		if verbs := c.verbs(); len(verbs) > 0 {
			fmt.Fprintf(&b, "complete -c verdict %s -a %s\n", here, quote(strings.Join(verbs, " ")))
		}
		for _, f := range p.taken(ctx, c) {
			wants := ""
			if f.value {
				wants = " -r"
			}
			fmt.Fprintf(&b, "complete -c verdict %s -l %s -d %s%s\n", here, f.name, quote(f.does), wants)
		}
	}
	return b.String()
}
