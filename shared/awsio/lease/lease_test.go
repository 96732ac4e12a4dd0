package lease_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/lease"
	"verdict/shared/fault"
	"verdict/shared/lambdaio"
)

var _ lambdaio.Lease = (*lease.Table)(nil)

type attribute struct {
	S string `json:",omitempty"`
	N string `json:",omitempty"`
}

type request struct {
	TableName                 string
	Item, Key                 map[string]attribute
	ConditionExpression       string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues map[string]attribute
}

// rows is a table that knows the two conditions of a lease, and refuses any other.
type rows map[string]map[string]attribute

func decode(input []byte) (request, error) {
	var in request
	if err := json.Unmarshal(input, &in); err != nil {
		return in, err
	}
	for short, name := range in.ExpressionAttributeNames {
		if short != "#"+name {
			return in, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ValidationException", Message: short + " is not " + name}
		}
	}
	if in.TableName != "state" {
		return in, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ResourceNotFoundException", Message: in.TableName}
	}
	return in, nil
}

func failed() error {
	return &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ConditionalCheckFailedException", Message: "The conditional request failed"}
}

func (r rows) put(input []byte) (any, error) {
	in, err := decode(input)
	if err != nil {
		return nil, err
	}
	if in.ConditionExpression != "attribute_not_exists(#name) OR #expires < :now" {
		return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ValidationException", Message: in.ConditionExpression}
	}
	if held, ok := r[in.Item["name"].S]; ok {
		expires, err := strconv.Atoi(held["expires"].N)
		if err != nil {
			return nil, err
		}
		now, err := strconv.Atoi(in.ExpressionAttributeValues[":now"].N)
		if err != nil {
			return nil, err
		}
		if expires >= now {
			return nil, failed()
		}
	}
	r[in.Item["name"].S] = in.Item
	return map[string]any{}, nil
}

func (r rows) remove(input []byte) (any, error) {
	in, err := decode(input)
	if err != nil {
		return nil, err
	}
	if in.ConditionExpression != "#owner = :owner" {
		return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ValidationException", Message: in.ConditionExpression}
	}
	if r[in.Key["name"].S]["owner"].S != in.ExpressionAttributeValues[":owner"].S {
		return nil, failed()
	}
	delete(r, in.Key["name"].S)
	return map[string]any{}, nil
}

type home struct {
	rows    rows
	service *awstest.Service
	table   *lease.Table
	now     time.Time
}

func open(t *testing.T) *home {
	t.Helper()
	h := &home{rows: rows{}, now: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)}
	service, config := awstest.New(t, "dynamodb", map[string]awstest.Action{"PutItem": h.rows.put, "DeleteItem": h.rows.remove})
	owners := 0
	h.service = service
	h.table = lease.New(config, "state", 15*time.Minute, func() string { owners++; return strconv.Itoa(owners) }, func() time.Time { return h.now })
	return h
}

func TestOneAtATime(t *testing.T) {
	h := open(t)
	var got []string
	try := func(ctx context.Context, name string) error {
		return h.table.Run(ctx, "elt", func(context.Context) error { got = append(got, name); return nil })
	}
	err := h.table.Run(t.Context(), "elt", func(ctx context.Context) error {
		got = append(got, "first")
		if err := try(ctx, "second"); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second holder: %v, want a conflict", err)
		}
		return h.table.Run(ctx, "identity", func(context.Context) error { got = append(got, "other work"); return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := try(t.Context(), "third"); err != nil {
		t.Errorf("after the first: %v", err)
	}
	if diff := cmp.Diff([]string{"first", "other work", "third"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(h.rows) != 0 {
		t.Errorf("leases are left: %v", h.rows)
	}
}

// A holder that died blocks for as long as it might have worked. One that was overtaken after that
// takes nothing from the new holder.
func TestADeadHoldersLeaseEnds(t *testing.T) {
	h := open(t)
	err := h.table.Run(t.Context(), "elt", func(ctx context.Context) error {
		h.now = h.now.Add(15 * time.Minute)
		if err := h.table.Run(ctx, "elt", func(context.Context) error { return nil }); !fault.Is(err, fault.Conflict) {
			t.Errorf("within its time: %v, want a conflict", err)
		}
		h.now = h.now.Add(time.Second)
		if _, err := h.rows.put(fresh(t, h.now)); err != nil {
			t.Errorf("after its time: %v", err)
		}
		return nil
	})
	if err != nil || h.rows["elt"]["owner"].S != "somebody else" {
		t.Errorf("%v; leases %v, want the new holder's", err, h.rows)
	}
}

// fresh is somebody else's request.
func fresh(t *testing.T, now time.Time) []byte {
	t.Helper()
	n := func(at time.Time) attribute { return attribute{N: strconv.FormatInt(at.Unix(), 10)} }
	body, err := json.Marshal(request{
		TableName: "state", Item: map[string]attribute{"name": {S: "elt"}, "owner": {S: "somebody else"}, "expires": n(now.Add(time.Hour))},
		ConditionExpression: "attribute_not_exists(#name) OR #expires < :now", ExpressionAttributeValues: map[string]attribute{":now": n(now)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestTheWorksErrorIsKept(t *testing.T) {
	h := open(t)
	broken := errors.New("no disk")
	ctx, cancel := context.WithCancel(t.Context())
	err := h.table.Run(ctx, "elt", func(context.Context) error { cancel(); return broken })
	if !errors.Is(err, broken) || len(h.rows) != 0 {
		t.Errorf("error %v, leases %v; want the work's error and the lease given back", err, h.rows)
	}
	h.service.On("PutItem", func([]byte) (any, error) {
		return nil, &awstest.RefusalError{Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "slow down"}
	})
	err = h.table.Run(t.Context(), "elt", func(context.Context) error { t.Error("the work was begun without a lease"); return nil })
	if !fault.Is(err, fault.Transient) {
		t.Errorf("throttled: %v, want a transient error", err)
	}
}
