package measure_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/dialect"
	"verdict/shared/identity"
	"verdict/shared/measure"
	"verdict/shared/metric"
	"verdict/shared/table"
)

// Ann looked as a stranger and signed in; the kiosk is Bob's and then Cid's; Dan's second device is only probably his;
// Eve was really served both.
func TestPolicies(t *testing.T) {
	h := newHome(t)
	at := func(minute int) time.Time { return start().Add(time.Duration(minute) * time.Minute) }
	exposed := func(entity, variant string, minute int) event {
		return event{entity: entity, name: "experiment_exposed", at: at(minute), experiment: "x", variant: variant}
	}
	order := func(entity string, minute int) event {
		return event{entity: entity, name: "order_completed", at: at(minute)}
	}
	h.landEvents(t, []event{
		exposed("a:ann-phone", "control", 1), exposed("u:ann", "treatment", 2), order("u:ann", 3),
		exposed("u:bob", "control", 1), exposed("u:cid", "treatment", 1), order("a:kiosk", 5),
		exposed("u:dan", "treatment", 1), exposed("a:dan-tv", "treatment", 2), order("a:dan-tv", 6),
		exposed("a:eve", "control", 1), exposed("a:eve", "treatment", 2),
	})
	edge := func(device, user string, minute int) identity.Edge {
		return identity.Edge{AnonymousID: device, UserID: user, Events: 1, FirstSeen: at(minute), LastSeen: at(minute)}
	}
	write := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
	}
	write("edges", table.Write(t.Context(), h.store, h.warehouse, table.Place{Table: "identity_edge", Run: h.newRun()}, []identity.Edge{
		edge("ann-phone", "ann", 2), edge("kiosk", "bob", 1), edge("kiosk", "cid", 2),
	}))
	write("map", table.Write(t.Context(), h.store, h.warehouse, table.Place{Table: "identity_map", Run: h.newRun()}, []identity.Member{
		{EntityID: "a:ann-phone", UnitID: "u:ann", Method: "signed_in", Confidence: 1, Since: at(2)},
		{EntityID: "a:dan-tv", UnitID: "u:dan", Method: "linked", Confidence: 0.97, Since: at(2)},
	}))
	h.build(t)
	conversion := metric.Metric{Name: "orders", Kind: metric.Mean, Window: days(0, 1), Numerator: orders()}
	e := running("x", 7, conversion)

	type arm struct {
		Units, Multiple int64
		Orders          float64
	}
	want := map[measure.Policy]map[string]arm{
		// Bob; Cid, Dan with his television's order. Ann and Eve are left out.
		measure.Resolved: {"control": {1, 2, 0}, "treatment": {2, 0, 1}},
		// Dan without it: the television is somebody.
		measure.Certain: {"control": {1, 2, 0}, "treatment": {3, 0, 1}},
		// Ann, Eve and Bob in control, and the kiosk's order is Bob's.
		measure.FirstTouch: {"control": {3, 0, 2}, "treatment": {2, 0, 1}},
		// Only Bob is left in control, and the kiosk's order is Cid's.
		measure.LastTouch: {"control": {1, 0, 0}, "treatment": {4, 0, 3}},
		// Ann is two, and her order is the second's.
		measure.Strict: {"control": {2, 1, 0}, "treatment": {4, 0, 2}},
	}
	for _, p := range measure.Policies() {
		cells, traffic, err := h.measurer.Under(t.Context(), p, e, []metric.Metric{conversion}, start().AddDate(0, 0, 3))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]arm{}
		for _, x := range traffic {
			a := got[x.Variant]
			a.Units, a.Multiple = a.Units+x.Units, a.Multiple+x.Crossed
			got[x.Variant] = a
		}
		for _, c := range cells {
			a := got[c.Variant]
			a.Orders += c.MeanY * float64(c.Units)
			got[c.Variant] = a
		}
		if diff := cmp.Diff(want[p], got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", p, diff)
		}
		if found := dialect.Check(measure.QueryUnder(p, e, []metric.Metric{conversion}, start())); found != nil {
			t.Errorf("%s: %+v", p, found)
		}
		if p.Says() == "" || strings.HasSuffix(p.Says(), ".") {
			t.Errorf("%s says %q", p, p.Says())
		}
	}
}
