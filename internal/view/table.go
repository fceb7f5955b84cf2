package view

import (
	"io"
	"strings"
)

// Table prints rows in aligned columns, the first row as their heads.
func Table(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			row[i] = visible(cell)
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], cells(row[i]))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-cells(cell)+2))
		}
		Print(w, "%s\n", strings.TrimRight(line.String(), " "))
	}
}
