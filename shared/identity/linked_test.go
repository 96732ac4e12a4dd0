package identity_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/identity"
	"verdict/shared/identity/identitytest"
	"verdict/shared/identity/linkage"
	"verdict/shared/lake"
	"verdict/shared/table"
)

// signal is a row of identity_signal as far as devices are made of it.
type signal struct {
	ID      string    `lake:"anonymous_id"`
	Network string    `lake:"network"`
	Browser string    `lake:"browser"`
	Locale  string    `lake:"locale"`
	Zone    string    `lake:"time_zone"`
	Slot    int64     `lake:"slot"`
	Events  int64     `lake:"events"`
	First   time.Time `lake:"first_seen"`
	Last    time.Time `lake:"last_seen"`
}

// world is the simulated visitors as the tables that the resolver reads: sign-ins, and signals of their last day.
type world struct {
	edges   []identity.Edge
	devices []device
}

type device struct {
	row   []string
	truth string
}

const lastDay = "2026-03-31"

func newWorld(persons int, seed uint64) (world, *identitytest.Visitors) {
	v := identitytest.NewVisitors(persons, seed)
	var w world
	for _, l := range v.Links {
		w.edges = append(w.edges, identity.Edge{AnonymousID: l.A[2:], UserID: l.B[2:], Events: 1, FirstSeen: l.First, LastSeen: l.First})
	}
	for i, row := range v.Table.Rows {
		w.devices = append(w.devices, device{row, v.Truth[i]})
	}
	return w, v
}

// signals spells a device as identity_signal would hold it, on one day.
func (d device) signals() []signal {
	browser := strings.Fields(d.row[3])
	day := func(text string) time.Time {
		n, err := strconv.Atoi(text)
		if err != nil {
			panic(err)
		}
		return time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC)
	}
	base := signal{ID: d.row[0][2:], Browser: browser[2], Locale: d.row[4], Zone: d.row[5], First: day(browser[0]), Last: day(browser[1])}
	var out []signal
	networks := strings.Fields(d.row[2])
	for slot, n := range strings.Fields(d.row[6]) {
		s := base
		s.Slot, s.Network = int64(slot), networks[slot%len(networks)]
		s.Events, _ = strconv.ParseInt(n, 10, 64)
		out = append(out, s)
	}
	return out
}

// lakeOf is a resolver over an empty lake, and what puts evidence into it.
func lakeOf(t *testing.T) (*identity.Resolver, func(edges []identity.Edge, devices []device)) {
	t.Helper()
	store := &directory.Store{Root: t.TempDir()}
	w, err := duck.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	var runs int
	newRun := func() string { runs++; return strconv.Itoa(runs) }
	s := linkage.DefaultSettings()
	s.LinkDevices = true
	r := &identity.Resolver{Objects: store, Engine: w, Catalog: w, NewRun: newRun, Now: func() time.Time { return noon }, Settings: s}
	return r, func(edges []identity.Edge, devices []device) {
		var signals []signal
		for _, d := range devices {
			signals = append(signals, d.signals()...)
		}
		if err := table.Write(t.Context(), store, w, table.Place{Table: "identity_edge", Run: newRun()}, edges); err != nil {
			t.Fatal(err)
		}
		to := table.Place{Table: "identity_signal", Run: newRun(), PartitionBy: []string{"event_date"}, Values: []string{lastDay}}
		if err := table.Write(t.Context(), store, w, to, signals); err != nil {
			t.Fatal(err)
		}
	}
}

func mapOf(t *testing.T, r *identity.Resolver) []identity.Member {
	t.Helper()
	out, err := lake.Read[identity.Member](t.Context(), r.Engine, "select * from identity_map order by entity_id")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// standing is what the log, replayed, says holds units together.
func standing(t *testing.T, r *identity.Resolver) map[string]float64 {
	t.Helper()
	log, err := identity.Log(t.Context(), r.Engine, r.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	// Entries of one run are in the order of their names.
	for _, change := range []string{"merged", "split"} {
		for _, m := range log {
			if m.Change != change {
				continue
			}
			if change == "merged" {
				out[m.A+" "+m.B]++
			} else {
				out[m.A+" "+m.B]--
			}
		}
	}
	for link, n := range out {
		if n == 0 {
			delete(out, link)
		}
	}
	return out
}

// The pipeline resolves what there is, night after night; a lake that gets everything at once has the same units, and
// the same links stand in its log.
func TestLinkedIncrementsEqualARebuild(t *testing.T) {
	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 4))
		all, _ := newWorld(250, 10+seed)
		rng.Shuffle(len(all.edges), func(i, j int) { all.edges[i], all.edges[j] = all.edges[j], all.edges[i] })
		rng.Shuffle(len(all.devices), func(i, j int) { all.devices[i], all.devices[j] = all.devices[j], all.devices[i] })
		nightly, put := lakeOf(t)
		night := func(edges, devices int) {
			put(all.edges[:edges], all.devices[:devices])
			if _, err := nightly.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		night(len(all.edges)/2, len(all.devices)/2)
		undone := mapOf(t, nightly)
		veto := identity.Veto{A: undone[rng.IntN(len(undone))].EntityID, Reason: "test", At: noon}
		for _, m := range undone {
			if m.EntityID == veto.A {
				veto.B = m.UnitID
			}
		}
		if err := identity.Forbid(t.Context(), nightly.Objects, veto); err != nil { // and taken back on the last night
			t.Fatal(err)
		}
		night(rng.IntN(len(all.edges)), rng.IntN(len(all.devices)))
		if err := identity.Permit(t.Context(), nightly.Objects, veto.A, veto.B); err != nil {
			t.Fatal(err)
		}
		night(len(all.edges), len(all.devices))
		once, put := lakeOf(t)
		rng.Shuffle(len(all.devices), func(i, j int) { all.devices[i], all.devices[j] = all.devices[j], all.devices[i] })
		put(all.edges, all.devices)
		if _, err := once.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := mapOf(t, once)
		if diff := cmp.Diff(want, mapOf(t, nightly)); diff != "" {
			t.Errorf("seed %d: at once (-), night after night (+):\n%s", seed, diff)
		}
		if diff := cmp.Diff(standing(t, once), standing(t, nightly)); diff != "" {
			t.Errorf("seed %d: links in the log, at once (-), night after night (+):\n%s", seed, diff)
		}
		methods := map[string]int{}
		for _, m := range want {
			methods[m.Method]++
			if certain := m.Method == "signed_in"; certain != (m.Confidence == 1) || m.Confidence < 0.8 {
				t.Errorf("%+v", m)
			}
		}
		if methods["signed_in"] < 50 || methods["linked"] < 50 {
			t.Errorf("seed %d: %v: the world tests less than it should", seed, methods)
		}
	}
}

