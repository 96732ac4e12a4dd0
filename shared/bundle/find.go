package bundle

import (
	"context"
	"path"
	"regexp"
	"strings"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

var hexadecimal = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// Find returns the key of the bundle that a key, a hash or its beginning, or an experiment's id names: of an experiment,
// that of the decision in force. What names none is fault.NotFound, what names several fault.Invalid.
func Find(ctx context.Context, objects lake.Objects, name string) (string, error) {
	if strings.HasPrefix(name, "bundles/") {
		return name, nil
	}
	if hexadecimal.MatchString(name) {
		if key, err := find(ctx, objects, name); !fault.Is(err, fault.NotFound) {
			return key, err
		}
	}
	history, err := decide.History(ctx, objects, name)
	if err != nil {
		return "", err
	}
	if len(history) == 0 || history[len(history)-1].Bundle == "" {
		return "", fault.New(fault.NotFound, "there is no file, bundle or decided experiment %q", name)
	}
	return history[len(history)-1].Bundle, nil
}

func find(ctx context.Context, objects lake.Objects, hash string) (string, error) {
	list, err := objects.List(ctx, "bundles/")
	if err != nil {
		return "", err
	}
	found := ""
	for _, o := range list {
		if !strings.HasPrefix(path.Base(o.Key), hash) {
			continue
		}
		if found != "" {
			return "", fault.New(fault.Invalid, "several bundles begin with %s: give more of the hash", hash)
		}
		found = o.Key
	}
	if found == "" {
		return "", fault.New(fault.NotFound, "there is no bundle %s", hash)
	}
	return found, nil
}

var named = regexp.MustCompile(`^([0-9a-f]{64})\.json(\.gz)?$`)

// Stated is the hash that a file's name states, or empty.
func Stated(name string) string {
	if match := named.FindStringSubmatch(path.Base(name)); match != nil {
		return match[1]
	}
	return ""
}
