package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/uuid"

	"verdict/events"
	"verdict/shared/collect"
	"verdict/shared/dashboard"
	"verdict/shared/embedded/counter"
	"verdict/shared/embedded/delivery"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/embedded/flagapi"
	"verdict/shared/embedded/gateway"
	"verdict/shared/experiment"
	"verdict/shared/feature"
	"verdict/shared/lake"
	"verdict/shared/lambdaio"
	"verdict/shared/metricsapi"
	"verdict/shared/notify"
	"verdict/shared/optimizely"
	"verdict/shared/project"
	"verdict/shared/replay"
	"verdict/shared/table/foreign"
)

// The one-machine home has one environment, and one customer whose write key is no secret.
const (
	environment = "production"
	writeKey    = "wk_local"
	namespace   = "shop"
	flagProject = "1"
	flagToken   = "local"
)

// definitions are all that people define, for this home.
type definitions struct {
	*project.Project
	replay *replay.Mapping
}

// load reads the built-in definitions, or those of a folder.
func load(dir string) (definitions, error) {
	var d definitions
	var err error
	var files fs.FS = events.Files
	if dir == "" {
		d.Project, err = project.BuiltIn()
	} else {
		if _, err := os.Stat(dir); err != nil {
			return d, fmt.Errorf("read project: %w", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "events", "replay.yaml")); err == nil {
			files = os.DirFS(filepath.Join(dir, "events"))
		}
		d.Project, err = project.Load(os.DirFS(dir))
	}
	if err != nil {
		return d, err
	}
	if d.replay, err = replay.LoadMapping(files, d.Plan); err != nil {
		return d, fmt.Errorf("events/%w", err)
	}
	return d, nil
}

// home is Verdict on one machine: the adapters of this home around the same handlers as on AWS.
type home struct {
	project    *project.Project
	now        func() time.Time
	store      *directory.Store
	warehouse  *duck.Warehouse
	good       *delivery.Stream
	quarantine *delivery.Stream
	flags      *optimizely.Client
	datafile   func() ([]byte, error)
	lock       *os.File
	log        *slog.Logger
	inbox      *replay.Inbox
	counter    *counter.Counter
	servers    []*http.Server
	policies   map[string]notify.Policy
}

