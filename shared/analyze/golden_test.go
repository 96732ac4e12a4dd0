package analyze

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

type object = map[string]any

// ask pushes one case through the commands as their users do.
func ask(t *testing.T, o Ops, request any) object {
	t.Helper()
	in, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := o.Run(bytes.NewReader(in), &out); err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	var answer object
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatalf("%s: answered %s: %v", in, out.Bytes(), err)
	}
	if e, ok := answer["error"]; ok {
		t.Fatalf("%s: %v", in, e)
	}
	return answer
}

// at follows a path such as metrics.0.variants.0.fixed.p; null is NaN.
func at(t *testing.T, v any, path string) float64 {
	t.Helper()
	for step := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case object:
			next, ok := x[step]
			if !ok {
				t.Fatalf("no %q in the answer at %q", path, step)
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				t.Fatalf("no %q in the answer at %q", path, step)
			}
			v = x[i]
		default:
			t.Fatalf("no %q in the answer at %q", path, step)
		}
	}
	switch x := v.(type) {
	case nil:
		return math.NaN()
	case float64:
		return x
	case string:
		return map[string]float64{"inf": math.Inf(1), "-inf": math.Inf(-1)}[x]
	}
	t.Fatalf("%q is not a number: %v", path, v)
	return 0
}

type goldenCase struct {
	id, kind, sides string
	in, out         object
}

func goldenCases(t *testing.T, file string) []goldenCase {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "golden", file))
	if os.IsNotExist(err) {
		t.Skipf("SKIPPED: reference figures %s are not beside the checkout", file)
	}
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Cases []struct {
			ID, Kind, Sides, Fn string
			In, Out             object
		}
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	var out []goldenCase
	for _, c := range f.Cases {
		if c.Kind == "" {
			c.Kind = c.Fn
		}
		out = append(out, goldenCase{c.ID, c.Kind, c.Sides, c.In, c.Out})
	}
	if len(out) == 0 {
		t.Fatalf("%s has no cases", file)
	}
	return out
}

const (
	first  = "metrics.0.variants.0."
	within = 1e-9
)

// call is how a family of reference cases is asked of the commands: docs/analyze.md shows one of each.
type call struct {
	file    string
	ops     Ops
	request func(c goldenCase) object            // nil: the family leaves this case out
	figures map[string]string                    // path in the answer: path in the case's out
	also    func(c goldenCase) map[string]string // figures of some cases only
	slack   float64
}

// arm is a reference arm in form 1 or 3.
func arm(v any) object {
	a := v.(object)
	out := object{"n": a["n"]}
	if x, ok := a["x"]; ok {
		out["successes"] = x
		return out
	}
	out["sum"], out["sum_sq"] = a["sum"], a["sum_sq"]
	return out
}

func variants(c goldenCase, read func(any) object) []object {
	return []object{read(c.in["control"]), read(c.in["treatment"])}
}

func comparison(family string, arms []object, more object) object {
	m := object{"family": family, "variants": arms}
	r := object{"op": "compare", "metrics": []object{m}, "correction": "none"}
	maps.Copy(r, more)
	return r
}

func num(v any) float64 { f, _ := v.(float64); return f }

// ratioArm has columns numerator and denominator.
func ratioArm(v any) object {
	a := v.(object)
	y, d := a["num"].(object), a["den"].(object)
	return object{"n": a["n"], "sums": []any{y["sum"], d["sum"]}, "products": [][]any{{y["sum_sq"], a["num_den_sum_prod"]}, {a["num_den_sum_prod"], d["sum_sq"]}}}
}

// cupedArm has columns value and covariates.
func cupedArm(v any) object {
	a := v.(object)
	if y, ok := a["post"].(object); ok {
		x := a["pre"].(object)
		p := a["post_pre_sum_prod"]
		return object{"n": a["n"], "sums": []any{y["sum"], x["sum"]}, "products": [][]any{{y["sum_sq"], p}, {p, x["sum_sq"]}}}
	}
	s := func(k string) object { return a[k].(object) }
	return object{
		"n": a["n"], "sums": []any{s("m_post")["sum"], s("d_post")["sum"], s("m_pre")["sum"], s("d_pre")["sum"]},
		"products": [][]any{
			{s("m_post")["sum_sq"], a["m_post_d_post"], a["m_post_m_pre"], a["m_post_d_pre"]},
			{a["m_post_d_post"], s("d_post")["sum_sq"], a["m_pre_d_post"], a["d_post_d_pre"]},
			{a["m_post_m_pre"], a["m_pre_d_post"], s("m_pre")["sum_sq"], a["m_pre_d_pre"]},
			{a["m_post_d_pre"], a["d_post_d_pre"], a["m_pre_d_pre"], s("d_pre")["sum_sq"]},
		},
	}
}

