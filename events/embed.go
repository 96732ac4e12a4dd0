// Package events carries the tracking plan, its schemas and the experiments inside every binary.
package events

import "embed"

// Files holds plan.yaml, schemas/, examples/, experiments/ and replay.yaml.
//
//go:embed plan.yaml schemas examples experiments replay.yaml
var Files embed.FS
