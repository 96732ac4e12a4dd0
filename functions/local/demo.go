package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"verdict/shared/embedded/outbox"
	"verdict/shared/embedded/shop"
	"verdict/shared/feature"
	"verdict/shared/notify"
	"verdict/shared/optimizely"
	"verdict/shared/slack"
)

// demoMark stands in a lake that the demo made, and may therefore replace.
const demoMark = "verdict-demo"

// demo is `verdict demo`: a simulated shop sends its traffic day by day through the real collector,
// and every night the pipeline runs. Only the shop and the clock are simulated.
func (p program) demo(ctx context.Context, flags *flag.FlagSet, args []string) error {
	visitors := flags.Int("visitors", 60_000, "people who visit the shop")
	days := flags.Int("days", 21, "simulated days")
	seed := flags.Uint64("seed", 1, "another seed, other visitors")
	lakeDir := flags.String("lake", ".verdict/demo", "folder of the lake; an earlier demo in it is replaced")
	address := flags.String("addr", defaultAddress, "where the dashboard listens")
	keep := flags.Bool("serve", true, "serve the dashboard afterwards, until Ctrl-C")
	asJSON := flags.Bool("json", false, "print the results as JSON, and end")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	d, err := load("")
	if err != nil {
		return err
	}
	if err := clearDemo(*lakeDir); err != nil {
		return err
	}
	clock := newClock(d.Experiments[0].Start.Time)
	h, err := open(ctx, *lakeDir, d, clock.now, p.log)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	at, err := h.listen(ctx, *address, h.front(p.actions(h)))
	if err != nil {
		return err
	}
	fmt.Fprintf(p.err, "%d visitors, %d days, seed %d. Dashboard: http://%s\n\n", *visitors, *days, *seed, at)
	counts, err := p.play(ctx, h, clock, at, shop.Config{Seed: *seed, Visitors: *visitors, Days: *days})
	if err != nil {
		return err
	}
	if err := h.report(ctx, p.out, *asJSON, counts); err != nil {
		return err
	}
	if !*keep || *asJSON {
		return nil
	}
	fmt.Fprintf(p.out, "\nDashboard: http://%s   (Ctrl-C ends)\n", at)
	<-ctx.Done()
	return nil
}

// clearDemo makes room for a new demo, and refuses to delete anything that is none.
func clearDemo(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, demoMark)); err != nil {
			return fmt.Errorf("%s is not empty and was not made by a demo: give another folder with --lake", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove earlier demo: %w", err)
		}
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look into lake: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make lake: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, demoMark), []byte("made by verdict demo, which may replace this folder\n"), 0o640)
}

// play is the simulated time: by day the shop sends, by night the pipeline runs, and in the morning
// the shop reads its flags anew, as the last decisions left them.
func (p program) play(ctx context.Context, h *home, clock *clock, address string, config shop.Config) (*shop.Counts, error) {
	var flags atomic.Pointer[optimizely.Bucketer]
	config.Start = h.project.Experiments[0].Start.Time
	config.CollectorURL, config.WriteKey, config.SetClock = "http://"+address+"/v1/events", writeKey, clock.set
	config.Client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	config.Decide = func(flag, user string) shop.Decision {
		d, err := flags.Load().Decide(flag, user, nil)
		if err != nil || d.Kind != feature.Experiment {
			return shop.Decision{Variant: d.Variation}
		}
		return shop.Decision{Variant: d.Variation, Experiment: d.Rule}
	}
	visits := shop.New(config)

	webhook, err := h.listen(ctx, "127.0.0.1:0", &outbox.Webhook{Objects: h.store})
	if err != nil {
		return nil, err
	}
	senders := []notify.Sender{&outbox.SNS{Objects: h.store}, slack.New("http://"+webhook, &http.Client{Timeout: 10 * time.Second})}
	steps := h.steps(senders...)
	b := newBoard(p.err, p.live, config.Days, append([]string{"collect"}, names(steps)...)...)
	for day := range config.Days {
		body, err := h.datafile()
		if err != nil {
			return nil, err
		}
		bucketer, err := optimizely.NewBucketer(body)
		if err != nil {
			return nil, err
		}
		flags.Store(bucketer)
		done := b.start("collect")
		if err := visits.PlayDay(ctx, day); err != nil {
			return nil, err
		}
		if day == config.Days-1 {
			if err := visits.Drain(ctx); err != nil {
				return nil, err
			}
		}
		done(fmt.Sprintf("%d events", visits.Counts().Events))
		asOf := config.Start.AddDate(0, 0, day+1)
		clock.set(asOf)
		if err := bringUp(ctx, steps, b, asOf); err != nil {
			return nil, err
		}
	}
	counts := visits.Counts()
	return &counts, nil
}

// clock is the simulated time.
type clock struct{ nanos atomic.Int64 }

func newClock(t time.Time) *clock {
	c := &clock{}
	c.set(t)
	return c
}

func (c *clock) set(t time.Time) { c.nanos.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.nanos.Load()).UTC() }
