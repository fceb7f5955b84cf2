package view

import (
	"io"
	"regexp"
	"strings"
)

// word is what needs no code span in the head of a table.
var word = regexp.MustCompile(`^[A-Za-z]+$`)

// MarkdownTable prints rows as a table of Markdown, the first row as their heads. All of
// them come from outside: a name of a branch may be a head.
func MarkdownTable(w io.Writer, rows [][]string) {
	var text strings.Builder
	for i, row := range rows {
		cells := make([]string, len(row))
		for j, cell := range row {
			if cells[j] = Markdown(cell); i == 0 && word.MatchString(cell) {
				cells[j] = cell
			}
		}
		if i == 0 {
			text.WriteString(MarkdownHead(cells...))
		} else {
			text.WriteString(MarkdownRow(cells...))
		}
	}
	raw(w, inert(text.String()))
}
