package analyze

import (
	"fmt"

	"verdict/shared/stats"
)

// Distribution is a case of op distribution: the tails that everything rests on.
type Distribution struct {
	head
	Fn   string  `json:"fn" jsonschema:"enum=norm_sf,enum=norm_isf,enum=t_sf,enum=t_isf,enum=chi2_sf,enum=normal_positive_part_mean,enum=final_z"`
	X    float64 `json:"x,omitempty" jsonschema_description:"norm_sf, chi2_sf: the value; t_sf: t"`
	P    float64 `json:"p,omitempty" jsonschema_description:"norm_isf, t_isf: upper tail"`
	DF   float64 `json:"df,omitempty"`
	Mean float64 `json:"mean,omitempty" jsonschema_description:"normal_positive_part_mean"`
	SD   float64 `json:"sd,omitempty"`

	Alpha    float64 `json:"alpha,omitempty" jsonschema_description:"final_z"`
	AlphaSeq float64 `json:"alpha_seq,omitempty" jsonschema_description:"final_z"`
}

// DistributionOut is the answer.
type DistributionOut struct {
	ID    string `json:"id,omitempty"`
	Value Number `json:"value"`
}

func distribution(in Distribution) (DistributionOut, error) {
	out := DistributionOut{ID: in.ID}
	needs := func(ok bool, what string) error {
		if !ok {
			return fmt.Errorf("%s wants %s", in.Fn, what)
		}
		return nil
	}
	switch in.Fn {
	case "norm_sf":
		out.Value = Number(stats.UpperTail(in.X))
	case "norm_isf":
		out.Value = Number(stats.UpperQuantile(in.P))
		return out, needs(in.P > 0 && in.P < 1, "p between 0 and 1")
	case "t_sf":
		out.Value = Number(stats.StudentUpper(in.X, in.DF))
		return out, needs(in.DF > 0, "df above 0")
	case "t_isf":
		out.Value = Number(stats.StudentQuantile(in.P, in.DF))
		return out, needs(in.P > 0 && in.P < 0.5 && in.DF >= 1, "p between 0 and 0.5, df from 1 on")
	case "chi2_sf":
		out.Value = Number(stats.ChiSquareUpper(in.X, in.DF))
		return out, needs(in.DF > 0 && in.X >= 0, "df above 0 and x from 0 on")
	case "normal_positive_part_mean":
		out.Value = Number(stats.Normal{Mean: in.Mean, SD: in.SD}.LossControl())
		return out, needs(in.SD > 0, "sd above 0")
	case "final_z":
		if err := needs(in.Alpha > 1e-6 && in.Alpha < 0.5 && in.AlphaSeq > 1e-8 && in.AlphaSeq < in.Alpha, "alpha between 1e-6 and 0.5 and alpha_seq below it"); err != nil {
			return out, err
		}
		out.Value = Number(stats.FinalZ(in.Alpha, in.AlphaSeq))
	default:
		return out, fmt.Errorf("fn is %q; want norm_sf, norm_isf, t_sf, t_isf, chi2_sf, normal_positive_part_mean or final_z", in.Fn)
	}
	return out, nil
}
