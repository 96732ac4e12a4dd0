package lineage

import (
	"fmt"
	"html"
	"strings"
)

// Text draws the trace as an indented list; what stands under a line is what the line is made of.
func (t Trace) Text() string {
	var b strings.Builder
	said := map[string]bool{}
	var write func(id string, depth int)
	write = func(id string, depth int) {
		n := t.node(id)
		b.WriteString(strings.Repeat("  ", depth) + n.says())
		from := t.from(id)
		if said[id] && len(from) > 0 {
			b.WriteString(" (above)\n")
			return
		}
		said[id] = true
		b.WriteString("\n")
		for _, f := range from {
			write(f, depth+1)
		}
	}
	for _, n := range t.Nodes {
		if n.Layer == 0 {
			write(n.ID, 0)
		}
	}
	return b.String()
}

func (n Node) says() string {
	switch n.Kind {
	case ColumnNode:
		return n.Table + "." + n.Label
	case PropertyNode:
		return "property " + n.Label + " (" + string(n.Class) + ")"
	default:
		return n.Kind + " " + n.Label
	}
}

func (t Trace) node(id string) Node {
	for _, n := range t.Nodes {
		if n.ID == id {
			return n
		}
	}
	return Node{}
}

func (t Trace) from(id string) []string {
	var out []string
	for _, e := range t.Edges {
		if e.To == id {
			out = append(out, e.From)
		}
	}
	return out
}

// Sizes of the drawing, in pixels.
const (
	boxWidth, boxHeight = 210, 34
	gapX, gapY          = 56, 12
)

// SVG draws the trace with the metric on the left and events on the right, in the colours of the page around it. It
// needs no style, and no script; classes lineage-metric, -column, -property and -event are there for one.
func (t Trace) SVG() string {
	type point struct{ x, y int }
	at, rows := map[string]point{}, map[int]int{}
	width, height := 0, 0
	for _, n := range t.Nodes {
		p := point{n.Layer * (boxWidth + gapX), rows[n.Layer] * (boxHeight + gapY)}
		at[n.ID] = p
		rows[n.Layer]++
		width, height = max(width, p.x+boxWidth), max(height, p.y+boxHeight)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="lineage" role="img" xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 %d %d" width="%[1]d" height="%[2]d" font-size="12" fill="none" stroke="currentColor">`, width+2, height+2)
	if len(t.Nodes) > 0 {
		fmt.Fprintf(&b, "<title>What %s is made of</title>", html.EscapeString(t.Nodes[0].Label))
	}
	for _, e := range t.Edges {
		to, from := at[e.To], at[e.From]
		x1, y1, x2, y2 := to.x+boxWidth, to.y+boxHeight/2, from.x, from.y+boxHeight/2
		fmt.Fprintf(&b, `<path d="M%d %d C%d %d %d %d %d %d" opacity="0.4"/>`, x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2)
	}
	for _, n := range t.Nodes {
		p := at[n.ID]
		above, name := n.Kind, n.Label
		switch n.Kind {
		case ColumnNode:
			above = n.Table
		case PropertyNode:
			above = "property, PII " + string(n.Class)
		}
		fmt.Fprintf(&b, `<g class="lineage-%s"><title>%s</title><rect x="%d" y="%d" width="%d" height="%d" rx="4" fill="Canvas"/>`, n.Kind, html.EscapeString(n.says()), p.x, p.y, boxWidth, boxHeight)
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-size="10" opacity="0.7" fill="currentColor" stroke="none">%s</text>`, p.x+8, p.y+13, html.EscapeString(above))
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="currentColor" stroke="none">%s</text></g>`, p.x+8, p.y+27, html.EscapeString(cut(name)))
	}
	b.WriteString("</svg>")
	return b.String()
}

// cut shortens a name to what a box holds; its title has all of it.
func cut(name string) string {
	const most = 32
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return name
}
