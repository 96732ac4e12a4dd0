package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

func TestBalanceIsHotelling(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 1))
	draw := func(n int, shift float64) Moments {
		m := NewMoments(3)
		for range n {
			a := r.NormFloat64()
			m.Add(r.NormFloat64(), 0, a+shift, a+r.NormFloat64(), 5*r.ExpFloat64())
		}
		return m
	}
	control, treatment := draw(300, 0), draw(500, 0.1)
	got := CheckBalance(control, treatment, Tune(0.01, 800))
	// By matrix inversion.
	s, d := mat.NewSymDense(3, nil), mat.NewVecDense(3, nil)
	for i := range 3 {
		d.SetVec(i, treatment.Mean[2+i]-control.Mean[2+i])
		for j := i; j < 3; j++ {
			s.SetSym(i, j, control.at(2+i, 2+j)/299/300+treatment.at(2+i, 2+j)/499/500)
		}
	}
	var inverse mat.Dense
	if err := inverse.Inverse(s); err != nil {
		t.Fatal(err)
	}
	want := mat.Inner(d, &inverse, d)
	near(t, "statistic", got.Statistic, want, 1e-10)
	near(t, "p", got.P, distuv.ChiSquared{K: 3}.Survival(want), 1e-9)
	const runs = 600
	low := 0
	for range runs {
		if CheckBalance(draw(100, 0), draw(200, 0), Tune(0.01, 300)).P < 0.05 {
			low++
		}
	}
	if share := float64(low) / runs; share < 0.025 || share > 0.085 {
		t.Errorf("balanced arms fail in %.3f of runs, want .05", share)
	}
	if broken := CheckBalance(draw(2000, 0), draw(2000, 0.5), Tune(0.01, 4000)); broken.LogE < 20 {
		t.Errorf("half a standard deviation: log e %v", broken.LogE)
	}
	if none := CheckBalance(NewMoments(0), NewMoments(0), Mixture{}); none.Status != Insufficient || none.P != 1 {
		t.Errorf("%+v", none)
	}
	constant := NewMoments(1)
	constant.Add(1, 0, 3)
	constant.Add(2, 0, 3)
	if got := CheckBalance(constant, constant, Mixture{}); got.Status != Undefined {
		t.Errorf("%+v", got)
	}
}

func TestLoss(t *testing.T) {
	alike, worse := CheckLoss(100, 10000, 104, 10000), CheckLoss(100, 10000, 300, 10000)
	if alike.P < 0.5 || alike.LogE > 0 {
		t.Errorf("alike: %+v", alike)
	}
	if worse.P > 1e-10 || worse.LogE < 20 {
		t.Errorf("three times the loss: %+v", worse)
	}
	if appeared := CheckLoss(0, 10000, 60, 10000); appeared.LogE < 10 {
		t.Errorf("loss in one arm only: %+v", appeared)
	}
	if none := CheckLoss(0, 0, 0, 10); none.Status != Insufficient || none.P != 1 {
		t.Errorf("%+v", none)
	}
}

func TestRate(t *testing.T) {
	got := CheckRate(17, 1000, 0.01)
	want := 0.0
	for x := 17; x <= 1000; x++ {
		want += distuv.Binomial{N: 1000, P: 0.01}.Prob(float64(x))
	}
	near(t, "p", got.P, want, 1e-9)
	if below := CheckRate(3, 10000, 0.01); below.LogE > 0 || below.P < 0.999 {
		t.Errorf("far below: %+v", below)
	}
	if above := CheckRate(300, 10000, 0.01); above.LogE < 50 {
		t.Errorf("three times as many: %+v", above)
	}
	if none := CheckRate(0, 100, 0.01); none.P != 1 || none.LogE > 0 {
		t.Errorf("none: %+v", none)
	}
	if bad := CheckRate(5, 3, 0.01); bad.Status != Insufficient || bad.P != 1 {
		t.Errorf("%+v", bad)
	}
}

func TestSplitsFindTheBrokenSegment(t *testing.T) {
	segments := [][]int64{{5000, 5031}, {400, 390}, {3000, 2500}, {20, 24}}
	_, broken := CheckSplits(segments, []float64{1, 1}, 0.01)
	for i, want := range []bool{false, false, true, false} {
		if broken[i] != want {
			t.Errorf("segment %d: broken %v, want %v", i, broken[i], want)
		}
	}
	r := rand.New(rand.NewPCG(18, 1))
	const runs = 400
	alarms := 0
	for range runs {
		var all [][]int64
		for range 30 {
			x := int64(distuv.Binomial{N: 800, P: 0.5, Src: r}.Rand())
			all = append(all, []int64{x, 800 - x})
		}
		_, broken := CheckSplits(all, []float64{1, 1}, 0.05)
		for _, b := range broken {
			if b {
				alarms++
				break
			}
		}
	}
	if share := float64(alarms) / runs; share > 0.05+3*math.Sqrt(0.05*0.95/runs) {
		t.Errorf("sound segments are called broken in %.3f of runs", share)
	}
}
