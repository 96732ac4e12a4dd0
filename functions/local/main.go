// Command verdict is the whole of Verdict on one machine: the collector, the pipeline, the
// dashboard and the demo. `verdict help` lists what it does.
package main

import (
	"context"
	"errors"
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
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "verdict: "+err.Error())
		code := 1
		if e, ok := errors.AsType[exit](err); ok {
			code = e.code
		}
		os.Exit(code)
	}
}

// isTerminal tells whether a person is watching.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