// Through the tables, links are as good as in memory (linkage.TestVisitors), and each can be undone.
func TestLinkedDevices(t *testing.T) {
	all, v := newWorld(1500, 3)
	r, put := lakeOf(t)
	put(all.edges, all.devices)
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Run(t.Context()); err != nil || n != -1 {
		t.Errorf("again: %d, %v, want nothing to do", n, err)
	}
	unit := map[string]string{}
	var some identity.Member
	for _, m := range mapOf(t, r) {
		unit[m.EntityID] = m.UnitID
		if m.Method == "linked" && strings.HasPrefix(m.UnitID, "u:") {
			some = m
		}
	}
	rows := map[string]int{}
	truth, got := make([]string, len(all.devices)), make([]int, len(all.devices))
	users := map[string]string{}
	for i, d := range all.devices {
		name := d.row[0]
		if u, ok := unit[name]; ok {
			name = u
		}
		if _, ok := rows[name]; !ok {
			rows[name] = i
		}
		truth[i], got[i] = d.truth, rows[name]
		if strings.HasPrefix(name, "u:") {
			users[name] = v.Person[name]
		}
	}
	q := linkage.Score(truth, got)
	t.Logf("%+v", q)
	if q.Pairwise.Precision < 0.99 || q.Pairwise.Recall < 0.45 || q.Largest > identity.DefaultGuards().Component {
		t.Errorf("%+v", q)
	}
	if err := identity.Forbid(t.Context(), r.Objects, identity.Veto{A: some.EntityID, B: some.UnitID, Reason: "not hers", At: noon}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, m := range mapOf(t, r) {
		if m.EntityID == some.EntityID && m.UnitID == some.UnitID {
			t.Errorf("the veto undid nothing: %+v", m)
		}
	}
	log, err := identity.Log(t.Context(), r.Engine, r.Catalog)
	if err != nil {
		t.Fatal(err)
	}
	split, linked := 0, 0
	for _, m := range log {
		if m.Change == "split" {
			split++
		}
		if m.Reason == "linked" && m.Confidence < 1 && m.Confidence >= 0.8 {
			linked++
		}
	}
	if split == 0 || linked < 100 {
		t.Errorf("the log has %d splits and %d merges of devices", split, linked)
	}
}

func TestSettings(t *testing.T) {
	builtIn, err := os.ReadFile(filepath.Join("..", "..", "athena-sql", "identity.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := linkage.LoadSettings("identity.yaml", builtIn); err != nil || got != linkage.DefaultSettings() {
		t.Errorf("the file that stands in the project says %+v, %v, want the defaults", got, err)
	}
	for source, want := range map[string]string{
		"link_devices: true\ndays: 0": "identity.yaml:2: want a number of days above 0, not 0",
		"threshold: 1":                "identity.yaml:1: a threshold is a probability from 0.5 to below 1, not 1",
		"agreement: 0":                "identity.yaml:1: an agreement is a probability above 0, not 0",
		"pairs: -3":                   "identity.yaml:1: a budget of pairs is a number above 0",
		"probable: true":              `identity.yaml:1: unknown field "probable"`,
	} {
		if _, err := linkage.LoadSettings("identity.yaml", []byte(source)); !fault.Is(err, fault.Invalid) || err.Error() != want {
			t.Errorf("%s: got %v, want %s", source, err, want)
		}
	}
}

// Placeholders that are nobody's id are nobody's session either: SQL and Go know the same ones.
func TestPlaceholdersAreTheSameInSQL(t *testing.T) {
	sql, err := os.ReadFile(filepath.Join("..", "..", "athena-sql", "models", "fact_event.sql"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "not in (" + lake.QuoteList(identity.DefaultGuards().Blocked) + ")"; !strings.Contains(string(sql), want) {
		t.Errorf("fact_event.sql lacks %s", want)
	}
}
