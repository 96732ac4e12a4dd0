// Command calibrate measures what the statistics engine promises: error rates under peeking,
// coverage at the moment of stopping, power. It writes docs/calibration.md with its figures and
// plots. `make calibrate` runs it; the figures depend on the seed alone.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	c := calibration{now: time.Now}
	flag.IntVar(&c.runs, "runs", 20000, "experiments per world and study")
	flag.Uint64Var(&c.seed, "seed", 1, "seed of all draws")
	flag.StringVar(&c.docs, "docs", "docs", "folder for calibration.md and images/calibration")
	flag.Parse()
	if err := c.run(os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "calibrate:", err)
		os.Exit(1)
	}
}
