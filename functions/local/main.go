// Command verdict is the whole of Verdict on one machine: the collector, the pipeline, the
// dashboard and the demo. `verdict help` lists what it does.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	p := program{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv, now: time.Now, log: slog.New(slog.NewTextHandler(os.Stderr, nil)), live: isTerminal(os.Stderr)}
	err := p.run(ctx, os.Args[1:])
	code := exitCode(ctx, err)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "verdict: "+err.Error())
		os.Exit(code)
	}
}

// isTerminal tells whether a person is watching who can have lines redrawn.
func isTerminal(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
