package semantic_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/dialect"
	"verdict/shared/fault"
	"verdict/shared/semantic"
)

// A metric of the reference: what an event adds above and below the line, if anything.
type reference struct {
	above, below func(event) (float64, bool)
	ratio        bool
}

func references() map[string]reference {
	named := func(value func(event) float64, names ...string) func(event) (float64, bool) {
		return func(e event) (float64, bool) { return value(e), slices.Contains(names, e.Name) }
	}
	one := func(event) float64 { return 1 }
	money := func(e event) float64 { return e.Value }
	all := func(event) (float64, bool) { return 1, true }
	return map[string]reference{
		"everything":        {above: all},
		"with_value":        {above: all},
		"orders":            {above: named(one, "order", "reorder")},
		"revenue":           {above: named(money, "order")},
		"visits":            {above: named(one, "visit")},
		"order_value":       {named(money, "order"), named(one, "order", "reorder"), true},
		"revenue_per_event": {named(money, "order"), all, true},
		"revenue_per_visit": {named(money, "order"), named(one, "visit"), true},
	}
}

// answer works a question out event by event.
func (m reference) answer(events []event, q semantic.Question) []semantic.Row {
	type sums struct {
		row          semantic.Row
		above, below *float64
	}
	groups := map[string]*sums{}
	for _, e := range events {
		if e.Bot || e.At.Before(q.From) || !e.At.Before(q.To) || !passes(e, q.Filters) {
			continue
		}
		above, has := m.above(e)
		below, hasBelow := 0.0, false
		if m.ratio {
			below, hasBelow = m.below(e)
		}
		if !has && !hasBelow {
			continue
		}
		row := semantic.Row{Period: period(e.At, q.Grain), Dimensions: []*string{}}
		for _, name := range q.By {
			row.Dimensions = append(row.Dimensions, e.dimension(name))
		}
		key := fmt.Sprint(row.Period, spell(row.Dimensions))
		if groups[key] == nil {
			groups[key] = &sums{row: row}
		}
		if has {
			groups[key].above = plus(groups[key].above, above)
		}
		if hasBelow {
			groups[key].below = plus(groups[key].below, below)
		}
	}
	out := []semantic.Row{}
	for _, g := range groups {
		g.row.Value = g.above
		if m.ratio {
			g.row.Numerator, g.row.Denominator, g.row.Value = g.above, g.below, nil
			if g.above != nil && g.below != nil && *g.below != 0 {
				share := *g.above / *g.below
				g.row.Value = &share
			}
		}
		out = append(out, g.row)
	}
	slices.SortFunc(out, func(a, b semantic.Row) int {
		return cmp.Or(strings.Compare(a.Period, b.Period), strings.Compare(spell(a.Dimensions), spell(b.Dimensions)))
	})
	return out
}

func plus(sum *float64, x float64) *float64 {
	if sum != nil {
		x += *sum
	}
	return &x
}

// spell orders as SQL does with nulls last.
func spell(values []*string) string {
	var out strings.Builder
	for _, v := range values {
		if v == nil {
			out.WriteString("\U0010FFFF\x00")
		} else {
			out.WriteString(*v + "\x00")
		}
	}
	return out.String()
}

func (e event) dimension(name string) *string {
	switch {
	case name == "event_name":
		return &e.Name
	case name == "order":
		return &e.kind
	case e.city == "":
		return nil
	}
	return &e.city
}

func passes(e event, filters []semantic.Filter) bool {
	hold := map[string]bool{}
	for _, f := range filters {
		v := e.dimension(f.Dimension)
		hold[f.Dimension] = hold[f.Dimension] || v != nil && *v == f.Value
	}
	for _, ok := range hold {
		if !ok {
			return false
		}
	}
	return true
}

func period(at time.Time, grain semantic.Grain) string {
	d := at.UTC().Truncate(24 * time.Hour)
	switch grain {
	case semantic.Total:
		return ""
	case semantic.Week:
		d = d.AddDate(0, 0, -(int(d.Weekday())+6)%7)
	case semantic.Month:
		d = d.AddDate(0, 0, 1-d.Day())
	case semantic.Day:
	}
	return d.Format(time.DateOnly)
}

func questions(name string) []semantic.Question {
	var out []semantic.Question
	for _, grain := range semantic.Grains() {
		for _, by := range [][]string{nil, {"city"}, {"order", "event_name"}} {
			for _, filters := range [][]semantic.Filter{
				nil,
				{{"city", `O'Fallon "North"`}, {"city", "'; drop table fact_event; --"}, {"order", "gift"}},
				{{"city", "x' or '1' = '1"}},
			} {
				out = append(out, semantic.Question{Metric: name, From: january(4), To: january(37), Grain: grain, By: by, Filters: filters})
			}
		}
	}
	return out
}

