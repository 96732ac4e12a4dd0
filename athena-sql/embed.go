// Package athenasql carries the SQL models, their cases and the metric definitions inside every binary.
package athenasql

import "embed"

// Files holds models/, sources/, cases/, metrics/, notebooks/ and identity.yaml.
//
//go:embed models sources cases metrics notebooks identity.yaml
var Files embed.FS
