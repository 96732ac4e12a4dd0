package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// preSums is how the reference files give an arm with its past.
type preSums struct {
	N         int64
	Post, Pre sums
	Product   float64 `json:"post_pre_sum_prod"`

	MPost     sums    `json:"m_post"`
	DPost     sums    `json:"d_post"`
	MPre      sums    `json:"m_pre"`
	DPre      sums    `json:"d_pre"`
	MPostMPre float64 `json:"m_post_m_pre"`
	DPostDPre float64 `json:"d_post_d_pre"`
	MPreDPre  float64 `json:"m_pre_d_pre"`
	MPostD    float64 `json:"m_post_d_post"`
	MPostDPre float64 `json:"m_post_d_pre"`
	MPreDPost float64 `json:"m_pre_d_post"`
}

func (p preSums) moments(t *testing.T) (Moments, Family) {
	t.Helper()
	family, s, x := Mean, []float64{p.Post.Sum, 0, p.Pre.Sum}, [][]float64{
		{p.Post.SumSq, 0, p.Product}, {0, 0, 0}, {p.Product, 0, p.Pre.SumSq},
	}
	if p.MPost.N > 0 {
		family, s, x = Ratio, []float64{p.MPost.Sum, p.DPost.Sum, p.MPre.Sum, p.DPre.Sum}, [][]float64{
			{p.MPost.SumSq, p.MPostD, p.MPostMPre, p.MPostDPre},
			{p.MPostD, p.DPost.SumSq, p.MPreDPost, p.DPostDPre},
			{p.MPostMPre, p.MPreDPost, p.MPre.SumSq, p.MPreDPre},
			{p.MPostDPre, p.DPostDPre, p.MPreDPre, p.DPre.SumSq},
		}
	}
	m, err := MomentsOfSums(p.N, s, x)
	if err != nil {
		t.Fatal(err)
	}
	return m, family
}

func TestPooledCUPEDMatchesGrowthBook(t *testing.T) {
	type in struct {
		Control, Treatment preSums
		Difference         string
		Alpha              float64
	}
	type out struct {
		Effect, SE, P, Theta float64
		WelchDF              float64 `json:"welch_df"`
		CI                   [2]float64
	}
	for _, c := range golden[in, out](t, "gb_cuped.json") {
		t.Run(c.ID, func(t *testing.T) {
			control, family := c.In.Control.moments(t)
			treatment, _ := c.In.Treatment.moments(t)
			a := AdjustPooled(control, treatment, family)
			effect, se := a.Effect(), a.SE()
			if c.In.Difference == "relative" {
				effect, se = a.Lift(), a.LiftSE()
			}
			near(t, "theta", math.Abs(a.Theta), math.Abs(c.Out.Theta), 1e-9)
			near(t, "effect", effect, c.Out.Effect, 1e-9)
			near(t, "se", se, c.Out.SE, 1e-10)
			near(t, "df", a.DF, c.Out.WelchDF, 1e-9)
			near(t, "p", studentTails(effect/se, a.DF), c.Out.P, 1e-8)
		})
	}
}

// ancova is what GrowthBook does in a stratum with a covariate: least squares with one slope and one
// residual variance for both arms. Ours, LinStratum, lets both differ.
func ancova(s Stratum) Contrast {
	c, t := s.Control, s.Treatment
	xx := c.at(2, 2) + t.at(2, 2)
	slope := (c.at(0, 2) + t.at(0, 2)) / xx
	dx := t.Mean[2] - c.Mean[2]
	residual := (c.at(0, 0) + t.at(0, 0) - slope*(c.at(0, 2)+t.at(0, 2))) / float64(c.N+t.N-3)
	return Contrast{
		N: c.N + t.N, Control: c.Mean[0], Treatment: t.Mean[0] - slope*dx, DF: float64(c.N + t.N - 3),
		VarControl: residual / float64(c.N), VarTreatment: residual * (1/float64(t.N) + dx*dx/xx),
	}
}