func TestAnswersAgreeWithTheEvents(t *testing.T) {
	events := shop(1, 2000)
	s := lakeOf(t, events)
	nearly := cmpopts.EquateApprox(1e-12, 0)
	for name, m := range references() {
		for _, q := range questions(name) {
			t.Run(fmt.Sprint(name, q.Grain, q.By, len(q.Filters)), func(t *testing.T) {
				plan, err := s.Plan(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if found := dialect.Check(plan.SQL); found != nil {
					t.Errorf("not in the dialect: %v", found)
				}
				got, err := s.Rows(t.Context(), plan, 0, math.MaxInt32)
				if err != nil {
					t.Fatal(err)
				}
				if diff := gocmp.Diff(m.answer(events, q), got, nearly, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("%s\n%s", plan.SQL, diff)
				}
			})
		}
	}
}

func TestPagesMakeTheWhole(t *testing.T) {
	s := lakeOf(t, shop(2, 500))
	plan, err := s.Plan(t.Context(), semantic.Question{Metric: "everything", From: january(1), To: january(60), Grain: semantic.Day, By: []string{"city"}})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := s.Rows(t.Context(), plan, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	var pages []semantic.Row
	for len(pages) < len(whole) {
		page, err := s.Rows(t.Context(), plan, len(pages), 7)
		if err != nil || len(page) == 0 {
			t.Fatalf("page after %d of %d rows: %v, %v", len(pages), len(whole), page, err)
		}
		pages = append(pages, page...)
	}
	if diff := gocmp.Diff(whole, pages); diff != "" {
		t.Error(diff)
	}
}

func TestWhatCannotBeAskedIsRefused(t *testing.T) {
	s := lakeOf(t, shop(1, 10))
	fine := semantic.Question{Metric: "orders", From: january(1), To: january(8), Grain: semantic.Day}
	for name, c := range map[string]struct {
		change func(*semantic.Question)
		class  fault.Class
		says   string
	}{
		"metric":            {func(q *semantic.Question) { q.Metric = "profit" }, fault.NotFound, "profit"},
		"dimension":         {func(q *semantic.Question) { q.By = []string{"color"} }, fault.NotFound, "color"},
		"SQL as a name":     {func(q *semantic.Question) { q.By = []string{"e.user_id"} }, fault.NotFound, "e.user_id"},
		"filter":            {func(q *semantic.Question) { q.Filters = []semantic.Filter{{"1=1 or city", "x"}} }, fault.NotFound, "1=1"},
		"control character": {func(q *semantic.Question) { q.Filters = []semantic.Filter{{"city", "a\x00b"}} }, fault.Invalid, "control"},
		"no text":           {func(q *semantic.Question) { q.Filters = []semantic.Filter{{"city", "a\xff"}} }, fault.Invalid, "text"},
		"long text":         {func(q *semantic.Question) { q.Filters = []semantic.Filter{{"city", strings.Repeat("ü", 257)}} }, fault.Invalid, "256"},
		"grain":             {func(q *semantic.Question) { q.Grain = "hour' , 1" }, fault.Invalid, "grain"},
		"no days":           {func(q *semantic.Question) { q.To = q.From }, fault.Invalid, "before"},
		"many days":         {func(q *semantic.Question) { q.To = q.From.AddDate(3, 0, 0) }, fault.Invalid, "731"},
		"twice":             {func(q *semantic.Question) { q.By = []string{"city", "city"} }, fault.Invalid, "twice"},
		"many dimensions":   {func(q *semantic.Question) { q.By = []string{"a", "b", "c", "d", "e", "f"} }, fault.Invalid, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			q := fine
			c.change(&q)
			if _, err := s.Plan(t.Context(), q); !fault.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v (%s), want %s that says %s", err, fault.Of(err), c.class, c.says)
			}
		})
	}
}

func TestAVersionFollowsTheDaysThatAreRead(t *testing.T) {
	events := shop(3, 300)
	s := lakeOf(t, events)
	q := semantic.Question{Metric: "orders", From: january(1), To: january(8), Grain: semantic.Day}
	version := func(q semantic.Question) string {
		t.Helper()
		plan, err := s.Plan(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Version
	}
	before := version(q)
	other := q
	other.Grain = semantic.Week
	if version(q) != before || version(other) == before {
		t.Error("a version is not that of the question")
	}
	publish(t, s, "2", slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Day != "2026-01-20" }))
	if version(q) != before {
		t.Error("a day that is not read changed the version")
	}
	publish(t, s, "3", slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Day != "2026-01-05" }))
	if version(q) == before {
		t.Error("a day that was made anew left the version as it was")
	}
}

func TestTheBudgetCountsTheDaysAskedFor(t *testing.T) {
	s := lakeOf(t, shop(4, 2000))
	bytes := func(to int) int64 {
		plan, err := s.Plan(t.Context(), semantic.Question{Metric: "orders", From: january(1), To: january(to), Grain: semantic.Day})
		if err != nil {
			t.Fatal(err)
		}
		return plan.Bytes
	}
	week, month := bytes(8), bytes(31)
	if week <= 0 || month < 3*week {
		t.Errorf("a week of %d bytes, a month of %d", week, month)
	}
	s.MaxBytes = week
	if bytes(8) != week {
		t.Error("what just fits is refused")
	}
	_, err := s.Plan(t.Context(), semantic.Question{Metric: "orders", From: january(1), To: january(9), Grain: semantic.Day})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "fewer days") {
		t.Errorf("over the budget: %v", err)
	}
}
