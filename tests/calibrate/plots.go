package main

import (
	"fmt"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
)

// drawing is a chart that knows how to put itself on a plot.
type drawing interface{ draw() (*plot.Plot, error) }

type series struct {
	name   string
	values []float64
}

// bars are series side by side in groups.
type bars struct {
	title  string
	groups []string
	series []series
	limit  float64
}

type curve struct {
	name string
	x, y []float64
}

// lines are curves over a logarithmic axis.
type lines struct {
	title, x string
	curves   []curve
	limit    float64
}

func (b bars) draw() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = b.title
	p.Y.Tick.Marker = percents{}
	width := vg.Points(60 / float64(len(b.series)))
	for i, s := range b.series {
		bar, err := plotter.NewBarChart(plotter.Values(s.values), width)
		if err != nil {
			return nil, err
		}
		bar.LineStyle.Width = 0
		bar.Color = plotutil.Color(i)
		bar.Offset = width * vg.Length(float64(i)-float64(len(b.series)-1)/2)
		p.Add(bar)
		p.Legend.Add(s.name, bar)
	}
	p.NominalX(b.groups...)
	p.Y.Max = 0.7 // room for the legend
	p.Legend.Top = true
	return p, limit(p, b.limit, -0.5, float64(len(b.groups))-0.5)
}

func (l lines) draw() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = l.title, l.x
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Tick.Marker = percents{}
	for i, c := range l.curves {
		points := make(plotter.XYs, len(c.x))
		for j := range c.x {
			points[j] = plotter.XY{X: c.x[j], Y: c.y[j]}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = plotutil.Color(i), vg.Points(1.5)
		p.Add(line)
		p.Legend.Add(c.name, line)
	}
	p.Legend.Top = true
	first := l.curves[0].x
	return p, limit(p, l.limit, first[0], first[len(first)-1])
}

// limit draws the level that may not be passed.
func limit(p *plot.Plot, y, from, to float64) error {
	line, err := plotter.NewLine(plotter.XYs{{X: from, Y: y}, {X: to, Y: y}})
	if err != nil {
		return err
	}
	line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(line)
	p.Legend.Add(fmt.Sprintf("alpha %g %%", 100*y), line)
	return nil
}

type percents struct{}

// Ticks labels an axis in percent.
func (percents) Ticks(low, high float64) []plot.Tick {
	out := plot.DefaultTicks{}.Ticks(low, high)
	for i := range out {
		if out[i].Label != "" {
			out[i].Label = fmt.Sprintf("%.3g %%", 100*out[i].Value)
		}
	}
	return out
}

func (c *calibration) plot(name string, d drawing) error {
	p, err := d.draw()
	if err != nil {
		return fmt.Errorf("draw %s: %w", name, err)
	}
	folder := filepath.Join(c.docs, "images", "calibration")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	if err := p.Save(9*vg.Inch, 4*vg.Inch, filepath.Join(folder, name)); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	fmt.Fprintf(&c.page, "\n![](images/calibration/%s)\n", name)
	return nil
}
