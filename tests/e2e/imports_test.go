package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
)

// published is the folder of other people's data beside the checkout. It is not part of the project.
const published = "../../../shared/data"

// data returns a published file and the project folder with its mapping, experiment and metrics.
func data(t *testing.T, name, file string) (path, project string) {
	t.Helper()
	path = filepath.Join(published, file)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("skipped: %s is not beside the checkout", file)
	}
	return path, filepath.Join("imports", name)
}

// arms is a metric in a result: units and mean of each arm.
type arms struct {
	Units [2]int64
	Mean  [2]float64
}

// analyse runs the pipeline on a lake and returns its metrics and the detail of its SRM check.
func analyse(t *testing.T, lake, project, asOf string) (map[string]arms, string) {
	t.Helper()
	out, complaints, err := verdict(t, "run", "--lake", lake, "--project", project, "--as-of", asOf, "--json")
	if err != nil {
		t.Fatalf("run: %v\n%s", err, complaints)
	}
	var o struct {
		Experiments []struct {
			Results []struct {
				Metric         string
				UnitsControl   int64   `json:"units_control"`
				UnitsTreatment int64   `json:"units_treatment"`
				MeanControl    float64 `json:"mean_control"`
				MeanTreatment  float64 `json:"mean_treatment"`
			}
			Checks []struct{ Name, Detail string }
		}
	}
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if len(o.Experiments) != 1 {
		t.Fatalf("%d experiments were evaluated, want 1", len(o.Experiments))
	}
	got := map[string]arms{}
	for _, r := range o.Experiments[0].Results {
		got[r.Metric] = arms{[2]int64{r.UnitsControl, r.UnitsTreatment}, [2]float64{r.MeanControl, r.MeanTreatment}}
	}
	for _, c := range o.Experiments[0].Checks {
		if c.Name == "srm" {
			return got, c.Detail
		}
	}
	t.Fatal("there is no srm check")
	return nil, ""
}

