package redact

import (
	"context"
	"fmt"

	"github.com/valyala/fastjson"
)

// Hiding returns what puts hashes in the place of an event's ids, as the tracking plan wants for those of these names.
// The key is asked for when there are any: without it nothing may land.
func Hiding(ctx context.Context, ids []string, key func(context.Context) (Key, error)) (func(*fastjson.Arena, *fastjson.Value), error) {
	if len(ids) == 0 {
		return func(*fastjson.Arena, *fastjson.Value) {}, nil
	}
	k, err := key(ctx)
	if err == nil {
		err = k.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("hash %v: %w", ids, err)
	}
	return func(arena *fastjson.Arena, event *fastjson.Value) {
		for _, id := range ids {
			v := event.Get(id)
			if v == nil || v.Type() == fastjson.TypeNull {
				continue
			}
			text := string(v.GetStringBytes())
			if v.Type() != fastjson.TypeString { // it goes to quarantine, and names its person there no less
				text = v.String()
			}
			event.Set(id, arena.NewString(k.Value(text)))
		}
	}, nil
}
