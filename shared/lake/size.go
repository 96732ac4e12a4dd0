package lake

import (
	"context"
	"fmt"
	"strings"
)

// Sizes adds up the files of each partition of a published table, by the partition's location.
func Sizes(ctx context.Context, objects Objects, table Table) (map[string]int64, error) {
	found, err := objects.List(ctx, "warehouse/"+table.Name+"/")
	if err != nil {
		return nil, fmt.Errorf("size %s: %w", table.Name, err)
	}
	out := map[string]int64{}
	for _, o := range found {
		out[o.Key[:strings.LastIndexByte(o.Key, '/')+1]] += o.Size
	}
	return out, nil
}
