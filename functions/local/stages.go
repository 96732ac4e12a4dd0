package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/outbox"
	"verdict/shared/evaluate"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/identity"
	"verdict/shared/measure"
	"verdict/shared/model"
	"verdict/shared/notify"
	"verdict/shared/optimizely"
	"verdict/shared/slack"
)

// stage is one step of the way from landed events to told people. On AWS each is a Lambda.
type stage struct {
	name string
	run  func(ctx context.Context, asOf time.Time) error
}

// stages lists the steps in the order of the data's way. Each is idempotent and picks up where an
// earlier run was interrupted.
func (h *home) stages(senders ...notify.Sender) []stage {
	builder := &model.Builder{Project: h.models, Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun}
	flags := &feature.Recorder{Read: h.readFlags, Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun, Now: h.now}
	resolver := &identity.Resolver{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun}
	measurer := &measure.Measurer{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun}
	evaluator := &evaluate.Evaluator{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun}
	decider := &decide.Decider{Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, Flags: h.flags, NewRun: newRun, Now: h.now}
	notifier := &notify.Notifier{Objects: h.store, Senders: senders}
	return []stage{
		{"land", func(ctx context.Context, _ time.Time) error {
			return errors.Join(h.good.Flush(ctx), h.quarantine.Flush(ctx))
		}},
		{"model", func(ctx context.Context, _ time.Time) error {
			if _, err := flags.Run(ctx); err != nil {
				return err
			}
			if _, err := builder.Build(ctx, "fact_event"); err != nil {
				return err
			}
			_, err := builder.Build(ctx, "identity_edge")
			if fault.Is(err, fault.NotFound) {
				return errors.New("no events have arrived in this lake yet: send some with verdict serve, verdict import or verdict demo")
			}
			return err
		}},
		{"resolve", func(ctx context.Context, _ time.Time) error {
			if _, err := resolver.Run(ctx); err != nil {
				return err
			}
			_, err := builder.Build(ctx, "dim_user", "fact_experiment_exposure")
			return err
		}},
		{"measure", func(ctx context.Context, asOf time.Time) error {
			return measurer.Run(ctx, h.experiments, h.metrics, asOf)
		}},
		{"evaluate", func(ctx context.Context, asOf time.Time) error {
			_, _, err := evaluator.Run(ctx, h.experiments, h.metrics, asOf)
			return err
		}},
		{"decide", func(ctx context.Context, asOf time.Time) error {
			_, err := decider.Run(ctx, h.experiments, asOf)
			return err
		}},
		{"notify", func(ctx context.Context, _ time.Time) error {
			_, err := notifier.Run(ctx)
			return err
		}},
	}
}

func (h *home) readFlags(context.Context) ([]feature.Flag, error) {
	body, err := h.datafile()
	if err != nil {
		return nil, err
	}
	return optimizely.ReadDatafile(body, environment)
}

// senders are the channels of this home: printed, kept as SNS would get it, and posted to the
// Slack webhook that is configured, if any.
func (h *home) senders(p program) []notify.Sender {
	out := []notify.Sender{&outbox.Console{W: p.err}, &outbox.SNS{Objects: h.store}}
	if url, ok := p.env("VERDICT_SLACK_WEBHOOK"); ok && url != "" {
		out = append(out, slack.New(url, &http.Client{Timeout: 10 * time.Second}))
	}
	return out
}

// pipeline is `verdict run`.
func (p program) pipeline(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asOfText := flags.String("as-of", "", "evaluate what was known at the start of this day, UTC (default: today)")
	asJSON := flags.Bool("json", false, "print the results as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	asOf := p.now().UTC().Truncate(24 * time.Hour)
	if *asOfText != "" {
		t, err := time.Parse(time.DateOnly, *asOfText)
		if err != nil {
			return fmt.Errorf("--as-of wants a date like 2026-01-26, not %q", *asOfText)
		}
		asOf = t
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	h, err := open(ctx, *lakeDir, d, p.now, p.log)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	stages := h.stages(h.senders(p)...)
	board := newBoard(p.err, p.live, 1, stageNames(stages)...)
	if err := h.bringUp(ctx, stages, board, asOf); err != nil {
		return err
	}
	return h.report(ctx, p.out, *asJSON, nil)
}

// bringUp runs all stages for one moment.
func (h *home) bringUp(ctx context.Context, stages []stage, b *board, asOf time.Time) error {
	for _, s := range stages {
		done := b.start(s.name)
		if err := s.run(ctx, asOf); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		done("")
	}
	return nil
}

func stageNames(stages []stage) []string {
	var out []string
	for _, s := range stages {
		out = append(out, s.name)
	}
	return out
}

// check is `verdict check`.
func (p program) check(_ context.Context, flags *flag.FlagSet, args []string) error {
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	d, err := load(*projectDir)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d events, %d models, %d metrics and %d experiments are sound.\n", len(d.plan.Events), len(d.models.Models), len(d.metrics), len(d.experiments))
	return nil
}
