package glue_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/glue"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/lake/laketest"
)

type object = map[string]any

// database is a Glue database on the wire: it keeps what it is told as it is told, and the service's
// limits and refusals.
type database struct {
	tables     map[string]object            // name -> TableInput
	partitions map[string]map[string]object // table -> values -> PartitionInput
}

type request struct {
	DatabaseName, Name, TableName, NextToken string
	TableInput                               object
	PartitionInputList                       []object
	Entries                                  []struct {
		PartitionValueList []string
		PartitionInput     object
	}
}

func refuse(code, message string) error {
	return &awstest.RefusalError{Status: http.StatusBadRequest, Code: code, Message: message}
}

func values(partition object) string {
	var out []string
	for _, v := range partition["Values"].([]any) {
		out = append(out, v.(string))
	}
	return strings.Join(out, "/")
}

func (d *database) actions() map[string]awstest.Action {
	on := func(do func(in request) (any, error)) awstest.Action {
		return func(input []byte) (any, error) {
			var in request
			if err := json.Unmarshal(input, &in); err != nil {
				return nil, err
			}
			if in.DatabaseName != "verdict" {
				return nil, refuse("EntityNotFoundException", "no database "+in.DatabaseName)
			}
			return do(in)
		}
	}
	return map[string]awstest.Action{
		"GetTable": on(func(in request) (any, error) {
			table, ok := d.tables[in.Name]
			if !ok {
				return nil, refuse("EntityNotFoundException", "no table "+in.Name)
			}
			return object{"Table": table}, nil
		}),
		"CreateTable": on(func(in request) (any, error) {
			name := in.TableInput["Name"].(string)
			if _, ok := d.tables[name]; ok {
				return nil, refuse("AlreadyExistsException", name)
			}
			d.tables[name], d.partitions[name] = in.TableInput, map[string]object{}
			return object{}, nil
		}),
		"UpdateTable": on(func(in request) (any, error) {
			d.tables[in.TableInput["Name"].(string)] = in.TableInput
			return object{}, nil
		}),
		"BatchCreatePartition": on(func(in request) (any, error) {
			if len(in.PartitionInputList) > 100 {
				return nil, refuse("ValidationException", "more than 100 partitions")
			}
			var errors []object
			for _, p := range in.PartitionInputList {
				if _, ok := d.partitions[in.TableName][values(p)]; ok {
					errors = append(errors, object{"PartitionValues": p["Values"], "ErrorDetail": object{"ErrorCode": "AlreadyExistsException", "ErrorMessage": "Partition already exists."}})
					continue
				}
				d.partitions[in.TableName][values(p)] = p
			}
			return object{"Errors": errors}, nil
		}),
		"BatchUpdatePartition": on(func(in request) (any, error) {
			if len(in.Entries) > 100 {
				return nil, refuse("ValidationException", "more than 100 partitions")
			}
			var errors []object
			for _, e := range in.Entries {
				key := strings.Join(e.PartitionValueList, "/")
				if _, ok := d.partitions[in.TableName][key]; !ok {
					errors = append(errors, object{"PartitionValueList": e.PartitionValueList, "ErrorDetail": object{"ErrorCode": "EntityNotFoundException"}})
					continue
				}
				d.partitions[in.TableName][key] = e.PartitionInput
			}
			return object{"Errors": errors}, nil
		}),
		"GetPartitions": on(func(in request) (any, error) {
			const page = 70
			var all []object
			for _, p := range d.partitions[in.TableName] {
				all = append(all, p)
			}
			backwards(all)
			from := 0
			if in.NextToken != "" {
				var err error
				if from, err = strconv.Atoi(in.NextToken); err != nil {
					return nil, err
				}
			}
			answer := object{"Partitions": all[from:min(from+page, len(all))]}
			if from+page < len(all) {
				answer["NextToken"] = strconv.Itoa(from + page)
			}
			return answer, nil
		}),
	}
}

// backwards is an order that no reader should count on.
func backwards(all []object) {
	slices.SortFunc(all, func(a, b object) int { return strings.Compare(values(b), values(a)) })
}

func open(t *testing.T) (*database, *awstest.Service, *glue.Catalog) {
	t.Helper()
	d := &database{tables: map[string]object{}, partitions: map[string]map[string]object{}}
	service, config := awstest.New(t, "glue", d.actions())
	return d, service, glue.New(config, "verdict", func(prefix string) string { return "s3://lake/" + prefix })
}

func TestCatalog(t *testing.T) {
	laketest.Catalog(t, func(t *testing.T) lake.Catalog {
		t.Helper()
		_, _, catalog := open(t)
		return catalog
	})
}

func exposures(location string) lake.Table {
	return lake.Table{
		Name: "fact", Columns: []lake.Column{{Name: "id", Type: "varchar"}, {Name: "at", Type: "timestamp(3)"}}, PartitionBy: []string{"day"},
		Partitions: []lake.Partition{{Values: []string{"2026-01-05"}, Location: location, Source: "s"}},
	}
}

// Athena reads the table by what stands here.
func TestWhatAthenaReads(t *testing.T) {
	d, _, catalog := open(t)
	if err := catalog.Publish(t.Context(), exposures("warehouse/fact/run=1/day=2026-01-05/")); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]any{d.tables["fact"], d.partitions["fact"]["2026-01-05"]})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"TableType":"EXTERNAL_TABLE"`, `"PartitionKeys":[{"Name":"day","Type":"string"}]`,
		`{"Name":"id","Type":"string"},{"Name":"at","Type":"timestamp"}`, `"Location":"s3://lake/warehouse/fact/run=1/day=2026-01-05/"`,
		`"SerializationLibrary":"org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"`, `"verdict.source":"s"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("there is no %s in %s", want, text)
		}
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	_, service, catalog := open(t)
	for range 2 {
		if err := catalog.Publish(t.Context(), exposures("a/")); err != nil {
			t.Fatal(err)
		}
	}
	writes := 0
	for _, call := range service.Calls() {
		if !strings.HasPrefix(call, "Get") {
			writes++
		}
	}
	if writes != 2 {
		t.Errorf("%v: want one CreateTable and one BatchCreatePartition", service.Calls())
	}
}

func TestRefusals(t *testing.T) {
	t.Run("of one partition in a batch", func(t *testing.T) {
		d, service, catalog := open(t)
		if err := catalog.Publish(t.Context(), exposures("a/")); err != nil {
			t.Fatal(err)
		}
		// Somebody else added the partition after the table was looked up.
		service.On("GetPartitions", func([]byte) (any, error) { return object{"Partitions": []object{}}, nil })
		if err := catalog.Publish(t.Context(), exposures("b/")); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "2026-01-05 of fact") {
			t.Errorf("%v, want a conflict that names the partition", err)
		}
		if len(d.partitions["fact"]) != 1 {
			t.Errorf("partitions %v", d.partitions["fact"])
		}
	})
	t.Run("of the whole call", func(t *testing.T) {
		_, service, catalog := open(t)
		service.On("CreateTable", func([]byte) (any, error) { return nil, refuse("ConcurrentModificationException", "again, please") })
		if err := catalog.Publish(t.Context(), exposures("a/")); !fault.Is(err, fault.Conflict) {
			t.Errorf("%v, want a conflict", err)
		}
		service.On("GetTable", func([]byte) (any, error) { return nil, refuse("AccessDeniedException", "no") })
		if _, err := catalog.Table(t.Context(), "fact"); err == nil || fault.Is(err, fault.NotFound) {
			t.Errorf("%v: a denied access must not look like a new table", err)
		}
	})
}
