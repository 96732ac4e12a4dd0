package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// board shows a bar per stage. Watched by a person it is redrawn in place; otherwise it writes a
// line when a stage is complete.
type board struct {
	w     io.Writer
	live  bool
	rows  []*bar
	drawn bool
	begun time.Time
}

type bar struct {
	name        string
	done, total int
	spent       time.Duration
	note        string
}

func newBoard(w io.Writer, live bool, total int, names ...string) *board {
	b := &board{w: w, live: live, begun: time.Now()}
	for _, name := range names {
		b.rows = append(b.rows, &bar{name: name, total: total})
	}
	return b
}

// start begins a step of a stage; the returned function ends it, with what is worth saying.
func (b *board) start(name string) (done func(note string)) {
	begun := time.Now()
	return func(note string) {
		for _, r := range b.rows {
			if r.name != name {
				continue
			}
			r.done++
			r.spent += time.Since(begun)
			if note != "" {
				r.note = note
			}
			if !b.live && r.done == r.total {
				fmt.Fprintln(b.w, r)
			}
		}
		b.draw()
	}
}

// moved sets how far a stage of many small steps has come; it is drawn at each percent.
func (b *board) moved(name string, done int) {
	for _, r := range b.rows {
		if r.name != name {
			continue
		}
		before := percent(r.done, r.total)
		r.done, r.spent = done, time.Since(b.begun)
		if b.live && percent(done, r.total) != before {
			b.draw()
		}
		if !b.live && done == r.total {
			fmt.Fprintln(b.w, r)
		}
	}
}

func percent(done, total int) int { return 100 * done / max(total, 1) }

func (b *board) draw() {
	if !b.live {
		return
	}
	if b.drawn {
		fmt.Fprintf(b.w, "\x1b[%dA", len(b.rows))
	}
	b.drawn = true
	for _, r := range b.rows {
		fmt.Fprintf(b.w, "\r\x1b[K%s\n", r)
	}
}

func (r *bar) String() string {
	const width = 24
	filled := width * r.done / max(r.total, 1)
	line := fmt.Sprintf("  %-9s %s%s %3d %%  %6.1f s", r.name, strings.Repeat("█", filled), strings.Repeat("░", width-filled), percent(r.done, r.total), r.spent.Seconds())
	if r.note != "" {
		line += "   " + r.note
	}
	return line
}
