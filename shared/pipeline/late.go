package pipeline

import (
	"context"
	"fmt"
	"time"

	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/model"
	"verdict/shared/monitor"
	"verdict/shared/table"
)

// LateDay is a row of late_day: a day that events arrived for when it was long over. They wait in the landed files,
// counted and not lost, until somebody asks for the day: `verdict run --since`.
type LateDay struct {
	Model     string    `lake:"model"`
	Day       string    `lake:"event_date"`
	Source    string    `lake:"source"`     // fingerprint of what the day would be made from
	Waiting   int64     `lake:"waiting"`    // rows that the day would have more, were it made again
	FirstSeen time.Time `lake:"first_seen"` // in this state
}

const lateTable = "late_day"

// holdBack keeps the list of late days. A day whose files have not changed since is not counted again.
func (p *Pipeline) holdBack(ctx context.Context, asOf time.Time, built model.Built) error {
	before, written, err := p.lateDays(ctx)
	if err != nil {
		return err
	}
	var after, fresh []LateDay
	known := map[model.Held]LateDay{}
	for _, d := range before {
		known[model.Held{Day: d.Day, Source: d.Source}] = d
	}
	for _, h := range built.Held {
		if d, ok := known[h]; ok {
			after = append(after, d)
		} else {
			fresh = append(fresh, LateDay{Model: built.Model, Day: h.Day, Source: h.Source, FirstSeen: asOf})
		}
	}
	if written && len(fresh) == 0 && len(after) == len(before) {
		return nil
	}
	if err := p.countLate(ctx, fresh); err != nil {
		return fmt.Errorf("count late events: %w", err)
	}
	return table.Write(ctx, p.Objects, p.Catalog, table.Place{Table: lateTable, Run: p.NewRun()}, append(after, fresh...))
}

// countLate counts what the days would have, were they made again, against what they have.
func (p *Pipeline) countLate(ctx context.Context, late []LateDay) error {
	if len(late) == 0 {
		return nil
	}
	var days []string
	for _, d := range late {
		days = append(days, d.Day)
	}
	type count struct {
		Day  string `lake:"event_date"`
		Rows int64  `lake:"n"`
	}
	m := p.Project.Models.Find(late[0].Model)
	for _, of := range []struct {
		sign int64
		from string
	}{{1, "(" + m.Select(days) + ") as rebuilt"}, {-1, m.Name}} {
		counts, err := lake.Read[count](ctx, p.Engine, "select event_date, count(*) as n from "+of.from+" where event_date in ("+lake.QuoteList(days)+") group by event_date")
		if err != nil {
			return err
		}
		for _, c := range counts {
			for i := range late {
				if late[i].Day == c.Day {
					late[i].Waiting += of.sign * c.Rows
				}
			}
		}
	}
	return nil
}

func (p *Pipeline) lateDays(ctx context.Context) (days []LateDay, written bool, err error) {
	if _, err := p.Catalog.Table(ctx, lateTable); err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil, false, nil
		}
		return nil, false, err
	}
	days, err = lake.Read[LateDay](ctx, p.Engine, "select * from "+lateTable+" order by event_date")
	return days, true, err
}

// waiting reads how much waits in late days.
func (p *Pipeline) waiting(ctx context.Context) ([]monitor.Reading, error) {
	days, _, err := p.lateDays(ctx)
	if err != nil {
		return nil, err
	}
	out := monitor.Reading{Name: "late_waiting", Says: "no events wait for days that are long over"}
	for _, d := range days {
		out.Value += float64(d.Waiting)
	}
	if len(days) > 0 {
		out.Says = fmt.Sprintf("events wait for %d days, from %s on: verdict run --since %[2]s takes them in", len(days), days[0].Day)
	}
	return []monitor.Reading{out}, nil
}