// open makes a home of a folder. Only one process at a time can have it.
func open(ctx context.Context, dir string, d definitions, now func() time.Time, log *slog.Logger) (*home, error) {
	h := &home{project: d.Project, now: now, log: log, store: &directory.Store{Root: dir}}
	h.inbox = &replay.Inbox{
		Replayer: &replay.Replayer{Plan: d.Plan, Mapping: d.replay, Objects: h.store, Erased: suppression(h.store), Parquet: foreign.EachRow, Key: keyOf(h.store)}, Source: h.store,
		Told: func(r replay.Report) {
			if r.Kind == replay.Quarantine && r.Accepted == 0 {
				return // as broken as before
			}
			log.InfoContext(ctx, "replayed", slog.String("file", r.Name), slog.Int("accepted", r.Accepted), slog.Int("quarantined", r.Quarantined))
		},
	}
	h.counter = &counter.Counter{Folder: filepath.Join(dir, "collected"), Log: log}
	var err error
	if h.lock, err = lockLake(dir); err != nil {
		return nil, err
	}
	var landing []lake.Table
	for _, s := range d.Models.Sources {
		if s.Location != "" {
			landing = append(landing, s.Landing())
		}
	}
	if h.warehouse, err = duck.Open(ctx, h.store, landing...); err != nil {
		return nil, errors.Join(err, h.close())
	}
	if h.good, err = delivery.Open(filepath.Join(dir, "spool", "good"), "raw/", h.store); err != nil {
		return nil, errors.Join(err, h.close())
	}
	if h.quarantine, err = delivery.Open(filepath.Join(dir, "spool", "quarantine"), "quarantine/", h.store); err != nil {
		return nil, errors.Join(err, h.close())
	}
	if err := h.openFlags(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// open makes a home of a lake's folder and a project's.
func (p program) open(ctx context.Context, lakeDir, projectDir string) (*home, error) {
	d, err := load(projectDir)
	if err != nil {
		return nil, err
	}
	policies, _ := p.env("VERDICT_NOTIFY")
	spared, err := notify.ParsePolicies(policies)
	if err != nil {
		return nil, fmt.Errorf("VERDICT_NOTIFY: %w", err)
	}
	h, err := open(ctx, lakeDir, d, p.now, p.log)
	if err != nil {
		return nil, err
	}
	h.policies = spared
	return h, nil
}

// lockLake uses the kernel's lock, which a killed process gives back.
func lockLake(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock lake: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock lake: another verdict works in %s", dir), f.Close())
	}
	return f, nil
}

// openFlags starts the stand-in for Optimizely, which serves the experiments' flags, and a client
// of it.
func (h *home) openFlags(ctx context.Context) error {
	standIn, err := flagapi.New(flagapi.Config{
		Project: flagProject, Token: flagToken, Default: "control", State: h.store.Path("flags.json"),
	}, flagsOf(h.project.Experiments), time.Now)
	if err != nil {
		return fmt.Errorf("start flag platform: %w", err)
	}
	address, err := h.listen(ctx, "127.0.0.1:0", standIn)
	if err != nil {
		return err
	}
	h.datafile = func() ([]byte, error) { return standIn.Datafile(environment) }
	config := optimizely.Config{
		BaseURL: "http://" + address + flagapi.BasePath, Project: flagProject, Environment: environment, Token: flagToken,
		Datafile: "http://" + address + flagapi.DatafilePath(environment),
	}
	h.flags = optimizely.New(config, &http.Client{Timeout: 10 * time.Second}, time.Now, wait)
	return nil
}

// flagsOf is how the experiments would be set up on the platform: each as the one rule of its flag,
// for as much of the traffic as its plan begins with.
func flagsOf(experiments []*experiment.Experiment) []feature.Flag {
	var out []feature.Flag
	for _, e := range experiments {
		rule := feature.Rule{Key: e.ID, Kind: feature.Experiment, Included: e.FirstTraffic()}
		for _, v := range e.Variants {
			rule.Variants = append(rule.Variants, feature.Variant{Key: v.Key, Share: v.Share})
		}
		out = append(out, feature.Flag{Key: e.Flag, Environment: environment, Enabled: true, Rules: []feature.Rule{rule}})
	}
	return out
}

// wait sleeps unless ctx ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// listen serves a handler and returns where.
func (h *home) listen(ctx context.Context, address string, handler http.Handler) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	h.servers = append(h.servers, server)
	go server.Serve(listener) //nolint:errcheck // ends with close, which reports
	return listener.Addr().String(), nil
}

// front is what the API Gateway serves: the collector, Slack's answers if there is a handler for them, and the
// dashboard for everything else.
func (h *home) front(actions http.Handler) http.Handler {
	collector := gateway.Handler(lambdaio.HTTP(&collect.Handler{
		Plan: h.project.Plan, Good: h.good, Quarantine: h.quarantine, Keys: collect.FixedKeys(map[string]string{writeKey: namespace}), Log: h.log, Now: h.now, Meter: h.counter, PrivacyKey: keyOf(h.store),
	}), h.now)
	mux := http.NewServeMux()
	mux.Handle("/v1/", collector)
	mux.Handle(metricsapi.Base+"/", gateway.Handler(lambdaio.HTTP(h.metrics()), h.now))
	mux.Handle("/health", collector)
	if actions != nil {
		mux.Handle(slackActions, gateway.Handler(lambdaio.HTTP(actions), h.now))
	}
	mux.Handle("/", gateway.Handler(lambdaio.HTTP(dashboard.New(dashboard.Source{Project: h.project, Engine: h.warehouse, Catalog: h.warehouse, Objects: h.store, Now: h.now, Log: h.log, Howto: "bin/verdict run"})), h.now))
	return mux
}

// newRun names a run: a UUIDv7, so that names sort by time.
func newRun() string { return uuid.Must(uuid.NewV7()).String() }

func (h *home) close() error {
	var problems []error
	for _, s := range h.servers {
		problems = append(problems, s.Close())
	}
	if h.warehouse != nil {
		problems = append(problems, h.warehouse.Close())
	}
	return errors.Join(append(problems, h.lock.Close())...)
}
