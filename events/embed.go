// Package events carries the tracking plan, its schemas and the experiments inside every binary.
package events

import "embed"

// Files holds plan.yaml, schemas/ and experiments/.
//
//go:embed plan.yaml schemas experiments
var Files embed.FS
