package lambdaio_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
	"verdict/shared/lambdaio"
)

// lease is free unless it was taken.
type lease struct {
	taken bool
	names []string
}

func (l *lease) Run(ctx context.Context, name string, work func(context.Context) error) error {
	l.names = append(l.names, name)
	if l.taken {
		return fault.New(fault.Conflict, "take lease %s: somebody has it", name)
	}
	return work(ctx)
}

// An answer to a proposal starts the decider by SNS, whose event has no time of its own.
func TestAnEventThatIsNoScheduleIsAboutNow(t *testing.T) {
	var occasion lambdaio.Occasion
	if err := json.Unmarshal([]byte(`{"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "a proposal was answered", "Timestamp": "2020-01-01T00:00:00.000Z"}}]}`), &occasion); err != nil || !occasion.ScheduledTime.IsZero() {
		t.Errorf("%+v, %v", occasion, err)
	}
}

func TestAScheduleRunsItsStepsForItsDay(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 2, 1, 9, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		input  string
		taken  bool
		broken error
		want   []string
		err    string
	}{
		"on time":            {`{"scheduled_time":"2026-01-31T23:59:00Z"}`, false, nil, []string{"one 2026-01-31", "two 2026-01-31"}, ""},
		"retried next day":   {`{"scheduled_time":"2026-01-30T00:00:00Z"}`, false, nil, []string{"one 2026-01-30", "two 2026-01-30"}, ""},
		"by hand":            {`{}`, false, nil, []string{"one 2026-02-01", "two 2026-02-01"}, ""},
		"while another runs": {`{}`, true, nil, nil, ""},
		"first step fails":   {`{}`, false, errors.New("no disk"), []string{"one 2026-02-01"}, "run elt as of 2026-02-01: no disk"},
		"a step conflicts":   {`{}`, false, fault.New(fault.Conflict, "drift"), []string{"one 2026-02-01"}, "run elt as of 2026-02-01: drift"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			step := func(name string, err error) func(context.Context, time.Time) error {
				return func(_ context.Context, asOf time.Time) error {
					got = append(got, name+" "+asOf.Format(time.DateOnly))
					return err
				}
			}
			l := &lease{taken: c.taken}
			var in lambdaio.Occasion
			if err := json.Unmarshal([]byte(c.input), &in); err != nil {
				t.Fatal(err)
			}
			err := lambdaio.Scheduled("elt", l, now, step("one", c.broken), step("two", nil))(t.Context(), in)
			if text := errorText(err); text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff([]string{"elt"}, l.names); diff != "" {
				t.Errorf("leases -want +got:\n%s", diff)
			}
		})
	}
}

// Work that must not meet other work begins when it has the leases of all.
func TestALeaseWithOthers(t *testing.T) {
	for taken, want := range map[string][]string{
		"":        {"privacy", "elt", "replay", "work"},
		"replay":  {"privacy", "elt", "replay"},
		"privacy": {"privacy"},
		"decider": {"privacy", "elt", "replay", "work"},
	} {
		var got []string
		work := func(context.Context, time.Time) error { got = append(got, "work"); return nil }
		l := lambdaio.Together{Lease: holder(func(name string) bool { got = append(got, name); return name != taken }), With: []string{"replay", "elt"}}
		if err := lambdaio.Scheduled("privacy", l, time.Now, work)(t.Context(), lambdaio.Occasion{}); err != nil {
			t.Errorf("%s is taken: %v", taken, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s is taken (-want +got):\n%s", taken, diff)
		}
	}
}

// holder is a lease that is had when it says so.
type holder func(name string) bool

func (h holder) Run(ctx context.Context, name string, work func(context.Context) error) error {
	if !h(name) {
		return fault.New(fault.Conflict, "take lease %s: somebody has it", name)
	}
	return work(ctx)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
