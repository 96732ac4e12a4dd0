package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"verdict/shared/bucketing"
	"verdict/shared/definition"
	"verdict/shared/embedded/outbox"
	"verdict/shared/fault"
	"verdict/shared/feature"
	"verdict/shared/model"
	"verdict/shared/notify"
	"verdict/shared/optimizely"
	"verdict/shared/pipeline"
	"verdict/shared/slack"
)

// steps are those of the pipeline, after what delivers to the lake the events that were acknowledged, and before what
// takes the pulse of it all; on AWS that has a schedule of its own.
func (h *home) steps(senders ...notify.Sender) []pipeline.Step {
	return h.stepsOf(h.pipeline(senders...))
}

func (h *home) stepsOf(p *pipeline.Pipeline) []pipeline.Step {
	land := pipeline.Step{Name: "land", Run: h.landAll}
	pulse := pipeline.Step{Name: "monitor", Run: func(ctx context.Context, asOf time.Time) error {
		_, err := p.Monitor(ctx, h.counter, asOf)
		return err
	}}
	return append(append([]pipeline.Step{land}, p.Steps()...), pulse)
}

// nightly is how seldom the datafile may be read here: once a run, and the demo runs by night.
const nightly = 25 * time.Hour

func (h *home) pipeline(senders ...notify.Sender) *pipeline.Pipeline {
	return &pipeline.Pipeline{
		Project: h.project, Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun, Now: h.now,
		ReadFlags: h.readFlags, Flags: h.flags, Senders: senders, Policies: h.policies, Lineage: h.lineage(), Views: h.warehouse,
		Datafile: func(context.Context) ([]byte, error) { return h.datafile() },
		Audit: &bucketing.Auditor{
			Open:    func(body []byte) (bucketing.Bucketer, error) { return optimizely.NewBucketer(body) },
			Objects: h.store, Engine: h.warehouse, Catalog: h.warehouse, NewRun: newRun, Slack: nightly,
		},
	}
}

func (h *home) land(ctx context.Context) error {
	return errors.Join(h.good.Flush(ctx), h.quarantine.Flush(ctx))
}

// landAll also replays what is in the inbox. A file that is refused is complained of, and holds nothing up.
func (h *home) landAll(ctx context.Context, asOf time.Time) error {
	if err := h.land(ctx); err != nil {
		return err
	}
	err := h.inbox.Run(ctx, asOf)
	if fault.Is(err, fault.Invalid) {
		h.log.ErrorContext(ctx, "a file in the inbox was refused", slog.Any("error", err))
		return nil
	}
	return err
}

func (h *home) readFlags(context.Context) ([]feature.Flag, error) {
	body, err := h.datafile()
	if err != nil {
		return nil, err
	}
	return optimizely.ReadDatafile(body, environment)
}

// senders are the channels of this home: printed, kept as SNS would get it, and posted to the
// Slack webhook that is configured, or by its bot, if any; with buttons if answers can be verified.
func (h *home) senders(p program) []notify.Sender {
	out := []notify.Sender{&outbox.Console{W: p.err}, &outbox.SNS{Objects: h.store}}
	secret, ok := p.env("VERDICT_SLACK_TOKEN")
	if !ok || secret == "" {
		secret, _ = p.env("VERDICT_SLACK_WEBHOOK")
	}
	if secret != "" {
		channel, _ := p.env("VERDICT_SLACK_CHANNEL")
		signed, _ := p.env("VERDICT_SLACK_SIGNING_SECRET")
		out = append(out, slack.Open(secret, channel, &http.Client{Timeout: 10 * time.Second}).WithButtons(signed != ""))
	}
	return out
}

