package semantic

import (
	"fmt"
	"strconv"
	"strings"

	"verdict/shared/lake"
	"verdict/shared/metric"
)

// Cube is the SELECT of a metric by day and by all dimensions at once, for readers who add rows up themselves, and its
// columns. A metric that does not add up (distinct values, a maximum) is by day alone.
func Cube(l *metric.Layer, d metric.Definition) (sql string, columns []lake.Column, err error) {
	list, columns := days(l.Table)
	if additive(d) {
		for _, x := range l.Dimensions {
			list = append(list, "cast("+x.Expression+" as varchar) as "+x.Name)
			columns = append(columns, lake.Column{Name: x.Name, Type: "varchar"})
		}
	}
	keys := len(list)
	numerator := daily(d.Numerator)
	if d.Type != "ratio" {
		list, columns = append(list, numerator+" as value"), append(columns, lake.Column{Name: "value", Type: "double"})
	} else {
		denominator := daily(d.Denominator)
		list = append(list, quotient(numerator, denominator)+" as value", numerator+" as numerator", denominator+" as denominator")
		for _, name := range []string{"value", "numerator", "denominator"} {
			columns = append(columns, lake.Column{Name: name, Type: "double"})
		}
	}
	var kept []string
	for _, t := range d.Terms() {
		if t.Filter == "" {
			kept = nil
			break
		}
		kept = append(kept, "("+t.Filter+")")
	}
	var where []string
	if l.Table.Bot != "" {
		where = append(where, "not e."+l.Table.Bot)
	}
	if kept != nil {
		where = append(where, "("+strings.Join(kept, " or ")+")")
	}
	return grouped(l.Table, list, where, keys), columns, nil
}

// AllDaily is the SELECT of all metrics by day in one scan, a row for each day and metric, and its columns.
func AllDaily(l *metric.Layer, all []metric.Definition) (sql string, columns []lake.Column) {
	list, columns := days(l.Table)
	keys := len(list)
	names := make([]string, len(all))
	var above, below strings.Builder
	for i, d := range all {
		names[i] = "(" + lake.Quote(d.Name) + ")"
		list = append(list, fmt.Sprintf("%s as n%d", daily(d.Numerator), i))
		fmt.Fprintf(&above, "\n        when %s then s.n%d", lake.Quote(d.Name), i)
		if d.Type == "ratio" {
			list = append(list, fmt.Sprintf("%s as d%d", daily(d.Denominator), i))
			fmt.Fprintf(&below, "\n        when %s then s.d%d", lake.Quote(d.Name), i)
		}
	}
	var where []string
	if l.Table.Bot != "" {
		where = append(where, "not e."+l.Table.Bot)
	}
	dates := make([]string, len(columns))
	for i, c := range columns {
		dates[i] = "s." + c.Name
	}
	numerator, denominator := "case m.metric"+above.String()+"\n    end", "cast(null as double)"
	if below.Len() > 0 {
		denominator = "case m.metric" + below.String() + "\n    end"
	}
	inner := "select\n    " + strings.Join(dates, ",\n    ") + ",\n    m.metric,\n    " + numerator + " as above,\n    " + denominator + " as below" +
		"\nfrom (\n" + grouped(l.Table, list, where, keys) + "\n) as s\ncross join (values " + strings.Join(names, ", ") + ") as m (metric)"
	ratios := []string{"''"}
	for _, d := range all {
		if d.Type == "ratio" {
			ratios = append(ratios, lake.Quote(d.Name))
		}
	}
	isRatio := "u.metric in (" + strings.Join(ratios, ", ") + ")"
	for i, c := range columns {
		dates[i] = "u." + c.Name
	}
	sql = "select\n    " + strings.Join(dates, ",\n    ") + ",\n    u.metric,\n    case when " + isRatio + " then " + quotient("u.above", "u.below") + " else u.above end as value,\n    case when " + isRatio +
		" then u.above end as numerator,\n    u.below as denominator\nfrom (\n" + inner + "\n) as u"
	for _, name := range []string{"metric", "value", "numerator", "denominator"} {
		columns = append(columns, lake.Column{Name: name, Type: map[bool]string{true: "varchar", false: "double"}[name == "metric"]})
	}
	return sql, columns
}

// days are the columns of the day: the partition as it stands, and a date.
func days(t metric.Table) (list []string, columns []lake.Column) {
	if t.Date == "" {
		return []string{"cast(e." + t.Time + " as date) as day"}, []lake.Column{{Name: "day", Type: "date"}}
	}
	return []string{"e." + t.Date + " as event_date", "cast(e." + t.Date + " as date) as day"}, []lake.Column{{Name: "event_date", Type: "varchar"}, {Name: "day", Type: "date"}}
}

func grouped(t metric.Table, list, where []string, keys int) string {
	numbers := make([]string, keys)
	for i := range numbers {
		numbers[i] = strconv.Itoa(i + 1)
	}
	sql := "select\n    " + strings.Join(list, ",\n    ") + "\nfrom " + t.Name + " as e"
	if len(where) > 0 {
		sql += "\nwhere " + strings.Join(where, "\n    and ")
	}
	return sql + "\ngroup by " + strings.Join(numbers, ", ")
}

func quotient(above, below string) string {
	return "cast(" + above + " as double) / nullif(" + below + ", 0e0)"
}

func additive(d metric.Definition) bool {
	for _, t := range d.Terms() {
		if t.Aggregation != "sum" && t.Aggregation != "count" {
			return false
		}
	}
	return true
}

// daily is a measure over the rows of a day, of any aggregation.
func daily(t metric.Term) string {
	if sql, err := aggregate(t); err == nil {
		return sql
	}
	value := t.Expression
	if t.Filter != "" {
		value = "case when " + t.Filter + " then " + value + " end"
	}
	if t.Aggregation == "count_distinct" {
		return "cast(count(distinct " + value + ") as double)"
	}
	return "cast(max(" + value + ") as double)"
}
