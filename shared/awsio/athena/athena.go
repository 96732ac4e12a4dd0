// Package athena runs SQL on Amazon Athena: it starts a query, follows it to its end, and reads all of
// its rows, however many pages they take.
package athena

import (
	"context"
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
)

// Config says where queries run. The workgroup says where results go and how much a query may scan.
type Config struct {
	Workgroup string
	Database  string
}

// Lake is where UNLOAD writes: the objects of the lake, and what they are called in SQL.
type Lake interface {
	List(ctx context.Context, prefix string) ([]lake.Object, error)
	Location(prefix string) string
}

// Engine is one database in one workgroup.
type Engine struct {
	client *api.Client
	config Config
	lake   Lake
	wait   func(context.Context, time.Duration) error
}

var _ lake.Engine = (*Engine)(nil)

// New returns an Engine. wait sleeps unless ctx ends first.
func New(config aws.Config, where Config, to Lake, wait func(context.Context, time.Duration) error) *Engine {
	return &Engine{api.NewFromConfig(config), where, to, wait}
}

// Query implements lake.Engine.
func (e *Engine) Query(ctx context.Context, sql string) (lake.Result, error) {
	id, err := e.run(ctx, sql)
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
func (e *Engine) Unload(ctx context.Context, sql, prefix string, partitionBy []string) error {
	there, err := e.lake.List(ctx, prefix)
	if err != nil {
		return err
	}
	if len(there) > 0 { // Athena itself would add to it when it writes partitions
		return fault.New(fault.Conflict, "unload: %s holds something already", prefix)
	}
	properties := "format = 'PARQUET', compression = 'ZSTD'"
	if len(partitionBy) > 0 {
		properties += ", partitioned_by = ARRAY[" + lake.QuoteList(partitionBy) + "]"
	}
	statement := fmt.Sprintf("UNLOAD (%s\n) TO %s WITH (%s)", sql, lake.Quote(e.lake.Location(prefix)), properties)
	if _, err := e.run(ctx, statement); err != nil {
		return fmt.Errorf("unload to %s: %w", prefix, err)
	}
	return nil
}

// run starts a query and waits for its end.
func (e *Engine) run(ctx context.Context, sql string) (id string, err error) {
	if len(sql) > maxQuery {
		return "", fault.New(fault.Invalid, "the query has %d bytes, Athena takes %d", len(sql), maxQuery)
	}
	started, err := e.client.StartQueryExecution(ctx, &api.StartQueryExecutionInput{
		QueryString: &sql, WorkGroup: &e.config.Workgroup,
		QueryExecutionContext: &types.QueryExecutionContext{Database: &e.config.Database},
	})
	if err != nil {
		return "", awsfault.Wrap("start", err)
	}
	id = aws.ToString(started.QueryExecutionId)
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		if err := e.wait(ctx, pause); err != nil {
			return "", e.stop(ctx, id, err)
		}
		answer, err := e.client.GetQueryExecution(ctx, &api.GetQueryExecutionInput{QueryExecutionId: &id})
		if err != nil {
			if ctx.Err() != nil {
				return "", e.stop(ctx, id, err)
			}
			return "", awsfault.Wrap("follow query "+id, err)
		}
		status := answer.QueryExecution.Status
		switch status.State {
		case types.QueryExecutionStateSucceeded:
			return id, nil
		case types.QueryExecutionStateFailed, types.QueryExecutionStateCancelled:
			return "", failure(id, status)
		case types.QueryExecutionStateQueued, types.QueryExecutionStateRunning:
		}
	}
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
