package laketest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Catalog tests a catalog; open returns an empty one.
func Catalog(t *testing.T, open func(t *testing.T) lake.Catalog) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, lake.Catalog){
		"what was published is what one reads":         published,
		"publishing replaces those of the same values": replaced,
		"a table without partitions is flipped whole":  flipped,
		"columns are taken over":                       columns,
		"hundreds of partitions":                       hundreds,
		"an unknown table is not found":                unknown,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func events(partitions ...lake.Partition) lake.Table {
	return lake.Table{
		Name:        "fact_event",
		Columns:     []lake.Column{{Name: "event_id", Type: "varchar"}, {Name: "seq", Type: "bigint"}, {Name: "value", Type: "double"}, {Name: "is_bot", Type: "boolean"}, {Name: "event_ts", Type: "timestamp(3)"}, {Name: "day", Type: "date"}},
		PartitionBy: []string{"namespace", "event_date"}, Partitions: partitions,
	}
}

func part(run, namespace, day string) lake.Partition {
	return lake.Partition{
		Values: []string{namespace, day}, Source: "made from " + run,
		Location: fmt.Sprintf("warehouse/fact_event/run=%s/namespace=%s/event_date=%s/", run, namespace, day),
	}
}

func publish(t *testing.T, c lake.Catalog, table lake.Table) {
	t.Helper()
	if err := c.Publish(t.Context(), table); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, c lake.Catalog, want lake.Table) {
	t.Helper()
	got, err := c.Table(t.Context(), want.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func published(t *testing.T, c lake.Catalog) {
	t.Helper()
	publish(t, c, events(part("1", "shop", "2026-01-06"), part("1", "game", "2026-01-06"), part("1", "shop", "2026-01-05")))
	want := events(part("1", "game", "2026-01-06"), part("1", "shop", "2026-01-05"), part("1", "shop", "2026-01-06"))
	check(t, c, want)
	publish(t, c, want) // again
	check(t, c, want)
}

func replaced(t *testing.T, c lake.Catalog) {
	t.Helper()
	publish(t, c, events(part("1", "shop", "2026-01-05"), part("1", "shop", "2026-01-06")))
	publish(t, c, events(part("2", "shop", "2026-01-06"), part("2", "shop", "2026-01-07")))
	check(t, c, events(part("1", "shop", "2026-01-05"), part("2", "shop", "2026-01-06"), part("2", "shop", "2026-01-07")))
	// What was made of other things at the same place has changed, too.
	other := part("2", "shop", "2026-01-07")
	other.Source = "made from something else"
	publish(t, c, events(other))
	check(t, c, events(part("1", "shop", "2026-01-05"), part("2", "shop", "2026-01-06"), other))
}

func flipped(t *testing.T, c lake.Catalog) {
	t.Helper()
	whole := func(run string) lake.Table {
		return lake.Table{
			Name: "dim_user", Columns: []lake.Column{{Name: "entity_id", Type: "varchar"}},
			Partitions: []lake.Partition{{Location: "warehouse/dim_user/run=" + run + "/", Source: "made from " + run}},
		}
	}
	publish(t, c, whole("1"))
	check(t, c, whole("1"))
	publish(t, c, whole("2"))
	check(t, c, whole("2"))
}

func columns(t *testing.T, c lake.Catalog) {
	t.Helper()
	publish(t, c, events(part("1", "shop", "2026-01-05")))
	wider := events(part("2", "shop", "2026-01-06"))
	wider.Columns = append(wider.Columns, lake.Column{Name: "consent", Type: "varchar"})
	publish(t, c, wider)
	wider.Partitions = []lake.Partition{part("1", "shop", "2026-01-05"), part("2", "shop", "2026-01-06")}
	check(t, c, wider)
}

func hundreds(t *testing.T, c lake.Catalog) {
	t.Helper()
	var all []lake.Partition
	for i := range 250 {
		all = append(all, part("1", "shop", fmt.Sprintf("day-%03d", i)))
	}
	publish(t, c, events(all...))
	check(t, c, events(all...))
	for i := range all {
		all[i] = part("2", "shop", all[i].Values[1])
	}
	publish(t, c, events(all...))
	check(t, c, events(all...))
}

func unknown(t *testing.T, c lake.Catalog) {
	t.Helper()
	if _, err := c.Table(t.Context(), "nothing"); !fault.Is(err, fault.NotFound) {
		t.Errorf("error %v, want not found", err)
	}
}
