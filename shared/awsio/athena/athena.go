// Package athena runs SQL on Amazon Athena: it starts a query, follows it to its end, and reads all of
// its rows, however many pages they take.
package athena

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/athena/types"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

const (
	// maxQuery is the longest query text that Athena takes (service quotas).
	maxQuery = 262144
	// A small query takes about a second. Asking at most every two seconds keeps far below the quota of
	// GetQueryExecution, 5 calls a second, with all functions at work.
	firstPause = 250 * time.Millisecond
	maxPause   = 2 * time.Second
	// remembered is how long a statement that has ended is taken for the answer to the same statement: long enough for
	// a Lambda that was cut off to be called again, far shorter than anything that is written expires.
	remembered = time.Hour
)

// Config says where queries run. The workgroup says where results go and how much a query may scan.
type Config struct {
	Workgroup string
	Database  string
}

// Lake is where UNLOAD writes: the objects of the lake, and what they are called in SQL.
type Lake interface {
	lake.Objects
	Location(prefix string) string
}

// Engine is one database in one workgroup.
type Engine struct {
	client *api.Client
	config Config
	lake   Lake
	wait   func(context.Context, time.Duration) error
	now    func() time.Time
}

var _ lake.Engine = (*Engine)(nil)

// New returns an Engine. wait sleeps unless ctx ends first.
func New(config aws.Config, where Config, to Lake, wait func(context.Context, time.Duration) error, now func() time.Time) *Engine {
	return &Engine{api.NewFromConfig(config), where, to, wait, now}
}

// Query implements lake.Engine.
func (e *Engine) Query(ctx context.Context, sql string) (lake.Result, error) {
	id, err := e.start(ctx, sql, nil)
	if err == nil {
		err = e.follow(ctx, id, e.stop)
	}
	if err != nil {
		return lake.Result{}, fmt.Errorf("run query: %w", err)
	}
	var out lake.Result
	pages := api.NewGetQueryResultsPaginator(e.client, &api.GetQueryResultsInput{QueryExecutionId: &id})
	for first := true; pages.HasMorePages(); first = false {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return lake.Result{}, awsfault.Wrap("read rows of query "+id, err)
		}
		rows := page.ResultSet.Rows
		if first {
			for _, c := range page.ResultSet.ResultSetMetadata.ColumnInfo {
				out.Columns = append(out.Columns, aws.ToString(c.Name))
			}
			rows = rows[min(1, len(rows)):] // a SELECT's first row are the names again
		}
		for _, row := range rows {
			values := make([]*string, len(row.Data))
			for i, d := range row.Data {
				values[i] = d.VarCharValue
			}
			out.Rows = append(out.Rows, values)
		}
	}
	return out, nil
}

// Unload implements lake.Engine. Athena writes at most a hundred partitions at once.
//
// A statement may take longer than the Lambda that waits for it lives. It is left to run then, and who asks for the same
// under the same prefix again follows it instead of starting another: the object beside the prefix, ending in ".query",
// says which it is.
func (e *Engine) Unload(ctx context.Context, sql, prefix string, partitionBy []string) error {
	properties := "format = 'PARQUET', compression = 'ZSTD'"
	if len(partitionBy) > 0 {
		properties += ", partitioned_by = ARRAY[" + lake.QuoteList(partitionBy) + "]"
	}
	statement := fmt.Sprintf("UNLOAD (%s\n) TO %s WITH (%s)", sql, lake.Quote(e.lake.Location(prefix)), properties)
	id, err := e.begin(ctx, statement, prefix)
	if err == nil {
		err = e.follow(ctx, id, leave)
	}
	if err != nil {
		return fmt.Errorf("unload to %s: %w", prefix, err)
	}
	return nil
}

// begin starts a statement that writes under a prefix, or finds that an earlier call has.
func (e *Engine) begin(ctx context.Context, statement, prefix string) (id string, err error) {
	mark := strings.TrimSuffix(prefix, "/") + ".query"
	token := fmt.Sprintf("%x", sha256.Sum256([]byte(statement)))
	before, err := e.lake.Get(ctx, mark)
	if err == nil {
		id, isIt := strings.CutPrefix(string(before), token+" ")
		if !isIt {
			return "", fault.New(fault.Conflict, "another statement writes there")
		}
		return id, e.resumable(ctx, id)
	}
	if !fault.Is(err, fault.NotFound) {
		return "", err
	}
	there, err := e.lake.List(ctx, prefix)
	if err != nil {
		return "", err
	}
	if len(there) > 0 { // Athena itself would add to it when it writes partitions
		return "", fault.New(fault.Conflict, "%s holds something already", prefix)
	}
	// Whoever dies before the mark is made starts the same query again by the same token, which Athena takes for one.
	if id, err = e.start(ctx, statement, &token); err != nil {
		return "", err
	}
	return id, e.lake.Put(ctx, mark, []byte(token+" "+id), lake.Overwrite)
}