func TestPostStratificationMatchesGrowthBook(t *testing.T) {
	type arm struct {
		sums
		PreSum   float64 `json:"pre_sum"`
		PreSumSq float64 `json:"pre_sum_sq"`
		Prod     float64
	}
	type in struct {
		Strata     []struct{ Control, Treatment arm }
		CUPED      bool
		Difference string
	}
	type out struct{ Effect, SE float64 }
	read := func(a arm) Moments {
		m, _ := preSums{N: a.N, Post: a.sums, Pre: sums{Sum: a.PreSum, SumSq: a.PreSumSq}, Product: a.Prod}.moments(t)
		return m
	}
	for _, c := range golden[in, out](t, "gb_poststrat.json") {
		t.Run(c.ID, func(t *testing.T) {
			var strata []Stratum
			for _, s := range c.In.Strata {
				strata = append(strata, Stratum{Control: read(s.Control), Treatment: read(s.Treatment)})
			}
			contrast := PlainStratum(Mean)
			if c.In.CUPED {
				contrast = ancova
			}
			got := PostStratify(strata, Mean, contrast)
			near(t, "effect", got.Effect(), c.Out.Effect, 1e-10)
			near(t, "se", got.SE(), c.Out.SE, 1e-9)
			if c.In.CUPED {
				lin := PostStratify(strata, Mean, LinStratum(Mean))
				near(t, "Lin's effect", lin.Effect(), c.Out.Effect, 0.01)
				near(t, "Lin's se", lin.SE(), c.Out.SE, 0.02)
			}
		})
	}
}