// pipeline is `verdict run`.
func (p program) pipeline(ctx context.Context, flags *flag.FlagSet, args []string) error {
	lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake")
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asOfText := flags.String("as-of", "", "evaluate what was known at the start of this day, UTC (default: today)")
	since := flags.String("since", "", "make event days from this one on, also those that late events wait for")
	full := flags.Bool("full", false, "make tables again that are up to date")
	models := flags.String("models", "", "make only these tables, as a,b, and evaluate nothing")
	asJSON := flags.Bool("json", false, "print the results as JSON")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	asOf, err := p.day("as-of", *asOfText, 0)
	if err != nil {
		return err
	}
	if _, err := p.day("since", *since, 0); err != nil {
		return err
	}
	h, err := p.open(ctx, *lakeDir, *projectDir)
	if err != nil {
		return err
	}
	defer h.close() //nolint:errcheck // everything is written by now
	work := h.pipeline(h.senders(p)...)
	work.Select = model.Selection{Since: *since, Full: *full}
	work.Built, work.Warn = p.told, p.warn
	if *models != "" {
		return p.makeTables(ctx, h, work, asOf, strings.Split(*models, ","), *asJSON)
	}
	steps := h.stepsOf(work)
	board := newBoard(p.err, p.live, 1, names(steps)...)
	if err := bringUp(ctx, steps, board, asOf); err != nil {
		return err
	}
	return h.report(ctx, p.out, *asJSON, nil)
}

// makeTables makes some tables and prints what that took.
func (p program) makeTables(ctx context.Context, h *home, work *pipeline.Pipeline, asOf time.Time, names []string, asJSON bool) error {
	if err := h.landAll(ctx, asOf); err != nil {
		return err
	}
	built, err := work.Build(ctx, asOf, names...)
	if err != nil {
		return err
	}
	if asJSON {
		return p.printJSON(built)
	}
	for _, b := range built {
		fmt.Fprintf(p.out, "%-26s %d of its partitions made\n", b.Model, b.Partitions)
	}
	return nil
}

// told says what people should know of a model that was brought up to date.
func (p program) told(b model.Built) {
	for _, w := range b.Warnings {
		p.warn(b.Model + ": " + w)
	}
	if n := len(b.Held); n > 0 {
		p.warn(fmt.Sprintf("%s: events came for %d day(s) that are long over, from %s on; they wait (table late_day): verdict run --since %[3]s takes them in", b.Model, n, b.Held[0].Day))
	}
}

func (p program) warn(says string) { fmt.Fprintln(p.err, "verdict: "+says) }

// day reads a flag that names a day, UTC; without one it is so many days from today.
func (p program) day(name, text string, fromToday int) (time.Time, error) {
	if text == "" {
		return p.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, fromToday), nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, fmt.Errorf("--%s wants a date like 2026-01-26, not %q", name, text)
	}
	return t, nil
}

// bringUp runs all steps for one moment.
func bringUp(ctx context.Context, steps []pipeline.Step, b *board, asOf time.Time) error {
	for _, s := range steps {
		done := b.start(s.Name)
		if err := s.Run(ctx, asOf); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		done("")
	}
	return nil
}

func names(steps []pipeline.Step) []string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Name)
	}
	return out
}

// check is `verdict check`.
func (p program) check(_ context.Context, flags *flag.FlagSet, args []string) error {
	projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
	asJSON := flags.Bool("json", false, "print JSON: what there is, or the complaints")
	if err := parse(flags, args, 0); err != nil {
		return err
	}
	d, err := load(*projectDir)
	if *asJSON {
		return p.checkedJSON(d, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%d events, %d models, %d metrics and %d experiments are sound.\n", len(d.Plan.Events), len(d.Models.Models), len(d.Metrics), len(d.Experiments))
	return nil
}

// checkedJSON is what `verdict check --json` prints. What is broken in a way that no line shows is the error alone.
func (p program) checkedJSON(d definitions, err error) error {
	complaints := definition.Complaints(err)
	if err != nil && complaints == nil {
		return err
	}
	sound := map[string]any{"complaints": append([]definition.Complaint{}, complaints...)}
	if err == nil {
		sound["events"], sound["models"], sound["metrics"], sound["experiments"] = len(d.Plan.Events), len(d.Models.Models), len(d.Metrics), len(d.Experiments)
	}
	return errors.Join(p.printJSON(sound), err)
}
