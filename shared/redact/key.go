// Package redact decides how much of a person lands: by the tracking plan's privacy rules it keeps, hashes or drops
// what is near to one, the same way wherever an event comes in.
package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"verdict/shared/fault"
)

// Key is the secret of one environment. Without it nobody can tell whose a hash is, and with it lost nobody can
// recognise who has been erased.
type Key []byte

// leastKey is SHA-256's block of security: a shorter key is the weakest part (RFC 2104, section 3).
const leastKey = 32

// Check refuses a key that can be guessed.
func (k Key) Check() error {
	if len(k) < leastKey {
		return fault.New(fault.Invalid, "check privacy key: it has %d bytes, want %d at least (openssl rand -hex 32)", len(k), leastKey)
	}
	return nil
}

// Hash is HMAC-SHA256 of a text, cut to 128 bits: no two of 10^15 ids share one by chance. Hashes for different
// purposes cannot be compared with each other.
func (k Key) Hash(purpose, text string) string {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(purpose + "\n" + text))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// mark tells a hashed value from one as it came, so that none is hashed twice.
const mark = "hmac:"

// Hashed tells whether a value stands for another.
func Hashed(value string) bool { return strings.HasPrefix(value, mark) && len(value) == len(mark)+32 }

// Value is what stands in the lake for a value that the plan wants hashed.
func (k Key) Value(value string) string {
	if Hashed(value) {
		return value
	}
	return mark + k.Hash("value", value)
}
