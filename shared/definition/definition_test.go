package definition_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/definition"
	"verdict/shared/fault"
)

type thing struct {
	Name  string
	Parts []struct{ Size int }
}

func TestComplaintsNameFileAndLine(t *testing.T) {
	cases := map[string]struct{ source, want string }{
		"unknown key":   {"name: a\ncolour: red\n", "thing.yaml:2: unknown field \"colour\""},
		"wrong type":    {"name: a\nparts:\n  - size: big\n", "thing.yaml:3: cannot unmarshal string into Go struct field thing.Parts of type int"},
		"duplicate key": {"name: a\nname: b\n", "thing.yaml:2: mapping key \"name\" already defined at [1:1]"},
		"two documents": {"name: a\n---\nname: b\n", "thing.yaml:1: want one YAML document, have 2"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var v thing
			_, err := definition.Decode("thing.yaml", []byte(c.source), &v)
			if !fault.Is(err, fault.Invalid) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestErrorfFindsTheLineOfAPath(t *testing.T) {
	var v thing
	doc, err := definition.Decode("thing.yaml", []byte("# a thing\nname: a\nparts:\n  - size: 1\n  - size: 2\n"), &v)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"$.parts[1].size":  "thing.yaml:5: too big",
		"$.parts[1].color": "thing.yaml:5: too big",
		"$.absent":         "thing.yaml:2: too big",
	} {
		if got := doc.Errorf(path, "too %s", "big").Error(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestDecodeAllComplainsOfEverything(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		want   []definition.Complaint
		size   int
	}{
		"sound":      {"name: a\nparts: [{size: 3}]\n", nil, 3},
		"an anchor":  {"name: &n a\nparts: [{size: 3}]\n", nil, 3},
		"an alias":   {"name: &n '3'\nparts: [{size: *n}]\n", nil, 3},
		"several":    {"colour: red\nparts:\n  - size: 1.5\n  - {size: 2, weight: 3}\n", []definition.Complaint{{"thing.yaml", 1, 1, `unknown field "colour"`}, {"thing.yaml", 3, 11, "want a whole number, not 1.5"}, {"thing.yaml", 4, 15, `unknown field "weight"`}}, 0},
		"not a list": {"parts: many\n", []definition.Complaint{{"thing.yaml", 1, 8, "string was used where sequence is expected"}}, 0},
		"no mapping": {"[1, 2]\n", []definition.Complaint{{"thing.yaml", 1, 1, "sequence was used where mapping is expected"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			docs, err := definition.Parse("thing.yaml", []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			var v thing
			got := docs[0].DecodeAll(&v)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if c.size != 0 && v.Parts[0].Size != c.size {
				t.Errorf("read %+v", v)
			}
		})
	}
}

func TestUnderNamesTheFolderOfEveryFile(t *testing.T) {
	err := definition.Refuse([]definition.Complaint{{"b.yaml", 2, 1, "odd"}, {"a.yaml", 1, 1, "even"}})
	if got := definition.Under("events", err); !fault.Is(got, fault.Invalid) || got.Error() != "events/a.yaml:1: even\nevents/b.yaml:2: odd" {
		t.Errorf("got %v", got)
	}
	if got := definition.Under("events", fault.New(fault.Transient, "no disk")); !fault.Is(got, fault.Transient) || got.Error() != "events/no disk" {
		t.Errorf("got %v", got)
	}
}