func linArm(v any) object {
	a := v.(object)
	return object{"n": a["n"], "sums": a["sum"], "products": a["cross"]}
}

func rankArm(v any) object {
	a := v.(object)
	r := object{"value": a["q"], "low": a["lo"], "high": a["hi"]}
	if k, ok := a["clusters"]; ok {
		r["clusters"] = object{
			"n": k, "sums": []any{a["main_sum"], a["den_sum"]},
			"products": [][]any{{a["main_sum_sq"], a["main_den_prod"]}, {a["main_den_prod"], a["den_sum_sq"]}},
		}
	}
	return object{"n": a["n"], "ranks": r}
}

// sparse arms borrow variance from each other: docs/divergences.md.
func sparse(v any) bool {
	a := v.(object)
	x, ok := a["x"].(float64)
	return ok && min(x, num(a["n"])-x) < 10
}

func direct(c goldenCase, control, varControl, treatment, varTreatment any, n any, more object) object {
	k := object{"n": n, "control": control, "var_control": varControl, "treatment": treatment, "var_treatment": varTreatment}
	if cov, ok := c.in["cov"]; ok {
		k["covariance"] = cov
	}
	r := object{"op": "compare", "metrics": []object{{"family": "mean", "contrast": k}}, "correction": "none"}
	maps.Copy(r, more)
	return r
}

