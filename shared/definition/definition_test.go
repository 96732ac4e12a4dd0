package definition_test

import (
	"testing"

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