// ask puts a question to the file itself: rows of metric, units and mean of both arms. It is what an
// analyst would write who has never heard of us.
func ask(t *testing.T, path, query string) map[string]arms {
	t.Helper()
	file, err := duck.OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want := map[string]arms{}
	err = file.Each(t.Context(), query, func(v []*string) error {
		var numbers [4]float64
		for i := range numbers {
			var err error
			if numbers[i], err = strconv.ParseFloat(*v[i+1], 64); err != nil {
				return err
			}
		}
		want[*v[0]] = arms{[2]int64{int64(numbers[0]), int64(numbers[1])}, [2]float64{numbers[2], numbers[3]}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return want
}

// exactly allows what the order of additions changes in the last bits of a double, and no more.
func exactly() cmp.Option { return cmpopts.EquateApprox(1e-13, 0) }

// replay lands every file of raw once more, as a delivery that was repeated does.
func replay(t *testing.T, lake string) {
	t.Helper()
	store := &directory.Store{Root: lake}
	landed, err := store.List(t.Context(), "raw/")
	if err != nil || len(landed) == 0 {
		t.Fatalf("%d landed files, %v", len(landed), err)
	}
	for _, o := range landed {
		body, err := store.Get(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Put(t.Context(), strings.Replace(o.Key, ".ndjson.gz", "-again.ndjson.gz", 1), body, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func importInto(t *testing.T, lake, project, path, want string) {
	t.Helper()
	out, complaints, err := verdict(t, "import", "--mapping", filepath.Join(project, "mapping.yaml"), "--project", project, "--lake", lake, path)
	if err != nil || !strings.Contains(out, want) {
		t.Fatalf("import: %v\n%s%s, want %s", err, out, complaints, want)
	}
}

func TestCookieCats(t *testing.T) {
	path, project := data(t, "cookie_cats", "cookie_cats.csv")
	const asOf = "2016-03-16"
	lake := t.TempDir()
	importInto(t, lake, project, path, "233318 events accepted, 0 in quarantine")
	got, srm := analyse(t, lake, project, asOf)
	want := ask(t, path, `
with player as (
    select version = 'gate_40' as treated, retention_1 = 'TRUE' as r1, retention_7 = 'TRUE' as r7, cast(sum_gamerounds as double) as rounds
    from data
), value as (
    select treated, 'retention_1' as metric, cast(r1 as double) as y from player
    union all select treated, 'retention_7', cast(r7 as double) from player
    union all select treated, 'game_rounds_d14', rounds from player
)
select metric, count(*) filter (where not treated), count(*) filter (where treated), avg(y) filter (where not treated), avg(y) filter (where treated)
from value group by metric`)
	if diff := cmp.Diff(want, got, exactly()); diff != "" {
		t.Errorf("-file +pipeline:\n%s", diff)
	}
	// As published with the data, and so a check of the question above.
	rounded := map[string]arms{
		"retention_1": {[2]int64{44700, 45489}, [2]float64{0.44819, 0.44228}},
		"retention_7": {[2]int64{44700, 45489}, [2]float64{0.19020, 0.18200}},
	}
	for metric, a := range rounded {
		if diff := cmp.Diff(a, got[metric], cmpopts.EquateApprox(0, 0.5e-5)); diff != "" {
			t.Errorf("%s: -published +pipeline:\n%s", metric, diff)
		}
	}
	if !strings.Contains(srm, "chi-square 6.902, p 0.0086") {
		t.Errorf("srm: %s; the published statistic is 6.902, p 0.0086", srm)
	}
	importInto(t, lake, project, path, "233318 events accepted, 0 in quarantine")
	again, _ := analyse(t, lake, project, asOf)
	if diff := cmp.Diff(got, again, exactly()); diff != "" {
		t.Errorf("-once +imported twice:\n%s", diff)
	}
}

func TestOnlineRetail(t *testing.T) {
	path, project := data(t, "online_retail", "online_retail.parquet")
	const asOf = "2013-01-01"
	lake := t.TempDir()
	importInto(t, lake, project, path, "0 in quarantine")
	got, _ := analyse(t, lake, project, asOf)
	// value of a line, and what each customer's lines come to
	want := ask(t, path, `
with line as (
    select
        CustomerID as customer,
        to_hex(md5(to_utf8(CustomerID))) >= '8' as treated,
        case when Quantity > 0 and UnitPrice >= 0 then Quantity * UnitPrice end as paid,
        case when Quantity <= 0 or UnitPrice < 0 then abs(Quantity * UnitPrice) end as back
    from data where CustomerID is not null
), customer as (
    select customer, treated, coalesce(sum(paid), 0) as paid, coalesce(sum(back), 0) as back, count(paid) as lines
    from line group by customer, treated
), value as (
    select treated, 'revenue_per_customer' as metric, avg(paid) as y, count(*) as n from customer group by treated
    union all select treated, 'refunds_per_customer', avg(back), count(*) from customer group by treated
    union all select treated, 'revenue_per_line', sum(paid) / sum(lines), count(*) from customer group by treated
)
select metric, max(n) filter (where not treated), max(n) filter (where treated), max(y) filter (where not treated), max(y) filter (where treated)
from value group by metric`)
	if diff := cmp.Diff(want, got, exactly()); diff != "" {
		t.Errorf("-file +pipeline:\n%s", diff)
	}
	if n := got["revenue_per_customer"].Units; n[0]+n[1] != 4372 {
		t.Errorf("%d customers, want the 4372 of the file", n[0]+n[1])
	}
	w, err := duck.Open(t.Context(), &directory.Store{Root: lake})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := w.Query(t.Context(), "select count(*) from fact_event where event_name <> 'experiment_exposed'")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil || *lines.Rows[0][0] != "541909" {
		t.Errorf("%v lines, %v; want every one of the file's 541909", *lines.Rows[0][0], err)
	}
	replay(t, lake)
	again, _ := analyse(t, lake, project, asOf)
	if diff := cmp.Diff(got, again, exactly()); diff != "" {
		t.Errorf("-once +replayed:\n%s", diff)
	}
}
