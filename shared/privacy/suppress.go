package privacy

import (
	"context"
	"strings"
	"time"

	"verdict/shared/lake"
	"verdict/shared/redact"
)

// instant is how a name says when; it sorts as time does.
const instant = "20060102T150405.000Z"

// suppress puts ids on the list of those who were erased. The list is in the names of empty objects, so that reading
// it is one listing.
func (o *Officer) suppress(ctx context.Context, p person, at time.Time) error {
	for _, hash := range o.hashes(p.sorted()) {
		if err := o.Store.Put(ctx, suppressed+hash+"-"+at.UTC().Format(instant), nil, lake.Overwrite); err != nil {
			return err
		}
	}
	return nil
}

// Suppression is who was erased, and when. What somebody did before must not come back; what they do afterwards is a
// new beginning.
type Suppression struct {
	Objects lake.Objects
	Key     func(context.Context) (redact.Key, error) // is asked for when somebody is on the list
}

// Load is what a replay asks for; it returns nil when nobody was erased.
func (s *Suppression) Load(ctx context.Context) (func(anonymous, user string, at time.Time) bool, error) {
	objects, err := s.Objects.List(ctx, suppressed)
	if err != nil {
		return nil, err
	}
	if len(objects) == 0 {
		return nil, nil
	}
	key, err := s.Key(ctx)
	if err != nil {
		return nil, err
	}
	until := map[string]time.Time{}
	for _, o := range objects {
		hash, text, _ := strings.Cut(strings.TrimPrefix(o.Key, suppressed), "-")
		if at, err := time.Parse(instant, text); err == nil && at.After(until[hash]) {
			until[hash] = at
		}
	}
	before := func(entity string, at time.Time) bool { return at.Before(until[key.Hash("person", entity)]) }
	return func(anonymous, user string, at time.Time) bool {
		return anonymous != "" && before("a:"+anonymous, at) || user != "" && before("u:"+user, at)
	}, nil
}
