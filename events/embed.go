// Package events carries the tracking plan, its schemas and the experiments inside every binary.
package events

import "embed"

// Files holds plan.yaml, schemas/, examples/ and experiments/.
//
//go:embed plan.yaml schemas examples experiments
var Files embed.FS
