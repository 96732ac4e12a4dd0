package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// WelchP is the two-sided p-value of Welch's t test of no effect, valid for one look only:
// I_x(df/2, 1/2) at x = df/(df+t^2), never 1-cdf. It is 1 when the contrast is not OK.
func (c Contrast) WelchP() float64 {
	if c.Status != OK {
		return 1
	}
	return studentTails(c.Z(), c.DF)
}

// WelchPGreater is the one-sided p-value of Welch's t test of "the effect is at most 0".
func (c Contrast) WelchPGreater() float64 {
	if c.Status != OK {
		return 1
	}
	return studentUpper(c.Z(), c.DF)
}

// WelchPLess is the one-sided p-value of "the effect is at least 0".
func (c Contrast) WelchPLess() float64 {
	if c.Status != OK {
		return 1
	}
	return studentUpper(-c.Z(), c.DF)
}

// StudentUpper is P(T > t) of Student's t with df degrees of freedom, 1 when there are none.
func StudentUpper(t, df float64) float64 {
	if !(df > 0) || math.IsNaN(t) {
		return 1
	}
	return studentUpper(t, df)
}

// StudentQuantile is the t with P(T > t) = p, p below 1/2 and df from 1 on; else +Inf.
func StudentQuantile(p, df float64) float64 {
	if !(p > 0 && p < 0.5 && df >= 1) {
		return math.Inf(1)
	}
	return studentCritical(2*p, df)
}

// studentUpper is P(T > t).
func studentUpper(t, df float64) float64 {
	if t < 0 {
		return 1 - studentTails(t, df)/2
	}
	return studentTails(t, df) / 2
}

// WelchCritical is how many standard errors wide, to each side, Welch's 1-alpha interval is.
func (c Contrast) WelchCritical(alpha float64) float64 {
	if c.Status != OK {
		return math.Inf(1)
	}
	return studentCritical(alpha, c.DF)
}

// From these degrees of freedom on, and this far into the tail, Hill's normal transformation is
// within 2e-11 of the incomplete beta function, thirty times as fast, and does not lose digits as
// gonum's beta does (2e-10 at 1e6 degrees of freedom).
const (
	largeDF    = 100
	largeDFEnd = 0.25 // of t^2/df
)

// studentTails is P(|T| > |t|).
func studentTails(t, df float64) float64 {
	y := t * t
	if df < largeDF || y > largeDFEnd*df {
		return mathext.RegIncBeta(df/2, 0.5, df/(df+y))
	}
	// Hill, Algorithm 395, CACM 13:617 (1970).
	a := df - 0.5
	b := 48 * a * a
	y = a * math.Log1p(y/df)
	return 2 * upperTail((((((-0.4*y-3.3)*y-24)*y-85.5)/(0.8*y*y+100+b)+y+3)/b+1)*math.Sqrt(y))
}

// studentCritical is the t with P(|T| > t) = p: Hill, Algorithm 396, CACM 13:619 (1970), polished
// by Newton steps on ln P against ln t, which is nearly a line in the far tail.
func studentCritical(p, df float64) float64 {
	t := hillQuantile(p, df)
	logConst := lgamma((df+1)/2) - lgamma(df/2) - 0.5*math.Log(df*math.Pi) + math.Ln2
	for range 8 {
		tails := studentTails(t, df)
		twiceDensity := math.Exp(logConst - (df+1)/2*math.Log1p(t*t/df))
		step := math.Log(tails/p) * tails / (twiceDensity * t)
		if !finite(step) {
			return t
		}
		t *= math.Exp(step)
		if math.Abs(step) < 1e-7 { // Newton squares the error: the next would be below 1e-13
			return t
		}
	}
	return t
}

func hillQuantile(p, df float64) float64 {
	if df < 2 {
		// Between the exact quantiles of 1 and 2 degrees of freedom, by degrees.
		one := 1 / math.Tan(p*math.Pi/2)
		two := math.Sqrt(2/(p*(2-p)) - 2)
		return math.Exp((2-df)*math.Log(one) + (df-1)*math.Log(two))
	}
	a := 1 / (df - 0.5)
	b := 48 / (a * a)
	c := ((20700*a/b-98)*a-16)*a + 96.36
	d := ((94.5/(b+c)-3)/b + 1) * math.Sqrt(a*math.Pi/2) * df
	y := math.Pow(d*p, 2/df)
	if y > 0.05+a {
		x := upperQuantile(p / 2)
		y = x * x
		if df < 5 {
			c += 0.3 * (df - 4.5) * (x + 0.6)
		}
		c += (((0.05*d*x-5)*x-7)*x-2)*x + b
		y = (((((0.4*y+6.3)*y+36)*y+94.5)/c-y-3)/b + 1) * x
		y = math.Expm1(a * y * y)
	} else {
		y = ((1/(((df+6)/(df*y)-0.089*d-0.822)*(df+2)*3)+0.5/(df+4))*y-1)*(df+1)/(df+2) + 1/y
	}
	return math.Sqrt(df * y)
}

// lgamma is ln Gamma(x), from x = 20 on by Stirling's series: three times as fast as the library's and
// as exact (the first term left out is below 1e-15).
func lgamma(x float64) float64 {
	if x < 20 {
		v, _ := math.Lgamma(x)
		return v
	}
	r := 1 / x
	r2 := r * r
	return (x-0.5)*math.Log(x) - x + logSqrt2Pi + r*(1.0/12-r2*(1.0/360-r2*(1.0/1260-r2*(1.0/1680-r2/1188))))
}
