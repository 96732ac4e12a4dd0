package pipeline

import (
	"context"
	"fmt"

	athenasql "verdict/athena-sql"
	"verdict/shared/view"
)

// showViews brings the views that people read up to date with the definitions.
func (p *Pipeline) showViews(ctx context.Context) error {
	if p.Views == nil {
		return nil
	}
	views, err := view.All(athenasql.Files, p.Project.Layer)
	if err != nil {
		return err
	}
	if _, err := view.Publish(ctx, p.Views, p.Catalog, views); err != nil {
		return fmt.Errorf("publish views: %w", err)
	}
	return nil
}