func calls() []call {
	relative := func(c goldenCase) bool { return c.in["difference"] == "relative" }
	effect := func(c goldenCase) map[string]string {
		if relative(c) {
			return map[string]string{first + "lift": "effect", first + "lift_se": "se"}
		}
		return map[string]string{
			first + "effect": "effect", first + "se": "se", first + "fixed.p": "p", first + "fixed.absolute.low": "ci.0", first + "fixed.absolute.high": "ci.1",
		}
	}
	return []call{
		{
			file: "gb_mean.json", slack: within, also: effect,
			request: func(c goldenCase) object {
				return comparison("mean", variants(c, arm), object{"alpha": c.in["alpha"], "sides": c.in["sides"]})
			},
		},
		{
			file: "gb_proportion.json", slack: within, also: effect,
			request: func(c goldenCase) object {
				if sparse(c.in["control"]) || sparse(c.in["treatment"]) {
					return nil
				}
				return comparison("proportion", variants(c, arm), object{"alpha": c.in["alpha"]})
			},
		},
		{
			file: "gb_ratio.json", slack: within, also: effect,
			request: func(c goldenCase) object {
				return comparison("ratio", variants(c, ratioArm), object{"alpha": c.in["alpha"]})
			},
		},
		{
			file: "gb_cuped.json", slack: 1e-8, also: effect,
			request: func(c goldenCase) object {
				family := "mean"
				if c.kind == "ratio" {
					family = "ratio"
				}
				return comparison(family, variants(c, cupedArm), object{"alpha": c.in["alpha"], "adjust": "pooled"})
			},
		},
		{
			file: "lin_regression.json", slack: 1e-9, figures: map[string]string{first + "effect": "lin_HC2.est"},
			request: func(c goldenCase) object { return comparison("mean", variants(c, linArm), nil) },
		},
		{
			file: "gb_poststrat.json", slack: within, figures: map[string]string{first + "effect": "effect", first + "se": "se"},
			request: func(c goldenCase) object {
				if c.in["cuped"] == true {
					return nil // one slope and one variance for both arms: docs/divergences.md
				}
				var strata [][]object
				for _, s := range c.in["strata"].([]any) {
					strata = append(strata, []object{arm(s.(object)["control"]), arm(s.(object)["treatment"])})
				}
				return object{"op": "compare", "metrics": []object{{"family": "mean", "strata": strata}}}
			},
		},
		{
			file: "gb_quantile.json", slack: within, also: effect,
			request: func(c goldenCase) object {
				r := comparison("quantile", variants(c, rankArm), object{"alpha": c.in["alpha"]})
				r["metrics"].([]object)[0]["nu"] = c.in["nu"]
				return r
			},
		},
		{
			file: "gb_sequential.json", slack: 1e-8,
			also: func(c goldenCase) map[string]string {
				if relative(c) {
					return map[string]string{first + "lift": "effect", first + "lift_se": "se"} // its interval is the delta method's
				}
				return map[string]string{
					first + "effect": "effect", first + "sequential.absolute.low": "ci.0", first + "sequential.absolute.high": "ci.1", first + "sequential.p": "p",
				}
			},
			request: func(c goldenCase) object {
				if c.sides != "two" || c.in["control"].(object)["sum"] == nil {
					return nil // its one-sided bound is the looser closed form; ratio and cuped cases repeat other files
				}
				rho := num(c.out["rho"])
				return comparison("mean", variants(c, arm), object{"alpha": c.in["alpha"], "rho2": rho * rho})
			},
		},
		{
			file: "gb_bayes.json", slack: 1e-8,
			figures: map[string]string{
				first + "bayes.chance_to_beat": "chance_to_win", first + "bayes.mean": "expected", first + "bayes.sd": "post_sd",
				first + "bayes.interval.low": "ci.0", first + "bayes.interval.high": "ci.1",
				first + "bayes.loss_control": "risk_control_treatment.0", first + "bayes.loss_treatment": "risk_control_treatment.1",
			},
			request: func(c goldenCase) object {
				if sparse(c.in["control"]) || sparse(c.in["treatment"]) {
					return nil
				}
				family := "mean"
				if _, ok := c.in["control"].(object)["x"]; ok {
					family = "proportion"
				}
				p := c.in["prior"].(object)
				prior := object{"mean": p["mean"], "sd": math.Sqrt(num(p["variance"])), "scale": "relative"}
				if p["proper"] == false {
					prior = object{"mean": 0, "flat": true, "scale": "relative"}
				}
				if !relative(c) {
					prior["scale"] = "absolute"
					if p["proper"] == true { // a relative prior on the absolute scale
						a := c.in["control"].(object)
						mean := math.Abs(num(a["sum"]) / num(a["n"]))
						if family == "proportion" {
							mean = num(a["x"]) / num(a["n"])
						}
						prior["mean"], prior["sd"] = num(p["mean"])*mean, math.Sqrt(num(p["variance"]))*mean
					}
				}
				r := comparison(family, variants(c, arm), object{"alpha": c.in["alpha"], "prior": prior})
				r["metrics"].([]object)[0]["increase_is_bad"] = c.in["inverse"]
				return r
			},
		},
		{
			file: "fieller.json", slack: 1e-9,
			also: func(c goldenCase) map[string]string {
				if c.out["kind"] != "bounded" || num(c.in["mean_c"]) < 0 { // ours divides by |control|: docs/divergences.md
					return nil
				}
				return map[string]string{first + "fixed.relative.low": "lo", first + "fixed.relative.high": "hi"}
			},
			request: func(c goldenCase) object {
				return direct(c, c.in["mean_c"], c.in["var_mean_c"], c.in["mean_t"], c.in["var_mean_t"], 1000, object{"alpha": math.Erfc(num(c.in["z"]) / math.Sqrt2)})
			},
		},
		{
			file: "anytime_fieller.json", slack: 1e-8,
			also: func(c goldenCase) map[string]string {
				out := map[string]string{first + "sequential.critical": "z_radius", first + "sequential.log_e": "log_e_zero_lift", first + "sequential.p": "p"}
				if c.out["kind"] == "bounded" {
					out[first+"sequential.relative.low"], out[first+"sequential.relative.high"] = "lift_lo", "lift_hi"
				}
				return out
			},
			request: func(c goldenCase) object {
				return direct(c, c.in["mean_c"], c.in["var_mean_c"], c.in["mean_t"], c.in["var_mean_t"], c.in["n_total"], object{"alpha": c.in["alpha"], "planned": c.in["n_opt"]})
			},
		},
		{
			file: "anytime_guardrail.json", slack: 1e-8,
			figures: map[string]string{
				first + "sequential.log_e": "log_e_greater", first + "sequential.critical": "z_radius_one_sided_exact", first + "sequential.absolute.low": "lower_one_sided",
				first + "guardrail.log_e_noninferior": "log_e_noninferior", first + "guardrail.log_e_violated": "log_e_inferior", first + "guardrail.p_noninferior": "p_noninferior",
			},
			request: func(c goldenCase) object {
				se := num(c.in["se"])
				r := direct(c, 0, 0, c.in["est"], se*se, c.in["n"], object{"alpha": c.in["alpha"], "planned": c.in["n_opt"], "sides": "greater"})
				m := r["metrics"].([]object)[0]
				m["margin"], m["margin_scale"] = c.in["margin"], "absolute"
				return r
			},
		},
		{
			file: "spotify_noninferiority.json", slack: 1e-8, figures: map[string]string{first + "effect": "difference", first + "guardrail.p_noninferior_fixed": "p"},
			request: func(c goldenCase) object {
				r := comparison("mean", variants(c, arm), nil)
				m := r["metrics"].([]object)[0]
				a := c.in["control"].(object)
				m["margin"], m["margin_scale"] = num(c.in["margin_relative"])*num(a["sum"])/num(a["n"]), "absolute"
				m["increase_is_bad"] = c.in["preferred_direction"] == "decrease"
				return r
			},
		},
		{
			file: "asympcs_rho.json", slack: 1e-9, figures: map[string]string{"rho2": "rho2_exact"},
			request: func(c goldenCase) object {
				return object{"op": "mixture", "alpha": c.in["alpha"], "planned": c.in["n_opt"]}
			},
		},
		{
			file: "avlm.json", slack: 1e-8, figures: map[string]string{"t.log_e": "log_e", "t.p": "p"},
			request: func(c goldenCase) object {
				if c.kind != "t" {
					return nil // radius and F: shared/stats/exact_test.go
				}
				return object{"op": "mixture", "planned": 1, "rho2": 1 / num(c.in["g"]), "n": c.in["n"], "z": c.in["t"], "df": c.in["nu"]}
			},
		},
		{
			file: "msprt.json", slack: 1e-8, figures: map[string]string{"p": "p_single"},
			request: func(c goldenCase) object {
				if c.kind != "msprt" {
					return nil // a documented constant of another platform
				}
				n := num(c.in["n_per_arm"])
				v := 2 * num(c.in["sigma2"]) / n
				return object{"op": "mixture", "planned": 1, "n": 1, "rho2": num(c.in["tau2"]) / v, "z": num(c.in["diff"]) / math.Sqrt(v), "alpha": c.in["alpha"]}
			},
		},
		{
			file: "srm_chi2.json", slack: 1e-9, figures: map[string]string{"chi_square": "chi2", "p": "p_scipy"},
			request: func(c goldenCase) object {
				for _, w := range c.in["weights"].([]any) {
					if num(w) == 0 {
						return nil // degrees of freedom of arms without weight: docs/divergences.md
					}
				}
				return object{"op": "srm", "counts": c.in["counts"], "weights": c.in["weights"]}
			},
		},
		{
			file: "multinomial_anytime_ci.json", slack: 1e-7, figures: map[string]string{"log_e": "log_bayes_factor", "p": "p", "intervals.0.low": "confidence_set_coordinates.0.0", "intervals.1.high": "confidence_set_coordinates.1.1"},
			request: func(c goldenCase) object {
				return object{"op": "multinomial", "counts": c.in["counts"], "weights": c.in["null"], "concentration": c.in["k"], "alpha": c.in["alpha"]}
			},
		},
		{
			file: "multiplicity.json", slack: 1e-10,
			also: func(c goldenCase) map[string]string {
				out := map[string]string{}
				for i := range c.in["p"].([]any) {
					for ours, theirs := range map[string]string{"holm": "holm", "hochberg": "simes-hochberg", "hommel": "hommel", "bh": "fdr_bh", "by": "fdr_by", "bonferroni": "bonferroni", "sidak": "sidak"} {
						out[fmt.Sprintf("adjusted.%s.%d", ours, i)] = fmt.Sprintf("%s.%d", theirs, i)
					}
				}
				return out
			},
			request: func(c goldenCase) object { return object{"op": "correct", "p": c.in["p"]} },
		},
		{
			file: "winners_curse.json", slack: 1e-6, figures: map[string]string{"conditional_mle": "conditional_mle", "median_unbiased": "median_unbiased", "interval.low": "ci95.0", "interval.high": "ci95.1"},
			request: func(c goldenCase) object {
				return object{"op": "unselect", "z": c.in["z"], "se": c.in["se"], "threshold": c.in["threshold"]}
			},
		},
		{
			file: "meta_shrinkage.json", slack: 1e-5, figures: map[string]string{"mean": "mu", "se": "se_mu", "q": "Q", "q_p": "Qp", "effects.0.mean": "blup.0"},
			request: func(c goldenCase) object {
				if c.in["method"] == "PM" && num(c.out["tau2"]) > 0 {
					return nil // its root finder stops early: docs/divergences.md
				}
				return object{"op": "learn", "effects": c.in["y"], "variances": c.in["v"], "method": strings.ToLower(c.in["method"].(string))}
			},
		},
		{
			file: "pbest_quadrature.json", slack: 1e-9, figures: map[string]string{"chance.0": "p_best.0", "chance.1": "p_best.1", "expected_best": "e_max", "expected_loss.0": "expected_loss.0"},
			request: func(c goldenCase) object { return object{"op": "best", "mean": c.in["mean"], "sd": c.in["sd"]} },
		},
		{
			file: "beta_binomial.json", slack: 1e-5, figures: map[string]string{"chance_to_beat": "p_treatment_better", "loss_treatment": "loss_if_ship_treatment"},
			request: func(c goldenCase) object {
				return object{"op": "betas", "control": c.in["control_beta"], "treatment": c.in["treatment_beta"]}
			},
		},
		{
			file: "gs_boundaries.json", slack: 1e-8,
			also: func(c goldenCase) map[string]string {
				name := "z_highprec"
				if c.out[name] == nil {
					return nil
				}
				out := map[string]string{}
				for i := range c.out[name].([]any) {
					out[fmt.Sprintf("bounds.%d", i)] = fmt.Sprintf("%s.%d", name, i)
				}
				return out
			},
			request: func(c goldenCase) object {
				names := map[string]string{"asOF": "obrien_fleming", "asP": "pocock", "asKD": "power", "asHSD": "hwang_shih_decani"}
				spending, ok := names[c.in["type"].(string)]
				if !ok || c.out["z_highprec"] == nil {
					return nil // classic ones: shared/stats/groupsequential_test.go
				}
				r := object{"op": "group_sequential", "spending": spending, "times": c.in["info"], "one_sided": true, "alpha": c.in["alpha_one_sided"]}
				if g, ok := c.in["gamma"]; ok {
					r["gamma"] = g
				}
				return r
			},
		},
		{
			file: "gs_inflation.json", slack: 1e-6, figures: map[string]string{"inflation.max": "inflation_factor", "inflation.mean_with_effect": "avg_n_ratio_H1", "inflation.mean_without_effect": "avg_n_ratio_H0"},
			request: func(c goldenCase) object {
				names := map[string]string{"asOF": "obrien_fleming", "asP": "pocock", "OF": "classic_obrien_fleming", "P": "classic_pocock"}
				k := int(num(c.in["k"]))
				times := make([]float64, k)
				for i := range times {
					times[i] = float64(i+1) / float64(k)
				}
				return object{"op": "group_sequential", "spending": names[c.in["type"].(string)], "times": times, "one_sided": true, "alpha": c.in["alpha_one_sided"], "power": c.in["power"]}
			},
		},
		{
			file: "peeking_properties.json", slack: 1e-7, figures: map[string]string{"rejects": "type1"},
			request: func(c goldenCase) object {
				if c.kind != "naive_z_peeking" {
					return nil // the other rules: shared/stats/groupsequential_test.go
				}
				k := int(num(c.in["looks"]))
				times := make([]float64, k)
				for i := range times {
					times[i] = float64(i+1) / float64(k)
				}
				z := map[float64]float64{0.05: 1.959963984540054, 0.01: 2.5758293035489004}[num(c.in["alpha"])]
				if z == 0 {
					return nil
				}
				return object{"op": "operate", "times": times, "upper": []float64{z}}
			},
		},
		{
			file: "interaction_2x2.json", slack: 1e-8, figures: map[string]string{"interaction": "interaction", "se": "se_HC2", "chi_square": "assign_chi2", "chi_square_p": "assign_p"},
			request: func(c goldenCase) object {
				var cells [2][2]object
				for _, v := range c.in["cells"].([]any) {
					x := v.(object)
					cells[int(num(x["a"]))][int(num(x["b"]))] = arm(v)
				}
				return object{"op": "interaction", "family": "mean", "cells": cells}
			},
		},
		{
			file: "special_tails.json", slack: 1e-9, figures: map[string]string{"value": "v"},
			request: func(c goldenCase) object {
				r := object{"op": "distribution", "fn": c.kind}
				for theirs, ours := range map[string]string{"x": "x", "p": "p", "t": "x", "df": "df", "k": "df", "mu": "mean", "sd": "sd"} {
					if v, ok := c.in[theirs]; ok {
						r[ours] = v
					}
				}
				if num(c.out["v"]) < 1e-300 {
					return nil // a subnormal with few digits
				}
				return r
			},
		},
		{
			file: "power_mde.json", ops: Plans(), slack: 2e-4,
			also: func(c goldenCase) map[string]string {
				switch c.kind {
				case "t_ind_n1":
					return map[string]string{"n_control": "n1"}
				case "t_ind_mde":
					return map[string]string{"effect": "d"}
				case "t_ind_power":
					return map[string]string{"power": "power"}
				case "two_prop_n":
					return map[string]string{"n_control": "n_unpooled_wald"}
				}
				return map[string]string{"lift": "mde_relative"}
			},
			request: func(c goldenCase) object {
				in := c.in
				r := object{"family": "mean", "variance": 1, "mean": 1, "alpha": in["alpha"], "exact_t": true, "one_sided": in["alternative"] == "larger"}
				if p, ok := in["power"]; ok {
					r["power"] = p
				}
				switch c.kind {
				case "t_ind_n1":
					r["op"], r["effect"], r["ratio"] = "sample_size", in["d"], in["ratio_n2_n1"]
				case "t_ind_mde":
					r["op"], r["n"] = "detectable", in["n1"]
				case "t_ind_power":
					r["op"], r["n"], r["effect"] = "power", in["n1"], in["d"]
				case "two_prop_n":
					return object{"op": "sample_size", "family": "proportion", "mean": in["p1"], "effect": num(in["p2"]) - num(in["p1"]), "alpha": in["alpha"], "power": in["power"]}
				default:
					return object{"op": "detectable", "family": "mean", "mean": in["mean"], "variance": in["var"], "n": in["n_per_arm"], "relative": true, "alpha": in["alpha"], "power": in["power"]}
				}
				return r
			},
		},
		{
			file: "power_R.json", ops: Plans(), slack: 1e-6,
			also: func(c goldenCase) map[string]string {
				if c.kind == "power.t.test" {
					return map[string]string{"power": "power"}
				}
				return map[string]string{"n_control": "n"}
			},
			request: func(c goldenCase) object {
				if c.kind == "power.t.test" {
					sd := num(c.in["sd"])
					return object{"op": "power", "family": "mean", "mean": 1, "variance": sd * sd, "n": c.in["n"], "effect": c.in["delta"], "alpha": c.in["alpha"], "exact_t": true}
				}
				return object{"op": "sample_size", "family": "proportion", "mean": c.in["p1"], "effect": num(c.in["p2"]) - num(c.in["p1"]), "alpha": c.in["alpha"], "power": c.in["power"], "pooled_null": true}
			},
		},
		{
			file: "teatasting.json", slack: 1e-8,
			figures: map[string]string{
				first + "effect": "effect_size", first + "fixed.absolute.low": "effect_size_ci_lower", first + "fixed.absolute.high": "effect_size_ci_upper",
				first + "fixed.p": "pvalue", first + "fixed.statistic": "statistic",
			},
			request: func(c goldenCase) object { // its relative interval is on the logarithm: docs/divergences.md
				read, family := arm, "mean"
				switch c.kind {
				case "cuped_mean":
					read = cupedArm
				case "ratio":
					read, family = ratioArm, "ratio"
				}
				r := comparison(family, variants(c, read), object{"alpha": 1 - num(c.in["confidence"]), "adjust": "pooled"})
				if c.in["alternative"] != "two-sided" {
					r["sides"] = c.in["alternative"]
				}
				return r
			},
		},
		{
			file: "ssrm_sequential.json", slack: 1e-7,
			also: func(c goldenCase) map[string]string {
				out := map[string]string{}
				for i := range c.in["increments"].([]any) {
					out[fmt.Sprintf("looks.%d.log_e", i)] = fmt.Sprintf("log_bayes_factor.%d", i)
					out[fmt.Sprintf("looks.%d.sequential_p", i)] = fmt.Sprintf("p_value_running_min.%d", i)
				}
				return out
			},
			request: func(c goldenCase) object {
				return object{"op": "srm", "looks": c.in["increments"], "weights": c.in["null"], "concentration": c.in["concentration"]}
			},
		},
		{
			file: "e_adjusters.json", slack: 1e-9, figures: map[string]string{"log_e.0": "log_adjusted"},
			request: func(c goldenCase) object {
				c.out["log_adjusted"] = math.Log(num(c.out["adjusted_log_mixture"]))
				return object{"op": "ebh", "e": []any{c.in["running_max_e"]}, "running_maxima": true}
			},
		},
		{
			file: "spotify_sample_size.json", ops: Plans(), slack: 1e-3, figures: map[string]string{"total": "required_total"},
			request: func(c goldenCase) object {
				family := "mean"
				if c.in["binary"] == true {
					family = "proportion"
				}
				return object{
					"op": "sample_size", "family": family, "mean": c.in["control_mean"], "variance": c.in["control_var"], "effect": c.in["effect_or_margin"],
					"ratio": 1 / num(c.in["kappa_nc_over_nt"]),
				}
			},
		},
		{
			file: "gb_mid_power.json", ops: Plans(), slack: 1e-3, figures: map[string]string{"power_now": "power_now", "power_double": "power_double", "more": "scaling_factor"},
			request: func(c goldenCase) object {
				answer := comparison("mean", variants(c, arm), nil)
				return object{"op": "projection", "from": answer, "case": c.in} // filled in by the test
			},
		},
	}
}