func TestLinMatchesEstimatr(t *testing.T) {
	type arm struct {
		N     int64
		Sum   []float64
		Cross [][]float64
	}
	type in struct{ Control, Treatment arm }
	type figure struct{ Est, SE, DF float64 }
	type out struct {
		HC2 figure `json:"lin_HC2"`
		HC0 figure `json:"lin_HC0"`
	}
	read := func(a arm) Moments {
		k := len(a.Sum) + 1
		s, x := make([]float64, k), make([][]float64, k)
		column := func(i int) int { return max(0, i-1) } // column 1 is the absent denominator
		for i := range k {
			x[i] = make([]float64, k)
			if i == 1 {
				continue
			}
			s[i] = a.Sum[column(i)]
			for j := range k {
				if j != 1 {
					x[i][j] = a.Cross[column(i)][column(j)]
				}
			}
		}
		m, err := MomentsOfSums(a.N, s, x)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range golden[in, out](t, "lin_regression.json") {
		t.Run(c.ID, func(t *testing.T) {
			control, treatment := read(c.In.Control), read(c.In.Treatment)
			everybody := control.clone()
			everybody.Merge(treatment)
			a := AdjustLin(control, treatment, everybody, Mean)
			near(t, "estimate", a.Effect(), c.Out.HC2.Est, 1e-11)
			// HC2 weighs rows by their leverage, which no sum holds: within 1% at 60 units, 0.2% from 500 on.
			tolerance := 0.01
			if everybody.N >= 500 {
				tolerance = 0.002
			}
			near(t, "se given the covariates", a.GivenX, c.Out.HC2.SE, tolerance)
			if !(a.SE() >= a.GivenX) || !(a.Removed > 0.3) {
				t.Errorf("se %v below %v, or removed %v", a.SE(), a.GivenX, a.Removed)
			}
		})
	}
}

func TestQuantileMatchesGrowthBook(t *testing.T) {
	type arm struct {
		N, NStar  int64
		Q, Lo, Hi float64
		MainSum   float64 `json:"main_sum"`
		MainSumSq float64 `json:"main_sum_sq"`
		DenSum    float64 `json:"den_sum"`
		DenSumSq  float64 `json:"den_sum_sq"`
		Product   float64 `json:"main_den_prod"`
		Clusters  int64
	}
	type in struct {
		Nu                 float64
		Control, Treatment arm
		Difference         string
	}
	type out struct{ Effect, SE, P float64 }
	read := func(nu float64, a arm) Arm {
		r := Ranks{Nu: nu, N: a.N, Value: a.Q, Low: a.Lo, High: a.Hi}
		if a.Clusters > 0 {
			n := float64(a.Clusters)
			r.Clusters = &Gram{
				N: a.Clusters, MeanY: a.MainSum / n, MeanD: a.DenSum / n,
				YY: a.MainSumSq - a.MainSum*a.MainSum/n, YD: a.Product - a.MainSum*a.DenSum/n, DD: a.DenSumSq - a.DenSum*a.DenSum/n,
			}
		}
		return r.Arm()
	}
	for _, c := range golden[in, out](t, "gb_quantile.json") {
		t.Run(c.ID, func(t *testing.T) {
			got := Compare(read(c.In.Nu, c.In.Control), read(c.In.Nu, c.In.Treatment))
			near(t, "effect", got.Effect(), c.Out.Effect, 1e-10)
			near(t, "se", got.SE(), c.Out.SE, 1e-10)
			near(t, "p", got.WelchP(), c.Out.P, 1e-9)
		})
	}
}

// rows draws an arm whose value depends on two covariates, differently by arm.
func rows(r *rand.Rand, n int, treated bool) (m Moments, x [][]float64, y []float64) {
	m = NewMoments(2)
	for range n {
		a, b := r.NormFloat64()+3, r.ExpFloat64()
		v := 5 + 2*a - b + r.NormFloat64()*(1+0.5*b)
		if treated {
			v += 0.3 + 0.8*(a-3)
		}
		m.Add(v, 0, a, b)
		x, y = append(x, []float64{1, a, b}), append(y, v)
	}
	return m, x, y
}

// Least squares by QR on the rows themselves, and the estimate as Lin's paper has it.
func TestLinEqualsLeastSquaresOnRows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	control, xc, yc := rows(r, 150, false)
	treatment, xt, yt := rows(r, 70, true)
	everybody := control.clone()
	everybody.Merge(treatment)
	a := AdjustLin(control, treatment, everybody, Mean)
	fit := func(x [][]float64, y []float64) (at, variance float64, slopes []float64) {
		design, value := mat.NewDense(len(y), 3, nil), mat.NewVecDense(len(y), y)
		for i, row := range x {
			design.SetRow(i, row)
		}
		var qr mat.QR
		qr.Factorize(design)
		var b mat.VecDense
		if err := qr.SolveVecTo(&b, false, value); err != nil {
			t.Fatal(err)
		}
		rss := 0.0
		for i, row := range x {
			e := y[i] - b.AtVec(0) - b.AtVec(1)*row[1] - b.AtVec(2)*row[2]
			rss += e * e
		}
		n := float64(len(y))
		at = b.AtVec(0) + b.AtVec(1)*everybody.Mean[2] + b.AtVec(2)*everybody.Mean[3]
		return at, rss / (n - 3) / n, []float64{b.AtVec(1), b.AtVec(2)}
	}
	mc, vc, sc := fit(xc, yc)
	mt, vt, st := fit(xt, yt)
	near(t, "control", a.Control, mc, 1e-11)
	near(t, "treatment", a.Treatment, mt, 1e-11)
	near(t, "se given the covariates", a.GivenX, math.Sqrt(vc+vt), 1e-11)
	// Super-population part: (b1-b0)' S (b1-b0) / n.
	n := float64(everybody.N)
	extra := 0.0
	for i := range 2 {
		for j := range 2 {
			extra += (st[i] - sc[i]) * (st[j] - sc[j]) * everybody.at(2+i, 2+j) / n / n
		}
	}
	near(t, "se", a.SE(), math.Sqrt(vc+vt+extra), 1e-11)
}

// Unequal split, unequal slopes, unequal variances: the interval covers, the pooled slope's is wider.
func TestLinCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const runs, truth = 3000, 0.3
	covered, narrower := 0, 0
	for range runs {
		control, _, _ := rows(r, 360, false)
		treatment, _, _ := rows(r, 40, true)
		everybody := control.clone()
		everybody.Merge(treatment)
		lin := AdjustLin(control, treatment, everybody, Mean)
		if !lin.Absolute(lin.WelchCritical(0.05)).Excludes(truth) {
			covered++
		}
		if lin.SE() < AdjustPooled(control, treatment, Mean).SE() {
			narrower++
		}
	}
	if share := float64(covered) / runs; share < 0.93 || share > 0.965 {
		t.Errorf("covers in %.3f of runs, want .95", share)
	}
	if share := float64(narrower) / runs; share < 0.95 {
		t.Errorf("narrower than the pooled slope in %.2f of runs", share)
	}
}

func TestUselessCovariatesChangeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	control, treatment := NewMoments(3), NewMoments(3)
	for i := range 200 {
		x := r.NormFloat64()
		unit := []float64{r.NormFloat64() + x, 0, x, 7, 2*x + 1} // a constant, and a copy
		if i%2 == 0 {
			control.Add(unit...)
		} else {
			treatment.Add(unit...)
		}
	}
	everybody := control.clone()
	everybody.Merge(treatment)
	one := func(m Moments) Moments {
		out := NewMoments(1)
		out.N = m.N
		copy(out.Mean, m.Mean)
		for i := range 3 {
			for j := i; j < 3; j++ {
				out.Cross[out.index(i, j)] = m.at(i, j)
			}
		}
		return out
	}
	all := AdjustLin(control, treatment, everybody, Mean)
	alone := AdjustLin(one(control), one(treatment), one(everybody), Mean)
	if all.Used != 1 {
		t.Errorf("%d covariates took part, want 1", all.Used)
	}
	near(t, "effect", all.Effect(), alone.Effect(), 1e-9)
	near(t, "se", all.SE(), alone.SE(), 1e-9)
}

// The value itself as covariate, three units, an arm with one success: the plain contrast.
func TestAdjustmentFallsBack(t *testing.T) {
	same, few, sparse := NewMoments(1), NewMoments(2), NewMoments(1)
	for i := range 100 {
		x := float64(i % 7)
		same.Add(x, 0, x)
		sparse.Add(math.Floor(float64(i)/99), 0, x)
	}
	for i := range 3 {
		few.Add(float64(i), 0, float64(i*i), 1/float64(1+i))
	}
	for name, m := range map[string]struct {
		Moments
		Family
	}{"the value": {same, Mean}, "three units": {few, Mean}, "one success": {sparse, Proportion}} {
		everybody := m.clone()
		everybody.Merge(m.Moments)
		a := AdjustLin(m.Moments, m.Moments, everybody, m.Family)
		if a.Used != 0 || a.Contrast != Compare(m.Gram().Arm(m.Family), m.Gram().Arm(m.Family)) {
			t.Errorf("%s: adjusted with %d covariates", name, a.Used)
		}
	}
}

// The post-stratified contrast equals that of fixed shares plus the multinomial term, by simulation.
func TestPostStratificationCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const runs = 2000
	covered, better := 0, 0
	for range runs {
		strata := []Stratum{{NewMoments(0), NewMoments(0)}, {NewMoments(0), NewMoments(0)}, {NewMoments(0), NewMoments(0)}}
		all := Stratum{NewMoments(0), NewMoments(0)}
		for range 600 {
			s := r.IntN(3)
			y := float64(s*s)*3 + r.NormFloat64()
			if r.Float64() < 0.3 {
				y += 0.2 + 0.3*float64(s)
				strata[s].Treatment.Add(y, 0)
				all.Treatment.Add(y, 0)
			} else {
				strata[s].Control.Add(y, 0)
				all.Control.Add(y, 0)
			}
		}
		got := PostStratify(strata, Mean, PlainStratum(Mean))
		if !got.Absolute(got.WelchCritical(0.05)).Excludes(0.2 + 0.3) {
			covered++
		}
		if got.SE() < PlainStratum(Mean)(all).SE() {
			better++
		}
	}
	if share := float64(covered) / runs; share < 0.93 || share > 0.97 {
		t.Errorf("covers in %.3f of runs, want .95", share)
	}
	if better < runs {
		t.Errorf("not narrower in %d runs", runs-better)
	}
}

