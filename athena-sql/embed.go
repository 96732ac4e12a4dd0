// Package athenasql carries the SQL models, their cases and the metric definitions inside every binary.
package athenasql

import "embed"

// Files holds models/, sources/, cases/ and metrics/.
//
//go:embed models sources cases metrics
var Files embed.FS