func TestCommandsMatchReferences(t *testing.T) {
	analyses := Analyses()
	for _, k := range calls() {
		t.Run(k.file, func(t *testing.T) {
			ops := k.ops
			if ops == nil {
				ops = analyses
			}
			checked := 0
			for _, c := range goldenCases(t, k.file) {
				request := k.request(c)
				if request == nil {
					continue
				}
				if k.file == "gb_mid_power.json" {
					request = projection(t, analyses, request["from"].(object), c.in)
				}
				figures := k.figures
				if k.also != nil {
					figures = k.also(c)
				}
				if len(figures) == 0 {
					continue
				}
				answer := ask(t, ops, request)
				if n, ok := answer["n_control"]; ok { // not rounded up
					answer["total"] = num(n) + num(answer["n_treatment"])
				}
				for ours, theirs := range figures {
					got, want := at(t, answer, ours), at(t, c.out, theirs)
					if math.IsInf(want, 0) || math.IsNaN(want) {
						if !math.IsNaN(got) {
							t.Errorf("%s %s: got %v, want null", c.id, ours, got)
						}
						continue
					}
					if math.Abs(got-want) > 1e-12+k.slack*max(math.Abs(want), 1e-4) || math.IsNaN(got) {
						t.Errorf("%s %s: got %.15g, want %.15g", c.id, ours, got, want)
					}
					checked++
				}
			}
			if checked == 0 {
				t.Errorf("no figure of %s was checked", k.file)
			}
			t.Logf("%d figures", checked)
		})
	}
}

// projection asks first for the standard error of the lift, then for the power.
func projection(t *testing.T, o Ops, from, in object) object {
	t.Helper()
	answer := ask(t, o, from)
	n := num(in["control"].(object)["n"]) + num(in["treatment"].(object)["n"])
	goals, tests := num(in["goal_metrics"]), num(in["goal_metrics"])*(num(in["variations"])-1)
	r := object{
		"op": "projection", "n": n, "se": at(t, answer, first+"lift_se"), "effect": in["target_mde"], "alpha": in["alpha"], "tests": tests,
		"power": math.Pow(0.8, 1/goals),
	}
	if p, ok := in["prior"].(object); ok {
		r["prior"] = object{"mean": p["mean"], "sd": math.Sqrt(num(p["variance"]))}
	}
	if in["sequential"] == true {
		l := -2 * math.Log(num(in["alpha"])/tests)
		r["sequential"], r["rho2"] = true, (l+math.Log1p(l))/num(in["tuning"])
	}
	return r
}
