package notebook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// cell is one cell of a notebook in format 4.5.
type cell struct {
	CellType string         `json:"cell_type"`
	ID       string         `json:"id"`
	Metadata map[string]any `json:"metadata"`
	Source   []string       `json:"source"`
}

// code is a code cell, which must have these fields, even when it was never run.
type code struct {
	cell
	ExecutionCount *int  `json:"execution_count"`
	Outputs        []any `json:"outputs"`
}

var comment = regexp.MustCompile(`(?m)^# ?`)

// split takes Python in the percent format apart: "# %%" begins a cell, "# %% [markdown]" a text whose lines are
// comments, "# %% hidden" a cell whose source is folded away.
func split(text string) []any {
	var out []any
	for part := range strings.SplitSeq("\n"+text, "\n# %%") {
		kind, body, _ := strings.Cut(part, "\n")
		body = strings.TrimSpace(body)
		if body == "" {
			continue
		}
		c := cell{CellType: "code", ID: fmt.Sprintf("cell-%02d", len(out)+1), Metadata: map[string]any{}}
		switch strings.TrimSpace(kind) {
		case "[markdown]":
			c.CellType = "markdown"
			body = comment.ReplaceAllString(body, "")
		case "hidden":
			c.Metadata["jupyter"] = map[string]any{"source_hidden": true}
		}
		c.Source = strings.SplitAfter(body, "\n")
		if c.CellType == "markdown" {
			out = append(out, c)
		} else {
			out = append(out, code{cell: c, Outputs: []any{}})
		}
	}
	return out
}

func encode(cells []any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(map[string]any{
		"cells":    cells,
		"nbformat": 4, "nbformat_minor": 5,
		"metadata": map[string]any{
			"kernelspec":    map[string]any{"display_name": "Python 3", "language": "python", "name": "python3"},
			"language_info": map[string]any{"name": "python"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encode notebook: %w", err)
	}
	return out.Bytes(), nil
}
