package duck

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/view"
)

var _ view.Publisher = (*Warehouse)(nil)

func viewKey(name string) string { return "views/" + name + ".json" }

// View implements view.Publisher.
func (w *Warehouse) View(ctx context.Context, name string) (view.View, error) {
	body, err := w.store.Get(ctx, viewKey(name))
	if err != nil {
		return view.View{}, fmt.Errorf("look up view %s: %w", name, err)
	}
	var v view.View
	if err := json.Unmarshal(body, &v); err != nil {
		return v, fmt.Errorf("read view %s: %w", name, err)
	}
	return v, nil
}

// PublishView implements view.Publisher: the view is one file, and a view of DuckDB's.
func (w *Warehouse) PublishView(ctx context.Context, v view.View) error {
	switch _, err := w.Table(ctx, v.Name); {
	case err == nil:
		return fault.New(fault.Conflict, "publish view %s: a table has this name", v.Name)
	case !fault.Is(err, fault.NotFound):
		return err
	}
	if err := w.define(ctx, v); err != nil {
		return err
	}
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("publish view %s: %w", v.Name, err)
	}
	if err := w.store.Put(ctx, viewKey(v.Name), body, lake.Overwrite); err != nil {
		return fmt.Errorf("publish view %s: %w", v.Name, err)
	}
	return nil
}

func (w *Warehouse) define(ctx context.Context, v view.View) error {
	if _, err := w.db.ExecContext(ctx, fmt.Sprintf("CREATE OR REPLACE VIEW %q AS %s", v.Name, v.SQL)); err != nil {
		return classify("create view "+v.Name, err)
	}
	return nil
}

// openViews makes published views readable again. They may read each other, so it goes on while any can be made; one
// that cannot, since what it reads has changed, is left until it is published anew.
func (w *Warehouse) openViews(ctx context.Context) error {
	objects, err := w.store.List(ctx, "views/")
	if err != nil {
		return err
	}
	var left []view.View
	for _, o := range objects {
		v, err := w.View(ctx, strings.TrimSuffix(strings.TrimPrefix(o.Key, "views/"), ".json"))
		if err != nil {
			return err
		}
		left = append(left, v)
	}
	for {
		var failed []view.View
		for _, v := range left {
			if err := w.define(ctx, v); fault.Is(err, fault.Invalid) {
				failed = append(failed, v)
			} else if err != nil {
				return err
			}
		}
		if len(failed) == 0 || len(failed) == len(left) {
			return nil
		}
		left = failed
	}
}
