// Package athenasql carries the SQL models, their cases and the metric definitions inside every binary.
package athenasql

import "embed"

// Files holds models/, sources/, cases/, metrics/, notebooks/, views/ and identity.yaml.
//
//go:embed models sources cases metrics notebooks views identity.yaml
var Files embed.FS
