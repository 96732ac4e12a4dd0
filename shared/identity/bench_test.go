package identity_test

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"verdict/shared/identity"
)

const benchLinks = 10_000_000

// uuid spells a number as long as browsers spell their ids.
func uuid(kind byte, n uint64) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(raw[8:], n)
	return string(hex.AppendEncode([]byte{kind, ':'}, raw[:]))
}

// shopLinks are the sign-ins of users on three devices of their own each, in no order, with a visit to
// another's device or a link between devices here and there: n different links.
func shopLinks(n int, add func(identity.Link)) {
	rng := rand.New(rand.NewPCG(1, 1))
	users := uint64(n) / 3
	for i := range uint64(n) {
		at := i * 7_368_787 % uint64(n) // a prime: every number once
		user, device := at/3, at
		l := identity.Link{A: uuid('a', device), B: uuid('u', user), First: time.Unix(1767600000+rng.Int64N(90*86400), 0)}
		switch rng.IntN(20) {
		case 0: // at a friend's
			l.A = uuid('a', 3*rng.Uint64N(users))
		case 1:
			l.B = uuid('a', 3*user+(device+1)%3)
		}
		add(l)
	}
}

// Reports the seconds of reading the links and of a full rebuild, the bytes a link takes, and the
// seconds of an increment of one link in a thousand.
func BenchmarkTenMillionLinks(b *testing.B) {
	for range b.N {
		start := time.Now()
		g := identity.NewGraph(identity.DefaultGuards())
		shopLinks(benchLinks, g.Add)
		read := time.Since(start)
		g.Rebuild(start)
		b.ReportMetric(read.Seconds(), "s/read")
		b.ReportMetric((time.Since(start) - read).Seconds(), "s/rebuild")

		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys)/benchLinks, "peakB/link")
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/benchLinks, "heldB/link")

		start = time.Now()
		shopLinks(benchLinks/1000, g.Add)
		g.Settle(start)
		b.ReportMetric(time.Since(start).Seconds(), "s/increment")
		runtime.KeepAlive(g)
	}
}