func TestThinStrataJoinTheLargest(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	big, thin := Stratum{NewMoments(0), NewMoments(0)}, Stratum{NewMoments(0), NewMoments(0)}
	for range 50 {
		big.Control.Add(r.NormFloat64(), 0)
		big.Treatment.Add(r.NormFloat64(), 0)
	}
	thin.Control.Add(4, 0)
	got := PostStratify([]Stratum{thin, big}, Mean, PlainStratum(Mean))
	whole := Stratum{big.Control.clone(), big.Treatment.clone()}
	whole.Control.Merge(thin.Control)
	near(t, "effect", got.Effect(), PlainStratum(Mean)(whole).Effect(), 1e-12)
	if big.Control.N != 50 {
		t.Error("the caller's stratum was changed")
	}
	if none := PostStratify(nil, Mean, PlainStratum(Mean)); none.Status != Insufficient {
		t.Errorf("no strata: %v", none.Status)
	}
}

func TestMomentsMergeIsTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	whole, parts := NewMoments(2), []Moments{NewMoments(2), NewMoments(2), NewMoments(2), NewMoments(2)}
	for range 5000 {
		a := r.NormFloat64()
		unit := []float64{1e9 + a, 1 + r.Float64(), a + r.NormFloat64(), 1e6 * r.ExpFloat64()}
		whole.Add(unit...)
		parts[r.IntN(3)].Add(unit...) // the last stays empty
	}
	sum := NewMoments(2)
	for _, p := range parts {
		sum.Merge(p)
	}
	for i := range sum.Mean {
		near(t, "mean", sum.Mean[i], whole.Mean[i], 1e-12)
		for j := i; j < len(sum.Mean); j++ {
			nearAbs(t, "cross", sum.at(i, j), whole.at(i, j), 1e-6*math.Sqrt(whole.at(i, i)*whole.at(j, j)))
		}
	}
	if v := sum.Gram().Arm(Mean).Variance; math.Abs(v-1) > 0.1 {
		t.Errorf("variance %v of values with mean 1e9 and sd 1", v)
	}
}

func TestMomentsOfSumsRefusesWhatDoesNotFit(t *testing.T) {
	for name, products := range map[string][][]float64{"too few rows": {{1, 0}}, "a short row": {{1, 0}, {0}}} {
		if _, err := MomentsOfSums(3, []float64{1, 2}, products); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if m, err := MomentsOfSums(0, []float64{0, 0}, [][]float64{{0, 0}, {0, 0}}); err != nil || m.N != 0 || m.Mean[0] != 0 {
		t.Errorf("empty cell: %v %v", m, err)
	}
}

func TestQuantileRanksHoldTheQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	const runs, n, nu = 1500, 400, 0.9
	low, high := QuantileRanks(nu, n)
	var estimates, variances float64
	truth, sum := -math.Log(1-nu), 0.0
	values := make([]float64, n)
	for range runs {
		for i := range values {
			values[i] = r.ExpFloat64()
		}
		slices.Sort(values)
		at := func(rank float64) float64 { return values[min(n-1, int(rank*n))] }
		a := Ranks{Nu: nu, N: n, Value: at(nu), Low: at(low), High: at(high)}.Arm()
		estimates += (a.Mean - truth) * (a.Mean - truth)
		variances += a.Variance / n
		sum += a.Mean
	}
	// The variance it claims is the one that the estimates have, to a tenth.
	bias := sum/runs - truth
	near(t, "variance", variances/runs, estimates/runs-bias*bias, 0.1)
}

func TestQuantileWithoutDataSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		Ranks
		Status
	}{
		"one value":      {Ranks{Nu: 0.5, N: 1, Value: 3, Low: 3, High: 3}, Insufficient},
		"99% of 50":      {Ranks{Nu: 0.99, N: 50, Value: 3, Low: 3, High: 3}, Insufficient},
		"outside":        {Ranks{Nu: 1, N: 50, Value: 3, Low: 3, High: 3}, Undefined},
		"not numbers":    {Ranks{Nu: 0.5, N: 50, Value: math.NaN(), Low: 3, High: 3}, Undefined},
		"ranks swapped":  {Ranks{Nu: 0.5, N: 50, Value: 3, Low: 4, High: 3}, Undefined},
		"empty clusters": {Ranks{Nu: 0.5, N: 50, Value: 3, Low: 2, High: 4, Clusters: &Gram{}}, Insufficient},
	} {
		if a := c.Arm(); a.Status != c.Status || a.Reason == "" {
			t.Errorf("%s: %v %q, want %v", name, a.Status, a.Reason, c.Status)
		}
	}
}