// resumable is a fault.Conflict when what an earlier call started is of no more use.
func (e *Engine) resumable(ctx context.Context, id string) error {
	answer, err := e.client.GetQueryExecution(ctx, &api.GetQueryExecutionInput{QueryExecutionId: &id})
	if err != nil {
		return awsfault.Wrap("follow query "+id, err)
	}
	switch status := answer.QueryExecution.Status; status.State {
	case types.QueryExecutionStateQueued, types.QueryExecutionStateRunning:
		return nil
	case types.QueryExecutionStateSucceeded:
		if at := status.CompletionDateTime; at != nil && e.now().Sub(*at) < remembered {
			return nil
		}
	case types.QueryExecutionStateFailed, types.QueryExecutionStateCancelled:
	}
	return fault.New(fault.Conflict, "query %s wrote there before", id)
}

// start starts a query. The same token again gives the same query.
func (e *Engine) start(ctx context.Context, sql string, token *string) (id string, err error) {
	if len(sql) > maxQuery {
		return "", fault.New(fault.Invalid, "the query has %d bytes, Athena takes %d", len(sql), maxQuery)
	}
	started, err := e.client.StartQueryExecution(ctx, &api.StartQueryExecutionInput{
		QueryString: &sql, WorkGroup: &e.config.Workgroup, ClientRequestToken: token,
		QueryExecutionContext: &types.QueryExecutionContext{Database: &e.config.Database},
	})
	if err != nil {
		return "", awsfault.Wrap("start", err)
	}
	return aws.ToString(started.QueryExecutionId), nil
}

// follow waits for a query's end. When nobody waits any more, abandoned says what becomes of it.
func (e *Engine) follow(ctx context.Context, id string, abandoned func(ctx context.Context, id string, why error) error) error {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := e.wait(ctx, pause); err != nil {
			return abandoned(ctx, id, err)
		}
		answer, err := e.client.GetQueryExecution(ctx, &api.GetQueryExecutionInput{QueryExecutionId: &id})
		if err != nil {
			if ctx.Err() != nil {
				return abandoned(ctx, id, err)
			}
			return awsfault.Wrap("follow query "+id, err)
		}
		status := answer.QueryExecution.Status
		switch status.State {
		case types.QueryExecutionStateSucceeded, types.QueryExecutionStateFailed, types.QueryExecutionStateCancelled:
			if read := answer.QueryExecution.Statistics; read != nil {
				lake.Scanned(ctx, aws.ToInt64(read.DataScannedInBytes)) // a query that fails is billed for what it read
			}
			if status.State != types.QueryExecutionStateSucceeded {
				return failure(id, status)
			}
			return nil
		case types.QueryExecutionStateQueued, types.QueryExecutionStateRunning:
		}
	}
}

// leave lets a query run on: the next call with the same statement follows it.
func leave(_ context.Context, id string, why error) error {
	return fault.New(fault.Transient, "query %s runs on, and the next run follows it: %w", id, why)
}

// stop ends a query that nobody waits for any more, so that it costs nothing further.
func (e *Engine) stop(ctx context.Context, id string, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := e.client.StopQueryExecution(ctx, &api.StopQueryExecutionInput{QueryExecutionId: &id}); err != nil {
		return fault.New(fault.Transient, "query %s was given up: %w; it runs on: %v", id, why, err)
	}
	return fault.New(fault.Transient, "query %s was given up: %w", id, why)
}

// failure classes what Athena says of a query that did not succeed.
func failure(id string, status *types.QueryExecutionStatus) error {
	const system, user = 1, 2 // AthenaError.ErrorCategory
	reason := aws.ToString(status.StateChangeReason)
	class := fault.Internal
	if e := status.AthenaError; e != nil {
		switch category := aws.ToInt32(e.ErrorCategory); {
		case e.Retryable || category == system:
			class = fault.Transient
		case category == user:
			class = fault.Invalid
		}
		if reason == "" {
			reason = aws.ToString(e.ErrorMessage)
		}
	}
	return fault.New(class, "query %s %s: %s", id, strings.ToLower(string(status.State)), reason)
}
