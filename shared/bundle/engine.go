package bundle

import (
	"runtime"

	"verdict/shared/evaluate"
)

// Engine is what computed a bundle. The same version, architecture and Go give the same bytes; another architecture or
// Go may give other last bits (docs/adr/0012).
type Engine struct {
	Version      int    `json:"version"`      // evaluate.Version
	Architecture string `json:"architecture"` // as amd64, or arm64+fma where products are fused with sums
	Go           string `json:"go"`
}

func thisEngine() Engine {
	architecture := runtime.GOARCH
	if fuses(1+1.0/(1<<30), 1+1.0/(1<<30), -1-2.0/(1<<30)) {
		architecture += "+fma"
	}
	return Engine{Version: evaluate.Version, Architecture: architecture, Go: runtime.Version()}
}

// fuses tells whether the compiler rounds x*y+z once. The language lets it, unless a conversion says otherwise: it does
// on arm64, and on amd64 from GOAMD64=v3 on. The numbers come from outside, or it would compute with all their digits.
//
//go:noinline
func fuses(x, y, z float64) bool { return x*y+z != float64(x*y)+z }

// alike tells whether two engines give the same last bits.
func (e Engine) alike(o Engine) bool { return e.Architecture == o.Architecture && e.Go == o.Go }
