package job

import (
	"context"
	"log/slog"
	"time"

	"verdict/shared/awsio"
	"verdict/shared/awsio/s3"
	"verdict/shared/fault"
	"verdict/shared/pipeline"
	"verdict/shared/replay"
)

// settle is longer than Firehose holds an event back (15 minutes at most) and tries again: what was accepted before a
// request has landed by then.
const settle = 20 * time.Minute

// Persons lists the jobs that write of persons. One that had read before an erasure and wrote after it would bring back
// what was erased.
func Persons() []string { return []string{"replay", "elt", "identity", "evaluator", "monitor"} }

// Officer does what is asked for below privacy/requests/.
type Officer struct {
	home     *awsio.Home
	pipeline *pipeline.Pipeline
	bucket   *s3.Bucket
	parquet  replay.Parquet
	log      *slog.Logger
}

// NewOfficer is the officer of the lake.
func NewOfficer(home *awsio.Home, parquet replay.Parquet, log *slog.Logger) (*Officer, error) {
	p, err := Pipeline(home)
	if err != nil {
		return nil, err
	}
	bucket, err := home.Objects()
	return &Officer{home, p, bucket, parquet, log}, err
}

// Work is a step for lambdaio.Scheduled. The log says how many persons, not who.
func (o *Officer) Work(ctx context.Context, _ time.Time) error {
	key, err := o.home.PrivacyKey(ctx)
	if err != nil && !fault.Is(err, fault.NotFound) { // nobody has made one: fine, until there is a request
		return err
	}
	officer := o.pipeline.Officer(o.bucket, key, o.parquet)
	officer.Settle = settle
	done, err := officer.Work(ctx)
	for _, a := range done {
		o.log.InfoContext(ctx, "request done", slog.String("action", string(a.Action)), slog.Int("ids", len(a.Persons)), slog.Int("files", a.Files), slog.Any("lines", a.Lines), slog.Any("rows", a.Rows))
	}
	return err
}
