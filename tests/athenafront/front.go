// Package athenafront answers Athena's wire protocol (JSON 1.1) with a SQL engine of this machine, for
// emulators of AWS whose own Athena cannot UNLOAD. Whoever runs it gives the engine.
package athenafront

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

const page = 1000 // rows, the name row included, as Athena hands them out

// Front is an http.Handler.
type Front struct {
	engine   lake.Engine
	location string // of the lake's root, as s3://…/

	mu      sync.Mutex
	queries []*query
	tokens  map[string]string // of a request that was sent twice: its query
}

type query struct {
	sql      string
	finished bool
	result   lake.Result
	err      error
	cancel   context.CancelFunc
}

// New returns a Front for a lake whose root is at location.
func New(engine lake.Engine, location string) *Front {
	return &Front{engine: engine, location: location, tokens: map[string]string{}}
}

type object map[string]any

// request is whatever the four actions take.
type request struct {
	QueryString, ClientRequestToken, QueryExecutionId, NextToken string //nolint:revive // Athena's names
}

func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonAthena.")
	act, ok := map[string]func(context.Context, request) (object, error){
		"StartQueryExecution": f.start, "GetQueryExecution": f.state, "GetQueryResults": f.results, "StopQueryExecution": f.stop,
	}[action]
	if !ok {
		refuse(w, "UnknownOperationException", "there is no action "+action)
		return
	}
	var in request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, "SerializationException", err.Error())
		return
	}
	answer, err := act(r.Context(), in)
	if err != nil {
		refuse(w, "InvalidRequestException", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(answer) // a client that went away asks again
}

func refuse(w http.ResponseWriter, code, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(object{"__type": code, "Message": message})
}

func (f *Front) start(ctx context.Context, in request) (object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id, sent := f.tokens[in.ClientRequestToken]; sent && in.ClientRequestToken != "" {
		return object{"QueryExecutionId": id}, nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it runs on when the request has ended
	q := &query{sql: in.QueryString, cancel: cancel}
	f.queries = append(f.queries, q)
	id := strconv.Itoa(len(f.queries))
	f.tokens[in.ClientRequestToken] = id
	go func() {
		defer cancel()
		result, err := f.run(ctx, in.QueryString)
		f.mu.Lock()
		defer f.mu.Unlock()
		q.result, q.err, q.finished = result, err, true
	}()
	return object{"QueryExecutionId": id}, nil
}

// unload takes apart the one statement that is no SELECT, as shared/awsio/athena writes it.
var unload = regexp.MustCompile(`(?s)^UNLOAD \((.*)\) TO '([^']*)' WITH \(format = 'PARQUET', compression = 'ZSTD'(?:, partitioned_by = ARRAY\[([^]]*)\])?\)$`)

func (f *Front) run(ctx context.Context, sql string) (lake.Result, error) {
	if !strings.HasPrefix(sql, "UNLOAD ") {
		return f.engine.Query(ctx, sql)
	}
	parts := unload.FindStringSubmatch(sql)
	if parts == nil {
		return lake.Result{}, fault.New(fault.Invalid, "read UNLOAD: unknown form")
	}
	prefix, ours := strings.CutPrefix(parts[2], f.location)
	if !ours {
		return lake.Result{}, fault.New(fault.Invalid, "unload: %s is not below %s", parts[2], f.location)
	}
	var partitionBy []string
	if parts[3] != "" {
		for column := range strings.SplitSeq(parts[3], ", ") {
			partitionBy = append(partitionBy, strings.Trim(column, "'"))
		}
	}
	return lake.Result{}, f.engine.Unload(ctx, parts[1], prefix, partitionBy)
}

// find returns a copy, which is safe to read.
func (f *Front) find(id string) (query, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 || n > len(f.queries) {
		return query{}, fmt.Errorf("QueryExecution %s was not found", id)
	}
	return *f.queries[n-1], nil
}

func (f *Front) state(_ context.Context, in request) (object, error) {
	q, err := f.find(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	status := object{"State": "RUNNING"}
	switch {
	case q.finished && q.err != nil:
		category := 1 // Athena's own trouble
		if fault.Is(q.err, fault.Invalid) {
			category = 2 // the query's
		}
		status = object{"State": "FAILED", "StateChangeReason": q.err.Error(), "AthenaError": object{"ErrorCategory": category, "ErrorMessage": q.err.Error()}}
	case q.finished:
		status["State"] = "SUCCEEDED"
	}
	return object{"QueryExecution": object{"QueryExecutionId": in.QueryExecutionId, "Query": q.sql, "Status": status}}, nil
}

func (f *Front) results(_ context.Context, in request) (object, error) {
	q, err := f.find(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	if !q.finished || q.err != nil {
		return nil, fmt.Errorf("query %s has no results", in.QueryExecutionId)
	}
	var columns, rows []object
	names := make([]*string, len(q.result.Columns))
	for i := range q.result.Columns {
		names[i] = &q.result.Columns[i]
		columns = append(columns, object{"Name": q.result.Columns[i], "Type": "varchar"})
	}
	from, _ := strconv.Atoi(in.NextToken) // empty on the first page
	all := append([][]*string{names}, q.result.Rows...)
	to := min(from+page, len(all))
	for _, row := range all[min(from, to):to] {
		data := make([]object, len(row))
		for i, value := range row {
			data[i] = object{}
			if value != nil {
				data[i]["VarCharValue"] = *value
			}
		}
		rows = append(rows, object{"Data": data})
	}
	answer := object{"ResultSet": object{"Rows": rows, "ResultSetMetadata": object{"ColumnInfo": columns}}}
	if to < len(all) {
		answer["NextToken"] = strconv.Itoa(to)
	}
	return answer, nil
}

func (f *Front) stop(_ context.Context, in request) (object, error) {
	q, err := f.find(in.QueryExecutionId)
	if err != nil {
		return nil, err
	}
	q.cancel()
	return object{}, nil
}
