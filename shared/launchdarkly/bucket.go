package launchdarkly

import (
	"crypto/sha1" //nolint:gosec // LaunchDarkly's choice: it hides nothing, it spreads users
	"encoding/hex"
	"fmt"
	"strconv"
)

// syntheticUsers show a share to half a percentage point, and take some milliseconds.
const syntheticUsers = 10_000

// bucket is where LaunchDarkly's SDKs place a context of a rollout, from 0 to 1: the first 60 bits
// of a hash, in single precision. Contexts are taken to have a key and nothing else.
func (f flag) bucket(r rollout, user string) float32 {
	const (
		digits = 15
		scale  = float32(0xFFFFFFFFFFFFFFF)
	)
	salt := f.Key + "." + f.Salt
	if r.Seed != nil {
		salt = strconv.FormatInt(*r.Seed, 10)
	}
	sum := sha1.Sum([]byte(salt + "." + user)) //nolint:gosec // as above
	n, err := strconv.ParseUint(hex.EncodeToString(sum[:])[:digits], 16, 64)
	if err != nil {
		panic("launchdarkly: hexadecimal digits are none: " + err.Error()) // cannot happen
	}
	return float32(n) / scale
}

// gives is the position of the variation that a rule gives to a user; -1 for one with no variation.
func (f flag) gives(s serve, user string) int {
	switch {
	case s.Variation != nil:
		return *s.Variation
	case s.Rollout == nil || len(s.Rollout.Variations) == 0:
		return -1
	}
	at, sum := f.bucket(*s.Rollout, user), float32(0)
	for _, w := range s.Rollout.Variations {
		sum += float32(w.Weight) / fullRange
		if at < sum {
			return w.Variation
		}
	}
	return s.Rollout.Variations[len(s.Rollout.Variations)-1].Variation
}

// moved counts the synthetic users who had one of an experiment's variants and have it no more.
func moved(before, after flag, experiment string) int {
	was, _ := before.experiment(experiment)
	is, _ := after.experiment(experiment)
	n := 0
	for i := range syntheticUsers {
		user := fmt.Sprintf("verdict-%d", i)
		had := before.gives(was.serve, user)
		if had >= 0 && !before.excluded(had) && after.gives(is.serve, user) != had {
			n++
		}
	}
	return n
}
